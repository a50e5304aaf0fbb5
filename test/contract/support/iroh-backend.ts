/** Endpoints of real iroh that reach nobody but each other. */
import { testSigningKey } from '../../../src/core/keys.ts'
import { IrohP2P } from '../../../src/iroh/index.ts'
import type { ContractBackend } from '../../../src/testing/index.ts'
import { AddressBook } from './address-book.ts'

export function irohBackend(binding: 'native' | 'official'): ContractBackend {
  return {
    name: `iroh (${binding})`,
    scale: { runs: 3, maxBytes: 2_097_152, many: 20, beyondWindowsBytes: 4_000_000 },
    run: async (body) => {
      const discovery = new AddressBook()
      const nodes: IrohP2P[] = []
      try {
        await body({
          create: async (name, options) => {
            const node = await IrohP2P.create({
              secretKey: testSigningKey(name),
              relay: 'disabled',
              binding,
              bind: ['127.0.0.1:0', '[::1]:0'],
              discovery: [discovery],
              ...options,
            })
            discovery.add(node.address())
            nodes.push(node)
            return node
          },
        })
      } finally {
        // Sockets of a case that has failed would keep the process alive.
        await Promise.all(nodes.map((node) => node.close()))
      }
    },
  }
}
