/**
 * Who is who, and what may be connected to.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { P2PAddress } from '../../core/address.ts'
import { testNodeId } from '../../core/keys.ts'
import { NodeId } from '../../core/node-id.ts'
import { P2P_ALPN } from '../../core/system.ts'
import { fails, roundTrip } from './expect.ts'
import type { ContractCases, ContractPair } from './pair.ts'

/** Connects to `peer`, and checks that it is `b` who answers. */
async function reaches(pair: ContractPair, peer: NodeId | P2PAddress | string): Promise<void> {
  const { a, b, listener } = pair
  const [client, server] = await Promise.all([a.connect(peer), listener.accept()])
  assert(pair.watch(client).remoteNodeId().equals(b.localNodeId()))
  assert(pair.watch(server).remoteNodeId().equals(a.localNodeId()))
  await roundTrip(client, server)
  await client.end()
}

/** The cases. */
export const identityCases: ContractCases = {
  'the id of a node is that of its key': async ({ a, b }) => {
    assert(a.localNodeId().equals(testNodeId('a')))
    assert(b.localNodeId().equals(testNodeId('b')))
    assert.equal(a.localNodeId().toString(), testNodeId('a').toString())
    assert.equal(a.localNodeId().asBytes().length, 32)
    assert(!a.localNodeId().equals(b.localNodeId()))
  },
  'both sides of a connection know the authenticated id of the other, and the protocol': async (pair) => {
    const [client, server] = await pair.connect()
    assert(client.remoteNodeId().equals(pair.b.localNodeId()))
    assert(server.remoteNodeId().equals(pair.a.localNodeId()))
    assert.deepEqual([client.alpn, server.alpn], [P2P_ALPN, P2P_ALPN])
    assert.deepEqual([client.isConnected(), server.isConnected()], [true, true])
  },
  'the address of a node holds its id, and survives being written as a ticket': async ({ b }) => {
    const address = b.address()
    assert(address.id.equals(b.localNodeId()))
    assert(address.direct.length > 0)
    const read = P2PAddress.parse(address.toTicket())
    assert(read.id.equals(address.id))
    assert.deepEqual([read.direct, read.relays], [address.direct, address.relays])
  },
  'a ticket is enough to connect': (pair) => reaches(pair, pair.b.address().toTicket()),
  'an address is enough to connect': (pair) => reaches(pair, pair.b.address()),
  'an id is enough to connect': (pair) => reaches(pair, pair.b.localNodeId()),
  'the text of an id, in every form, is enough to connect': async (pair) => {
    const id = pair.b.localNodeId()
    await reaches(pair, id.toString())
    await reaches(pair, id.toString().toUpperCase())
    await reaches(pair, id.toHex())
  },
  'a text that is no id and no ticket is told so': async ({ a }) => {
    await fails(a.connect('nobody'), 'invalid-node-id')
    await fails(a.connect(`${testNodeId('b').toHex()}00`), 'invalid-node-id')
    await fails(a.connect('endpointaaaa'), 'invalid-configuration')
  },
  'an address where somebody else answers is not taken for the peer': async (pair) => {
    const c = await pair.third()
    const claimed = new P2PAddress(c.localNodeId(), pair.b.address().direct)
    await c.close()
    const connecting = pair.a.connect(claimed, { timeoutMs: 1_000 })
    await fails(connecting, ['connection-failed', 'timeout', 'no-route', 'node-not-found', 'refused'])
  },
}
