/** The second planted bug, and every second after it. */
import { plantedSuite } from './suite.ts'

plantedSuite(1)
