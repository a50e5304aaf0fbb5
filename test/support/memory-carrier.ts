/**
 * A carrier in memory: endpoints of one network, connections with bounded streams, and what QUIC does that a naive model
 * would not: bytes on one stream make earlier silent ones appear, streams overtake each other, and a close loses what
 * is under way.
 *
 * @module
 */
import { P2PAddress } from '../../src/core/address.ts'
import type {
  CarrierCapabilities,
  CarrierClose,
  CarrierConnection,
  CarrierEndpoint,
  CarrierReceiveStream,
  CarrierSendStream,
  CarrierStream,
  CarrierTarget,
} from '../../src/core/carrier.ts'
import type { P2PPath } from '../../src/core/connection.ts'
import { P2PError } from '../../src/core/errors.ts'
import type { NodeId } from '../../src/core/node-id.ts'
import { deferred, MemoryPipe, receiveSide, sendSide } from './memory-pipe.ts'

/** How a network behaves. */
export interface MemoryNetworkOptions {
  /** False imitates the official iroh binding: an abort of a blocked stream waits until it is no longer blocked. */
  readonly abortsBlockedStreams?: boolean
  readonly confirmsDelivery?: boolean
  /** What a stream holds between writer and reader. @default 65536 */
  readonly windowBytes?: number
  /** Streams of one direction that one side may have open. @default 100 */
  readonly maxStreams?: number
  /** The largest datagram; 0 for none. @default 1200 */
  readonly maxDatagramBytes?: number
  /** Picks the lane (stream) that moves on next, from 0 to `lanes` - 1. In the order of sending when absent. */
  readonly pick?: ((lanes: number) => number) | undefined
  /** Whether bytes that arrived before the close can still be read after it, as in QUIC. @default true */
  readonly keepsReceived?: boolean
}

/** Datagrams that wait for a reader; the oldest go first. */
const MAX_DATAGRAMS = 64

/** The network that joins endpoints. */
export class MemoryNetwork {
  readonly options: Required<Omit<MemoryNetworkOptions, 'pick'>> & Pick<MemoryNetworkOptions, 'pick'>
  /** What the engine did that a carrier may not be asked to do. */
  readonly violations: string[] = []
  readonly #endpoints = new Map<string, MemoryEndpoint>()
  readonly #lanes = new Map<object, (() => void)[]>()
  #pumping = false
  #held = false

  constructor(options: MemoryNetworkOptions = {}) {
    this.options = {
      abortsBlockedStreams: options.abortsBlockedStreams ?? true,
      confirmsDelivery: options.confirmsDelivery ?? false,
      windowBytes: options.windowBytes ?? 65_536,
      maxStreams: options.maxStreams ?? 100,
      maxDatagramBytes: options.maxDatagramBytes ?? 1200,
      keepsReceived: options.keepsReceived ?? true,
      pick: options.pick,
    }
  }

  endpoint(id: NodeId): MemoryEndpoint {
    const endpoint = new MemoryEndpoint(this, id, this.#endpoints.size + 1)
    this.#endpoints.set(id.toString(), endpoint)
    return endpoint
  }

  find(id: NodeId): MemoryEndpoint | undefined {
    return this.#endpoints.get(id.toString())
  }

  remove(endpoint: MemoryEndpoint): void {
    this.#endpoints.delete(endpoint.id.toString())
  }

  /** Keeps everything that is sent from arriving until {@link release}. */
  hold(): void {
    this.#held = true
  }

  /** Delivers everything that is held, at once. */
  deliverAll(): void {
    for (const [lane, events] of this.#lanes) {
      this.#lanes.delete(lane)
      for (const event of events) event()
    }
  }

  release(): void {
    this.#held = false
    this.#start()
  }

  /** Runs `event` on the other side, a little later. */
  deliver(lane: object, event: () => void): void {
    const events = this.#lanes.get(lane)
    if (events) events.push(event)
    else this.#lanes.set(lane, [event])
    this.#start()
  }

  /** Loses what is under way on a lane. */
  cancel(lane: object): void {
    this.#lanes.delete(lane)
  }

  #start(): void {
    if (this.#pumping || this.#held) return
    this.#pumping = true
    queueMicrotask(() => this.#pump())
  }

  #pump(): void {
    this.#pumping = false
    if (this.#held) return
    const lanes = [...this.#lanes]
    const chosen = lanes[this.options.pick ? this.options.pick(lanes.length) : 0]
    if (!chosen) return
    const [lane, events] = chosen
    const event = events.shift()
    this.#lanes.delete(lane)
    // A lane that has just moved goes to the back, so that without `pick` all move at the same pace.
    if (events.length > 0) this.#lanes.set(lane, events)
    event?.()
    if (this.#lanes.size > 0) this.#start()
  }
}

/** One node's transport. */
export class MemoryEndpoint implements CarrierEndpoint {
  readonly capabilities: CarrierCapabilities
  readonly id: NodeId
  readonly network: MemoryNetwork
  onIncoming: (connection: CarrierConnection) => void = () => {}
  /** Connections that are not over. */
  readonly connections = new Set<MemoryConnectionCarrier>()
  readonly addressWatchers = new Set<() => void>()
  /** What {@link address} says; tests may change it. */
  direct: readonly string[] | undefined
  readonly #port: number
  #alpns: readonly string[] = []
  #closed = false

  constructor(network: MemoryNetwork, id: NodeId, port: number) {
    this.network = network
    this.id = id
    this.#port = port
    const { abortsBlockedStreams, confirmsDelivery } = network.options
    this.capabilities = { abortsBlockedStreams, confirmsDelivery }
  }

  connect({ address, alpn, signal }: CarrierTarget): Promise<CarrierConnection> {
    const { promise, resolve, reject } = deferred<CarrierConnection>()
    const lane = {}
    const abort = (): void => {
      this.network.cancel(lane)
      reject(P2PError.of('timeout', 'given up', { afterMs: 0 }))
    }
    if (this.#closed) reject(P2PError.of('connection-failed', 'the endpoint is closed', {}))
    signal.addEventListener('abort', abort, { once: true })
    if (signal.aborted) abort()
    // To nobody: packets that are never answered.
    const peer = this.network.find(address.id)
    if (peer) {
      this.network.deliver(lane, () => {
        if (!peer.#alpns.includes(alpn)) {
          const { id } = address
          const why = `${id.fmtShort()} does not serve ${alpn}`
          reject(P2PError.of('refused', why, { node: id.toString() }))
          return
        }
        const here = new MemoryConnectionCarrier(this, peer.id, alpn)
        const there = new MemoryConnectionCarrier(peer, this.id, alpn)
        here.join(there)
        there.join(here)
        resolve(here)
        this.network.deliver(lane, () => {
          if (there.open) peer.onIncoming(there)
        })
      })
    }
    const forget = (): void => signal.removeEventListener('abort', abort)
    promise.then(forget, forget)
    return promise
  }

  setAlpns(alpns: readonly string[]): void {
    this.#alpns = [...alpns]
  }

  address(): P2PAddress {
    return new P2PAddress(this.id, this.direct ?? this.boundAddresses())
  }

  watchAddress(listener: () => void): Disposable {
    this.addressWatchers.add(listener)
    return { [Symbol.dispose]: () => void this.addressWatchers.delete(listener) }
  }

  boundAddresses(): readonly string[] {
    return [`127.0.0.1:${this.#port}`]
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#alpns = []
    this.network.remove(this)
    for (const connection of this.connections) connection.close(0, 'the endpoint was closed')
    await Promise.resolve()
  }
}

/** Streams of one direction (two-way or one-way) that one side opens. */
class Lineage<T> {
  readonly #maxOpen: number
  #open = 0
  #made = 0
  #appeared = 0
  readonly #blocked: (() => void)[] = []
  readonly #streams: T[] = []
  readonly #arrived: T[] = []
  readonly #accepting: { resolve: (stream: T) => void; reject: (error: unknown) => void }[] = []
  #openError: P2PError | undefined
  #acceptError: P2PError | undefined

  constructor(maxOpen: number) {
    this.#maxOpen = maxOpen
  }

  /** Waits for room, then makes a stream; `make` gets its number. */
  async open<Made>(make: (number: number) => { theirs: T; ours: Made }): Promise<Made> {
    while (this.#open >= this.#maxOpen) {
      if (this.#openError) throw this.#openError
      await new Promise<void>((resolve) => this.#blocked.push(resolve))
    }
    if (this.#openError) throw this.#openError
    this.#open++
    const { theirs, ours } = make(this.#made++)
    this.#streams.push(theirs)
    return ours
  }

  /** The other side has heard of stream `number`, and so of all before it. */
  appeared(number: number): void {
    for (; this.#appeared <= number; this.#appeared++) {
      const stream = this.#streams[this.#appeared] as T
      const waiting = this.#accepting.shift()
      if (waiting) waiting.resolve(stream)
      else this.#arrived.push(stream)
    }
  }

  ended(): void {
    this.#open--
    this.#blocked.shift()?.()
  }

  accept(): Promise<T> {
    const arrived = this.#arrived.shift()
    if (arrived) return Promise.resolve(arrived)
    if (this.#acceptError) return Promise.reject(this.#acceptError)
    return new Promise((resolve, reject) => this.#accepting.push({ resolve, reject }))
  }

  openerClosed(error: P2PError): void {
    this.#openError = error
    for (const wake of this.#blocked.splice(0)) wake()
  }

  acceptorClosed(error: P2PError, forget: boolean): void {
    this.#acceptError = error
    if (forget) this.#arrived.length = 0
    for (const waiting of this.#accepting.splice(0)) waiting.reject(error)
  }
}

/** Datagrams that have arrived on one side. */
class Datagrams {
  readonly #arrived: Uint8Array[] = []
  #reading: { resolve: (bytes: Uint8Array) => void; reject: (error: unknown) => void } | undefined
  #error: P2PError | undefined

  arrive(bytes: Uint8Array): void {
    if (this.#error) return
    const reading = this.#reading
    this.#reading = undefined
    if (reading) reading.resolve(bytes)
    else if (this.#arrived.push(bytes) > MAX_DATAGRAMS) this.#arrived.shift()
  }

  read(): Promise<Uint8Array> {
    const arrived = this.#arrived.shift()
    if (arrived) return Promise.resolve(arrived)
    if (this.#error) return Promise.reject(this.#error)
    if (this.#reading) throw new Error("the engine broke the carrier's contract: two reads of datagrams under way")
    return new Promise((resolve, reject) => (this.#reading = { resolve, reject }))
  }

  close(error: P2PError, forget: boolean): void {
    this.#error = error
    if (forget) this.#arrived.length = 0
    this.#reading?.reject(error)
  }
}

/** One side of a connection. */
export class MemoryConnectionCarrier implements CarrierConnection {
  readonly remoteId: NodeId
  readonly alpn: string
  readonly closed: Promise<CarrierClose>
  readonly #endpoint: MemoryEndpoint
  readonly #closing = deferred<CarrierClose>()
  readonly #pipes = new Set<MemoryPipe>()
  readonly #bi: Lineage<CarrierStream>
  readonly #uni: Lineage<CarrierReceiveStream>
  readonly #pathListeners = new Set<() => void>()
  #paths: readonly P2PPath[] = [{ kind: 'direct', remote: '127.0.0.1:9', selected: true, rttMs: 1 }]
  readonly #datagrams = new Datagrams()
  #end: P2PError | undefined
  #peer: MemoryConnectionCarrier | undefined
  open = true

  constructor(endpoint: MemoryEndpoint, remoteId: NodeId, alpn: string) {
    this.#endpoint = endpoint
    this.remoteId = remoteId
    this.alpn = alpn
    this.closed = this.#closing.promise
    const { maxStreams } = endpoint.network.options
    this.#bi = new Lineage(maxStreams)
    this.#uni = new Lineage(maxStreams)
    endpoint.connections.add(this)
  }

  join(peer: MemoryConnectionCarrier): void {
    this.#peer = peer
  }

  /** Bytes written to any stream and not read by the other side. */
  get outstandingBytes(): number {
    return [...this.#pipes].reduce((sum, pipe) => sum + pipe.outstandingBytes, 0)
  }

  /** Directions of streams that this side writes and that have not come to their end. */
  get openPipes(): number {
    return this.#pipes.size
  }

  /** The most that was ever asked for in one read on this side. */
  get largestRead(): number {
    return Math.max(0, ...[...this.#theOther().#pipes].map((pipe) => pipe.largestRead))
  }

  openBi(): Promise<CarrierStream> {
    const { confirmsDelivery } = this.#endpoint.network.options
    return this.#bi.open((number) => {
      let halves = 2
      const ended = (): void => {
        if (--halves === 0) this.#bi.ended()
      }
      const out = this.#pipe(() => this.#bi.appeared(number), ended)
      const back = this.#theOther().#pipe(() => {}, ended)
      return {
        ours: { send: sendSide(out, confirmsDelivery), receive: receiveSide(back) },
        theirs: { send: sendSide(back, confirmsDelivery), receive: receiveSide(out) },
      }
    })
  }

  openUni(): Promise<CarrierSendStream> {
    const { confirmsDelivery } = this.#endpoint.network.options
    return this.#uni.open((number) => {
      const pipe = this.#pipe(
        () => this.#uni.appeared(number),
        () => this.#uni.ended(),
      )
      return { ours: sendSide(pipe, confirmsDelivery), theirs: receiveSide(pipe) }
    })
  }

  acceptBi(): Promise<CarrierStream> {
    return this.#theOther().#bi.accept()
  }

  acceptUni(): Promise<CarrierReceiveStream> {
    return this.#theOther().#uni.accept()
  }

  sendDatagram(bytes: Uint8Array): void {
    if (this.#end) throw this.#end
    const { maxDatagramBytes } = this.#endpoint.network.options
    if (bytes.length > maxDatagramBytes) this.#endpoint.network.violations.push('a datagram that is too large')
    const peer = this.#theOther()
    const copy = bytes.slice()
    // Each on a lane of its own: nothing keeps them in order.
    this.#endpoint.network.deliver({}, () => peer.#datagrams.arrive(copy))
  }

  readDatagram(): Promise<Uint8Array> {
    return this.#datagrams.read()
  }

  maxDatagramBytes(): number {
    return this.#endpoint.network.options.maxDatagramBytes
  }

  close(code: number, reason: string): void {
    if (!this.open) return
    this.#over({ closeCode: code, reason, by: 'local' }, true)
    const peer = this.#theOther()
    this.#endpoint.network.deliver({}, () => peer.#over({ closeCode: code, reason, by: 'remote' }, false))
  }

  /** This side hears that the other has closed. */
  closedByPeer(close: CarrierClose): void {
    this.#over(close, false)
  }

  /** The network between the two is gone. */
  fail(reason: string): void {
    this.#over({ closeCode: 0, reason, by: 'transport' }, false)
    this.#theOther().#over({ closeCode: 0, reason, by: 'transport' }, false)
  }

  paths(): readonly P2PPath[] {
    return this.open ? this.#paths : []
  }

  /** Makes the connection take another path. */
  setPaths(paths: readonly P2PPath[]): void {
    this.#paths = paths
    for (const listener of this.#pathListeners) listener()
  }

  onPathChange(listener: () => void): Disposable {
    const own = (): void => listener()
    this.#pathListeners.add(own)
    return { [Symbol.dispose]: () => void this.#pathListeners.delete(own) }
  }

  #theOther(): MemoryConnectionCarrier {
    if (!this.#peer) throw new Error('not joined yet')
    return this.#peer
  }

  #pipe(appeared: () => void, ended: () => void): MemoryPipe {
    const { network } = this.#endpoint
    const { windowBytes, abortsBlockedStreams, confirmsDelivery } = network.options
    const pipe = new MemoryPipe({
      windowBytes,
      abortsBlockedStreams,
      confirmsDelivery,
      appeared,
      ended: () => {
        this.#pipes.delete(pipe)
        ended()
      },
      deliver: (lane, event) => network.deliver(lane, event),
      cancel: (lane) => network.cancel(lane),
      violation: (what) => {
        network.violations.push(what)
        throw new Error(`the engine broke the carrier's contract: ${what}`)
      },
    })
    this.#pipes.add(pipe)
    return pipe
  }

  #over(close: CarrierClose, local: boolean): void {
    if (!this.open) return
    this.open = false
    this.#endpoint.connections.delete(this)
    const who = { local: 'this side', remote: 'the peer', transport: 'the transport' }[close.by]
    const error = P2PError.of('connection-closed', `${who} closed it: ${close.reason}`, {
      closeCode: close.closeCode,
      reason: close.reason,
      by: close.by,
    })
    const forget = local || !this.#endpoint.network.options.keepsReceived
    const peer = this.#theOther()
    // What this side writes goes nowhere; what it was sent and has not received is lost.
    for (const pipe of this.#pipes) pipe.writerClosed(error)
    for (const pipe of peer.#pipes) pipe.readerClosed(error, forget)
    for (const lineage of [this.#bi, this.#uni]) lineage.openerClosed(error)
    for (const lineage of [peer.#bi, peer.#uni]) lineage.acceptorClosed(error, forget)
    this.#end = error
    this.#datagrams.close(error, forget)
    this.#closing.resolve(close)
  }
}
