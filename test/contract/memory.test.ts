/** The contract, on the engine over a network in memory: with and without a carrier that aborts blocked streams. */
import { describe, test } from 'vitest'
import { contractSuite } from '../../src/testing/index.ts'
import { memoryBackend } from './support/memory-backend.ts'

contractSuite({ describe, test }, memoryBackend({ abortsBlockedStreams: true, confirmsDelivery: true }))
contractSuite({ describe, test }, memoryBackend({ abortsBlockedStreams: false, confirmsDelivery: false }))
