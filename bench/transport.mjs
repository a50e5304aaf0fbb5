// The transport's cost a packet and a request: the state machine alone, then endpoints over the fabric with the real
// scheduler and driver. CPU time of the whole process, garbage collection included.
import { testSigningKey } from '../dist/core/keys.js'
import { Driver } from '../dist/simulator/driver.js'
import { SimEndpoint } from '../dist/simulator/endpoint.js'
import { Topology } from '../dist/simulator/network/index.js'
import { randomStream } from '../dist/simulator/random.js'
import { Scheduler } from '../dist/simulator/scheduler.js'
import { TransportConnection } from '../dist/simulator/transport/connection.js'
import { Identity } from '../dist/simulator/transport/identity.js'
import { figure, report, rounds, suiteOptions } from './lib/suite.mjs'

const options = suiteOptions()
const scaled = (count) => Math.round(count * options.scale)
const DELAY_US = 10_000

function cpuMs() {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

const ROUTE = { kind: 'direct', address: '192.0.2.1:1' }
const ignore = () => {}
const sinkWith = (sink) => ({
  onConnected: ignore,
  onImpostor: ignore,
  onPathsChanged: ignore,
  onDatagram: ignore,
  onClosed: ignore,
  onStreamOpened: ignore,
  onStreamReadable: ignore,
  onStreamWritable: ignore,
  onStreamDelivered: ignore,
  onStreamReset: ignore,
  onStreamStopped: ignore,
  onStreamsAvailable: ignore,
  ...sink,
})

/** Two state machines and a queue between them: nothing else costs. */
class Bare {
  nowUs = 0
  packets = 0
  #queue = []
  #head = 0

  constructor(clientSink, serverSink) {
    this.client = new TransportConnection({
      role: 'client',
      identity: Identity.of(testSigningKey('client')),
      peer: testSigningKey('server').nodeId,
      localId: 1,
      remoteId: 1000,
      alpns: ['b'],
      random: randomStream(1n, 'client'),
      routes: [ROUTE],
      sink: sinkWith(clientSink),
      nowUs: 0,
    })
    this.server = new TransportConnection({
      role: 'server',
      identity: Identity.of(testSigningKey('server')),
      localId: 2,
      remoteId: 1,
      firstId: 1000,
      alpns: ['b'],
      random: randomStream(1n, 'server'),
      routes: [ROUTE],
      sink: sinkWith(serverSink),
      nowUs: 0,
    })
    while (this.client.state !== 'established' || this.server.state !== 'established') this.step()
  }

  step() {
    this.#flush(this.client, this.server)
    this.#flush(this.server, this.client)
    const next = this.#queue[this.#head]
    const timeout = Math.min(this.client.nextTimeout(), this.server.nextTimeout())
    if (next && next.atUs <= timeout) {
      this.nowUs = next.atUs
      for (let due = this.#queue[this.#head]; due && due.atUs <= this.nowUs; due = this.#queue[++this.#head]) {
        due.to.handle(due.packet, ROUTE, this.nowUs)
      }
      if (this.#head > 1024) this.#head -= this.#queue.splice(0, this.#head).length
      return
    }
    this.nowUs = timeout
    if (this.client.nextTimeout() <= this.nowUs) this.client.handleTimeout(this.nowUs)
    if (this.server.nextTimeout() <= this.nowUs) this.server.handleTimeout(this.nowUs)
  }

  #flush(from, to) {
    for (let packet = from.poll(this.nowUs); packet; packet = from.poll(this.nowUs)) {
      this.packets++
      this.#queue.push({ atUs: this.nowUs + DELAY_US, to, packet })
    }
  }
}

function bareBulk() {
  const bytes = scaled(50_000_000)
  const chunk = new Uint8Array(65_536)
  const state = { received: 0 }
  const bare = new Bare(
    {},
    {
      onStreamReadable: (id) => {
        for (let part = bare.server.read(id, 65_536); part; part = bare.server.read(id, 65_536))
          state.received += part.length
      },
    },
  )
  const id = bare.client.openStream(false)
  const start = cpuMs()
  const before = bare.packets
  while (state.received < bytes) {
    while (bare.client.write(id, chunk) === chunk.length);
    bare.step()
  }
  return { packets: bare.packets - before, ms: cpuMs() - start }
}

function bareRequests() {
  const count = scaled(20_000)
  const body = new Uint8Array(100)
  const state = { answered: 0 }
  const bare = new Bare(
    {
      onStreamReadable: (id) => {
        while (bare.client.read(id, 65_536));
        state.answered++
      },
    },
    {
      onStreamReadable: (id) => {
        while (bare.server.read(id, 65_536));
        bare.server.write(id, body)
        bare.server.finish(id)
      },
    },
  )
  const start = cpuMs()
  const before = bare.packets
  for (let i = 0; i < count; i++) {
    const id = bare.client.openStream(true)
    bare.client.write(id, body)
    bare.client.finish(id)
    while (state.answered <= i) bare.step()
  }
  return { packets: bare.packets - before, ms: cpuMs() - start, count }
}

function hosts(count, defaultLatencyMs) {
  const scheduler = new Scheduler(1n)
  const topology = new Topology(scheduler, { defaultLatencyMs, defaultPacketLoss: 0 })
  const endpoints = Array.from({ length: count }, (_, host) => {
    const name = `host-${host}`
    const endpoint = new SimEndpoint({
      kernel: scheduler,
      host,
      name,
      key: testSigningKey(name),
      network: topology.host(name, { host }),
    })
    endpoint.setAlpns(['b'])
    endpoint.onIncoming = (connection) => void answer(connection)
    return endpoint
  })
  return { scheduler, topology, endpoints }
}

const BODY = new Uint8Array(100)

async function answer(connection) {
  for (;;) {
    const { send, receive } = await connection.acceptBi()
    while (await receive.read(65_536));
    await send.write(BODY)
    await send.finish()
  }
}

async function request(connection) {
  const { send, receive } = await connection.openBi()
  await send.write(BODY)
  await send.finish()
  while (await receive.read(65_536));
}

async function endpointRequests() {
  const count = scaled(10_000)
  const { scheduler, topology, endpoints } = hosts(2, 25)
  const [client, server] = endpoints
  let done = false
  const run = async () => {
    const { signal } = new AbortController()
    const connection = await client.connect({ address: server.address(), alpn: 'b', signal })
    for (let i = 0; i < count; i++) await request(connection)
    done = true
  }
  const start = cpuMs()
  scheduler.schedule(0, () => {
    scheduler.woke(0)
    void run()
  })
  await new Driver(scheduler).run({ stop: () => done })
  if (!done) throw new Error('the run ended before the work did')
  return { packets: topology.fabric.counters.delivered, ms: cpuMs() - start, count }
}

/** W1: ten hosts, each a request to another every 100 ms, over connections made once. */
async function w1() {
  const virtualMs = scaled(120_000)
  const { scheduler, topology, endpoints } = hosts(10, 25)
  let requests = 0
  const { signal } = new AbortController()
  const start = cpuMs()
  for (const [host, endpoint] of endpoints.entries()) {
    const peers = endpoints.filter((other) => other !== endpoint)
    const random = scheduler.random(`load/${host}`)
    const open = new Map()
    const tick = () => {
      scheduler.woke(host)
      const peer = peers[random.nextBelow(peers.length)]
      let connection = open.get(peer)
      if (!connection) {
        connection = endpoint.connect({ address: peer.address(), alpn: 'b', signal })
        open.set(peer, connection)
      }
      void connection.then(request).then(() => requests++)
      scheduler.schedule(100_000, tick)
    }
    scheduler.schedule(host * 10_000, tick)
  }
  await new Driver(scheduler).run({ untilUs: virtualMs * 1000 })
  const ms = cpuMs() - start
  // Those of the last moments are still under way.
  const sent = virtualMs / 10
  if (requests < sent * 0.9) throw new Error(`only ${requests} of ${sent} requests were answered`)
  return { packets: topology.fabric.counters.delivered, ms, count: requests, virtualMs }
}

async function bulk() {
  const chunks = scaled(400)
  const { scheduler, topology, endpoints } = hosts(2, 10)
  const [client, server] = endpoints
  let done = false
  server.onIncoming = (connection) => {
    void connection.acceptUni().then(async (stream) => {
      while (await stream.read(65_536));
      done = true
    })
  }
  const chunk = new Uint8Array(65_536)
  const run = async () => {
    const { signal } = new AbortController()
    const connection = await client.connect({ address: server.address(), alpn: 'b', signal })
    const stream = await connection.openUni()
    for (let i = 0; i < chunks; i++) await stream.write(chunk)
    await stream.finish()
  }
  const start = cpuMs()
  scheduler.schedule(0, () => {
    scheduler.woke(0)
    void run()
  })
  await new Driver(scheduler).run({ stop: () => done })
  if (!done) throw new Error('the run ended before the work did')
  return { packets: topology.fabric.counters.delivered, ms: cpuMs() - start }
}

/** W4: seeds of five hosts and twenty requests, each over a connection of its own. */
async function w4() {
  const seeds = scaled(200)
  let packets = 0
  const start = cpuMs()
  for (let seed = 0; seed < seeds; seed++) {
    const { scheduler, topology, endpoints } = hosts(5, 25)
    const { signal } = new AbortController()
    let left = 20
    for (let i = 0; i < 20; i++) {
      const [from, to] = [endpoints[i % 5], endpoints[(i + 1 + (i % 4)) % 5]]
      scheduler.schedule(i * 10_000, () => {
        scheduler.woke(i % 5)
        void from
          .connect({ address: to.address(), alpn: 'b', signal })
          .then(request)
          .then(() => left--)
      })
    }
    await new Driver(scheduler).run({ stop: () => left === 0 })
    if (left > 0) throw new Error(`${left} requests of seed ${seed} were not answered`)
    packets += topology.fabric.counters.delivered
  }
  return { packets, ms: cpuMs() - start, count: seeds }
}

const cases = [
  { name: 'state machine: bytes one way', once: bareBulk },
  { name: 'state machine: requests of 100 B, a stream each', once: bareRequests, counted: 'request' },
  { name: 'endpoints: requests of 100 B, a stream each', once: endpointRequests, counted: 'request' },
  { name: 'endpoints: bytes one way', once: bulk },
  { name: 'endpoints: W1, ten hosts with ten requests/s each', once: w1, counted: 'request' },
  { name: 'endpoints: W4, seeds of five hosts, 20 requests', once: w4, counted: 'seed' },
]

const figures = []
for (const { name, once, counted } of cases) {
  const results = await rounds(options.rounds, once)
  figures.push(
    figure(name, 'packets/s', results, ({ packets, ms }) => (1000 * packets) / ms),
    figure(name, 'us/packet', results, ({ packets, ms }) => (1000 * ms) / packets),
  )
  if (counted) figures.push(figure(name, `us/${counted}`, results, ({ count, ms }) => (1000 * ms) / count))
  if (once === w1) figures.push(figure(name, 'virtual / CPU time', results, ({ virtualMs, ms }) => virtualMs / ms))
}
report('transport: CPU time of packets and requests', figures, options)
