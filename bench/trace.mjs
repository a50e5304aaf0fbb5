// What recording a trace costs: the same run with and without, in turn, in processor time, which others on the machine
// change little. A ratio of 1.3 is the bar.
import { parseSimulatorConfig } from '@moosicbox/p2p'
import { Simulation, SimulatorP2P } from '@moosicbox/p2p/simulator'
import { ratio, summary } from './lib/stats.mjs'
import { suiteOptions } from './lib/suite.mjs'
import { printTable, short } from './lib/table.mjs'

const options = suiteOptions()
const { scale } = options
const pairs = options.quick ? 5 : 11
const config = parseSimulatorConfig({ SIMULATOR_DEFAULT_LATENCY_MS: '25', SIMULATOR_DEFAULT_PACKET_LOSS: '0.01' })

/** Counts the bytes and forgets them: the disk is not measured. */
function counter() {
  return {
    bytes: 0,
    write(chunk) {
      this.bytes += chunk.length
    },
  }
}

async function simulate(trace, build) {
  const sink = counter()
  const sim = new Simulation({ seed: 1, config, ...(trace && { trace: { to: sink, maxBytes: 2 ** 40 } }) })
  build(sim)
  globalThis.gc?.()
  const before = process.cpuUsage()
  const { hash, events } = await sim.run()
  const { user, system } = process.cpuUsage(before)
  const ms = (user + system) / 1000
  await sim.close()
  return { ms, hash, events, bytes: sink.bytes }
}

/** Datagrams with nothing above them: the most packets, and the least work, for each record. */
function datagrams(sim) {
  const count = Math.round(20_000 * scale)
  for (let i = 0; i < 10; i++) {
    sim.host(`host-${i}`, async (host) => {
      const socket = host.network.bind(1000, () => {})
      for (let n = 0; n < count; n++) {
        const other = sim.hosts[(i + 1 + (n % 9)) % 10]
        socket.send(`${other.network.ip.toString()}:1000`, 'ping', 100)
        await host.runtime.sleep(1)
      }
    })
  }
}

/** Requests of 100 B between ten hosts, over the transport. */
function requests(sim) {
  const count = Math.round(300 * scale)
  const nodes = []
  for (let i = 0; i < 10; i++) {
    sim.host(`host-${i}`, async (host) => {
      const p2p = await SimulatorP2P.create()
      nodes[i] = p2p
      const listener = await p2p.listen()
      const echo = async (connection) => {
        for await (const message of connection) await connection.send(message)
      }
      const accept = async () => {
        for await (const connection of listener) echo(connection).catch(() => {})
      }
      void accept()
      await host.runtime.sleep(1000)
      const connection = await p2p.connect(nodes[(i + 1) % 10].address())
      for (let n = 0; n < count; n++) {
        await connection.send(new Uint8Array(100))
        await connection.recv()
        await host.runtime.sleep(20)
      }
    })
  }
}

/** One bulk transfer over 100 Mbit/s. */
function bulk(sim) {
  const link = { latencyMs: 10, bandwidthLimitBitsPerSecond: 100_000_000 }
  const chunks = Math.max(16, Math.round(128 * scale))
  let address
  sim.host('receiver', { link }, async () => {
    const p2p = await SimulatorP2P.create()
    const listener = await p2p.listen()
    address = p2p.address()
    const connection = await listener.accept()
    const stream = await connection.acceptReceiveStream()
    while (await stream.read());
  })
  sim.host('sender', { link }, async (host) => {
    const p2p = await SimulatorP2P.create()
    await host.runtime.sleep(10)
    const connection = await p2p.connect(address)
    const stream = await connection.openSendStream()
    for (let i = 0; i < chunks; i++) await stream.write(new Uint8Array(65_536))
    await stream.finish()
    await connection.end()
  })
}

const works = [
  ['10 hosts, bare datagrams', datagrams],
  ['10 hosts, messages of 100 B over the transport', requests],
  ['one transfer over 100 Mbit/s, 10 ms', bulk],
]
const figures = []
for (const [work, build] of works) {
  const [plain, traced] = [[], []]
  let bytes = 0
  await simulate(true, build)
  for (let pair = 0; pair < pairs; pair++) {
    // Which of the two comes first changes, so that a machine that slows down favours neither.
    const order = pair % 2 === 0 ? [false, true] : [true, false]
    const runs = new Map()
    for (const trace of order) runs.set(trace, await simulate(trace, build))
    const [without, withTrace] = [runs.get(false), runs.get(true)]
    if (without.hash !== withTrace.hash) throw new Error('a trace has changed the history')
    plain.push(without.ms)
    traced.push(withTrace.ms)
    bytes = withTrace.bytes / withTrace.events
  }
  const { median, interval } = ratio(traced, plain)
  figures.push({ work, unit: 'traced / plain', median, min: interval[0], max: interval[1] })
  figures.push({ work, unit: 'bytes an event', ...summary([bytes]) })
}
if (options.json) {
  console.log(JSON.stringify({ rounds: pairs, figures }))
} else {
  printTable(
    `trace: ${pairs} pairs, processor time`,
    ['work', 'unit', 'median', '95 % interval'],
    figures.map(({ work, unit, median, min, max }) => [work, unit, short(median), `${short(min)}..${short(max)}`]),
  )
}
