/** All planted bugs. */
import type { Scenario } from '@moosicbox/p2p/simtest'
import { bothSend } from './both-send.ts'
import { duplicateDelivery } from './duplicate-delivery.ts'
import { leaseClock } from './lease-clock.ts'
import { realTime } from './real-time.ts'
import { replicaAck } from './replica-ack.ts'
import { resumeOffset } from './resume-offset.ts'
import { splitBrain } from './split-brain.ts'
import { starvation } from './starvation.ts'
import { streamLeak } from './stream-leak.ts'
import { unsyncedWrite } from './unsynced-write.ts'

/** One bug. */
interface Planted {
  readonly broken: Scenario
  readonly repaired: Scenario
  /** What its report says. */
  readonly message: RegExp
  /** Faults that the smallest failing run needs at most, and at least. */
  readonly maxFaults: number
  readonly minFaults?: number
}

export const PLANTED: readonly Planted[] = [
  {
    broken: unsyncedWrite(false),
    repaired: unsyncedWrite(true),
    message: /was acknowledged and is lost/,
    maxFaults: 1,
  },
  {
    broken: duplicateDelivery(false),
    repaired: duplicateDelivery(true),
    message: /were booked of/,
    maxFaults: 2,
  },
  {
    broken: splitBrain(false),
    repaired: splitBrain(true),
    message: /both lead in term/,
    maxFaults: 2,
  },
  {
    broken: resumeOffset(false),
    repaired: resumeOffset(true),
    message: /the file (?:is wrong at byte|has)/,
    maxFaults: 2,
  },
  {
    broken: replicaAck(false),
    repaired: replicaAck(true),
    message: /was acknowledged, and then/,
    maxFaults: 3,
    minFaults: 2,
  },
  {
    broken: leaseClock(false),
    repaired: leaseClock(true),
    message: /hold it both/,
    maxFaults: 3,
    minFaults: 2,
  },
  {
    broken: streamLeak(false),
    repaired: streamLeak(true),
    message: /answers come: not within/,
    maxFaults: 1,
  },
  {
    broken: bothSend(false),
    repaired: bothSend(true),
    message: /keep each other up to date: not within/,
    maxFaults: 5,
    minFaults: 2,
  },
  {
    broken: starvation(false),
    repaired: starvation(true),
    message: /jobs have overtaken one/,
    maxFaults: 1,
  },
  {
    broken: realTime(false),
    repaired: realTime(true),
    message: /host client used .*setTimeout/,
    maxFaults: 2,
    minFaults: 2,
  },
]
