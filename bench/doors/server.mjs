// The other process: answers on every side, and tells its parent where.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import * as iroh from '@number0/iroh'
import { DefaultP2P, P2PResponse, P2PRouter } from '@moosicbox/p2p'
import { RAW_ALPN, serveLibrary, serveRaw, toArray } from '../iroh/workloads.mjs'
import { serveFramed } from './framed.mjs'
import { serveHyperdht } from './hyperdht.mjs'
import { NATIVE_ALPN, nativeEndpoint, serveNative } from './native.mjs'
import { LOOPBACK, pairProgram } from './sides.mjs'

const limits = { maxConnections: 20_000, acceptBacklog: 20_000 }

async function serveNode(binding) {
  process.env.P2P_IROH_BINDING = binding
  const node = await DefaultP2P.create({ relay: 'disabled', bind: LOOPBACK, limits })
  const listener = await node.listen()
  await node.serve(new P2PRouter().route('POST', '/echo', async (req) => P2PResponse.bytes(await req.bytes())))
  void (async () => {
    for await (const connection of listener) void serveLibrary(connection).catch(() => {})
  })()
  return node.address().toTicket()
}

/** Whatever nobody refers to any more, the official binding closes. */
const held = new Set()

async function serveOfficial() {
  const builder = iroh.Endpoint.builder()
  iroh.presetMinimal(builder)
  builder.relayMode(iroh.RelayMode.disabled())
  builder.alpns([toArray(Buffer.from(RAW_ALPN))])
  for (const address of LOOPBACK) builder.bindAddr(address)
  const endpoint = await builder.bind()
  void (async () => {
    for (;;) {
      const incoming = await endpoint.acceptNext()
      if (!incoming) return
      const connection = await (await incoming.accept()).connect()
      held.add(connection)
      void serveRaw(connection).finally(() => held.delete(connection))
    }
  })().catch(() => {})
  return { id: endpoint.id().toString(), addresses: endpoint.boundSockets() }
}

const native = await nativeEndpoint()
native.onIncoming = (connection) => void serveNative(connection).catch(() => {})
native.setAlpns([NATIVE_ALPN])

let rust
const program = pairProgram()
if (program) {
  const child = spawn(program, ['serve'], { stdio: ['ignore', 'pipe', 'inherit'] })
  const { value } = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next()
  const [id, address] = value.split(' ')
  rust = { id, address, pid: child.pid }
  process.on('exit', () => child.kill())
}

process.on('disconnect', () => process.exit(0))
process.on('message', () => process.send({ cpu: process.cpuUsage() }))
process.send({
  rust,
  native: { id: native.address().id.toHex(), addresses: native.boundAddresses() },
  official: await serveOfficial(),
  libraryNative: await serveNode('native'),
  libraryOfficial: await serveNode('official'),
  framed: await serveFramed(),
  hyperdht: await serveHyperdht(),
})
