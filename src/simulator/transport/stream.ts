/**
 * The two halves of a stream and their states (RFC 9000, 3).
 *
 * @module
 */
import { ReceiveWindow, SendCredit } from './flow-control.ts'
import type { StreamFrame } from './frames.ts'
import { ReceiveBuffer } from './receive-buffer.ts'
import { SendBuffer, Slab } from './send-buffer.ts'

const UNKNOWN = -1

/** What this side sends. */
export class SendHalf {
  readonly streamId: number
  readonly buffer: SendBuffer
  readonly credit: SendCredit
  /** `finish` was called. */
  closed = false
  /** A frame with FIN is to be sent, for the first time or again. */
  finPending = false
  #finAcked = false
  /** The code of the reset, which ends everything else. */
  resetCode: number | undefined
  /** The code with which the peer asked for no more. */
  stopCode: number | undefined
  /** In the queue of those with something to send. */
  queued = false
  /** The next one there. */
  nextQueued: SendHalf | undefined
  /** A write was cut short; the writer is to be told when there is room. */
  blocked = false
  /** In the list of those that wait for the connection's limits. */
  waitsForConnection = false

  constructor(streamId: number, limit: number, slab: Slab = new Slab()) {
    this.streamId = streamId
    this.buffer = new SendBuffer(slab)
    this.credit = new SendCredit(limit)
  }

  /** Whether `write` and `finish` make sense. */
  get writable(): boolean {
    return !this.closed && this.resetCode === undefined
  }

  /** Whether there is a frame to send. */
  get hasPending(): boolean {
    return this.resetCode === undefined && (this.finPending || this.buffer.hasPending)
  }

  /** A frame was lost. */
  onLost(frame: StreamFrame): void {
    if (this.resetCode !== undefined) return
    if (frame.fin && !this.#finAcked) this.finPending = true
    this.buffer.retransmit(frame.offset, frame.length)
  }

  /** A frame has arrived; returns how many bytes more are now known to. */
  onAcked(frame: StreamFrame): number {
    if (this.resetCode !== undefined) return 0
    if (frame.fin) {
      this.#finAcked = true
      this.finPending = false
    }
    return this.buffer.acknowledge(frame.offset, frame.length)
  }

  /** Whether the peer has everything, and knows that it is everything. */
  get isDelivered(): boolean {
    return this.#finAcked && this.buffer.isAcked
  }
}

/** What this side receives. */
export class ReceiveHalf {
  readonly streamId: number
  readonly buffer: ReceiveBuffer = new ReceiveBuffer()
  readonly window: ReceiveWindow
  /** The highest offset the peer has used. */
  #highest = 0
  #finalSize = UNKNOWN
  /** The code of the peer's reset. */
  resetCode: number | undefined
  /** The code with which this side asked for no more. */
  stopCode: number | undefined
  /** Whether the other side of the seam knows that this stream exists. */
  announced = false
  /** A MAX_STREAM_DATA is to be sent. */
  creditQueued = false

  constructor(streamId: number, windowBytes: number) {
    this.streamId = streamId
    this.window = new ReceiveWindow(windowBytes)
  }

  /** The offset behind the last byte the peer has sent, with gaps or without. */
  get highest(): number {
    return this.#highest
  }

  /** Whether the peer may still send, so that credit is of use to it. */
  get wantsCredit(): boolean {
    return this.#finalSize === UNKNOWN && this.stopCode === undefined
  }

  /** Whether every byte has arrived, read or not. */
  get isComplete(): boolean {
    return this.#finalSize === this.buffer.contiguousTo
  }

  /** Whether every byte has been read, and there are no more. */
  get isRead(): boolean {
    return this.#finalSize === this.buffer.readTo
  }

  /** Whether the peer has said how long the stream is. */
  get hasFinalSize(): boolean {
    return this.#finalSize !== UNKNOWN
  }

  /** Takes the end of a frame or the final size; how many bytes are new, or why it cannot be. */
  extend(end: number, final: boolean): number | 'final-size' | 'flow-control' {
    if (this.#finalSize !== UNKNOWN && (end > this.#finalSize || (final && end !== this.#finalSize))) {
      return 'final-size'
    }
    if (final && end < this.#highest) return 'final-size'
    const added = Math.max(0, end - this.#highest)
    if (added > 0 && !this.window.receive(added)) return 'flow-control'
    this.#highest += added
    if (final) this.#finalSize = end
    return added
  }
}
