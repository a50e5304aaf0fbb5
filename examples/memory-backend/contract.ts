/**
 * How this backend joins the contract suite: it says how to make nodes that can reach each other, and how much of
 * everything to do. With vitest or `node:test`:
 *
 *     contractSuite({ describe, test }, memoryBackend)
 *
 * @module
 */
import { testSigningKey } from '@moosicbox/p2p'
import type { ContractBackend } from '@moosicbox/p2p/testing'
import { MemoryNetwork } from './carrier.ts'
import { MemoryNames, MemoryP2P } from './memory-p2p.ts'

/** The backend, as the suite sees it. */
export const memoryBackend: ContractBackend = {
  name: 'an example of a backend, in memory',
  scale: { runs: 5, maxBytes: 1_048_576, many: 30, beyondWindowsBytes: 1_000_000 },
  run: async (body) => {
    const network = new MemoryNetwork()
    const names = new MemoryNames()
    await body({
      create: async (name, { limits } = {}) =>
        MemoryP2P.create({ network, names, secretKey: testSigningKey(name), limits }),
    })
  },
}
