/** The planted bugs as scenarios to sweep: `npx p2p-sim sweep build/sweeps/planted/broken.js --scenario NAME`. */
import type { Scenario } from '@moosicbox/p2p/simtest'
import { PLANTED } from './index.ts'

export const broken: readonly Scenario[] = PLANTED.map((bug) => bug.broken)
