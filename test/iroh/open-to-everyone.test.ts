import { expect, test, vi } from 'vitest'
import { testNodeId, testSigningKey } from '../../src/core/keys.ts'
import type { IrohBinding, IrohEndpoint } from '../../src/iroh/binding.ts'
import { IrohP2P } from '../../src/iroh/index.ts'
import type { IrohCreateOptions } from '../../src/iroh/index.ts'
import { P2PRouter, serve } from '../../src/router/index.ts'
import type { ServeOptions } from '../../src/router/index.ts'
import { MemoryNetwork } from '../support/memory-carrier.ts'

/** A door to a network in memory, so that nodes may be open to all without a packet that leaves. */
function memoryDoor(): IrohBinding {
  const open = async (): Promise<IrohEndpoint> =>
    Object.assign(new MemoryNetwork().endpoint(testNodeId('a')), {
      online: async () => false,
      setAccess: () => {},
      setExternalAddress: () => {},
      homeRelays: () => [],
      networkReport: () => {
        throw new Error('nobody asks')
      },
      setRelay: () => {},
    })
  return { name: 'native', open }
}

async function warnings(create: IrohCreateOptions, options: ServeOptions = {}): Promise<unknown[]> {
  const warning = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
  const node = await IrohP2P.create({ secretKey: testSigningKey('a'), binding: memoryDoor(), ...create })
  await serve(node, new P2PRouter(), options)
  await node.close()
  const said = warning.mock.calls.map(([, about]) => (about as { readonly code?: unknown } | undefined)?.code)
  warning.mockRestore()
  return said
}

test('serving everybody without having said so warns once', async () => {
  const everywhere = { relay: 'disabled', bind: ['0.0.0.0:0'] } as const
  expect(await warnings({ relay: 'disabled', bind: ['127.0.0.1:0'] })).toEqual([])
  expect(await warnings({ ...everywhere, allow: [testNodeId('b')] })).toEqual([])
  expect(await warnings(everywhere, { authorize: 'everyone' })).toEqual([])
  expect(await warnings(everywhere, { authorize: () => true })).toEqual([])
  expect(await warnings({ bind: ['127.0.0.1:0'], relayTimeoutMs: 0 })).toEqual(['P2P_OPEN_TO_EVERYONE'])
  expect(await warnings(everywhere)).toEqual([])
})
