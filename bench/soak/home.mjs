// The server of the soak: lives from the beginning to the end, and tells what it holds when it is asked.
import { readdirSync } from 'node:fs'
import { DefaultP2P, P2PResponse, P2PRouter, SecretKey } from '@moosicbox/p2p'
import { contentOf, numberOf } from './content.mjs'

const { key, relay } = JSON.parse(process.argv[2])
const native = await import('../../dist/iroh/native/addon.js').then(({ loadAddon }) => {
  try {
    return loadAddon()
  } catch {
    return undefined
  }
})

/** Messages of each flow that have come; asked for once, by who has sent them. */
const tallies = new Map()
const MAX_TALLIES = 10_000
let garbage = 0

const node = await DefaultP2P.create({
  secretKey: SecretKey.fromBytes(Buffer.from(key, 'hex')),
  relay: [relay],
  bind: ['127.0.0.1:0', '[::1]:0'],
  limits: { idleTimeoutMs: 10_000 },
})
const router = new P2PRouter()
  .route('POST', '/echo', async (req) => P2PResponse.bytes(await req.bytes()))
  .route('GET', '/bytes/:flow/:length', (req) =>
    P2PResponse.bytes(contentOf(Number(req.params.flow), Number(req.params.length))),
  )
  .route('GET', '/tally/:flow', (req) => {
    const flow = Number(req.params.flow)
    const count = tallies.get(flow) ?? 0
    tallies.delete(flow)
    return P2PResponse.json({ count })
  })
const server = await node.serve(router, { authorize: 'everyone', onError: () => {} })
const listener = await node.listen('', { authorize: 'everyone' })

async function echoMessages(connection) {
  for await (const message of connection) {
    const flow = numberOf(message)
    tallies.set(flow, (tallies.get(flow) ?? 0) + 1)
    if (tallies.size > MAX_TALLIES) tallies.delete(tallies.keys().next().value)
    // A peer that has ended hears nothing any more, and what it sent before still comes.
    await connection.send(message).catch(() => {})
  }
}

async function echoStream(stream) {
  for await (const chunk of stream) await stream.write(chunk)
  await stream.finish()
}

async function echoStreams(connection) {
  for (;;) void echoStream(await connection.acceptStream()).catch(() => garbage++)
}

async function echoDatagrams(connection) {
  for await (const datagram of connection.datagrams) connection.sendDatagram(datagram)
}

async function serve(connection) {
  const parts = [echoMessages(connection), echoStreams(connection), echoDatagrams(connection)]
  await Promise.allSettled(parts)
}

async function accept() {
  for await (const connection of listener) void serve(connection)
}
void accept()

const descriptors = () => {
  try {
    return readdirSync('/proc/self/fd').length
  } catch {
    return 0
  }
}

process.on('message', (message) => {
  if (message === 'look') {
    globalThis.gc()
    const { rss, heapUsed, external } = process.memoryUsage()
    const { connections, requestsAnswered } = server.stats()
    process.send({
      about: { rss, heapUsed, external, connections, requestsAnswered, garbage },
      handles: native?.liveHandles() ?? 0,
      descriptors: descriptors(),
      cpuMs: process.cpuUsage().user / 1000 + process.cpuUsage().system / 1000,
    })
  } else {
    void node.close().then(() => process.disconnect())
  }
})
process.send({ ticket: node.address().toTicket(), backend: node.backend })
