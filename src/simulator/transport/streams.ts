/**
 * All streams of a connection: opening and counting them, fair turns among those with something to send, and the
 * limits of both sides.
 *
 * @module
 */
import { SmallMap } from '../../core/small-map.ts'
import type { TransportConfig } from './config.ts'
import { ReceiveWindow, SendCredit } from './flow-control.ts'
import { TransportErrorCode } from './frames.ts'
import type { ControlFrame, StreamFrame } from './frames.ts'
import type { TransportParameters } from './handshake.ts'
import { Slab } from './send-buffer.ts'
import { ReceiveHalf, SendHalf } from './stream.ts'
import { StreamControls } from './stream-controls.ts'
import type { StreamCounts, StreamKindIndex } from './stream-controls.ts'

/** What the connection's user is told of its streams. It must not call back from inside. */
export interface StreamSink {
  /** The peer has opened a stream: its first bytes, its end or its reset are there. */
  onStreamOpened(streamId: number): void
  /** There is more to read, or the end. */
  onStreamReadable(streamId: number): void
  /** A write that was cut short can go on. */
  onStreamWritable(streamId: number): void
  /** The peer has everything that was written, and its end. */
  onStreamDelivered(streamId: number): void
  /** The peer has abandoned what it was sending. */
  onStreamReset(streamId: number, code: number): void
  /** The peer wants no more of what this side sends, which is reset thereby. */
  onStreamStopped(streamId: number, code: number): void
  /** The peer allows more streams of a kind. */
  onStreamsAvailable(bidi: boolean): void
}

/** Whether a stream carries bytes both ways. */
export function isBidi(streamId: number): boolean {
  return (streamId & 2) === 0
}

/** The largest STREAM frame without data. */
const STREAM_FRAME_BOUND = 25
const BIDI = 0
const UNI = 1

/** The streams of one connection. */
export class Streams implements StreamCounts {
  readonly #config: TransportConfig
  /** The bit that client and server differ in, in the ids of streams they open. */
  readonly #ownBit: number
  readonly #sink: StreamSink
  readonly #sends = new SmallMap<SendHalf>()
  readonly #receives = new SmallMap<ReceiveHalf>()
  /** How many streams of each kind this side has opened, and may open. */
  readonly #opened: [number, number] = [0, 0]
  readonly #mayOpen: [number, number] = [0, 0]
  /** How many the peer has opened, may open, and was told that it may. */
  readonly #peerOpened: [number, number] = [0, 0]
  readonly #peerMayOpen: [number, number]
  readonly #peerWasTold: [number, number]
  #peerStreamWindow = 0
  readonly #credit = new SendCredit(0)
  readonly #window: ReceiveWindow
  readonly #slab = new Slab()
  #unackedBytes = 0
  /** Those with something to send, linked in the order of their turns. */
  #firstQueued: SendHalf | undefined
  #lastQueued: SendHalf | undefined
  #waiting: SendHalf[] = []
  readonly #controls: StreamControls

  constructor(role: 'client' | 'server', config: TransportConfig, sink: StreamSink) {
    this.#config = config
    this.#ownBit = role === 'client' ? 0 : 1
    this.#sink = sink
    this.#peerMayOpen = [config.maxBidiStreams, config.maxUniStreams]
    this.#peerWasTold = [config.maxBidiStreams, config.maxUniStreams]
    this.#window = new ReceiveWindow(config.connectionWindowBytes)
    this.#controls = new StreamControls(this.#window, this)
  }

  /** Takes the peer's limits, once the handshake has brought them. */
  setPeerParameters(parameters: TransportParameters): void {
    this.#mayOpen[BIDI] = parameters.maxBidiStreams
    this.#mayOpen[UNI] = parameters.maxUniStreams
    this.#peerStreamWindow = parameters.streamWindowBytes
    this.#credit.raise(parameters.connectionWindowBytes)
  }

  tell(kind: StreamKindIndex): number {
    this.#peerWasTold[kind] = this.#peerMayOpen[kind]
    return this.#peerMayOpen[kind]
  }

  /** Opens a stream; undefined while the peer allows no more of its kind. */
  open(bidi: boolean): number | undefined {
    const kind = bidi ? BIDI : UNI
    const index = this.#opened[kind]
    if (index >= this.#mayOpen[kind]) return undefined
    this.#opened[kind] = index + 1
    const streamId = index * 4 + kind * 2 + this.#ownBit
    this.#sends.set(streamId, new SendHalf(streamId, this.#peerStreamWindow, this.#slab))
    if (bidi) {
      const half = new ReceiveHalf(streamId, this.#config.streamWindowBytes)
      half.announced = true
      this.#receives.set(streamId, half)
    }
    return streamId
  }

  /** Copies as many bytes as the limits allow; when not all, `onStreamWritable` follows. */
  write(streamId: number, bytes: Uint8Array, from: number): number {
    const half = this.#sends.get(streamId)
    if (!half?.writable) return 0
    const wanted = bytes.length - from
    const connection = Math.min(this.#credit.available, this.#config.sendWindowBytes - this.#unackedBytes)
    const accepted = Math.max(0, Math.min(wanted, half.credit.available, connection))
    if (accepted < wanted) {
      half.blocked = true
      if (connection <= half.credit.available) this.#waitForConnection(half)
    }
    if (accepted > 0) {
      half.buffer.write(bytes, from, accepted)
      half.credit.use(accepted)
      this.#credit.use(accepted)
      this.#unackedBytes += accepted
      this.#enqueue(half)
    }
    return accepted
  }

  /** Ends what this side sends. */
  finish(streamId: number): void {
    const half = this.#sends.get(streamId)
    if (!half?.writable) return
    half.closed = true
    half.finPending = true
    this.#enqueue(half)
  }

  /** Abandons what this side sends. */
  reset(streamId: number, code: number): void {
    const half = this.#sends.get(streamId)
    if (!half || half.resetCode !== undefined) return
    half.resetCode = code
    half.blocked = false
    const finalSize = half.buffer.end
    this.#releaseUnacked(half.buffer.unackedBytes)
    half.buffer.clear()
    this.#controls.push({ type: 'reset-stream', streamId, code, finalSize })
  }

  /** Wants no more of what the peer sends. */
  stop(streamId: number, code: number): void {
    const half = this.#receives.get(streamId)
    if (!half || half.stopCode !== undefined) return
    this.#window.release(half.highest - half.buffer.readTo)
    half.stopCode = code
    half.buffer.clear()
    if (half.hasFinalSize) this.#freeReceive(half)
    else this.#controls.push({ type: 'stop-sending', streamId, code })
    this.#checkConnectionWindow()
  }

  /** At most `maxBytes`; undefined when there are none yet, null when there will be none. */
  read(streamId: number, maxBytes: number): Uint8Array | null | undefined {
    const half = this.#receives.get(streamId)
    if (!half || half.stopCode !== undefined) return null
    const bytes = half.buffer.read(maxBytes)
    if (bytes) {
      half.window.release(bytes.length)
      this.#window.release(bytes.length)
      this.#checkConnectionWindow()
      if (half.wantsCredit && half.window.shouldGrant) this.#controls.grantStream(half)
    }
    if (!half.isRead) return bytes
    this.#freeReceive(half)
    return bytes ?? null
  }

  /** Whether any half of any stream is open. */
  get isIdle(): boolean {
    return this.#sends.size === 0 && this.#receives.size === 0
  }

  /** Whether STREAM frames wait to be sent. */
  get hasData(): boolean {
    for (let half = this.#firstQueued; half; half = this.#firstQueued) {
      if (half.hasPending) return true
      this.#dequeue(half)
    }
    return false
  }

  /** The other frames about streams that wait to be sent. */
  get controls(): StreamControls {
    return this.#controls
  }

  /** The STREAM frames that fit, a turn each; the first of a linked list. */
  takeFrames(budgetBytes: number): StreamFrame | undefined {
    let first: StreamFrame | undefined
    let last: StreamFrame | undefined
    let left = budgetBytes
    while (left > STREAM_FRAME_BOUND && this.hasData) {
      const half = this.#firstQueued as SendHalf
      this.#dequeue(half)
      const frame = half.buffer.nextFrame(half.streamId, left, half.closed)
      if (frame.fin) half.finPending = false
      left -= frame.sizeBytes
      if (last) last.next = frame
      else first = frame
      last = frame
      if (half.hasPending) this.#enqueue(half)
    }
    return first
  }

  /** A STREAM frame has arrived; a transport error code when it breaks the rules. */
  onStreamFrame(frame: StreamFrame): number {
    const error = this.#ensurePeerStream(frame.streamId)
    if (error) return error
    const half = this.#receives.get(frame.streamId)
    if (!half) return this.#unlessSendOnly(frame.streamId)
    const before = half.buffer.contiguousTo
    const wasComplete = half.isComplete
    const added = half.extend(frame.offset + frame.length, frame.fin)
    if (typeof added === 'string') return TransportErrorCode[added === 'final-size' ? 'finalSize' : 'flowControl']
    if (!this.#window.receive(added)) return TransportErrorCode.flowControl
    if (half.stopCode !== undefined) {
      this.#window.release(added)
      this.#checkConnectionWindow()
      if (half.hasFinalSize) this.#freeReceive(half)
      return 0
    }
    half.buffer.insert(frame)
    if (half.buffer.contiguousTo === before && half.isComplete === wasComplete) return 0
    this.#announce(half)
    this.#sink.onStreamReadable(frame.streamId)
    return 0
  }

  /** RESET_STREAM has arrived. */
  onResetStream(streamId: number, code: number, finalSize: number): number {
    const error = this.#ensurePeerStream(streamId)
    if (error) return error
    const half = this.#receives.get(streamId)
    if (!half) return this.#unlessSendOnly(streamId)
    // All of it has arrived before: there is nothing left to abandon.
    if (half.isComplete) return 0
    const added = half.extend(finalSize, true)
    if (typeof added === 'string') return TransportErrorCode[added === 'final-size' ? 'finalSize' : 'flowControl']
    if (!this.#window.receive(added)) return TransportErrorCode.flowControl
    this.#window.release(half.stopCode === undefined ? finalSize - half.buffer.readTo : added)
    this.#checkConnectionWindow()
    half.resetCode = code
    half.buffer.clear()
    const wanted = half.stopCode === undefined
    if (wanted) this.#announce(half)
    this.#freeReceive(half)
    if (wanted) this.#sink.onStreamReset(streamId, code)
    return 0
  }

  /** STOP_SENDING has arrived: what is sent is reset with the same code. */
  onStopSending(streamId: number, code: number): number {
    const error = this.#ensurePeerStream(streamId)
    if (error) return error
    if (!isBidi(streamId) && (streamId & 1) !== this.#ownBit) return TransportErrorCode.streamState
    const half = this.#sends.get(streamId)
    if (!half || half.resetCode !== undefined) return 0
    half.stopCode = code
    this.reset(streamId, code)
    this.#sink.onStreamStopped(streamId, code)
    return 0
  }

  /** MAX_STREAM_DATA has arrived. */
  onMaxStreamData(streamId: number, max: number): number {
    const error = this.#ensurePeerStream(streamId)
    if (error) return error
    const half = this.#sends.get(streamId)
    if (half?.credit.raise(max) && half.blocked) this.#unblock(half)
    return 0
  }

  /** MAX_DATA has arrived. */
  onMaxData(max: number): void {
    if (this.#credit.raise(max)) this.#wakeWaiting()
  }

  /** MAX_STREAMS has arrived. */
  onMaxStreams(bidi: boolean, max: number): void {
    const kind = bidi ? BIDI : UNI
    if (max <= this.#mayOpen[kind]) return
    this.#mayOpen[kind] = max
    this.#sink.onStreamsAvailable(bidi)
  }

  /** STREAM frames of a packet that was acknowledged. */
  onFramesAcked(first: StreamFrame): void {
    for (let frame: StreamFrame | undefined = first; frame; frame = frame.next) {
      const half = this.#sends.get(frame.streamId)
      if (!half) continue
      const acked = half.onAcked(frame)
      if (acked > 0) this.#releaseUnacked(acked)
      if (half.resetCode === undefined && half.isDelivered) {
        this.#freeSend(half)
        this.#sink.onStreamDelivered(frame.streamId)
      }
    }
  }

  /** STREAM frames of a packet that was lost. */
  onFramesLost(first: StreamFrame): void {
    for (let frame: StreamFrame | undefined = first; frame; frame = frame.next) {
      const half = this.#sends.get(frame.streamId)
      if (!half) continue
      half.onLost(frame)
      if (half.hasPending) this.#enqueue(half)
    }
  }

  /** A frame about a stream was acknowledged. */
  onControlAcked(frame: ControlFrame): void {
    if (frame.type !== 'reset-stream') return
    const half = this.#sends.get(frame.streamId)
    if (half) this.#freeSend(half)
  }

  /** A frame about a stream was lost: it is sent again where it still says something. */
  onControlLost(frame: ControlFrame): void {
    switch (frame.type) {
      case 'reset-stream':
        if (this.#sends.has(frame.streamId)) this.#controls.push(frame)
        break
      case 'stop-sending':
        if (this.#receives.has(frame.streamId)) this.#controls.push(frame)
        break
      case 'max-stream-data': {
        const half = this.#receives.get(frame.streamId)
        if (half?.wantsCredit) this.#controls.grantStream(half)
        break
      }
      case 'max-data':
        this.#controls.grantConnection()
        break
      case 'max-streams':
        this.#controls.grantStreams(frame.bidi ? BIDI : UNI)
        break
      default:
        break
    }
  }

  #enqueue(half: SendHalf): void {
    if (half.queued) return
    half.queued = true
    if (this.#lastQueued) this.#lastQueued.nextQueued = half
    else this.#firstQueued = half
    this.#lastQueued = half
  }

  /** Takes out the first one. */
  #dequeue(first: SendHalf): void {
    first.queued = false
    this.#firstQueued = first.nextQueued
    if (!first.nextQueued) this.#lastQueued = undefined
    first.nextQueued = undefined
  }

  #checkConnectionWindow(): void {
    if (this.#window.shouldGrant) this.#controls.grantConnection()
  }

  #waitForConnection(half: SendHalf): void {
    if (half.waitsForConnection) return
    half.waitsForConnection = true
    this.#waiting.push(half)
  }

  #releaseUnacked(bytes: number): void {
    this.#unackedBytes -= bytes
    if (this.#waiting.length > 0) this.#wakeWaiting()
  }

  #wakeWaiting(): void {
    if (this.#credit.available <= 0 || this.#unackedBytes >= this.#config.sendWindowBytes) return
    const waiting = this.#waiting
    this.#waiting = []
    for (const half of waiting) {
      half.waitsForConnection = false
      if (half.blocked && half.writable && half.credit.available > 0) this.#unblock(half)
    }
  }

  /** Tells the writer to go on, or waits for the connection's limits too. */
  #unblock(half: SendHalf): void {
    if (this.#credit.available <= 0 || this.#unackedBytes >= this.#config.sendWindowBytes) {
      this.#waitForConnection(half)
      return
    }
    half.blocked = false
    this.#sink.onStreamWritable(half.streamId)
  }

  #announce(half: ReceiveHalf): void {
    if (half.announced) return
    half.announced = true
    this.#sink.onStreamOpened(half.streamId)
  }

  /** Makes the streams up to one that the peer has opened; an error code when it may not. */
  #ensurePeerStream(streamId: number): number {
    const kind = isBidi(streamId) ? BIDI : UNI
    const index = Math.floor(streamId / 4)
    if ((streamId & 1) === this.#ownBit) return index < this.#opened[kind] ? 0 : TransportErrorCode.streamState
    if (index < this.#peerOpened[kind]) return 0
    if (index >= this.#peerMayOpen[kind]) return TransportErrorCode.streamLimit
    for (let i = this.#peerOpened[kind]; i <= index; i++) {
      const id = i * 4 + kind * 2 + (1 - this.#ownBit)
      this.#receives.set(id, new ReceiveHalf(id, this.#config.streamWindowBytes))
      if (kind === BIDI) this.#sends.set(id, new SendHalf(id, this.#peerStreamWindow, this.#slab))
    }
    this.#peerOpened[kind] = index + 1
    return 0
  }

  /** 0 for a stream that is over; an error code for one that only this side may send on. */
  #unlessSendOnly(streamId: number): number {
    return !isBidi(streamId) && (streamId & 1) === this.#ownBit ? TransportErrorCode.streamState : 0
  }

  #freeSend(half: SendHalf): void {
    this.#sends.delete(half.streamId)
    if (!this.#receives.has(half.streamId)) this.#onPeerStreamOver(half.streamId)
  }

  #freeReceive(half: ReceiveHalf): void {
    this.#receives.delete(half.streamId)
    if (!this.#sends.has(half.streamId)) this.#onPeerStreamOver(half.streamId)
  }

  /** The peer may open another one; it is told when an eighth of its streams are over. */
  #onPeerStreamOver(streamId: number): void {
    if ((streamId & 1) === this.#ownBit) return
    const kind = isBidi(streamId) ? BIDI : UNI
    const max = kind === BIDI ? this.#config.maxBidiStreams : this.#config.maxUniStreams
    this.#peerMayOpen[kind]++
    if (this.#peerMayOpen[kind] - this.#peerWasTold[kind] > max / 8) this.#controls.grantStreams(kind)
  }
}
