/**
 * What all handles of one connection share: the carrier's connection, its streams sorted by kind, messages, control
 * frames, and the graceful end. Handles are in `connection.ts`.
 *
 * @module
 */
import type {
  CarrierClose,
  CarrierConnection,
  CarrierReceiveStream,
  CarrierSendStream,
  CarrierStream,
} from '../carrier.ts'
import type { P2PLimits } from '../config.ts'
import type { CloseInfo, ConnectionStats, StreamKind } from '../connection.ts'
import { P2PError } from '../errors.ts'
import type { Runtime } from '../runtime.ts'
import type { P2PReceiveStream, P2PStream } from '../stream.ts'
import { ControlChannel } from './control.ts'
import { Ending } from './ending.ts'
import { readStreamHeader } from './header.ts'
import { MessageReceiver, MessageSender } from './messages.ts'
import type { SendHalf } from './send-half.ts'
import { DuplexStream, StreamTable } from './streams.ts'
import { abortable, AsyncQueue, DeadlineQueue } from './waiting.ts'
import type { ControlFrame } from './wire.ts'
import { encodeStreamHeader, LIBRARY_CODE, STREAM_KIND } from './wire.ts'

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
  readonly limits: P2PLimits
  readonly ours: boolean
  readonly closed: Promise<CloseInfo>
  readonly #options: SessionOptions
  readonly #startedMs: number
  readonly #kinds = new Set<StreamKind>()
  readonly #accepted: Readonly<Record<StreamKind, AsyncQueue<P2PStream>>> = {
    stream: new AsyncQueue(),
    request: new AsyncQueue(),
  }
  readonly #acceptedOneWay = new AsyncQueue<P2PReceiveStream>()
  readonly #streams: StreamTable
  readonly #sender: MessageSender
  readonly #receiver: MessageReceiver
  readonly #control: ControlChannel
  readonly #ending: Ending
  readonly #headers: DeadlineQueue
  #handles = 0
  #info: CloseInfo | undefined
  #error: P2PError | undefined
  #receivingMessages = false
  #receivingControl = false
  #answered = false
  #closing = false
  #messagesSent = 0
  #messagesReceived = 0
  #bytesSent = 0
  #bytesReceived = 0

  constructor(options: SessionOptions) {
    const { carrier, limits, runtime } = options
    this.#options = options
    this.carrier = carrier
    this.limits = limits
    this.ours = options.ours
    this.#startedMs = runtime.now()
    this.#headers = new DeadlineQueue(runtime, limits.streamHeaderTimeoutMs)
    const openUni = async (): Promise<CarrierSendStream> => {
      const stream = await carrier.openUni()
      this.#streams.announceAll()
      return stream
    }
    this.#control = new ControlChannel(openUni)
    this.#sender = new MessageSender({
      maxMessageBytes: limits.maxMessageBytes,
      queueBytes: limits.sendQueueBytes,
      open: openUni,
    })
    this.#ending = new Ending({
      runtime,
      timeoutMs: limits.endTimeoutMs,
      drainBytes: limits.drainBufferBytes,
      remote: () => carrier.remoteId.fmtShort(),
      closeConfirms: !options.ours,
    })
    this.#receiver = new MessageReceiver({
      maxMessageBytes: limits.maxMessageBytes,
      queueBytes: limits.receiveQueueBytes,
      grantDrainBytes: (bytes) => this.#ending.grant(bytes),
      returnDrainBytes: (bytes) => this.#returnDrainBytes(bytes),
      done: () => this.#checkDrained(),
    })
    this.#streams = new StreamTable({
      abortsBlockedStreams: options.abortsBlockedStreams,
      grantDrainBytes: (bytes) => this.#ending.grant(bytes),
      returnDrainBytes: (bytes) => this.#returnDrainBytes(bytes),
      drained: () => this.#checkDrained(),
      control: (frame, blocked) => this.#sendControl(frame, blocked),
      sent: (bytes) => (this.#bytesSent += bytes),
      received: (bytes) => (this.#bytesReceived += bytes),
    })
    this.closed = carrier.closed.then((close) => this.#closed(close))
  }

  /** Starts taking streams of these kinds off the connection, for one more handle. */
  attach(kinds: readonly StreamKind[]): void {
    this.#handles++
    for (const kind of kinds) this.#kinds.add(kind)
  }

  /** Starts to accept streams; before, they wait in the transport. */
  start(): void {
    void this.#acceptLoop(
      () => this.carrier.acceptBi(),
      (stream) => this.#classifyBi(stream),
    )
    void this.#acceptLoop(
      () => this.carrier.acceptUni(),
      (stream) => this.#classifyUni(stream),
    )
  }

  /** One handle fewer; true when that was the last. */
  release(): boolean {
    this.#handles--
    return this.#handles === 0
  }

  get connected(): boolean {
    return this.#info === undefined && !this.#closing && !this.#ending.begun
  }

  /** Throws when nothing new can be started any more. */
  checkOpen(): void {
    if (this.#error) throw this.#error
    if (this.#ending.begun) {
      const by = this.#ending.endedLocally ? 'local' : 'remote'
      throw P2PError.of('connection-closed', `the connection is ending: the ${by} side has called end()`, {
        closeCode: 0,
        reason: 'ended',
        by,
      })
    }
  }

  async openBi(kind: StreamKind, signal: AbortSignal | undefined): Promise<DuplexStream> {
    this.checkOpen()
    const opening = this.carrier.openBi()
    const open = (stream: CarrierStream): DuplexStream =>
      this.#streams.openBi(stream, (number) => this.#header(STREAM_KIND[kind], number))
    if (!signal) return open(await opening)
    return open(await abortable(opening, signal, 'openStream', (late) => this.#refuse(0, late.receive, late.send)))
  }

  async openUni(signal: AbortSignal | undefined): Promise<SendHalf> {
    this.checkOpen()
    const opening = this.carrier.openUni()
    const stream = await (signal ? abortable(opening, signal, 'openSendStream', (late) => late.reset(0)) : opening)
    return this.#streams.openUni(stream, (number) => this.#header(STREAM_KIND.oneWay, number))
  }

  acceptBi(kind: StreamKind, signal: AbortSignal | undefined): Promise<P2PStream> {
    this.#kinds.add(kind)
    return this.#accepted[kind].next(signal, 'acceptStream')
  }

  acceptUni(signal: AbortSignal | undefined): Promise<P2PReceiveStream> {
    return this.#acceptedOneWay.next(signal, 'acceptReceiveStream')
  }

  async send(bytes: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    this.#requireOurs('messages')
    this.checkOpen()
    await this.#sender.send(bytes, signal)
    this.#messagesSent++
    this.#bytesSent += bytes.length
  }

  async recv(signal: AbortSignal | undefined): Promise<Uint8Array> {
    this.#requireOurs('messages')
    const message = await this.#receiver.recv(signal)
    this.#messagesReceived++
    this.#bytesReceived += message.length
    return message
  }

  stats(): ConnectionStats {
    const path = this.#info ? undefined : this.carrier.paths().find((candidate) => candidate.selected)
    return {
      messagesSent: this.#messagesSent,
      messagesReceived: this.#messagesReceived,
      bytesSent: this.#bytesSent,
      bytesReceived: this.#bytesReceived,
      streamsOpened: this.#streams.opened,
      streamsAccepted: this.#streams.accepted,
      rttMs: path?.rttMs,
      durationMs: this.#options.runtime.now() - this.#startedMs,
      path: path?.kind ?? 'none',
    }
  }

  close(code: number, reason: string): void {
    this.#closing = true
    this.carrier.close(code, reason)
  }

  /** The graceful end, for all handles. */
  async end(signal?: AbortSignal): Promise<void> {
    if (this.#info) return
    const abort = (): void => this.close(0, 'end was aborted')
    signal?.addEventListener('abort', abort, { once: true })
    if (signal?.aborted) abort()
    try {
      await this.#end()
    } catch (error) {
      if (signal?.aborted) throw P2PError.aborted(signal, 'end')
      throw error
    } finally {
      signal?.removeEventListener('abort', abort)
    }
  }

  async #end(): Promise<void> {
    // What the peer still sends must not wait for a reader who has left.
    this.#receiver.drain()
    this.#streams.drainAll()
    const confirmed = await this.#sayEnd()
    if (confirmed) await this.#ending.settleDebt()
    this.carrier.close(this.#ending.drainedSent ? LIBRARY_CODE.drained : LIBRARY_CODE.ended, 'ended')
    if (!confirmed) throw this.#ending.unconfirmed()
  }

  /** Finishes everything and says so; resolves with whether the peer confirmed that it has arrived. */
  #sayEnd(): Promise<boolean> {
    return this.#ending.begin(async () => {
      await Promise.all([this.#sender.finish(), this.#streams.finishAll()])
      if (this.ours) {
        await this.#control.send({ type: 'end', streams: this.#streams.opened, messages: this.#sender.used })
      } else if (this.#options.confirmsDelivery) {
        await this.#streams.acknowledged()
        this.#ending.confirm()
      }
    })
  }

  /**
   * After the peer's END nothing new can be started here either. When no stream is half-way, this side says END too,
   * before its DRAINED: so the peer, which will close, knows that there is more to drain and loses none of it.
   */
  async #answerEnd(): Promise<void> {
    if (this.#streams.sending) return
    try {
      await this.#sender.finish()
      if (this.#streams.sending) return
      void this.#sayEnd()
      await this.#ending.announced
    } catch {
      // The connection is over, or the peer has stopped this side's messages: nothing is owed.
    }
  }

  #requireOurs(what: string): void {
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

  #header(kind: number, number: number): Uint8Array | undefined {
    return this.ours ? encodeStreamHeader(kind, number) : undefined
  }

  async #acceptLoop<T>(accept: () => Promise<T>, classify: (stream: T) => Promise<void>): Promise<void> {
    try {
      for (;;) void classify(await accept())
    } catch {
      // The connection is over; `closed` says how.
    }
  }

  /** Reads a stream's header, giving up on peers that open a stream and say nothing. */
  async #readHeader(
    receive: CarrierReceiveStream,
    send: CarrierSendStream | undefined,
  ): Promise<Awaited<ReturnType<typeof readStreamHeader>>> {
    this.#headers.add(receive, () => this.#refuse(LIBRARY_CODE.headerTimeout, receive, send))
    try {
      return await readStreamHeader(receive)
    } catch {
      return undefined
    } finally {
      this.#headers.done(receive)
    }
  }

  #refuse(code: number, receive: CarrierReceiveStream, send?: CarrierSendStream): void {
    receive.stop(code)
    send?.reset(code)
  }

  async #classifyBi(stream: CarrierStream): Promise<void> {
    if (!this.ours) {
      this.#deliver('stream', this.#streams.acceptBi(stream, undefined, undefined))
      return
    }
    const header = await this.#readHeader(stream.receive, stream.send)
    const kind = (['stream', 'request'] as const).find((name) => STREAM_KIND[name] === header?.kind)
    if (!header || !kind || !this.#kinds.has(kind)) {
      this.#refuse(header && !kind ? LIBRARY_CODE.protocol : LIBRARY_CODE.unclaimed, stream.receive, stream.send)
      this.#streams.skipped()
      return
    }
    this.#deliver(kind, this.#streams.acceptBi(stream, header.number, header.rest))
  }

  #deliver(kind: StreamKind, stream: DuplexStream): void {
    const queue = this.#accepted[kind]
    if (queue.length >= this.limits.maxWaitingStreams) stream.refuse(LIBRARY_CODE.limit)
    else queue.push(stream)
  }

  async #classifyUni(receive: CarrierReceiveStream): Promise<void> {
    if (!this.ours) {
      this.#acceptedOneWay.push(this.#streams.acceptUni(receive, undefined, undefined))
      return
    }
    const header = await this.#readHeader(receive, undefined)
    if (header?.kind === STREAM_KIND.control && !this.#receivingControl) {
      this.#receivingControl = true
      await this.#receiveControl(receive, header.rest)
    } else if (header?.kind === STREAM_KIND.messages && !this.#receivingMessages) {
      this.#receivingMessages = true
      if (!this.#kinds.has('stream')) {
        this.#refuse(LIBRARY_CODE.unclaimed, receive)
        this.#receiver.close(this.#closeError())
        return
      }
      await this.#receiver.pump(receive, header.rest, () => this.#closeError())
    } else if (header?.kind === STREAM_KIND.oneWay && this.#kinds.has('stream')) {
      const stream = this.#streams.acceptUni(receive, header.number, header.rest)
      if (this.#acceptedOneWay.length >= this.limits.maxWaitingStreams) stream.stopWith(LIBRARY_CODE.limit)
      else this.#acceptedOneWay.push(stream)
    } else {
      const known = header?.kind === STREAM_KIND.oneWay
      this.#refuse(known || !header ? LIBRARY_CODE.unclaimed : LIBRARY_CODE.protocol, receive)
      if (known || !header) this.#streams.skipped()
      else this.close(LIBRARY_CODE.protocol, `a stream of the unknown or repeated kind ${header.kind}`)
    }
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
      this.#ending.remoteEnded(frame)
      this.#streams.drainAll()
      this.#receiver.drain()
      void this.#answerEnd().then(() => {
        this.#answered = true
        this.#checkDrained()
      })
      this.#ending.expectClose(() =>
        this.carrier.close(LIBRARY_CODE.ended, 'the peer ended, and did not close in time'),
      )
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

  #returnDrainBytes(bytes: number): void {
    this.#ending.returned(bytes)
    if (this.#ending.remoteEnd) {
      this.#streams.drainAll()
      this.#receiver.drain()
    }
  }

  /** Says DRAINED once everything that the peer's END announced has arrived. */
  #checkDrained(): void {
    const announced = this.#ending.remoteEnd
    if (!announced || !this.#answered || this.#ending.drainedSent || this.#info) return
    if (announced.messages && !this.#receiver.done) return
    if (!this.#streams.drained(announced.streams)) return
    this.#ending.sentDrained()
    this.#control.send({ type: 'drained' }).catch(() => {})
  }

  #closeError(): P2PError {
    return this.#error ?? closedError(this.#info ?? ENDED_BY_PEER, this.carrier.remoteId.fmtShort())
  }

  #closed(close: CarrierClose): CloseInfo {
    const info = describeClose(close)
    this.#info = info
    this.#headers.clear()
    const error = closedError(info, this.carrier.remoteId.fmtShort())
    this.#error = error
    this.#ending.connectionClosed(close)
    this.#streams.connectionClosed(error)
    this.#sender.fail(error)
    this.#receiver.close(error)
    for (const queue of [this.#accepted.stream, this.#accepted.request, this.#acceptedOneWay]) queue.close(error)
    return info
  }
}

const ENDED_BY_PEER: CloseInfo = { closeCode: 0, reason: 'ended', by: 'remote', refused: false }

/** A carrier's close as the application sees it: the library's own codes become words. */
export function describeClose(close: CarrierClose): CloseInfo {
  const { closeCode, reason, by } = close
  const refused = closeCode === LIBRARY_CODE.refused
  return { closeCode: closeCode > 0xffff_ffff ? 0 : closeCode, reason, by, refused }
}

/** The error that everything waiting on a connection fails with when it is over. */
export function closedError(info: CloseInfo, remote: string): P2PError {
  if (info.refused && info.by === 'remote') {
    return P2PError.of('refused', `${remote} refused the connection: ${info.reason}`, { node: remote })
  }
  const who = info.by === 'local' ? 'this side' : info.by === 'remote' ? remote : 'the transport'
  const why = info.reason === '' ? '' : `: ${info.reason}`
  return P2PError.of('connection-closed', `${who} closed the connection (code ${info.closeCode})${why}`, {
    closeCode: info.closeCode,
    reason: info.reason,
    by: info.by,
  })
}
