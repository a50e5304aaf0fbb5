// What stays: memory while connections are held open by the thousand, and while requests go by the hundred thousand.
// Two processes on loopback, through the native door, or the official one where there is no other. Both processes are
// looked at after a collection of garbage. It forks itself for the other side.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { DefaultP2P, P2PResponse, P2PRouter } from '@moosicbox/p2p'
import { concurrently, library } from './iroh/workloads.mjs'
import { suiteOptions } from './lib/suite.mjs'
import { printTable, short } from './lib/table.mjs'

const LOOPBACK = ['127.0.0.1:0', '[::1]:0']
const PAYLOAD = new Uint8Array(100).fill(5)
const IN_FLIGHT = 64
const LOTS = 10

const mebibytes = (bytes) => Math.round(bytes / 104_857.6) / 10

function memory() {
  globalThis.gc?.()
  const { rss, heapUsed, arrayBuffers } = process.memoryUsage()
  return { rssMiB: mebibytes(rss), heapMiB: mebibytes(heapUsed), arrayBuffersMiB: mebibytes(arrayBuffers) }
}

async function serve() {
  const limits = { maxConnections: 20_000, acceptBacklog: 20_000 }
  const node = await DefaultP2P.create({ relay: 'disabled', bind: LOOPBACK, limits })
  const listener = await node.listen()
  await node.serve(new P2PRouter().route('POST', '/echo', async (req) => P2PResponse.bytes(await req.bytes())))
  void (async () => {
    for await (const connection of listener) void answer(connection).catch(() => {})
  })()
  process.on('message', () => process.send(memory()))
  process.on('disconnect', () => process.exit(0))
  process.send(node.address().toTicket())
}

async function answer(connection) {
  for (;;) {
    const stream = await connection.acceptStream()
    await stream.write(await stream.readToEnd(1_048_576))
    await stream.finish()
  }
}

async function measure() {
  const { json, scale } = suiteOptions()
  const child = fork(fileURLToPath(import.meta.url), ['serve'], {
    execArgv: ['--conditions=iroh', '--expose-gc'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const [ticket] = await once(child, 'message')
  const node = await DefaultP2P.create({ relay: 'disabled', bind: LOOPBACK })
  const both = async () => {
    child.send('memory')
    const [server] = await once(child, 'message')
    return { client: memory(), server }
  }

  const requests = []
  const lot = Math.round(100_000 * scale)
  const post = async () => {
    const answer = await node.request(ticket, { method: 'POST', path: '/echo', body: PAYLOAD })
    const { length } = await answer.bytes(1024)
    if (length !== PAYLOAD.length) throw new Error(`an answer has ${length} bytes`)
  }
  for (let i = 0; i <= LOTS; i++) {
    if (i > 0) await concurrently(lot, IN_FLIGHT, post)
    requests.push({ done: i * lot, ...(await both()) })
  }

  const connections = []
  const held = []
  const step = Math.round(1000 * scale)
  for (let i = 0; i <= 5; i++) {
    while (held.length < i * step) held.push(await node.connect(ticket))
    connections.push({ held: held.length, ...(await both()) })
  }
  // Each of them still carries something.
  let next = 0
  const start = performance.now()
  await concurrently(held.length, IN_FLIGHT, async () => {
    const length = await library.echo(held[next++], PAYLOAD)
    if (length !== PAYLOAD.length) throw new Error(`an answer has ${length} bytes`)
  })
  const askedMs = performance.now() - start

  const { backend } = node
  if (json) {
    console.log(JSON.stringify({ backend, requests, connections, askedMs }))
  } else {
    const columns = ['client RSS MiB', 'client heap MiB', 'server RSS MiB', 'server heap MiB']
    const cells = (count, { client, server }) => [count, client.rssMiB, client.heapMiB, server.rssMiB, server.heapMiB]
    printTable(
      `Requests of the router, ${IN_FLIGHT} in flight, over ${backend}`,
      ['requests so far', ...columns],
      requests.map((row) => cells(row.done, row)),
    )
    printTable(
      'Connections held to one peer',
      ['connections', ...columns],
      connections.map((row) => cells(row.held, row)),
    )
    const [none, all] = [connections[0], connections.at(-1)]
    const each = (side) => ((all[side].rssMiB - none[side].rssMiB) * 1024) / all.held
    console.log(`\nKiB a connection: client ${short(each('client'))}, server ${short(each('server'))}`)
    console.log(`a request on each of ${held.length}: ${short(askedMs)} ms`)
  }
  child.disconnect()
  process.exit()
}

await (process.argv[2] === 'serve' ? serve() : measure())
