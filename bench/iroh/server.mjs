// The other process: answers over the raw binding and over the library, and tells its parent how to reach both.
import * as iroh from '@number0/iroh'
import { DefaultP2P, P2PResponse, P2PRouter } from '@moosicbox/p2p'
import { RAW_ALPN, serveLibrary, serveRaw, toArray } from './workloads.mjs'

const LOOPBACK = ['127.0.0.1:0', '[::1]:0']

const builder = iroh.Endpoint.builder()
iroh.presetMinimal(builder)
builder.relayMode(iroh.RelayMode.disabled())
builder.alpns([toArray(Buffer.from(RAW_ALPN))])
for (const address of LOOPBACK) builder.bindAddr(address)
const endpoint = await builder.bind()

const node = await DefaultP2P.create({
  relay: 'disabled',
  bind: LOOPBACK,
  limits: { maxConnections: 10_000, acceptBacklog: 10_000 },
})
const listener = await node.listen()
await node.serve(new P2PRouter().route('POST', '/echo', async (req) => P2PResponse.bytes(await req.bytes())))

/** Whatever nobody refers to any more, the binding closes. */
const held = new Set()

async function acceptRaw() {
  for (;;) {
    const incoming = await endpoint.acceptNext()
    if (!incoming) return
    const connection = await (await incoming.accept()).connect()
    held.add(connection)
    void serveRaw(connection).finally(() => held.delete(connection))
  }
}

async function acceptLibrary() {
  for await (const connection of listener) void serveLibrary(connection).catch(() => {})
}

void acceptRaw().catch(() => {})
void acceptLibrary()

process.on('message', (message) => {
  if (message === 'memory') process.send({ rss: process.memoryUsage().rss })
})
process.on('disconnect', () => process.exit(0))
process.send({
  raw: { id: endpoint.id().toString(), addresses: endpoint.boundSockets() },
  ticket: node.address().toTicket(),
  backend: node.backend,
})
