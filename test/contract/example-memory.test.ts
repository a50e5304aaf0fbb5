/** The contract, on the backend of `examples/memory-backend`, in real time. */
import { describe, test } from 'vitest'
import { memoryBackend } from '../../examples/memory-backend/contract.ts'
import { contractSuite } from '../../src/testing/index.ts'

contractSuite({ describe, test }, memoryBackend)
