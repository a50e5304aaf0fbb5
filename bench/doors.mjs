// The doors to iroh next to each other and to iroh without JavaScript, in two processes on loopback: the rounds of all
// sides are measured in turn, so that a machine that slows down slows all, and ratios are taken round by round.
// Without the native door it says so and does nothing; without `node native/build.mjs bench` the pure Rust is
// left out.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import { loadAddon } from '../dist/iroh/native/addon.js'
import { makeSides } from './doors/sides.mjs'
import { concurrently } from './iroh/workloads.mjs'
import { quantile, ratio, summary } from './lib/stats.mjs'
import { suiteOptions } from './lib/suite.mjs'
import { printTable, short } from './lib/table.mjs'

const options = suiteOptions()
const { rounds, scale, only } = options
const REQUEST = new Uint8Array(100).fill(5)
const count = (n) => Math.max(1, Math.round(n * scale))

try {
  loadAddon()
} catch (error) {
  if (options.json) console.log(JSON.stringify({ skipped: error.message }))
  else console.log(`\nThe doors are not compared: ${error.message}`)
  process.exit(0)
}

const file = fileURLToPath(new URL('./doors/server.mjs', import.meta.url))
const child = fork(file, { execArgv: ['--conditions=iroh'], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
const [ready] = await once(child, 'message')
const sides = await makeSides(ready)
if (!ready.rust && !options.json) console.log('\nPure Rust is left out: `node native/build.mjs bench` builds its pair')
for (const side of sides) side.link = await side.connect?.()

const now = () => performance.now()

async function each(n, work) {
  const times = []
  for (let i = 0; i < n; i++) {
    const start = now()
    await work()
    times.push(now() - start)
  }
  return times
}

async function timed(work) {
  const start = now()
  await work()
  return now() - start
}

/** Microseconds of processor time that both processes have taken so far. */
async function cpuUs() {
  child.send('cpu')
  const [{ cpu }] = await once(child, 'message')
  const own = process.cpuUsage()
  return cpu.user + cpu.system + own.user + own.system
}

const slow = (side) => /official/.test(side.name)

/** `cost` of a side is in milliseconds for one unit of the work; `show` turns it into the unit that is printed. */
const workloads = [
  {
    name: 'connect',
    unit: 'ms p50',
    show: (cost) => cost,
    async cost(side) {
      if (side.measure) return quantile(await side.measure('connect', count(20)), 0.5)
      const times = []
      for (let i = 0; i < count(20); i++) {
        const start = now()
        const link = await side.connect()
        times.push(now() - start)
        link.close()
      }
      return quantile(times, 0.5)
    },
  },
  {
    name: 'request 100 B, one at a time',
    unit: 'us p50',
    show: (cost) => 1000 * cost,
    async cost(side) {
      const n = count(500)
      const times = side.measure
        ? await side.measure('sequential', n, 100)
        : await each(n, () => side.link.request(REQUEST))
      return quantile(times, 0.5)
    },
  },
  {
    name: 'request 100 B, 64 in flight',
    unit: 'requests/s',
    show: (cost) => 1000 / cost,
    async cost(side) {
      const n = count(slow(side) ? 3000 : 20_000)
      const total = side.measure
        ? (await side.measure('flights', n, 100, 64))[0]
        : await timed(() => concurrently(n, 64, () => side.link.request(REQUEST)))
      return total / n
    },
  },
  {
    name: 'CPU of both sides, 100 B, 64 in flight',
    unit: 'us a request',
    show: (cost) => 1000 * cost,
    async cost(side) {
      const n = count(slow(side) ? 3000 : 20_000)
      const before = await cpuUs()
      await concurrently(n, 64, () => side.link.request(REQUEST))
      return ((await cpuUs()) - before) / 1000 / n
    },
  },
  ...[65_536, 1_048_576].map((size) => ({
    name: `stream, writes of ${size === 65_536 ? '64 KiB' : '1 MiB'}`,
    unit: 'MB/s',
    show: (cost) => size / 1000 / cost,
    async cost(side) {
      const n = count((slow(side) ? 8_000_000 : 200_000_000) / size)
      const total = side.measure
        ? (await side.measure('bulk', n, size))[0]
        : await timed(() => side.link.stream(size, n))
      return total / n
    },
  })),
  {
    name: 'messages of 64 KiB',
    unit: 'MB/s',
    show: (cost) => 65_536 / 1000 / cost,
    async cost(side) {
      const n = count((slow(side) ? 8_000_000 : 200_000_000) / 65_536)
      return (await timed(() => side.link.messages(65_536, n))) / n
    },
  },
]

/** Whether a side can do the work of a workload. */
function can(side, { name }) {
  if (name === 'connect') return !side.name.startsWith('router')
  if (name.startsWith('CPU')) return !side.measure
  if (name.startsWith('stream')) return Boolean(side.measure ?? side.link.stream)
  if (name.startsWith('messages')) return Boolean(side.link?.messages)
  return true
}

const costs = new Map()
const chosen = workloads.filter(({ name }) => name.includes(only))
for (const workload of chosen) {
  const able = sides.filter((side) => can(side, workload))
  const table = new Map(able.map((side) => [side.name, []]))
  for (const side of able) await workload.cost(side)
  for (let round = 0; round < rounds; round++) {
    for (const side of round % 2 === 0 ? able : able.toReversed()) {
      table.get(side.name).push(await workload.cost(side))
    }
  }
  costs.set(workload, table)
}

/** How long the event loop of this process is held up while a gigabyte, or a share of it, leaves it. */
async function eventLoop() {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  const { link } = sides.find((side) => side.name === 'library, native')
  delay.enable()
  await link.stream(65_536, count(1_000_000_000 / 65_536))
  delay.disable()
  // What it reports includes the millisecond it sleeps.
  return { p50Ms: delay.percentile(50) / 1e6 - 1, p99Ms: delay.percentile(99) / 1e6 - 1, maxMs: delay.max / 1e6 - 1 }
}

/** Memory of this process for each of many connections that are open. */
async function memory() {
  const side = sides.find(({ name }) => name === 'native raw')
  const open = []
  globalThis.gc?.()
  const before = process.memoryUsage().rss
  const connections = count(1000)
  for (let i = 0; i < connections; i++) open.push(await side.connect())
  globalThis.gc?.()
  const kiB = (process.memoryUsage().rss - before) / connections / 1024
  for (const link of open) link.close()
  return { connections, kiB }
}

const held = only === '' ? await memory() : undefined
const loop = only === '' ? await eventLoop() : undefined

const find = (name) => workloads.find((workload) => workload.name === name)
/** How many times as fast the first side is as the second, round by round. */
function speed(work, a, b) {
  const table = costs.get(find(work))
  const [fast, than] = [table?.get(a), table?.get(b)]
  return fast && than ? ratio(than, fast) : undefined
}

const SMALL = 'request 100 B, 64 in flight'
const CPU = 'CPU of both sides, 100 B, 64 in flight'
const AIMS = [
  ['bulk 64 KiB, native raw / pure Rust', '>= 0.75', speed('stream, writes of 64 KiB', 'native raw', 'pure Rust')],
  ['bulk 1 MiB, native raw / pure Rust', '>= 0.75', speed('stream, writes of 1 MiB', 'native raw', 'pure Rust')],
  ['bulk 64 KiB, native raw / official raw', '>= 25', speed('stream, writes of 64 KiB', 'native raw', 'official raw')],
  ['bulk 1 MiB, native raw / official raw', '>= 25', speed('stream, writes of 1 MiB', 'native raw', 'official raw')],
  ['bulk 64 KiB, native raw / hyperdht', '>= 2', speed('stream, writes of 64 KiB', 'native raw', 'hyperdht')],
  ['bulk 1 MiB, native raw / hyperdht', '>= 2', speed('stream, writes of 1 MiB', 'native raw', 'hyperdht')],
  ['requests/s, native raw / pure Rust', '>= 0.70', speed(SMALL, 'native raw', 'pure Rust')],
  ['requests/s, native raw / official raw', '>= 12', speed(SMALL, 'native raw', 'official raw')],
  ['requests/s, native raw / hyperdht', '> 1', speed(SMALL, 'native raw', 'hyperdht')],
  ['sequential p50, native raw / pure Rust', '<= 2', speed('request 100 B, one at a time', 'pure Rust', 'native raw')],
  ['connect p50, native raw / pure Rust', '<= 1.5', speed('connect', 'pure Rust', 'native raw')],
  ['bulk 64 KiB, library / native raw', '>= 0.95', speed('stream, writes of 64 KiB', 'library, native', 'native raw')],
  ['bulk 1 MiB, library / native raw', '>= 0.95', speed('stream, writes of 1 MiB', 'library, native', 'native raw')],
  ['messages 64 KiB, library / native raw', '>= 0.95', speed('messages of 64 KiB', 'library, native', 'native raw')],
  ['requests/s, library / native raw', '', speed(SMALL, 'library, native', 'native raw')],
  ['router requests/s / native raw', '>= 0.70', speed(SMALL, 'router, native', 'native raw')],
  ['CPU of a request, native raw / library', '', speed(CPU, 'library, native', 'native raw')],
  ['CPU of a request, native raw / router', '', speed(CPU, 'router, native', 'native raw')],
]

const results = chosen.map((workload) => ({
  name: workload.name,
  unit: workload.unit,
  sides: [...costs.get(workload)].map(([side, list]) =>
    Object.assign({ side }, summary(list.map((cost) => workload.show(cost)))),
  ),
}))
const aims = AIMS.filter(([, , value]) => value).map(([name, aim, value]) => Object.assign({ name, aim }, value))
if (options.json) {
  console.log(JSON.stringify({ rounds, results, aims, memory: held, eventLoop: loop }))
} else {
  printTable(
    `Doors to iroh (two processes on loopback, medians of ${rounds} rounds in turn, min..max)`,
    ['work', 'unit', 'side', 'median', 'min..max'],
    results.flatMap(({ name, unit, sides: list }) =>
      list.map(({ side, median, min, max }, i) => [
        i === 0 ? name : '',
        i === 0 ? unit : '',
        side,
        short(median),
        `${short(min)}..${short(max)}`,
      ]),
    ),
  )
  printTable(
    'Ratios, round by round',
    ['of', 'aim', 'median', '95 % interval'],
    aims.map(({ name, aim, median, interval }) => [
      name,
      aim,
      median.toFixed(2),
      interval.map((value) => value.toFixed(2)).join('..'),
    ]),
  )
  if (held && loop) {
    printTable(
      'The process of the native door',
      ['what', 'value'],
      [
        [`KiB a connection, of ${held.connections}`, short(held.kiB)],
        ['event loop delay while streaming, p50 ms', short(loop.p50Ms)],
        ['event loop delay while streaming, p99 ms', short(loop.p99Ms)],
        ['event loop delay while streaming, max ms', short(loop.maxMs)],
      ],
    )
  }
}
for (const side of sides) {
  side.link?.close()
  await side.close()
}
child.disconnect()
process.exit()
