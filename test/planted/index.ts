/** All planted bugs. */
import type { Scenario } from '@moosicbox/p2p/simtest'
import { duplicateDelivery } from './duplicate-delivery.ts'
import { resumeOffset } from './resume-offset.ts'
import { splitBrain } from './split-brain.ts'
import { unsyncedWrite } from './unsynced-write.ts'

/** One bug. */
interface Planted {
  readonly broken: Scenario
  readonly repaired: Scenario
  /** What its report says. */
  readonly message: RegExp
  /** Faults that the smallest failing run needs at most. */
  readonly maxFaults: number
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
]
