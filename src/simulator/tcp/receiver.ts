/**
 * What one side of a TCP connection has received: puts segments in order, acknowledges, and says how much room is left.
 *
 * @module
 */
import { NO_SACKS } from './segment.ts'
import type { SackRanges, TcpMessage, TcpSegment } from './segment.ts'

/** Room for what was not read, or came out of order. Linux grows it to 6 MB (`tcp_rmem`). */
const RECEIVE_BUFFER_BYTES = 6_291_456
/** An acknowledgement of a lone segment may wait for another for this long (Linux, TCP_DELACK_MIN). */
const DELAYED_ACK_US = 40_000
/** Ranges that fit beside the time stamps in a segment's options. */
const MAX_SACK_RANGES = 3
const NO_MESSAGES: readonly TcpMessage[] = Object.freeze([])

interface Range {
  start: number
  end: number
}

/** The receiving half. */
export class TcpReceiver {
  /** The next sequence number in order. */
  next: number
  /** When a delayed acknowledgement is due. */
  ackTimerUs: number = Number.POSITIVE_INFINITY
  /** An acknowledgement is to be sent at once. */
  ackNow = false
  readonly #ranges: Range[] = []
  /** Messages beyond a gap, by where they end. */
  readonly #early = new Map<number, TcpMessage>()
  /** In the range that arrived last, which is told first. */
  #latest = 0
  #unacked = 0
  /** The end of what was read. */
  #readEnd: number

  constructor(next: number) {
    this.next = next
    this.#readEnd = next
  }

  /** Bytes beyond `next` that there is room for. */
  get windowBytes(): number {
    return RECEIVE_BUFFER_BYTES - (this.next - this.#readEnd)
  }

  /** The messages that are whole and in order now. */
  receive(segment: TcpSegment, nowUs: number): readonly TcpMessage[] {
    const { seq, end } = segment
    if (end <= this.next || end > this.next + this.windowBytes) {
      // Came twice, as when the acknowledgement was lost; or there is no room.
      this.ackNow = true
      return NO_MESSAGES
    }
    const inOrder = seq <= this.next
    // Mostly nothing is missing: all messages that end in the segment are whole.
    if (seq === this.next && this.#ranges.length === 0 && this.#early.size === 0) {
      this.next = end
      this.#countSegment(nowUs)
      return segment.messages ?? NO_MESSAGES
    }
    for (const message of segment.messages ?? []) if (message.end > this.next) this.#early.set(message.end, message)
    if (!inOrder || this.#ranges.length > 0) this.ackNow = true
    if (inOrder) this.#advance(end)
    else this.#insert(seq, end)
    this.#countSegment(nowUs)
    return inOrder ? this.#takeWhole() : NO_MESSAGES
  }

  #countSegment(nowUs: number): void {
    if (++this.#unacked >= 2) this.ackNow = true
    else if (this.ackTimerUs === Number.POSITIVE_INFINITY) this.ackTimerUs = nowUs + DELAYED_ACK_US
  }

  /** A message was read: there is room again. True when so much that the peer should hear of it at once. */
  read(message: TcpMessage): boolean {
    const before = this.windowBytes
    this.#readEnd = message.end
    return before < RECEIVE_BUFFER_BYTES / 4 && this.windowBytes >= RECEIVE_BUFFER_BYTES / 4
  }

  /** What has arrived beyond gaps, the latest first, for an acknowledgement that is sent now. */
  acknowledge(): SackRanges {
    this.#unacked = 0
    this.ackNow = false
    this.ackTimerUs = Number.POSITIVE_INFINITY
    if (this.#ranges.length === 0) return NO_SACKS
    const sacks: number[] = []
    const latest = this.#ranges.find(({ start, end }) => this.#latest >= start && this.#latest < end)
    if (latest) sacks.push(latest.start, latest.end)
    for (const range of this.#ranges) {
      if (sacks.length >= 2 * MAX_SACK_RANGES) break
      if (range !== latest) sacks.push(range.start, range.end)
    }
    return sacks
  }

  #advance(end: number): void {
    this.next = end
    for (let first = this.#ranges[0]; first && first.start <= this.next; first = this.#ranges[0]) {
      this.next = Math.max(this.next, first.end)
      this.#ranges.shift()
    }
  }

  #insert(start: number, end: number): void {
    this.#latest = start
    const ranges = this.#ranges
    let i = ranges.length
    while (i > 0 && (ranges[i - 1] as Range).start > start) i--
    ranges.splice(i, 0, { start, end })
    // With its neighbours it may be one.
    let at = Math.max(0, i - 1)
    while (at + 1 < ranges.length) {
      const [left, right] = [ranges[at] as Range, ranges[at + 1] as Range]
      if (left.end >= right.start) {
        left.end = Math.max(left.end, right.end)
        ranges.splice(at + 1, 1)
      } else if (++at > i) {
        break
      }
    }
  }

  #takeWhole(): readonly TcpMessage[] {
    if (this.#early.size === 0) return NO_MESSAGES
    const whole = [...this.#early.values()].filter(({ end }) => end <= this.next).sort((a, b) => a.end - b.end)
    for (const message of whole) this.#early.delete(message.end)
    return whole
  }
}
