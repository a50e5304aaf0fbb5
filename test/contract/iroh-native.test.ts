/** The contract, on real iroh over loopback, through our own door. */
import { describe, test } from 'vitest'
import { contractSuite } from '../../src/testing/index.ts'
import { NATIVE_DOOR } from '../iroh/doors.ts'
import { irohBackend } from './support/iroh-backend.ts'

if (NATIVE_DOOR.here) contractSuite({ describe, test }, irohBackend('native'))
else test.skip(NATIVE_DOOR.why, () => {})
