/** The contract, on real iroh over loopback, through the door that needs npm alone. */
import { describe, test } from 'vitest'
import { contractSuite } from '../../src/testing/index.ts'
import { irohBackend, patient, testAbilities } from './support/iroh-backend.ts'

testAbilities(test)
contractSuite({ describe, test: patient(test) }, irohBackend('official'))
