/**
 * Datagrams of the application (RFC 9221) on their way out: unreliable, in no order, bounded by what a packet holds. They
 * share the congestion window with streams and go before them.
 *
 * @module
 */
import { varintLength } from '../../core/encoding.ts'
import { CONNECTION_ID_BYTES, TAG_BYTES } from './packet.ts'

/** Type and the longest length of a DATAGRAM frame (noq-proto 1.4, frame.rs). */
const FRAME_BOUND = 9
/** A packet's header and tag with the longest packet number, so that the limit does not follow the number. */
const OVERHEAD_BYTES = 1 + CONNECTION_ID_BYTES + 4 + TAG_BYTES
/** What a queued datagram costs besides its bytes, so that empty ones are bounded too. */
const ENTRY_BYTES = 32

/** One datagram in a packet. */
export class DatagramFrame {
  readonly bytes: Uint8Array
  readonly sizeBytes: number
  /** The next one of the packet. */
  next: DatagramFrame | undefined = undefined

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.sizeBytes = 1 + varintLength(bytes.length) + bytes.length
  }
}

/** The largest datagram that fits a UDP payload of `mtuBytes`. */
export function maxDatagramBytes(mtuBytes: number): number {
  return mtuBytes - OVERHEAD_BYTES - FRAME_BOUND
}

/** A connection's datagrams: those that wait to be sent, and counters of both directions. */
export class Datagrams {
  readonly #limitBytes: number
  #queue: (DatagramFrame | undefined)[] = []
  #head = 0
  #queuedBytes = 0
  /** Put into packets. */
  sent = 0
  /** Handed over to the connection's user. */
  received = 0
  /** Never sent: pushed out of a full queue by later ones, or too large for a path that has become narrower. */
  dropped = 0

  /** @param limitBytes how much may wait, with 32 bytes for each one's own sake */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  /** Datagrams that wait to be sent. */
  get waiting(): number {
    return this.#queue.length - this.#head
  }

  /** Queues a copy. In a full queue the oldest make room, as what is late is worth least. */
  push(bytes: Uint8Array): void {
    while (this.#queuedBytes + bytes.length + ENTRY_BYTES > this.#limitBytes && this.waiting > 0) {
      this.#shift()
      this.dropped++
    }
    this.#queue.push(new DatagramFrame(bytes.slice()))
    this.#queuedBytes += bytes.length + ENTRY_BYTES
  }

  /** Takes out those that a packet of `budgetBytes` holds; the first of a linked list. */
  take(budgetBytes: number): DatagramFrame | undefined {
    let first: DatagramFrame | undefined
    let last: DatagramFrame | undefined
    let left = budgetBytes
    while (left > FRAME_BOUND && this.waiting > 0) {
      if ((this.#queue[this.#head] as DatagramFrame).sizeBytes > left) break
      const frame = this.#shift()
      left -= frame.sizeBytes
      this.sent++
      if (last) last.next = frame
      else first = frame
      last = frame
    }
    return first
  }

  /** The path carries less than before: what does not fit any more would stay in front for ever. */
  dropLargerThan(maxBytes: number): void {
    const kept = this.#queue.slice(this.#head).filter((frame) => (frame as DatagramFrame).bytes.length <= maxBytes)
    this.dropped += this.waiting - kept.length
    this.#queue = kept
    this.#head = 0
    this.#queuedBytes = 0
    for (const frame of kept) this.#queuedBytes += (frame as DatagramFrame).bytes.length + ENTRY_BYTES
  }

  #shift(): DatagramFrame {
    const frame = this.#queue[this.#head] as DatagramFrame
    this.#queue[this.#head++] = undefined
    this.#queuedBytes -= frame.bytes.length + ENTRY_BYTES
    if (this.#head === this.#queue.length) {
      this.#queue.length = 0
      this.#head = 0
    } else if (this.#head > 64 && this.#head * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head)
      this.#head = 0
    }
    return frame
  }
}
