/** Two ends of a connection and a link between them, in virtual time, without scheduler or network. */
import { testSigningKey } from '../../../src/core/keys.ts'
import { randomStream } from '../../../src/simulator/random.ts'
import { resolveTransportConfig } from '../../../src/simulator/transport/config.ts'
import type { TransportConfig } from '../../../src/simulator/transport/config.ts'
import { TransportConnection } from '../../../src/simulator/transport/connection.ts'
import type { TransportClose, TransportSink } from '../../../src/simulator/transport/sink.ts'
import { Identity } from '../../../src/simulator/transport/identity.ts'
import { Packet } from '../../../src/simulator/transport/packet.ts'
import type { Route } from '../../../src/simulator/transport/path.ts'
import { StatelessResets } from '../../../src/simulator/transport/reset.ts'

export type Side = 'client' | 'server'

/** Says how long each copy of a datagram takes: none for a loss, two for a duplicate. */
export type Link = (side: Side, packet: Packet, nowUs: number, index: number) => readonly number[]

export interface TraceEntry {
  readonly atUs: number
  readonly side: Side
  readonly bytes: number
  readonly lost: boolean
}

export const ROUTE: Route = { kind: 'direct', address: '192.0.2.1:1' }

/** Remembers what it is told, and lets a test react between two events. */
export class Recorder implements TransportSink {
  readonly log: string[] = []
  readonly opened: number[] = []
  readonly readable: Set<number> = new Set()
  readonly writable: Set<number> = new Set()
  readonly delivered: Set<number> = new Set()
  readonly resets: Map<number, number> = new Map()
  readonly stops: Map<number, number> = new Map()
  connected = false
  impostors = 0
  refusals = 0
  available = 0
  close: TransportClose | undefined

  onConnected(): void {
    this.connected = true
    this.log.push('connected')
  }
  onRefused(): void {
    this.refusals++
  }

  onImpostor(): void {
    this.impostors++
  }
  paths = 0
  onPathsChanged(): void {
    this.paths++
  }
  readonly datagrams: Uint8Array[] = []
  onDatagram(bytes: Uint8Array): void {
    this.datagrams.push(bytes)
  }
  onClosed(close: TransportClose): void {
    if (this.close) throw new Error('closed twice')
    this.close = close
    this.log.push(`closed by ${close.by}`)
  }
  onStreamOpened(streamId: number): void {
    this.opened.push(streamId)
    this.log.push(`opened ${streamId}`)
  }
  onStreamReadable(streamId: number): void {
    this.readable.add(streamId)
  }
  onStreamWritable(streamId: number): void {
    this.writable.add(streamId)
  }
  onStreamDelivered(streamId: number): void {
    this.delivered.add(streamId)
    this.log.push(`delivered ${streamId}`)
  }
  onStreamReset(streamId: number, code: number): void {
    this.resets.set(streamId, code)
    this.log.push(`reset ${streamId} ${code}`)
  }
  onStreamStopped(streamId: number, code: number): void {
    this.stops.set(streamId, code)
    this.log.push(`stopped ${streamId} ${code}`)
  }
  onStreamsAvailable(): void {
    this.available++
  }
}

export class End {
  readonly side: Side
  readonly connection: TransportConnection
  readonly sink: Recorder
  /** Called after everything that happened at one moment, to write and read. */
  act: ((end: End, nowUs: number) => void) | undefined

  constructor(side: Side, connection: TransportConnection, sink: Recorder) {
    this.side = side
    this.connection = connection
    this.sink = sink
  }
}

interface Delivery {
  readonly atUs: number
  readonly order: number
  readonly to: Side
  readonly datagram: unknown
}

export interface PairOptions {
  readonly link: Link | number
  readonly config?: Partial<TransportConfig>
  readonly serverConfig?: Partial<TransportConfig>
  readonly alpns?: readonly string[]
  readonly served?: readonly string[]
  readonly seed?: bigint
  /** @default direct */
  readonly route?: Route
}

/** Whole, exact figures: no skipped packet numbers, no keep-alive, one size of datagrams, exact timers. */
export const EXACT: Partial<TransportConfig> = {
  skipPacketNumbers: false,
  keepAliveUs: Number.POSITIVE_INFINITY,
  maxMtuBytes: 1_200,
  timerGranularityUs: 1,
}

export class Pair {
  nowUs = 0
  readonly client: End
  server: End | undefined
  readonly trace: TraceEntry[] = []
  readonly #link: Link
  readonly #deliveries: Delivery[] = []
  readonly #options: PairOptions
  readonly #counts = { client: 0, server: 0 }
  /** What the two nodes answer once they have forgotten the connection. */
  readonly resets: Readonly<Record<Side, StatelessResets>>
  #order = 0

  constructor(options: PairOptions) {
    const { link } = options
    this.#options = options
    this.#link = typeof link === 'number' ? () => [link] : link
    const resetsOf = (side: Side): StatelessResets =>
      new StatelessResets(() => randomStream(options.seed ?? 1n, `resets/${side}`))
    this.resets = { client: resetsOf('client'), server: resetsOf('server') }
    const sink = new Recorder()
    const connection = new TransportConnection({
      role: 'client',
      identity: Identity.of(testSigningKey('client')),
      peer: testSigningKey('server').nodeId,
      localId: 1,
      remoteId: 1_000,
      alpns: options.alpns ?? ['test'],
      config: resolveTransportConfig(options.config),
      random: randomStream(options.seed ?? 1n, 'client'),
      routes: [options.route ?? ROUTE],
      resetToken: this.resets.client.token(1),
      sink,
      nowUs: 0,
    })
    this.client = new End('client', connection, sink)
  }

  get serverEnd(): End {
    if (!this.server) throw new Error('the server has heard nothing yet')
    return this.server
  }

  /** Puts something on the wire that neither side has sent. */
  inject(to: Side, datagram: unknown, delayUs = 0): void {
    this.#deliveries.push({ atUs: this.nowUs + delayUs, order: this.#order++, to, datagram })
  }

  /** Runs until `done` says so after an event, or nothing is left to happen, or the time is over. */
  run(done: () => boolean = () => false, limitUs = Number.POSITIVE_INFINITY): boolean {
    this.#flush(this.client)
    if (this.server) this.#flush(this.server)
    while (!done()) {
      const next = this.#nextTime()
      if (next > limitUs || next === Number.POSITIVE_INFINITY) {
        if (limitUs !== Number.POSITIVE_INFINITY) this.nowUs = Math.max(this.nowUs, limitUs)
        return done()
      }
      this.nowUs = Math.max(this.nowUs, next)
      this.#step('client')
      this.#step('server')
    }
    return true
  }

  runUntil(atUs: number): void {
    this.run(() => false, atUs)
  }

  #nextTime(): number {
    let next = Math.min(this.client.connection.nextTimeout(), this.server?.connection.nextTimeout() ?? Infinity)
    for (const { atUs } of this.#deliveries) next = Math.min(next, atUs)
    return next
  }

  /** Everything that one side sees at this moment, then its answer: as a driver that empties its socket first. */
  #step(side: Side): void {
    const due = this.#deliveries
      .filter((delivery) => delivery.to === side && delivery.atUs <= this.nowUs)
      .sort((a, b) => a.atUs - b.atUs || a.order - b.order)
    for (const delivery of due) {
      this.#deliveries.splice(this.#deliveries.indexOf(delivery), 1)
      if (side === 'server') this.server ??= this.#accept(delivery.datagram as Packet)
      const end = side === 'client' ? this.client : this.server
      if (end?.connection.isDrained === true) this.#answer(end, delivery.datagram)
      else end?.connection.handle(delivery.datagram, this.#options.route ?? ROUTE, this.nowUs)
    }
    const end = side === 'client' ? this.client : this.server
    if (!end) return
    if (end.connection.nextTimeout() <= this.nowUs) end.connection.handleTimeout(this.nowUs)
    this.#flush(end)
  }

  #flush(end: End): void {
    end.act?.(end, this.nowUs)
    for (;;) {
      const packet = end.connection.poll(this.nowUs)
      if (!packet) return
      this.#send(end.side, packet)
    }
  }

  /** As an endpoint does to whom nobody of its connections is known by this id. */
  #answer({ side }: End, datagram: unknown): void {
    if (!Packet.is(datagram) || datagram.destinationId !== (side === 'client' ? 1 : 2)) return
    const reset = this.resets[side].answer(datagram, this.nowUs)
    if (reset) this.#send(side, reset)
  }

  #send(side: Side, packet: Packet): void {
    const delays = this.#link(side, packet, this.nowUs, this.#counts[side]++)
    this.trace.push({ atUs: this.nowUs, side, bytes: packet.datagramBytes, lost: delays.length === 0 })
    const to = side === 'client' ? 'server' : 'client'
    for (const delay of delays) this.inject(to, packet, delay)
  }

  #accept(packet: Packet): End {
    const options = this.#options
    const sink = new Recorder()
    const connection = new TransportConnection({
      role: 'server',
      identity: Identity.of(testSigningKey('server')),
      localId: 2,
      remoteId: packet.sourceId,
      firstId: packet.destinationId,
      alpns: options.served ?? ['test'],
      config: resolveTransportConfig(options.serverConfig ?? options.config),
      random: randomStream(options.seed ?? 1n, 'server'),
      routes: [options.route ?? ROUTE],
      resetToken: this.resets.server.token(2),
      sink,
      nowUs: this.nowUs,
    })
    return new End('server', connection, sink)
  }
}

/** Bytes that differ from place to place and from stream to stream. */
export function pattern(length: number, salt = 0): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >>> 8) * 7 + salt * 101) & 0xff
  return bytes
}

/** Writes all of `bytes`, then the end, as the limits allow. */
export class Writer {
  readonly #bytes: Uint8Array
  readonly streamId: number
  #written = 0
  #finished = false

  constructor(streamId: number, bytes: Uint8Array) {
    this.streamId = streamId
    this.#bytes = bytes
  }

  act(end: End): void {
    if (this.#finished) return
    this.#written += end.connection.write(this.streamId, this.#bytes, this.#written)
    if (this.#written < this.#bytes.length) return
    this.#finished = true
    end.connection.finish(this.streamId)
  }
}

/** Reads streams to their ends. */
export class Reader {
  readonly received: Map<number, Uint8Array[]> = new Map()
  readonly ended: Map<number, number> = new Map()
  bytes = 0

  act(end: End, nowUs: number): void {
    for (const streamId of end.sink.readable) {
      for (;;) {
        const bytes = end.connection.read(streamId, 65_536)
        if (bytes === undefined) break
        if (bytes === null) {
          if (!this.ended.has(streamId)) this.ended.set(streamId, nowUs)
          break
        }
        this.bytes += bytes.length
        const parts = this.received.get(streamId) ?? []
        parts.push(bytes)
        this.received.set(streamId, parts)
      }
    }
    end.sink.readable.clear()
  }

  all(streamId: number): Uint8Array {
    return Uint8Array.from(Buffer.concat(this.received.get(streamId) ?? []))
  }
}
