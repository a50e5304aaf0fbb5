// What a node with the default relays and no discovery asks the DNS for: `node default-relays-child.mjs DOOR`, in a network
// namespace of its own, where the machine's name servers are addresses of the loopback interface and nobody else is. Prints
// the names, and what has become of a connection to an id that nobody has.
import { createSocket } from 'node:dgram'
import { getServers } from 'node:dns'
import * as dns from 'dns-packet'
import { IrohP2P } from '../../../dist/iroh/index.js'
import { P2PAddress, testNodeId } from '../../../dist/index.js'

const names = new Set()
for (const server of getServers()) {
  const socket = createSocket({ type: server.includes(':') ? 'udp6' : 'udp4' })
  socket.on('message', (message, { port, address }) => {
    const { id, questions } = dns.decode(message)
    for (const { name } of questions) names.add(name)
    // It does not exist.
    socket.send(dns.encode({ type: 'response', id, flags: 0x8183, questions }), port, address)
  })
  await new Promise((resolve) => socket.bind(53, server, resolve))
}

const p2p = await IrohP2P.create({ binding: process.argv[2], bind: ['127.0.0.1:0'], relayTimeoutMs: 1_000 })
await p2p.listen()
const code = async (address) => {
  try {
    await p2p.connect(address, { signal: AbortSignal.timeout(4_000) })
    return undefined
  } catch (error) {
    return error.code
  }
}
const byId = await code(testNodeId('nobody'))
// With an address where nobody answers the transport would look for others, if it looked at all.
const byAddress = await code(new P2PAddress(testNodeId('nobody'), ['127.0.0.1:9']))
await p2p.close()
process.stdout.write(JSON.stringify({ byId, byAddress, names: [...names] }))
process.exit(0)
