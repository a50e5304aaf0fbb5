/** The contract, on real iroh over loopback, through our own door. */
import { describe, expect, test } from 'vitest'
import { contractSuite } from '../../src/testing/index.ts'
import { NATIVE_DOOR } from '../iroh/doors.ts'
import { irohBackend, patient, testAbilities } from './support/iroh-backend.ts'

test.skipIf(!NATIVE_DOOR.here)(`the native door is here ${NATIVE_DOOR.why}`, () => {
  expect(NATIVE_DOOR.here).toBe(true)
})

testAbilities(test)
if (NATIVE_DOOR.here) contractSuite({ describe, test: patient(test) }, irohBackend('native'))
