/**
 * A connection of the simulator's carrier: drives one transport state machine with the kernel's time, and turns what it
 * tells into promises.
 *
 * @module
 */
import type {
  CarrierClose,
  CarrierConnection,
  CarrierPackets,
  CarrierReceiveStream,
  CarrierSendStream,
  CarrierStream,
} from '../core/carrier.ts'
import { P2PError } from '../core/errors.ts'
import type { NodeId } from '../core/node-id.ts'
import { digestBytes, digestText, EventKind } from './audit.ts'
import type { Kernel, KernelTimer } from './kernel.ts'
import { News, Told } from './sim-news.ts'
import { carrierClose, closedError } from './sim-closing.ts'
import { DatagramInbox } from './sim-datagrams.ts'
import { pathsOf } from './sim-paths.ts'
import type { SimulatorPath } from './sim-paths.ts'
import { deferred } from './sim-stream.ts'
import type { SimStream } from './sim-stream.ts'
import { SimStreams } from './sim-streams.ts'
import type { StreamsHost } from './sim-streams.ts'
import type { TransportConnection } from './transport/connection.ts'
import type { TransportClose, TransportSink } from './transport/sink.ts'
import { ConnectionTrace } from './trace/connection-trace.ts'
import type { StreamEnd } from './trace/connection-trace.ts'
import type { Packet, PacketKind } from './transport/packet.ts'
import type { Route } from './transport/path.ts'
import type { WindowChange } from './transport/recovery.ts'

/** What a connection needs of its endpoint. */
export interface ConnectionHost {
  readonly kernel: Kernel
  /** The index of the host, for the history. */
  readonly host: number
  /** Puts a datagram on the wire. */
  transmit(route: Route, packet: Packet): void
  /** The handshake is done. */
  onConnected(connection: SimConnection): void
  /** It ended before the handshake was done. */
  onFailed(connection: SimConnection, close: TransportClose): void
  /** Somebody has answered who is not the peer. */
  onImpostor(connection: SimConnection): void
  /** A place that may be a stranger's has refused the protocol; the others are still being tried. */
  onRefused(connection: SimConnection): void
  /** There is nothing more to do for it: its ids are free. */
  onDrained(connection: SimConnection): void
}

const NEVER = Number.POSITIVE_INFINITY

/** One end of a connection. */
export class SimConnection implements CarrierConnection, TransportSink, StreamsHost {
  readonly kernel: Kernel
  readonly host: number
  readonly closed: Promise<CarrierClose>
  readonly #endpoint: ConnectionHost
  readonly #trace: ConnectionTrace | undefined
  readonly #transport: TransportConnection
  readonly #closing = deferred<CarrierClose>()
  readonly #streams = new SimStreams(this)
  readonly #datagrams = new DatagramInbox()
  #pathListeners: Set<() => void> | undefined
  #connected = false
  #error: P2PError | undefined
  readonly #timer: KernelTimer
  /** What it is set to. */
  #timerUs = NEVER
  /** When what has arrived is to be answered. */
  #answerUs = NEVER
  /** Whether a flush comes at the end of this moment. */
  #isFlushing = false
  readonly #onFlush = (): void => {
    // An earlier one may have come in between, which then has done it all.
    if (this.#isFlushing) this.flushNow()
  }
  readonly #onTimer = (): void => {
    this.#timerUs = NEVER
    if (this.#destroyed) return
    const nowUs = this.kernel.nowUs()
    if (this.#answerUs <= nowUs || this.#transport.nextTimeout() <= nowUs) this.flushNow()
    else this.#arm()
  }
  /** Inside of `receive`, where what happens is told only after the answers have been sent. */
  #receiving = false
  readonly #news = new News()
  #destroyed = false

  /** `make` is given this connection to tell its events to. */
  constructor(endpoint: ConnectionHost, make: (sink: TransportSink) => TransportConnection) {
    this.#endpoint = endpoint
    this.kernel = endpoint.kernel
    this.host = endpoint.host
    this.closed = this.#closing.promise
    this.#trace = this.kernel.trace && new ConnectionTrace(this.kernel, this.kernel.trace)
    this.#timer = this.kernel.timer(this.#onTimer)
    this.#transport = make(this)
    this.#trace?.began(this.host, this.#transport)
    // A server's has a datagram to take first, and then takes its time to answer that.
    if (this.#transport.role === 'client') this.flush()
  }

  /** The state machine. */
  get transport(): TransportConnection {
    return this.#transport
  }

  /** The peer; only after the handshake. */
  get remoteId(): NodeId {
    return this.#transport.remoteNode as NodeId
  }

  get alpn(): string {
    return this.#transport.alpn
  }

  /** A datagram for this connection has arrived. */
  receive(payload: unknown, route: Route): void {
    if (this.#destroyed) return
    const nowUs = this.kernel.nowUs()
    const processingUs = this.#transport.processingUs(nowUs)
    this.#receiving = true
    this.#transport.handle(payload, route, nowUs)
    this.#receiving = false
    // Most of what is only acknowledged leads to nothing more.
    if (this.#news.isEmpty && this.#transport.isSettled(nowUs)) {
      const deadlineUs = this.#transport.deadline()
      if (deadlineUs > nowUs) return this.#armFor(deadlineUs)
    }
    this.#answerIn(processingUs)
  }

  /** Tells the transport where this node may be found. */
  offer(addresses: readonly string[]): void {
    this.#transport.addCandidates(addresses, this.kernel.nowUs())
    this.flush()
  }

  /** The host is somewhere else: this node may be found at `addresses` now, and nowhere else. */
  onNetworkChange(addresses: readonly string[]): void {
    if (this.#destroyed) return
    this.#transport.onNetworkChange(addresses, this.kernel.nowUs())
    this.flush()
  }

  openBi(): Promise<CarrierStream> {
    return this.#error ? Promise.reject(this.#error) : this.#streams.open(true)
  }

  openBiNow(): CarrierStream | undefined {
    return this.#error ? undefined : this.#streams.openNow(true)
  }

  openUni(): Promise<CarrierSendStream> {
    return this.#error ? Promise.reject(this.#error) : this.#streams.open(false)
  }

  acceptBi(): Promise<CarrierStream> {
    return this.#streams.bi.next()
  }

  acceptBiNow(): CarrierStream | undefined {
    return this.#streams.bi.nextNow()
  }

  whenBi(wake: () => void): boolean {
    return this.#streams.bi.when(wake)
  }

  acceptUni(): Promise<CarrierReceiveStream> {
    return this.#streams.uni.next()
  }

  sendDatagram(bytes: Uint8Array): void {
    if (this.#error) throw this.#error
    if (!this.#transport.sendDatagram(bytes)) {
      // Its end has come, and is about to be told.
      if (this.#transport.state !== 'established') return
      const max = this.maxDatagramBytes()
      const message = `a datagram of ${bytes.length} bytes: this path carries at most ${max}, send less or use a stream`
      throw P2PError.of('message-too-large', message, { size: bytes.length, max })
    }
    this.kernel.audit.record(EventKind.datagramSent, this.host, digestBytes(bytes), bytes.length)
    this.flush()
  }

  readDatagram(): Promise<Uint8Array> {
    return this.#datagrams.next()
  }

  maxDatagramBytes(): number {
    return this.#error ? 0 : this.#transport.maxDatagramBytes()
  }

  close(code: number, reason: string): void {
    if (this.#destroyed) return
    this.#transport.close(code, reason, this.kernel.nowUs())
    this.flush()
  }

  paths(): readonly SimulatorPath[] {
    return this.#error ? [] : pathsOf(this.#transport)
  }

  packets(): CarrierPackets | undefined {
    if (this.#error) return undefined
    const { packetsSent, packetsLost } = this.#transport.inspect()
    return { sent: packetsSent, lost: packetsLost }
  }

  onPathChange(listener: () => void): Disposable {
    const own = (): void => listener()
    ;(this.#pathListeners ??= new Set()).add(own)
    return { [Symbol.dispose]: () => void this.#pathListeners?.delete(own) }
  }

  /**
   * Sends what is due, once everything else that happens at this moment has happened: a burst is acknowledged once, and
   * bytes written one after the other share datagrams.
   */
  flush(): void {
    if (this.#isFlushing || this.#destroyed) return
    this.#isFlushing = true
    this.kernel.soon(this.#onFlush)
  }

  #answerIn(delayUs: number): void {
    if (delayUs === 0) return this.flush()
    const atUs = this.kernel.nowUs() + delayUs
    if (this.#isFlushing || this.#answerUs <= atUs || this.#destroyed) return
    this.#answerUs = atUs
    if (atUs < this.#timerUs) this.#setTimer(atUs)
  }

  /** Sends what is due at once. */
  flushNow(): void {
    this.#isFlushing = false
    this.#answerUs = NEVER
    if (this.#destroyed) return
    const nowUs = this.kernel.nowUs()
    this.#trace?.window(this.#transport.selected)
    const transport = this.#transport
    let deadlineUs
    for (;;) {
      for (let packet = transport.poll(nowUs); packet; packet = transport.poll(nowUs)) {
        const routes = transport.outgoingRoutes
        for (let i = 0; i < routes.length; i++) this.#endpoint.transmit(routes[i] as Route, packet)
      }
      // Whoever is awake looks at the clock: what is due need not wait for the coarse timer.
      deadlineUs = transport.deadline()
      if (deadlineUs > nowUs) break
      transport.handleTimeout(nowUs)
    }
    if (this.#news.isEmpty) {
      this.#armFor(deadlineUs)
    } else {
      this.#news.tell(this)
      this.#arm()
    }
  }

  /** Forgets everything, tells nobody and settles nothing: the host has lost its power. */
  destroy(): void {
    this.#destroyed = true
    this.#timer.cancel()
  }

  traceStreamEnd(streamId: number, how: StreamEnd, code: number): void {
    this.#trace?.streamEnded(streamId, how, 'local', code)
  }

  traceStream(streamId: number, by: 'local' | 'remote'): void {
    this.#trace?.stream(streamId, by)
  }

  forget(stream: SimStream): void {
    this.#streams.forget(stream)
  }

  onConnected(): void {
    if (this.#receiving) return this.#news.add(Told.connected)
    this.#connected = true
    const { remoteNode, alpn } = this.#transport
    this.kernel.audit.record(
      EventKind.connectionOpened,
      this.host,
      digestText(remoteNode?.toString() ?? ''),
      digestText(alpn),
    )
    this.#trace?.connected(this.#transport)
    this.#endpoint.onConnected(this)
  }

  onImpostor(): void {
    if (this.#receiving) return this.#news.add(Told.impostor)
    this.#endpoint.onImpostor(this)
  }

  onRefused(): void {
    if (this.#receiving) return this.#news.add(Told.refused)
    this.#endpoint.onRefused(this)
  }

  onClosed(close: TransportClose): void {
    if (this.#receiving) return this.#news.add(Told.closed, 0, 0, close)
    const info = carrierClose(close)
    const peer = this.#transport.remoteNode
    this.kernel.audit.record(EventKind.connectionClosed, this.host, digestText(peer?.toString() ?? ''), close.code)
    this.#trace?.closed(close)
    this.#error = closedError(info, peer)
    this.kernel.woke(this.host)
    this.#streams.end(this.#error)
    this.#datagrams.end(this.#error)
    this.#closing.resolve(info)
    if (!this.#connected) this.#endpoint.onFailed(this, close)
  }

  onDatagram(bytes: Uint8Array): void {
    if (this.#receiving) return this.#news.add(Told.datagram, 0, 0, bytes)
    this.kernel.audit.record(EventKind.datagramDelivered, this.host, digestBytes(bytes), bytes.length)
    if (this.#datagrams.add(bytes)) this.kernel.woke(this.host)
  }

  onPacketLost(pathId: number, kind: PacketKind, number: number, sizeBytes: number): void {
    this.#trace?.lost(pathId, kind, number, sizeBytes)
  }

  onProbe(pathId: number, count: number): void {
    this.#trace?.probe(pathId, count)
  }

  onWindowChange(pathId: number, windowBytes: number, thresholdBytes: number, why: WindowChange): void {
    this.#trace?.windowSet(pathId, windowBytes, thresholdBytes, why)
  }

  onMtuChange(pathId: number, mtuBytes: number): void {
    this.#trace?.mtu(pathId, mtuBytes)
  }

  onPathsChanged(): void {
    this.#trace?.paths(this.#transport)
    if (!this.#pathListeners?.size) return
    // From inside the transport's own call a listener must not come back to it.
    this.kernel.schedule(0, () => this.#tellPaths())
  }

  onStreamOpened(streamId: number): void {
    if (this.#receiving) return this.#news.add(Told.opened, streamId)
    this.#streams.arrived(streamId)
  }

  onStreamReadable(streamId: number): void {
    if (this.#receiving) return this.#news.add(Told.readable, streamId)
    this.#streams.get(streamId)?.onReadable()
  }

  onStreamWritable(streamId: number): void {
    if (this.#receiving) return this.#news.add(Told.writable, streamId)
    this.#streams.get(streamId)?.onWritable()
    this.flush()
  }

  onStreamDelivered(streamId: number): void {
    const stream = this.#streams.get(streamId)
    // What nobody waits for is no news, which would make the host wake up for it.
    if (this.#receiving && stream?.awaitsDelivery === true) this.#news.add(Told.delivered, streamId)
    else stream?.onDelivered()
  }

  onStreamReset(streamId: number, code: number): void {
    if (this.#receiving) return this.#news.addReset(streamId, code)
    this.#trace?.streamEnded(streamId, 'reset', 'remote', code)
    this.#streams.get(streamId)?.onReset(code)
  }

  onStreamStopped(streamId: number, code: number): void {
    if (this.#receiving) return this.#news.add(Told.stopped, streamId, code)
    this.#trace?.streamEnded(streamId, 'stopped', 'remote', code)
    // A stream may be stopped before anything of it has arrived here, and nobody knows of it yet.
    this.#streams.get(streamId)?.onStopped(code)
  }

  onStreamsAvailable(): void {
    if (this.#receiving) return this.#news.add(Told.available)
    this.#streams.openWaiting()
  }

  #tellPaths(): void {
    if (this.#destroyed) return
    this.kernel.woke(this.host)
    for (const listener of Array.from(this.#pathListeners ?? [])) listener()
  }

  #arm(): void {
    this.#armFor(this.#transport.deadline())
  }

  /** Sees to it that the kernel calls when the transport needs it, or what has arrived is to be answered. */
  #armFor(deadlineUs: number): void {
    if (this.#transport.isDrained) {
      this.#timer.cancel()
      this.#timerUs = NEVER
      this.#endpoint.onDrained(this)
      return
    }
    const atUs = Math.min(this.#transport.nextTimeout(deadlineUs), this.#answerUs)
    if (atUs === this.#timerUs) return
    if (atUs === NEVER) {
      this.#timer.cancel()
      this.#timerUs = NEVER
    } else {
      this.#setTimer(atUs)
    }
  }

  #setTimer(atUs: number): void {
    this.#timerUs = atUs
    this.#timer.set(atUs - this.kernel.nowUs())
  }
}
