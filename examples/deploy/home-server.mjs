// A home server: files of a folder for friends, and its health for whoever watches over this machine.
//
//   node --conditions=iroh home-server.mjs
//
// STATE_DIRECTORY  holds `key` (made at the first start) and `friends`, a node id a line (systemd sets it)
// SHARED           the folder to share
// HEALTH_PORT      answers GET /health over HTTP on this machine only (8080)
// P2P_LISTEN_PORT, P2P_RELAY_MODE  see docs/deployment.md
import { readFile, realpath } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join, sep } from 'node:path'
import { DefaultP2P, health, NodeId, P2PResponse, P2PRouter, SecretKey } from '@moosicbox/p2p'

const state = process.env.STATE_DIRECTORY ?? '.'
const shared = await realpath(process.env.SHARED ?? '.')

/** Read at each connection: who is added may come at once. Without the file nobody may. */
async function isFriend(peer) {
  const lines = (await readFile(join(state, 'friends'), 'utf8')).split('\n')
  return lines.some((line) => line.trim() !== '' && NodeId.parse(line.trim()).equals(peer))
}

const p2p = await DefaultP2P.create({ secretKey: await SecretKey.loadOrCreate(join(state, 'key')) })
const router = new P2PRouter().route('GET', '/files/**:path', async (req) => {
  const file = await realpath(join(shared, req.params.path)).catch(() => undefined)
  // Links lead out of the folder as easily as dots do.
  if (!file?.startsWith(shared + sep)) return P2PResponse.text('there is no such file', { status: 404 })
  return P2PResponse.file(file, req)
})
const server = await p2p.serve(router, { authorize: isFriend })

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
