/** All planted bugs. */
import type { Scenario } from '@moosicbox/p2p/simtest'
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
]
