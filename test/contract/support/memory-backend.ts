/** The engine over the memory carrier, whose time moves when nothing else does. */
import assert from 'node:assert/strict'
import type { ContractBackend } from '../../../src/testing/index.ts'
import { ManualRuntime, settle } from '../../support/manual-runtime.ts'
import { MemoryNetwork } from '../../support/memory-carrier.ts'
import type { MemoryNetworkOptions } from '../../support/memory-carrier.ts'
import { MemoryNode } from '../../support/memory-node.ts'
import { AddressBook } from './address-book.ts'

/** Virtual time after which a case that waits counts as stuck. */
const STUCK_MS = 600_000
const STEP_MS = 50

export function memoryBackend(options: MemoryNetworkOptions): ContractBackend {
  const how = options.abortsBlockedStreams === false ? 'a carrier that cannot abort blocked streams' : 'any carrier'
  return {
    name: `the engine over ${how}`,
    scale: { runs: 30, maxBytes: 8_388_608, many: 90, beyondWindowsBytes: 1_000_000 },
    run: async (body) => {
      const runtime = new ManualRuntime()
      const network = new MemoryNetwork(options)
      const discovery = new AddressBook()
      const nodes: MemoryNode[] = []
      const running = body({
        create: async (name, nodeOptions = {}) => {
          const { limits = {} } = nodeOptions
          const node = MemoryNode.create(network, name, { runtime, limits, discovery: [discovery] })
          nodes.push(node)
          return node
        },
      })
      const state = { done: false }
      const over = (): void => void (state.done = true)
      running.then(over, over)
      // Once everything has settled that can, the body waits for time to pass.
      for (await settle(); !state.done; await settle()) {
        assert(runtime.now() < STUCK_MS, 'the case waits for something that never happens')
        await runtime.advance(STEP_MS)
      }
      await running
      assert.deepEqual(network.violations, [])
      assert.equal(
        nodes.reduce((sum, node) => sum + node.endpoint.connections.size, 0),
        0,
        'connections left',
      )
      assert.equal(runtime.pendingTimers, 0, 'timers left')
    },
  }
}
