/** The contract, on real iroh over loopback, through the door that needs npm alone. */
import { describe, test } from 'vitest'
import { contractSuite } from '../../src/testing/index.ts'
import { irohBackend } from './support/iroh-backend.ts'

contractSuite({ describe, test }, irohBackend('official'))
