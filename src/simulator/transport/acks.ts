/**
 * What a receiver remembers of the packets of one number space: which arrived, so that a copy is dropped, and which are
 * still to be acknowledged, and when (RFC 9000, 13.2).
 *
 * @module
 */
import { RangeSet } from './range-set.ts'

/** More ranges than fit into the smallest datagram are forgotten, lowest first. */
const MAX_RANGES = 64
/**
 * What is so far behind the newest packet is taken for a copy and dropped, arrived or not (noq-proto 1.4,
 * connection/spaces.rs, `Dedup`): a packet that many others have overtaken has to be sent again.
 */
const WINDOW_NUMBERS = 129
/** More ranges than fit into that window, with a gap after each, do not matter. */
const MAX_SEEN_RANGES = 65
/** After this many packets that ask for no acknowledgement, one goes along with the next packet anyway. */
const LAZY_THRESHOLD = 10

/** Acknowledgements of one packet number space. */
export class AckTracker {
  readonly #maxDelayUs: number
  /** Every number of the window that arrived, and some from before it. */
  readonly #seen = new RangeSet()
  /** What to acknowledge: all that arrived, but for those whose acknowledgement is known to have arrived. */
  readonly #pending = new RangeSet()
  #largest = -1
  #largestAtUs = 0
  #largestEliciting = 0
  #elicitingCount = 0
  #otherCount = 0
  #total = 0
  #immediate = false
  /** When the acknowledgement must go at the latest; Infinity for no hurry. */
  deadlineUs: number = Number.POSITIVE_INFINITY
  #oldestElicitingUs = -1

  /** @param maxDelayUs how long an acknowledgement may wait for a second packet */
  constructor(maxDelayUs: number) {
    this.#maxDelayUs = maxDelayUs
  }

  /** The largest number that arrived, -1 before any. */
  get largest(): number {
    return this.#largest
  }

  /** Packets that arrived, for the counters of ECN. */
  get total(): number {
    return this.#total
  }

  /** Notes an authenticated packet; false when it is a copy, or too old to tell. */
  register(number: number, nowUs: number): boolean {
    if (number <= this.#largest - WINDOW_NUMBERS || !this.#seen.add(number)) return false
    if (this.#seen.count > MAX_SEEN_RANGES) this.#seen.removeLowest()
    this.#pending.add(number)
    if (this.#pending.count > MAX_RANGES) this.#pending.removeLowest()
    if (number > this.#largest) {
      this.#largest = number
      this.#largestAtUs = nowUs
    }
    this.#total++
    return true
  }

  /** To be called when the packet's frames have been handled. */
  received(number: number, eliciting: boolean, nowUs: number): void {
    if (!eliciting) {
      this.#otherCount++
      return
    }
    const before = this.#largestEliciting
    if (number > before) this.#largestEliciting = number
    this.#elicitingCount++
    // Every second packet, and at once what is out of order or behind a gap.
    if (this.#elicitingCount > 1 || number < before || this.#isBehindGap(before + 1, number)) this.#immediate = true
    if (this.#oldestElicitingUs < 0 && !this.#immediate) {
      this.#oldestElicitingUs = nowUs
      this.deadlineUs = nowUs + this.#maxDelayUs
    }
  }

  /** Whether any of the numbers from `start` on and below `end` is missing; those before the window count as there. */
  #isBehindGap(start: number, end: number): boolean {
    const from = Math.max(start, this.#largest - WINDOW_NUMBERS + 1)
    return from < end && !this.#seen.covers(from, end)
  }

  /** Whether a packet must be sent for the acknowledgement's sake. */
  get due(): boolean {
    return this.#immediate && this.#pending.count > 0
  }

  /** The peer wants its acknowledgement now, or the number space is one without delay. */
  requireImmediate(): void {
    this.#immediate = true
  }

  /** The acknowledgement has waited long enough. */
  onDeadline(): void {
    this.deadlineUs = Number.POSITIVE_INFINITY
    if (this.#elicitingCount > 0) this.#immediate = true
  }

  /** A packet is sent anyway: take an acknowledgement along when many packets asked for none. */
  beforeOtherPacket(): void {
    if (this.isLazilyDue) this.#immediate = true
  }

  /** Whether {@link beforeOtherPacket} would take one along. */
  get isLazilyDue(): boolean {
    return this.#otherCount > LAZY_THRESHOLD
  }

  /** The ranges for an ACK frame, which is then taken as sent. */
  take(): number[] {
    this.#immediate = false
    this.#elicitingCount = 0
    this.#otherCount = 0
    this.#oldestElicitingUs = -1
    this.deadlineUs = Number.POSITIVE_INFINITY
    return this.#pending.toBounds()
  }

  /** How long the packet with the largest number has been here. */
  delayUs(nowUs: number): number {
    return nowUs - this.#largestAtUs
  }

  /** Whether there is anything to acknowledge at all. */
  get isEmpty(): boolean {
    return this.#pending.count === 0
  }

  /** The peer has an ACK frame of ours in which `largest` was the largest number. */
  onAckAcknowledged(largest: number): void {
    this.#pending.removeBelow(largest + 1)
  }
}
