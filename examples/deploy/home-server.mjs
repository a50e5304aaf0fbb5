// A home server: files of a folder for friends, and its health for whoever watches over this machine.
//
//   node home-server.mjs
//
// STATE_DIRECTORY  holds `key` (made at the first start) and `friends`, a node id a line (systemd sets it)
// SHARED           the folder to share
// HEALTH_PORT      answers GET /health over HTTP on this machine only (8080)
// P2P_LISTEN_PORT, P2P_RELAY_MODE, P2P_DISCOVERY_MODE, P2P_IROH_BINDING  see docs/deployment.md
import { readFile, realpath } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join, sep } from 'node:path'
import { health, NodeId, P2PResponse, P2PRouter, SecretKey, serve } from '@moosicbox/p2p'
import { discoveryFromEnvironment } from '@moosicbox/p2p/discovery'
import { IrohP2P } from '@moosicbox/p2p/iroh'

const state = process.env.STATE_DIRECTORY ?? '.'
const shared = await realpath(process.env.SHARED ?? '.')

/** Read at each connection: who is added may come at once. Without the file nobody may. */
async function isFriend(peer) {
  const lines = (await readFile(join(state, 'friends'), 'utf8')).split('\n')
  return lines.some((line) => line.trim() !== '' && NodeId.parse(line.trim()).equals(peer))
}

/** What friends together can make it hold, under the MemoryMax of its unit: docs/deployment.md has the sum. */
const limits = { maxConnections: 32, maxConnectionsPerPeer: 8, drainBufferBytes: 2 ** 20 }
const admission = { maxReceiveBytes: 64 * 2 ** 20, maxStreams: 32, maxStreamsPerPeer: 128, maxStreamsInAll: 1024 }
const requests = { maxRequestsInFlight: 8 }
// The official door keeps no such bounds on bytes and streams, and refuses to be asked for them.
const isOfficial = process.env.P2P_IROH_BINDING === 'official'

// Not DefaultP2P: what is deployed is on the real network, whatever condition it is started with.
const p2p = await IrohP2P.create({
  secretKey: await SecretKey.loadOrCreate(join(state, 'key')),
  limits,
  ...(!isOfficial && { admission }),
  discovery: await discoveryFromEnvironment(process.env),
})
const router = new P2PRouter().route('GET', '/files/**:path', async (req) => {
  const file = await realpath(join(shared, req.params.path)).catch(() => undefined)
  // Links lead out of the folder as easily as dots do.
  if (!file?.startsWith(shared + sep)) return P2PResponse.text('there is no such file', { status: 404 })
  return P2PResponse.file(file, req)
})
const server = await serve(p2p, router, { ...requests, authorize: isFriend })

const http = createServer((request, response) => {
  const isHealth = request.url === '/health'
  response.writeHead(isHealth ? 200 : 404, { 'content-type': 'application/json' })
  response.end(JSON.stringify(isHealth ? health(p2p, server) : {}))
})
http.listen(Number(process.env.HEALTH_PORT ?? 8080), '127.0.0.1', () => {
  console.log(
    `${p2p.backend}: ${p2p.localNodeId().toString()}, health at http://127.0.0.1:${http.address().port}/health`,
  )
  console.log(p2p.address().toTicket())
})

async function stop() {
  http.close()
  await server.close()
  await p2p.close()
}
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void stop())
