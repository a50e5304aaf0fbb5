/**
 * All streams of a connection: writing and reading them, fair turns among those with something to send, and the
 * limits of both sides.
 *
 * @module
 */
import { NumberMap } from '../../core/number-map.ts'
import type { TransportConfig } from './config.ts'
import { ReceiveWindow, SendCredit } from './flow-control.ts'
import { TransportErrorCode } from './frames.ts'
import type { ControlFrame, StreamFrame } from './frames.ts'
import type { TransportParameters } from './handshake.ts'
import { Slab } from './send-buffer.ts'
import { ReceiveHalf, SendHalf } from './stream.ts'
import { StreamControls } from './stream-controls.ts'
import { isBidi, kindIndex, StreamCounts } from './stream-counts.ts'
import type { StreamSink } from './sink.ts'

/** The largest STREAM frame without data. */
const STREAM_FRAME_BOUND = 25

/** The streams of one connection. */
export class Streams {
  readonly #config: TransportConfig
  readonly #sink: StreamSink
  readonly #sends = new NumberMap<SendHalf>()
  readonly #receives = new NumberMap<ReceiveHalf>()
  readonly #counts: StreamCounts
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
    this.#sink = sink
    this.#counts = new StreamCounts(role, config)
    this.#window = new ReceiveWindow(config.connectionWindowBytes)
    this.#controls = new StreamControls(this.#window, this.#counts)
  }

  /** Takes the peer's limits, once the handshake has brought them. */
  setPeerParameters(parameters: TransportParameters): void {
    this.#counts.setPeerParameters(parameters)
    this.#peerStreamWindow = parameters.streamWindowBytes
    this.#credit.raise(parameters.connectionWindowBytes)
  }

  /** Opens a stream; undefined while the peer allows no more of its kind. */
  open(bidi: boolean): number | undefined {
    const streamId = this.#counts.open(bidi)
    if (streamId === undefined) return undefined
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
    if (!isBidi(streamId) && !this.#counts.isOwn(streamId)) return TransportErrorCode.streamState
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
    if (this.#counts.raise(bidi, max)) this.#sink.onStreamsAvailable(bidi)
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
        this.#controls.grantStreams(kindIndex(frame.bidi))
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
    const counts = this.#counts
    if (counts.isOwn(streamId)) return counts.isOpened(streamId) ? 0 : TransportErrorCode.streamState
    if (counts.isPeerOpened(streamId)) return 0
    if (!counts.mayPeerOpen(streamId)) return TransportErrorCode.streamLimit
    const bidi = isBidi(streamId)
    for (let id = counts.onPeerOpened(streamId); id <= streamId; id += 4) {
      this.#receives.set(id, new ReceiveHalf(id, this.#config.streamWindowBytes))
      if (bidi) this.#sends.set(id, new SendHalf(id, this.#peerStreamWindow, this.#slab))
    }
    return 0
  }

  /** 0 for a stream that is over; an error code for one that only this side may send on. */
  #unlessSendOnly(streamId: number): number {
    return !isBidi(streamId) && this.#counts.isOwn(streamId) ? TransportErrorCode.streamState : 0
  }

  #freeSend(half: SendHalf): void {
    this.#sends.delete(half.streamId)
    if (!this.#receives.has(half.streamId)) this.#onOver(half.streamId)
  }

  #freeReceive(half: ReceiveHalf): void {
    this.#receives.delete(half.streamId)
    if (!this.#sends.has(half.streamId)) this.#onOver(half.streamId)
  }

  #onOver(streamId: number): void {
    if (this.#counts.onOver(streamId)) this.#controls.grantStreams(kindIndex(isBidi(streamId)))
  }
}
