// The library over iroh next to the raw binding doing the same, in two processes on loopback. Pairs are measured in
// turn, so that a machine that slows down slows both, and the ratio is taken pair by pair.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { parseArgs } from 'node:util'
import { fileURLToPath } from 'node:url'
import * as iroh from '@number0/iroh'
import { DefaultP2P, P2PAddress } from '@moosicbox/p2p'
import { median, quantile, ratio, summary } from './lib/stats.mjs'
import { printTable, short } from './lib/table.mjs'
import { concurrently, library, raw, RAW_ALPN, toArray } from './iroh/workloads.mjs'

// The raw binding is the official one, so the library is held to it; bench/doors.mjs compares the doors.
process.env.P2P_IROH_BINDING = 'official'

const { values: options } = parseArgs({ options: { json: { type: 'boolean' }, quick: { type: 'boolean' } } })
const PAIRS = options.quick ? 5 : 20
const CONNECTIONS = options.quick ? 200 : 1000
const LOOPBACK = ['127.0.0.1:0', '[::1]:0']
const REQUEST = new Uint8Array(100).fill(5)

const now = () => performance.now()

async function startServer() {
  const file = fileURLToPath(new URL('./iroh/server.mjs', import.meta.url))
  const child = fork(file, { execArgv: ['--conditions=iroh'], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const [ready] = await once(child, 'message')
  return { child, ready }
}

async function rawEndpoint() {
  const builder = iroh.Endpoint.builder()
  iroh.presetMinimal(builder)
  builder.relayMode(iroh.RelayMode.disabled())
  for (const address of LOOPBACK) builder.bindAddr(address)
  return await builder.bind()
}

/** Time of `work` in milliseconds. */
async function timed(work) {
  const start = now()
  await work()
  return now() - start
}

async function sequential(work, count) {
  const times = []
  for (let i = 0; i < count; i++) times.push(await timed(work))
  return times
}

const { child, ready } = await startServer()
const endpoint = await rawEndpoint()
const node = await DefaultP2P.create({ relay: 'disabled', bind: LOOPBACK })
const rawTarget = new iroh.EndpointAddr(iroh.EndpointId.fromString(ready.raw.id), null, ready.raw.addresses)
const rawConnect = () => endpoint.connect(rawTarget, toArray(Buffer.from(RAW_ALPN)))
// Read beforehand, as the raw side's address is.
const libraryTarget = P2PAddress.parse(ready.ticket)
const libraryConnect = () => node.connect(libraryTarget)
const sides = {
  raw: { ...raw, connection: await rawConnect() },
  library: { ...library, connection: await libraryConnect() },
}

const scale = options.quick ? 0.25 : 1
const count = (n) => Math.max(1, Math.round(n * scale))

/** Each returns the cost of one side in milliseconds for the same work; less is better. */
const workloads = [
  {
    name: 'connect',
    unit: 'ms p50',
    run: async (side) => {
      const times = await sequential(async () => {
        const connection = await (side === 'raw' ? rawConnect() : libraryConnect())
        if (side === 'raw') connection.close(0n, [])
        else connection.close()
      }, count(20))
      return { cost: median(times), shown: median(times) }
    },
  },
  {
    name: 'request 100 B, a stream each, one at a time',
    unit: 'us p50',
    run: async (side) => {
      const { echo, connection } = sides[side]
      const times = await sequential(() => echo(connection, REQUEST), count(200))
      return { cost: quantile(times, 0.5), shown: 1000 * quantile(times, 0.5) }
    },
  },
  {
    name: 'request 100 B, a stream each, 64 in flight',
    unit: 'requests/s',
    run: async (side) => {
      const { echo, connection } = sides[side]
      const requests = count(2000)
      const cost = await timed(() => concurrently(requests, 64, () => echo(connection, REQUEST)))
      return { cost, shown: (1000 * requests) / cost }
    },
  },
  ...[65_536, 1_048_572].flatMap((size) => {
    const label = size === 65_536 ? '64 KiB' : '1 MiB'
    const total = count(size === 65_536 ? 64 : 6)
    const run = (kind) => async (side) => {
      const cost = await timed(() => sides[side][kind](sides[side].connection, size, total))
      return { cost, shown: (size * total) / 1000 / cost }
    }
    return [
      { name: `messages of ${label}`, unit: 'MB/s', run: run('messages') },
      { name: `stream, writes of ${label}`, unit: 'MB/s', run: run('stream') },
    ]
  }),
]

const results = []
for (const workload of workloads) {
  await workload.run('raw')
  await workload.run('library')
  const costs = { raw: [], library: [] }
  const shown = { raw: [], library: [] }
  for (let pair = 0; pair < PAIRS; pair++) {
    for (const side of pair % 2 === 0 ? ['raw', 'library'] : ['library', 'raw']) {
      const result = await workload.run(side)
      costs[side].push(result.cost)
      shown[side].push(result.shown)
    }
  }
  results.push({
    name: workload.name,
    unit: workload.unit,
    raw: summary(shown.raw),
    library: summary(shown.library),
    cost: ratio(costs.library, costs.raw),
  })
}

/** Requests of the router; the raw binding has nothing to compare with but the bare stream of a request. */
async function router() {
  const request = async () => {
    const answer = await node.request(ready.ticket, { method: 'POST', path: '/echo', body: REQUEST })
    await answer.bytes(1024)
  }
  await request()
  const latencies = []
  const rates = []
  for (let round = 0; round < PAIRS; round++) {
    latencies.push(1000 * quantile(await sequential(request, count(200)), 0.5))
    const requests = count(2000)
    rates.push((1000 * requests) / (await timed(() => concurrently(requests, 64, request))))
  }
  return { sequentialUs: summary(latencies), requestsPerSecond: summary(rates) }
}

/** Memory of this process that each of many open connections takes. */
async function connectionMemory(connect, close) {
  const open = []
  globalThis.gc?.()
  const before = process.memoryUsage().rss
  for (let i = 0; i < CONNECTIONS; i++) open.push(await connect())
  globalThis.gc?.()
  const bytes = (process.memoryUsage().rss - before) / CONNECTIONS
  for (const connection of open) close(connection)
  return bytes / 1024
}

/** What a sender holds while a receiver takes its time: it must wait, not grow. */
async function slowReceiver() {
  const listenerNode = await DefaultP2P.create({ relay: 'disabled', bind: LOOPBACK })
  const listener = await listenerNode.listen()
  const sender = await node.connect(listenerNode.address())
  const receiver = await listener.accept()
  const message = new Uint8Array(262_144)
  let sent = 0
  const sending = (async () => {
    while (sender.isConnected()) {
      await sender.send(message)
      sent++
    }
  })().catch(() => {})
  const samples = []
  for (let received = 0; received < (options.quick ? 40 : 120); received++) {
    await receiver.recv()
    samples.push({ aheadMiB: (sent - received) / 4, rssMiB: process.memoryUsage().rss / 1_048_576 })
  }
  sender.close()
  await sending
  await listenerNode.close()
  const half = Math.floor(samples.length / 2)
  const peak = (part) => Math.max(...part.map((sample) => sample.aheadMiB))
  return { firstHalfAheadMiB: peak(samples.slice(0, half)), secondHalfAheadMiB: peak(samples.slice(half)) }
}

const requests = await router()
const memory = {
  rawKiB: await connectionMemory(rawConnect, (connection) => connection.close(0n, [])),
  libraryKiB: await connectionMemory(libraryConnect, (connection) => connection.close()),
}
const backPressure = await slowReceiver()

if (options.json) {
  console.log(
    JSON.stringify({
      backend: ready.backend,
      pairs: PAIRS,
      connections: CONNECTIONS,
      results,
      requests,
      memory,
      backPressure,
    }),
  )
} else {
  const range = ({ median: middle, min, max }) => `${short(middle)} (${short(min)}..${short(max)})`
  printTable(
    `iroh: the library over the raw binding (${ready.backend}; two processes on loopback, medians of ${PAIRS} pairs, min..max)`,
    ['work', 'unit', 'raw binding', 'library', 'cost', '95 % interval'],
    results.map(({ name, unit, raw: a, library: b, cost }) => [
      name,
      unit,
      range(a),
      range(b),
      cost.median.toFixed(3),
      cost.interval.map((x) => x.toFixed(3)).join('..'),
    ]),
  )
  printTable(
    'Router requests (POST, 100 B each way, a stream each)',
    ['work', 'unit', 'library'],
    [
      ['one at a time', 'us p50', range(requests.sequentialUs)],
      ['64 in flight', 'requests/s', range(requests.requestsPerSecond)],
    ],
  )
  printTable(
    `Memory a connection, of ${CONNECTIONS} open ones`,
    ['side', 'KiB'],
    [
      ['raw binding', short(memory.rawKiB)],
      ['library', short(memory.libraryKiB)],
    ],
  )
  printTable(
    'A sender ahead of a slow receiver (256 KiB messages)',
    ['part of the run', 'most MiB ahead'],
    [
      ['first half', short(backPressure.firstHalfAheadMiB)],
      ['second half', short(backPressure.secondHalfAheadMiB)],
    ],
  )
}

sides.raw.connection.close(0n, [])
sides.library.connection.close()
await node.close()
await endpoint.close()
child.disconnect()
