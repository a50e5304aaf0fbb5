/**
 * What all handles of one connection share: the carrier's connection, its streams sorted by kind, messages, control
 * frames, and the graceful end. Handles are in `connection.ts`.
 *
 * @module
 */
import type { CarrierClose, CarrierConnection, CarrierReceiveStream, CarrierSendStream } from '../carrier.ts'
import type { P2PLimits } from '../config.ts'
import type { CloseInfo, ConnectionStats, StreamKind } from '../connection.ts'
import { P2PError } from '../errors.ts'
import type { LeakWatch } from '../leaks.ts'
import type { Runtime } from '../runtime.ts'
import type { ReceiveHalf } from './receive-half.ts'
import { closedError, describeClose, ENDED_BY_PEER } from './closing.ts'
import { ControlChannel } from './control.ts'
import { DatagramChannel } from './datagrams.ts'
import { Ending } from './ending.ts'
import { GracefulEnd } from './graceful-end.ts'
import { Inbound } from './inbound.ts'
import { MessageReceiver, MessageSender } from './messages.ts'
import type { SendHalf } from './send-half.ts'
import { StreamOpener } from './opening.ts'
import { StreamTable } from './streams.ts'
import type { DuplexStream } from './duplex-stream.ts'
import { Traffic } from './traffic.ts'
import type { ControlFrame } from './wire.ts'
import { LIBRARY_CODE } from './wire.ts'

/** What a session is made of. */
export interface SessionOptions {
  readonly carrier: CarrierConnection
  readonly runtime: Runtime
  readonly limits: P2PLimits
  readonly abortsBlockedStreams: boolean
  readonly confirmsDelivery: boolean
  /** Whether the protocol is ours; on others no byte is added. */
  readonly ours: boolean
  readonly backend: string
}

/** One connection. */
export class Session {
  readonly carrier: CarrierConnection
  readonly ours: boolean
  readonly closed: Promise<CloseInfo>
  readonly #options: SessionOptions
  readonly #startedMs: number
  readonly #streams: StreamTable
  readonly #sender: MessageSender
  readonly #receiver: MessageReceiver
  readonly #inbound: Inbound
  readonly #control: ControlChannel
  readonly #ending: Ending
  readonly #end: GracefulEnd
  readonly #datagrams: DatagramChannel
  readonly #opener: StreamOpener
  readonly #traffic = new Traffic()
  #handles = 0
  #info: CloseInfo | undefined
  #error: P2PError | undefined
  #closeRequested: CloseInfo | undefined

  constructor(options: SessionOptions) {
    const { carrier, limits, runtime } = options
    this.#options = options
    this.carrier = carrier
    this.ours = options.ours
    this.#startedMs = runtime.now()
    const waits = runtime.waits?.of(carrier.remoteId)
    const openUni = async (): Promise<CarrierSendStream> => {
      const stream = await carrier.openUni()
      this.#streams.announceAll()
      return stream
    }
    this.#control = new ControlChannel(openUni)
    this.#sender = new MessageSender({
      maxMessageBytes: limits.maxMessageBytes,
      queueBytes: limits.sendQueueBytes,
      waits,
      open: openUni,
    })
    this.#ending = new Ending({
      runtime,
      waits,
      timeoutMs: limits.endTimeoutMs,
      drainBytes: limits.drainBufferBytes,
      remote: () => carrier.remoteId.fmtShort(),
      closeConfirms: !options.ours,
    })
    this.#receiver = new MessageReceiver({
      maxMessageBytes: limits.maxMessageBytes,
      queueBytes: limits.receiveQueueBytes,
      waits,
      grantDrainBytes: (bytes) => this.#ending.grant(bytes),
      returnDrainBytes: (bytes) => this.#end.returnDrainBytes(bytes),
      done: () => this.#end.checkDrained(),
    })
    this.#streams = new StreamTable({
      waits,
      abortsBlockedStreams: options.abortsBlockedStreams,
      // On our own protocol the peer says what has arrived.
      tracksDelivery: options.confirmsDelivery && !options.ours,
      endedCode: options.ours ? LIBRARY_CODE.ended : 0,
      grantDrainBytes: (bytes) => this.#ending.grant(bytes),
      returnDrainBytes: (bytes) => this.#end.returnDrainBytes(bytes),
      drained: () => this.#end.checkDrained(),
      control: (frame, blocked) => this.#sendControl(frame, blocked),
      sent: (bytes) => (this.#traffic.bytesSent += bytes),
      received: (bytes) => (this.#traffic.bytesReceived += bytes),
    })
    this.#inbound = new Inbound({
      carrier,
      runtime,
      waits,
      limits,
      ours: options.ours,
      streams: this.#streams,
      control: (receive, rest) => this.#receiveControl(receive, rest),
      messages: (receive, rest) => this.#receiveMessages(receive, rest),
      messagesRefused: () => this.#receiver.close(this.#endError()),
      broken: (why) => this.close(LIBRARY_CODE.protocol, why),
    })
    this.#end = new GracefulEnd({
      carrier,
      ours: options.ours,
      confirmsDelivery: options.confirmsDelivery,
      ending: this.#ending,
      control: this.#control,
      streams: this.#streams,
      sender: this.#sender,
      receiver: this.#receiver,
      inbound: this.#inbound,
      isOver: () => this.#info !== undefined,
      endError: () => this.#endError(),
    })
    this.#opener = new StreamOpener({
      carrier,
      ours: options.ours,
      control: this.#control,
      streams: this.#streams,
      checkOpen: () => this.checkOpen(),
      ended: () => this.#ending.endedLocally,
      failure: async (error) => {
        if (P2PError.is(error, 'connection-closed')) await this.closed
        return this.#error ?? error
      },
    })
    this.#datagrams = new DatagramChannel({
      backend: options.backend,
      carrier,
      traffic: this.#traffic,
      ended: async () => {
        await this.closed
        return this.#endError()
      },
    })
    this.closed = carrier.closed.then((close) => this.#closed(close))
  }

  /** Starts taking streams of these kinds off the connection, for one more handle. */
  attach(kinds: readonly StreamKind[]): void {
    this.#handles++
    this.#inbound.claim(kinds)
  }

  /** Starts to accept streams; before, they wait in the transport. */
  start(): void {
    void this.#accept()
  }

  /** Who is told of handles that are lost. */
  get leaks(): LeakWatch | undefined {
    return this.#options.runtime.leaks
  }

  /** One handle fewer; true when that was the last. */
  release(): boolean {
    this.#handles--
    return this.#handles === 0
  }

  get connected(): boolean {
    return this.#info === undefined && this.#closeRequested === undefined && !this.#ending.begun
  }

  /** Whether this side has called `end()`: what the peer had sent before it knew can still be read. */
  get ended(): boolean {
    return this.#ending.endedLocally
  }

  /** Throws when nothing new can be started any more. */
  checkOpen(): void {
    if (this.#error) throw this.#error
    if (this.#closeRequested) throw closedError(this.#closeRequested, this.carrier.remoteId)
    if (this.#ending.begun) {
      const by = this.#ending.endedLocally ? 'local' : 'remote'
      throw P2PError.of('connection-closed', `the connection is ending: the ${by} side has called end()`, {
        closeCode: 0,
        reason: 'ended',
        by,
      })
    }
  }

  /** Undefined where that has to wait. */
  openBiNow(kind: StreamKind, early: boolean): DuplexStream | undefined {
    return this.#opener.openBiNow(kind, early)
  }

  /** At once, where the carrier can. */
  openBi(kind: StreamKind, signal: AbortSignal | undefined, early = false): DuplexStream | Promise<DuplexStream> {
    return this.#opener.openBi(kind, signal, early)
  }

  openUni(signal: AbortSignal | undefined): Promise<SendHalf> {
    return this.#opener.openUni(signal)
  }

  acceptBi(kind: StreamKind, signal: AbortSignal | undefined): Promise<DuplexStream> {
    return this.#inbound.acceptTwoWay(kind, signal)
  }

  /** A stream that waits to be accepted. */
  acceptBiNow(kind: StreamKind): DuplexStream | undefined {
    return this.#inbound.shiftTwoWay(kind)
  }

  acceptUni(signal: AbortSignal | undefined): Promise<ReceiveHalf> {
    return this.#inbound.acceptOneWay(signal)
  }

  async send(bytes: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    this.requireOurs('messages')
    this.checkOpen()
    await this.#sender.send(bytes, signal)
    this.#traffic.messageSent(bytes.length)
  }

  async recv(signal: AbortSignal | undefined): Promise<Uint8Array> {
    this.requireOurs('messages')
    const message = await this.#receiver.recv(signal)
    this.#traffic.messageReceived(message.length)
    return message
  }

  sendDatagram(bytes: Uint8Array): void {
    this.checkOpen()
    this.#datagrams.send(bytes)
  }

  recvDatagram(signal: AbortSignal | undefined): Promise<Uint8Array> {
    return this.#datagrams.recv(signal)
  }

  /** 0 when there are none, or no longer. */
  get maxDatagramBytes(): number {
    return this.connected ? this.carrier.maxDatagramBytes() : 0
  }

  stats(): ConnectionStats {
    const traffic = this.#traffic
    const packets = this.#info ? undefined : this.carrier.packets?.()
    const path = this.#info ? undefined : this.carrier.paths().find((candidate) => candidate.selected)
    return {
      messagesSent: traffic.messagesSent,
      messagesReceived: traffic.messagesReceived,
      datagramsSent: this.#datagrams.sent,
      datagramsReceived: this.#datagrams.received,
      bytesSent: traffic.bytesSent,
      bytesReceived: traffic.bytesReceived,
      streamsOpened: this.#streams.opened,
      streamsAccepted: this.#streams.accepted,
      packetsSent: packets?.sent,
      packetsLost: packets?.lost,
      rttMs: path?.rttMs,
      durationMs: this.#options.runtime.now() - this.#startedMs,
      path: path?.kind ?? 'none',
    }
  }

  close(code: number, reason: string): void {
    this.#closeRequested ??= describeClose({ closeCode: code, reason, by: 'local' }, this.ours)
    this.carrier.close(code, reason)
  }

  /** The graceful end, for all handles. */
  async end(signal?: AbortSignal): Promise<void> {
    if (this.#info) return
    const abort = (): void => this.close(0, 'end was aborted')
    signal?.addEventListener('abort', abort, { once: true })
    if (signal?.aborted) abort()
    try {
      await this.#end.run()
    } catch (error) {
      if (signal?.aborted) throw P2PError.aborted(signal, 'end')
      throw error
    } finally {
      signal?.removeEventListener('abort', abort)
    }
  }

  /** @throws P2PError `unsupported` on other protocols than ours */
  requireOurs(what: string): void {
    if (this.ours) return
    throw P2PError.of(
      'unsupported',
      `${what} exist on this library’s own protocol only; use streams on ${this.carrier.alpn}`,
      {
        what,
        backend: this.#options.backend,
      },
    )
  }

  /** Accepts streams until the connection is over, and what had arrived by then has been taken off the carrier. */
  async #accept(): Promise<void> {
    await this.#inbound.run()
    await this.closed
    const error = this.#endError()
    if (!this.#inbound.hasMessages) this.#receiver.close(error)
    this.#inbound.close(error)
  }

  async #receiveMessages(receive: CarrierReceiveStream, rest: Uint8Array): Promise<void> {
    await this.#receiver.pump(receive, rest, () => this.#endError())
    if (this.#receiver.done) return
    await this.closed
    this.#receiver.close(this.#endError())
  }

  async #receiveControl(receive: CarrierReceiveStream, rest: Uint8Array): Promise<void> {
    try {
      for await (const frame of this.#control.receive(receive, rest)) this.#handleControl(frame)
    } catch (error) {
      if (P2PError.is(error, 'protocol')) this.close(LIBRARY_CODE.protocol, error.message)
    }
  }

  #handleControl(frame: ControlFrame): void {
    if (frame.type === 'end') {
      this.#end.onPeerEnd(frame)
    } else if (frame.type === 'drained') {
      this.#ending.confirm()
    } else {
      this.#streams.aborted(frame)
    }
  }

  #sendControl(frame: ControlFrame, blocked: boolean): void {
    if (this.ours) {
      // A failure to write it means that the connection is over.
      this.#control.send(frame).catch(() => {})
    } else if (blocked && !this.#options.abortsBlockedStreams) {
      this.carrier.close(0, 'a blocked stream was aborted')
    }
  }

  /** Made once: the stack of an error is what costs. */
  #endedByPeer: P2PError | undefined

  /** Why nothing follows: the connection is over, or the peer has ended it and will close it. */
  #endError(): P2PError {
    if (this.#error) return this.#error
    if (this.#info) return closedError(this.#info, this.carrier.remoteId)
    return (this.#endedByPeer ??= closedError(ENDED_BY_PEER, this.carrier.remoteId))
  }

  #closed(close: CarrierClose): CloseInfo {
    const info = describeClose(close, this.ours)
    const error = closedError(info, this.carrier.remoteId)
    const local = close.by === 'local'
    this.#info = info
    this.#error = error
    this.#ending.connectionClosed(close)
    this.#streams.connectionClosed(error, local)
    this.#sender.fail(error)
    // Otherwise `#accept` and `#receiveMessages` do so, when they have what had arrived.
    if (local) {
      this.#receiver.close(error)
      this.#inbound.close(error)
    }
    return info
  }
}
