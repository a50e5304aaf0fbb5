/** The contract, on real iroh over loopback. */
import { describe, test } from 'vitest'
import { contractSuite } from '../../src/testing/index.ts'
import { irohBackend } from './support/iroh-backend.ts'

contractSuite({ describe, test }, irohBackend())
