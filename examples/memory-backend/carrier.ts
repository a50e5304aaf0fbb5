/**
 * A carrier: endpoints that find each other in a table, and connections whose streams are buffers. What QUIC does and a
 * naive model would not is here too: streams appear with their first byte, and with them all before; how many may be open
 * is limited; a close loses what is under way.
 *
 * @module
 */
import { P2PAddress, P2PError } from '@moosicbox/p2p'
import type { NodeId, P2PPath } from '@moosicbox/p2p'
import type {
  CarrierCapabilities,
  CarrierClose,
  CarrierConnection,
  CarrierEndpoint,
  CarrierReceiveStream,
  CarrierSendStream,
  CarrierStream,
  CarrierTarget,
} from '@moosicbox/p2p/backend'
import { deferred, Pipe } from './pipe.ts'
import type { Deferred } from './pipe.ts'

/** Streams of one direction that one side may have open. */
const MAX_STREAMS = 100
const MAX_DATAGRAM_BYTES = 1_200
/** Datagrams that wait to be read; the oldest go first. */
const MAX_DATAGRAMS = 64
const PATH: P2PPath = { kind: 'direct', remote: '127.0.0.1:1', selected: true, rttMs: 0 }
const NOTHING: Disposable = { [Symbol.dispose]: () => {} }

/** The endpoints that can reach each other. */
export class MemoryNetwork {
  readonly #endpoints = new Map<string, MemoryEndpoint>()

  find(id: NodeId): MemoryEndpoint | undefined {
    return this.#endpoints.get(id.toString())
  }

  add(endpoint: MemoryEndpoint): void {
    this.#endpoints.set(endpoint.id.toString(), endpoint)
  }

  remove(endpoint: MemoryEndpoint): void {
    if (this.find(endpoint.id) === endpoint) this.#endpoints.delete(endpoint.id.toString())
  }
}

/** One node's transport. */
export class MemoryEndpoint implements CarrierEndpoint {
  readonly capabilities: CarrierCapabilities = { abortsBlockedStreams: true, confirmsDelivery: true }
  readonly id: NodeId
  onIncoming: (connection: CarrierConnection) => void = () => {}
  readonly #network: MemoryNetwork
  readonly #connections = new Set<MemoryConnection>()
  #alpns: readonly string[] = []
  #isClosed = false

  constructor(network: MemoryNetwork, id: NodeId) {
    this.#network = network
    this.id = id
    network.add(this)
  }

  async connect({ address, alpn, signal }: CarrierTarget): Promise<CarrierConnection> {
    // Never inside the caller's own call.
    await Promise.resolve()
    if (this.#isClosed) throw P2PError.of('connection-failed', 'this endpoint is closed', {})
    const peer = this.#network.find(address.id)
    if (!peer) return silence(signal)
    if (!peer.#alpns.includes(alpn)) {
      const node = address.id.toString()
      throw P2PError.of('refused', `${address.id.fmtShort()} does not serve ${alpn}`, { node })
    }
    const here = new MemoryConnection(peer.id, alpn, (connection) => this.#connections.delete(connection))
    const there = new MemoryConnection(this.id, alpn, (connection) => peer.#connections.delete(connection))
    here.join(there)
    there.join(here)
    this.#connections.add(here)
    peer.#connections.add(there)
    queueMicrotask(() => peer.onIncoming(there))
    return here
  }

  setAlpns(alpns: readonly string[]): void {
    this.#alpns = alpns.slice()
  }

  address(): P2PAddress {
    return new P2PAddress(this.id, this.boundAddresses())
  }

  watchAddress(): Disposable {
    return NOTHING
  }

  boundAddresses(): readonly string[] {
    return ['127.0.0.1:1']
  }

  close(): Promise<void> {
    this.#isClosed = true
    this.#network.remove(this)
    for (const connection of this.#connections) connection.close(0, 'the endpoint was closed')
    return Promise.resolve()
  }
}

/** Nobody answers, until the caller gives up. */
function silence(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const giveUp = (): void => reject(P2PError.of('timeout', 'nobody answers', { afterMs: 0 }))
    if (signal.aborted) giveUp()
    else signal.addEventListener('abort', giveUp, { once: true })
  })
}

/** Things that come, and those who wait for them. */
class Arrivals<T> {
  readonly #arrived: T[] = []
  readonly #waiting: Deferred<T>[] = []
  #end: P2PError | undefined

  add(item: T, maxWaiting: number = Number.POSITIVE_INFINITY): void {
    if (this.#end) return
    const waiting = this.#waiting.shift()
    if (waiting) waiting.resolve(item)
    else if (this.#arrived.push(item) > maxWaiting) this.#arrived.shift()
  }

  next(): Promise<T> {
    const item = this.#arrived.shift()
    if (item !== undefined) return Promise.resolve(item)
    if (this.#end) return Promise.reject(this.#end)
    const waiting = deferred<T>()
    this.#waiting.push(waiting)
    return waiting.promise
  }

  end(error: P2PError, forget: boolean): void {
    this.#end = error
    if (forget) this.#arrived.length = 0
    for (const waiting of this.#waiting.splice(0)) waiting.reject(error)
  }
}

/** The streams of one direction (two-way or one-way) that one side opens. */
class Opened<T> {
  readonly arrivals = new Arrivals<T>()
  readonly #streams: T[] = []
  readonly #blocked: Deferred<void>[] = []
  #open = 0
  #made = 0
  #appeared = 0
  #end: P2PError | undefined

  /** Waits until one more is allowed; the result is its number. */
  async number(): Promise<number> {
    while (this.#open >= MAX_STREAMS && !this.#end) {
      const room = deferred<void>()
      this.#blocked.push(room)
      await room.promise
    }
    if (this.#end) throw this.#end
    this.#open++
    return this.#made++
  }

  add(number: number, stream: T): void {
    this.#streams[number] = stream
  }

  /** The peer has heard of this one, and so of all before it. */
  appear(number: number): void {
    for (; this.#appeared <= number; this.#appeared++) this.arrivals.add(this.#streams[this.#appeared] as T)
  }

  ended(): void {
    this.#open--
    this.#blocked.shift()?.resolve()
  }

  close(error: P2PError): void {
    this.#end = error
    for (const room of this.#blocked.splice(0)) room.resolve()
  }
}

/** One side of a connection. */
class MemoryConnection implements CarrierConnection {
  readonly remoteId: NodeId
  readonly alpn: string
  readonly closed: Promise<CarrierClose>
  readonly #closing = deferred<CarrierClose>()
  readonly #onOver: (connection: MemoryConnection) => void
  /** Those that this side writes into. */
  readonly #pipes = new Set<Pipe>()
  readonly #bi = new Opened<CarrierStream>()
  readonly #uni = new Opened<CarrierReceiveStream>()
  readonly #datagrams = new Arrivals<Uint8Array>()
  #peer: MemoryConnection | undefined
  #end: P2PError | undefined

  constructor(remoteId: NodeId, alpn: string, onOver: (connection: MemoryConnection) => void) {
    this.remoteId = remoteId
    this.alpn = alpn
    this.#onOver = onOver
    this.closed = this.#closing.promise
  }

  join(peer: MemoryConnection): void {
    this.#peer = peer
  }

  async openBi(): Promise<CarrierStream> {
    const number = await this.#bi.number()
    let halves = 2
    const onEnd = (): void => {
      if (--halves === 0) this.#bi.ended()
    }
    const out = this.#pipe(() => this.#bi.appear(number), onEnd)
    const back = this.#other.#pipe(() => {}, onEnd)
    this.#bi.add(number, { send: back.send, receive: out.receive })
    return { send: out.send, receive: back.receive }
  }

  async openUni(): Promise<CarrierSendStream> {
    const number = await this.#uni.number()
    const pipe = this.#pipe(
      () => this.#uni.appear(number),
      () => this.#uni.ended(),
    )
    this.#uni.add(number, pipe.receive)
    return pipe.send
  }

  acceptBi(): Promise<CarrierStream> {
    return this.#other.#bi.arrivals.next()
  }

  acceptUni(): Promise<CarrierReceiveStream> {
    return this.#other.#uni.arrivals.next()
  }

  sendDatagram(bytes: Uint8Array): void {
    if (this.#end) throw this.#end
    this.#other.#datagrams.add(bytes.slice(), MAX_DATAGRAMS)
  }

  readDatagram(): Promise<Uint8Array> {
    return this.#datagrams.next()
  }

  maxDatagramBytes(): number {
    return this.#end ? 0 : MAX_DATAGRAM_BYTES
  }

  close(closeCode: number, reason: string): void {
    const peer = this.#other
    this.#over({ closeCode, reason, by: 'local' })
    queueMicrotask(() => peer.#over({ closeCode, reason, by: 'remote' }))
  }

  paths(): readonly P2PPath[] {
    return this.#end ? [] : [PATH]
  }

  onPathChange(): Disposable {
    return NOTHING
  }

  get #other(): MemoryConnection {
    if (!this.#peer) throw new Error('not joined yet')
    return this.#peer
  }

  #pipe(onFirst: () => void, onEnd: () => void): Pipe {
    const pipe = new Pipe(onFirst, () => {
      this.#pipes.delete(pipe)
      onEnd()
    })
    this.#pipes.add(pipe)
    return pipe
  }

  #over(close: CarrierClose): void {
    if (this.#end) return
    const who = close.by === 'local' ? 'this side' : 'the peer'
    const error = P2PError.of('connection-closed', `${who} closed the connection: ${close.reason}`, { ...close })
    this.#end = error
    // Who closes wants nothing more; the other may still read what had come before.
    const forget = close.by === 'local'
    for (const pipe of this.#pipes) pipe.closeWriter(error)
    for (const pipe of this.#other.#pipes) pipe.closeReader(error, forget)
    for (const own of [this.#bi, this.#uni]) own.close(error)
    for (const theirs of [this.#other.#bi, this.#other.#uni]) theirs.arrivals.end(error, forget)
    this.#datagrams.end(error, forget)
    this.#onOver(this)
    this.#closing.resolve(close)
  }
}
