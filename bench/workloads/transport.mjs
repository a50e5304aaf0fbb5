// Workloads of whole programs: nodes, connections and streams over the simulated transport. Each runs once and says how
// long it took, how many packets there were, and how much virtual time has passed.
import { parseSimulatorConfig } from '@moosicbox/p2p'
import { Simulation, SimulatorP2P } from '@moosicbox/p2p/simulator'

const config = parseSimulatorConfig({ SIMULATOR_DEFAULT_LATENCY_MS: '25', SIMULATOR_DEFAULT_PACKET_LOSS: '0' })
const lossy = parseSimulatorConfig({ SIMULATOR_DEFAULT_LATENCY_MS: '25', SIMULATOR_DEFAULT_PACKET_LOSS: '0.01' })

/** Runs `sim` to the end; `check` throws when it did not do its work. */
async function measure(sim, start, check) {
  const { virtualMs, events, ended } = await sim.run()
  const ms = performance.now() - start
  const { delivered } = sim.topology.fabric.counters
  await sim.close()
  check(ended)
  return { ms, virtualMs, events, packets: delivered }
}

/**
 * What a piece of the work costs in microseconds of processor time where nothing disturbs it: the quickest twentieth of
 * short slices, without the first quarter, in which functions are still being compiled.
 */
class Slices {
  #last
  #costs = []

  /** A slice of `pieces` pieces begins here, and ends at the next call. */
  next(pieces) {
    const { user, system } = process.cpuUsage()
    if (this.#last) this.#costs.push((user + system - this.#last.us) / this.#last.pieces)
    this.#last = { us: user + system, pieces }
  }

  get undisturbedUs() {
    const warm = this.#costs.slice(this.#costs.length / 4).sort((a, b) => a - b)
    return warm[Math.floor(warm.length / 20)]
  }
}

/** A node that answers every stream with its own bytes. */
async function serveEcho(p2p) {
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
}

async function request(connection, payload) {
  const stream = await connection.openStream()
  await stream.write(payload)
  await stream.finish()
  return stream.readToEnd(1024)
}

/** Programs that sleep: an event, a promise, and the code behind it. */
export async function woken({ sleeps = 20_000 } = {}) {
  const start = performance.now()
  const sim = new Simulation({ seed: 1, config })
  for (let i = 0; i < 10; i++) {
    sim.host(`host-${i}`, async (host) => {
      for (let n = 0; n < sleeps; n++) await host.runtime.sleep(1)
    })
  }
  return measure(sim, start, (ended) => {
    if (ended !== 'programs') throw new Error(`ended by ${ended}`)
  })
}

/**
 * W1: ten hosts, each sends a 100 B request to a random other every 100 virtual ms and gets it back; 25 ms one way. With
 * fewer `partners` there are fewer connections, and without `relay` nothing keeps a path over one alive.
 */
export async function w1({ seconds = 3600, partners = 9, relay = true } = {}) {
  const slices = new Slices()
  const payload = new Uint8Array(100).fill(9)
  const start = performance.now()
  const sim = new Simulation({ seed: 1, config })
  const nodes = []
  let answered = 0
  for (let i = 0; i < 10; i++) {
    sim.host(`host-${i}`, async (host) => {
      const p2p = await SimulatorP2P.create(relay ? {} : { relay: 'disabled' })
      nodes[i] = p2p
      await serveEcho(p2p)
      await host.runtime.sleep(1000)
      const connections = new Map()
      for (let n = 0; n < seconds * 10; n++) {
        const other = (i + 1 + Math.floor(host.runtime.random() * partners)) % 10
        let connection = connections.get(other)
        if (!connection) connections.set(other, (connection = await p2p.connect(nodes[other].address())))
        const answer = await request(connection, payload)
        if (answer.length === 100) answered++
        await host.runtime.sleep(50)
      }
      await host.runtime.sleep(500)
    })
  }
  for (let at = 2; at < seconds; at += 2) sim.at(at * 1000, () => slices.next(200))
  const result = await measure(sim, start, (ended) => {
    if (ended !== 'programs' || answered !== seconds * 100) throw new Error(`${answered} answers, ended by ${ended}`)
  })
  return { ...result, undisturbedUs: slices.undisturbedUs }
}

/** W4: `seeds` worlds of five hosts, each host twenty `requests` to the next over one connection. */
export async function w4({ seeds = 1000, requests = 20, relay = true } = {}) {
  const payload = new Uint8Array(100).fill(9)
  const total = { ms: 0, virtualMs: 0, events: 0, packets: 0 }
  const slices = new Slices()
  for (let seed = 0; seed < seeds; seed++) {
    slices.next(1)
    const start = performance.now()
    const sim = new Simulation({ seed, config: lossy })
    const nodes = []
    let answered = 0
    for (let i = 0; i < 5; i++) {
      sim.host(`host-${i}`, async (host) => {
        const p2p = await SimulatorP2P.create(relay ? {} : { relay: 'disabled' })
        nodes[i] = p2p
        await serveEcho(p2p)
        await host.runtime.sleep(1000)
        const connection = await p2p.connect(nodes[(i + 1) % 5].address())
        for (let n = 0; n < requests; n++) {
          await request(connection, payload)
          answered++
        }
        await host.runtime.sleep(1000)
      })
    }
    const one = await measure(sim, start, (ended) => {
      if (ended !== 'programs' || answered !== 5 * requests)
        throw new Error(`seed ${seed}: ${answered} answers, ended by ${ended}`)
    })
    for (const key of Object.keys(total)) total[key] += one[key]
  }
  return { ...total, undisturbedUs: slices.undisturbedUs }
}

/** `hosts` hosts, each connected to three others, for `seconds`; says what a host and a connection hold in memory. */
export async function mesh({ hosts = 10_000, seconds = 60 } = {}) {
  globalThis.gc?.()
  const heap = () => {
    globalThis.gc?.()
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    return heapUsed + arrayBuffers
  }
  const before = heap()
  const start = performance.now()
  // Real time is no sign of a hang here: a collection of so much memory takes seconds.
  const sim = new Simulation({ seed: 1, config, hangLimitMs: 600_000 })
  const nodes = []
  let connected = 0
  let perHost = 0
  let all = 0
  for (let i = 0; i < hosts; i++) {
    sim.host(`host-${i}`, async (host) => {
      const p2p = await SimulatorP2P.create({ relay: 'disabled' })
      nodes[i] = p2p
      const kept = []
      const listener = await p2p.listen()
      const accept = async () => {
        for await (const connection of listener) kept.push(connection)
      }
      void accept()
      await host.runtime.sleep(1000 + (i * 1000) / hosts)
      for (let n = 1; n <= 3; n++) {
        const other = (i + n * 7919) % hosts
        kept.push(await p2p.connect(nodes[other].address()))
        connected++
      }
      await host.runtime.sleep(seconds * 1000)
    })
  }
  sim.at(900, () => {
    perHost = (heap() - before) / hosts
  })
  sim.at(5000, () => {
    all = heap() - before
  })
  const result = await measure(sim, start, (ended) => {
    if (ended !== 'programs' || connected !== 3 * hosts) throw new Error(`${connected} connections, ended by ${ended}`)
  })
  return { ...result, bytesPerHost: perHost, bytesPerConnection: (all - perHost * hosts) / (3 * hosts) }
}

/** One transfer of `megabytes` (10^6) over a link. */
export async function bulk({ megabytes = 100, bitsPerSecond = 1_000_000_000, latencyMs = 10, packetLoss = 0 } = {}) {
  const chunk = new Uint8Array(50_000).fill(3)
  const chunks = megabytes * 20
  const start = performance.now()
  const up = { latencyMs, bandwidthLimitBitsPerSecond: bitsPerSecond, packetLoss }
  const sim = new Simulation({ seed: 1, config })
  let address
  let received = 0
  sim.host('receiver', { link: {} }, async () => {
    const p2p = await SimulatorP2P.create({ relay: 'disabled' })
    const listener = await p2p.listen()
    address = p2p.address()
    const connection = await listener.accept()
    const stream = await connection.acceptReceiveStream()
    for (let bytes = await stream.read(); bytes; bytes = await stream.read()) received += bytes.length
  })
  sim.host('sender', { link: { up, down: { latencyMs } } }, async (host) => {
    const p2p = await SimulatorP2P.create({ relay: 'disabled' })
    await host.runtime.sleep(10)
    const connection = await p2p.connect(address)
    const stream = await connection.openSendStream()
    for (let i = 0; i < chunks; i++) await stream.write(chunk)
    await stream.finish()
    await connection.end()
  })
  return measure(sim, start, () => {
    if (received !== megabytes * 1_000_000) throw new Error(`${received} bytes received`)
  })
}
