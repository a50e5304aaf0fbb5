/** All planted bugs. */
import type { Scenario } from '@moosicbox/p2p/simtest'
import { duplicateDelivery } from './duplicate-delivery.ts'
import { leaseClock } from './lease-clock.ts'
import { replicaAck } from './replica-ack.ts'
import { resumeOffset } from './resume-offset.ts'
import { splitBrain } from './split-brain.ts'
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
]
