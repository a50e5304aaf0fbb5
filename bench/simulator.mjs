// How fast the simulator is: bare events, woken code, datagrams through the virtual internet, and whole programs over
// the transport. Each figure is a median over rounds; virtual / real says how much faster than life it runs.
import { parseArgs } from 'node:util'
import { parseSimulatorConfig } from '@moosicbox/p2p'
import { Simulation, SimulatorP2P } from '@moosicbox/p2p/simulator'
import { Scheduler } from '../dist/simulator/scheduler.js'
import { summary } from './lib/stats.mjs'
import { printTable, short } from './lib/table.mjs'

const { values: options } = parseArgs({ options: { json: { type: 'boolean' }, quick: { type: 'boolean' } } })
const ROUNDS = options.quick ? 3 : 7
const scale = options.quick ? 0.2 : 1
const config = parseSimulatorConfig({ SIMULATOR_DEFAULT_LATENCY_MS: '25', SIMULATOR_DEFAULT_PACKET_LOSS: '0' })

async function rounds(work) {
  const results = []
  await work()
  for (let round = 0; round < ROUNDS; round++) {
    globalThis.gc?.()
    const start = performance.now()
    const done = await work()
    results.push({ ...done, ms: performance.now() - start })
  }
  return results
}

/** Callbacks that schedule the next: what a packet hop costs, without the packet. */
async function bareEvents() {
  const events = Math.round(1_000_000 * scale)
  const results = await rounds(async () => {
    const scheduler = new Scheduler(1n)
    let left = events
    const step = () => {
      if (--left > 0) scheduler.schedule(100, step)
    }
    for (let i = 0; i < 1000; i++) scheduler.schedule(i, step)
    while (scheduler.advance(Number.POSITIVE_INFINITY)) if (left <= 0) break
    return {}
  })
  return summary(results.map(({ ms }) => (1000 * events) / ms))
}

/** Programs that sleep: an event, a promise, and the code behind it. */
async function wokenEvents() {
  const sleeps = Math.round(20_000 * scale)
  const results = await rounds(async () => {
    const sim = new Simulation({ seed: 1, config })
    for (let i = 0; i < 10; i++) {
      sim.host(`host-${i}`, async (host) => {
        for (let n = 0; n < sleeps; n++) await host.runtime.sleep(1)
      })
    }
    const { events } = await sim.run()
    await sim.close()
    return { events }
  })
  return summary(results.map(({ ms, events }) => (1000 * events) / ms))
}

/** W1: ten hosts, each sends a 100 B request to a random other every 100 virtual ms and gets it back; 25 ms one way. */
async function requests() {
  const seconds = Math.round(60 * scale)
  const payload = new Uint8Array(100).fill(9)
  const results = await rounds(async () => {
    const sim = new Simulation({ seed: 1, config })
    const nodes = []
    let answered = 0
    for (let i = 0; i < 10; i++) {
      sim.host(`host-${i}`, async (host) => {
        const p2p = await SimulatorP2P.create()
        nodes[i] = p2p
        const listener = await p2p.listen()
        const echo = async (connection) => {
          for (;;) {
            const stream = await connection.acceptStream()
            await stream.write(await stream.readToEnd(1024))
            await stream.finish()
          }
        }
        const accept = async () => {
          for await (const connection of listener) echo(connection).catch(() => {})
        }
        void accept()
        await host.runtime.sleep(1000)
        const connections = new Map()
        for (let n = 0; n < seconds * 10; n++) {
          const other = (i + 1 + Math.floor(host.runtime.random() * 9)) % 10
          let connection = connections.get(other)
          if (!connection) connections.set(other, (connection = await p2p.connect(nodes[other].address())))
          const stream = await connection.openStream()
          await stream.write(payload)
          await stream.finish()
          const answer = await stream.readToEnd(1024)
          if (answer.length === 100) answered++
          await host.runtime.sleep(50)
        }
        await host.runtime.sleep(500)
      })
    }
    const { virtualMs, events, ended } = await sim.run()
    await sim.close()
    if (ended !== 'programs' || answered !== seconds * 100) throw new Error(`${answered} answers, ended by ${ended}`)
    return { virtualMs, events, answered }
  })
  return {
    virtualPerReal: summary(results.map(({ ms, virtualMs }) => virtualMs / ms)),
    requestsPerSecond: summary(results.map(({ ms, answered }) => (1000 * answered) / ms)),
    eventsPerSecond: summary(results.map(({ ms, events }) => (1000 * events) / ms)),
  }
}

/** One bulk transfer: 8 MiB over 100 Mbit/s and 10 ms. */
async function bulk() {
  const megabytes = Math.max(2, Math.round(16 * scale))
  const chunk = new Uint8Array(65_536).fill(3)
  const results = await rounds(async () => {
    const link = { latencyMs: 10, bandwidthBitsPerSecond: 100_000_000 }
    const sim = new Simulation({ seed: 1, config })
    let address
    let received = 0
    sim.host('receiver', { link }, async () => {
      const p2p = await SimulatorP2P.create()
      const listener = await p2p.listen()
      address = p2p.address()
      const connection = await listener.accept()
      const stream = await connection.acceptReceiveStream()
      for (let bytes = await stream.read(); bytes; bytes = await stream.read()) received += bytes.length
    })
    sim.host('sender', { link }, async (host) => {
      const p2p = await SimulatorP2P.create()
      await host.runtime.sleep(10)
      const connection = await p2p.connect(address)
      const stream = await connection.openSendStream()
      for (let i = 0; i < megabytes * 16; i++) await stream.write(chunk)
      await stream.finish()
      await connection.end()
    })
    const { virtualMs } = await sim.run()
    await sim.close()
    if (received !== megabytes * 1_048_576) throw new Error(`${received} bytes received`)
    return { virtualMs }
  })
  return {
    megabytesPerSecond: summary(results.map(({ ms }) => (megabytes * 1.048576 * 1000) / ms)),
    virtualPerReal: summary(results.map(({ ms, virtualMs }) => virtualMs / ms)),
  }
}

const bare = await bareEvents()
const woken = await wokenEvents()
const w1 = await requests()
const transfer = await bulk()

if (options.json) {
  console.log(JSON.stringify({ rounds: ROUNDS, bareEventsPerSecond: bare, wokenEventsPerSecond: woken, w1, transfer }))
} else {
  const row = (work, unit, { median, min, max }) => [work, unit, short(median), `${short(min)}..${short(max)}`]
  printTable(
    `simulator (one thread, medians of ${ROUNDS} rounds)`,
    ['work', 'unit', 'median', 'min..max'],
    [
      row('bare events', 'events/s', bare),
      row('events that wake a program', 'events/s', woken),
      row('10 hosts, requests of 100 B over the transport', 'virtual / real', w1.virtualPerReal),
      row('', 'requests/s', w1.requestsPerSecond),
      row('', 'events/s', w1.eventsPerSecond),
      row('one transfer over 100 Mbit/s, 10 ms', 'MB/s, real', transfer.megabytesPerSecond),
      row('', 'virtual / real', transfer.virtualPerReal),
    ],
  )
}
