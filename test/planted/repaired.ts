/** The planted applications without their bugs, to sweep: `npx p2p-sim sweep build/sweeps/planted/repaired.js`. */
import type { Scenario } from '@moosicbox/p2p/simtest'
import { PLANTED } from './index.ts'

export const repaired: readonly Scenario[] = PLANTED.map((bug) => bug.repaired)
