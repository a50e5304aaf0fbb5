/**
 * The transport's cost a packet and a request: the state machine alone, then endpoints over the fabric with the real
 * scheduler and driver. CPU time of the whole process, garbage collection included; medians of five rounds.
 *
 * @module
 */
import { testSigningKey } from '../src/core/keys.ts'
import type { CarrierConnection } from '../src/core/carrier.ts'
import { Driver } from '../src/simulator/driver.ts'
import { SimEndpoint } from '../src/simulator/endpoint.ts'
import { Topology } from '../src/simulator/network/index.ts'
import { randomStream } from '../src/simulator/random.ts'
import { Scheduler } from '../src/simulator/scheduler.ts'
import { TransportConnection } from '../src/simulator/transport/connection.ts'
import type { TransportSink } from '../src/simulator/transport/core.ts'
import { Identity } from '../src/simulator/transport/identity.ts'
import type { Packet } from '../src/simulator/transport/packet.ts'
import type { Route } from '../src/simulator/transport/path.ts'

const ROUNDS = 5
const DELAY_US = 10_000

interface Result {
  readonly packets: number
  readonly ms: number
  /** Operations, where the case counts them. */
  readonly count?: number
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

const ROUTE: Route = { kind: 'direct', address: '192.0.2.1:1' }
const ignore = (): void => {}
const sinkWith = (sink: Partial<TransportSink>): TransportSink => ({
  onConnected: ignore,
  onImpostor: ignore,
  onPathsChanged: ignore,
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
  client: TransportConnection
  server: TransportConnection
  readonly #queue: { atUs: number; to: TransportConnection; packet: Packet }[] = []
  #head = 0

  constructor(clientSink: Partial<TransportSink>, serverSink: Partial<TransportSink>) {
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

  step(): void {
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

  #flush(from: TransportConnection, to: TransportConnection): void {
    for (let packet = from.poll(this.nowUs); packet; packet = from.poll(this.nowUs)) {
      this.packets++
      this.#queue.push({ atUs: this.nowUs + DELAY_US, to, packet })
    }
  }
}

function bareBulk(): Result {
  const bytes = 50_000_000
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
  const id = bare.client.openStream(false) as number
  const start = cpuMs()
  const before = bare.packets
  while (state.received < bytes) {
    while (bare.client.write(id, chunk) === chunk.length);
    bare.step()
  }
  return { packets: bare.packets - before, ms: cpuMs() - start }
}

function bareRequests(): Result {
  const count = 20_000
  const body = new Uint8Array(100)
  const state = { answered: 0 }
  const bare: Bare = new Bare(
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
    const id = bare.client.openStream(true) as number
    bare.client.write(id, body)
    bare.client.finish(id)
    while (state.answered <= i) bare.step()
  }
  return { packets: bare.packets - before, ms: cpuMs() - start, count }
}

interface Hosts {
  readonly scheduler: Scheduler
  readonly topology: Topology
  readonly endpoints: SimEndpoint[]
}

function hosts(count: number, defaultLatencyMs: number): Hosts {
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
    endpoint.onIncoming = (connection): void => void answer(connection)
    return endpoint
  })
  return { scheduler, topology, endpoints }
}

const BODY = new Uint8Array(100)

async function answer(connection: CarrierConnection): Promise<void> {
  for (;;) {
    const { send, receive } = await connection.acceptBi()
    while (await receive.read(65_536));
    await send.write(BODY)
    await send.finish()
  }
}

async function request(connection: CarrierConnection): Promise<void> {
  const { send, receive } = await connection.openBi()
  await send.write(BODY)
  await send.finish()
  while (await receive.read(65_536));
}

async function endpointRequests(): Promise<Result> {
  const count = 10_000
  const { scheduler, topology, endpoints } = hosts(2, 25)
  const [client, server] = endpoints as [SimEndpoint, SimEndpoint]
  let done = false
  const run = async (): Promise<void> => {
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
  return { packets: topology.fabric.counters.delivered, ms: cpuMs() - start, count }
}

/** W1: ten hosts, each a request to another every 100 ms, over connections made once. */
async function w1(): Promise<Result> {
  const virtualMs = 120_000
  const { scheduler, topology, endpoints } = hosts(10, 25)
  let requests = 0
  const { signal } = new AbortController()
  const start = cpuMs()
  for (const [host, endpoint] of endpoints.entries()) {
    const peers = endpoints.filter((other) => other !== endpoint)
    const random = scheduler.random(`load/${host}`)
    const open = new Map<SimEndpoint, Promise<CarrierConnection>>()
    const tick = (): void => {
      scheduler.woke(host)
      const peer = peers[random.nextBelow(peers.length)] as SimEndpoint
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
  console.log(`  W1: ${(virtualMs / ms).toFixed(0)} x real time (CPU), ${requests} requests`)
  return { packets: topology.fabric.counters.delivered, ms, count: requests }
}

async function bulk(): Promise<Result> {
  const { scheduler, topology, endpoints } = hosts(2, 10)
  const [client, server] = endpoints as [SimEndpoint, SimEndpoint]
  let done = false
  server.onIncoming = (connection): void => {
    void connection.acceptUni().then(async (stream) => {
      while (await stream.read(65_536));
      done = true
    })
  }
  const chunk = new Uint8Array(65_536)
  const run = async (): Promise<void> => {
    const { signal } = new AbortController()
    const connection = await client.connect({ address: server.address(), alpn: 'b', signal })
    const stream = await connection.openUni()
    for (let i = 0; i < 400; i++) await stream.write(chunk)
    await stream.finish()
  }
  const start = cpuMs()
  scheduler.schedule(0, () => {
    scheduler.woke(0)
    void run()
  })
  await new Driver(scheduler).run({ stop: () => done })
  return { packets: topology.fabric.counters.delivered, ms: cpuMs() - start }
}

/** W4: seeds of five hosts and twenty requests, each over a connection of its own. */
async function w4(): Promise<Result> {
  const seeds = 200
  let packets = 0
  const start = cpuMs()
  for (let seed = 0; seed < seeds; seed++) {
    const { scheduler, topology, endpoints } = hosts(5, 25)
    const { signal } = new AbortController()
    let left = 20
    for (let i = 0; i < 20; i++) {
      const [from, to] = [endpoints[i % 5], endpoints[(i + 1 + (i % 4)) % 5]] as [SimEndpoint, SimEndpoint]
      scheduler.schedule(i * 10_000, () => {
        scheduler.woke(i % 5)
        void from
          .connect({ address: to.address(), alpn: 'b', signal })
          .then(request)
          .then(() => left--)
      })
    }
    await new Driver(scheduler).run({ stop: () => left === 0 })
    packets += topology.fabric.counters.delivered
  }
  return { packets, ms: cpuMs() - start, count: seeds }
}

const cases: readonly [string, () => Result | Promise<Result>][] = [
  ['state machine: 50 MB one way', bareBulk],
  ['state machine: requests of 100 B, a stream each', bareRequests],
  ['endpoints: requests of 100 B, a stream each', endpointRequests],
  ['endpoints: 26 MB one way', bulk],
  ['endpoints: W1 for 120 virtual seconds', w1],
  ['endpoints: W4, a seed', w4],
]

const only = process.argv[2]
for (const [name, once] of cases.filter(([name]) => only === undefined || name.includes(only))) {
  const results: Result[] = []
  for (let round = 0; round < ROUNDS; round++) results.push(await once())
  results.sort((a, b) => a.ms - b.ms)
  const { packets, ms, count } = results[ROUNDS >> 1] as Result
  const each = count === undefined ? '' : `, ${((ms / count) * 1000).toFixed(1)} us each`
  console.log(
    `${name.padEnd(50)} ${(packets / ms).toFixed(0).padStart(5)} k packets/s ` +
      `(${((ms / packets) * 1000).toFixed(2)} us a packet)${each}`,
  )
}
