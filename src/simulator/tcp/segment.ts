/**
 * Segments of TCP (RFC 9293) as the virtual internet carries them. Bytes are counted, not copied: a segment carries the
 * messages that end in it, each of which stands for so many bytes of the stream.
 *
 * @module
 */

import { TraceItem } from '../../core/trace.ts'

const TCP = TraceItem['TCP'] as number

/** Opens a connection; takes one sequence number. */
export const SYN = 1
/** `ack` has a meaning: on all segments but the very first. */
export const ACK = 2
/** Nothing follows; takes one sequence number. */
export const FIN = 4
/** There is no such connection (any more). */
export const RST = 8

/** Something that was written to a stream: `payload` counts as arrived when the byte before `end` has. */
export interface TcpMessage {
  /** The sequence number behind its last byte. */
  readonly end: number
  readonly sizeBytes: number
  readonly payload: unknown
  /** Its segment ends with it, unless it had to wait for the window and others have come after it meanwhile. */
  readonly isFlushed: boolean
}

/** Start, end, start, end, … of half-open ranges that have arrived beyond a gap (RFC 2018). */
export type SackRanges = readonly number[]

/** No ranges: everything has arrived in order. */
export const NO_SACKS: SackRanges = Object.freeze([])

/** One segment. Whoever is on its way can read and forge it, as with real TCP; what it carries is sealed by others. */
export class TcpSegment {
  readonly flags: number
  readonly seq: number
  /** The sequence number behind the segment. */
  readonly end: number
  readonly ack: number
  /** Bytes beyond `ack` that the sender of this segment has room for. */
  readonly windowBytes: number
  readonly sacks: SackRanges
  readonly messages: readonly TcpMessage[] | undefined

  constructor(
    flags: number,
    seq: number,
    end: number,
    ack: number,
    windowBytes: number,
    sacks: SackRanges,
    messages: readonly TcpMessage[] | undefined,
  ) {
    this.flags = flags
    this.seq = seq
    this.end = end
    this.ack = ack
    this.windowBytes = windowBytes
    this.sacks = sacks
    this.messages = messages
    Object.freeze(this)
  }

  /** Appends what it is and carries, for traces. */
  describe(items: number[]): void {
    const { flags, seq, end, ack } = this
    items.push(TCP, 5, seq, ack, flags & SYN, (flags & FIN) === 0 ? 0 : 1, end - seq)
    for (const { payload } of this.messages ?? []) if (isDescribable(payload)) payload.describe(items)
  }

  /** The TCP payload, with the options that are not in every segment: 2 and 8 for each range (RFC 2018, 3). */
  get payloadBytes(): number {
    const control = (this.flags & (SYN | FIN)) === 0 ? 0 : 1
    const optionBytes = this.sacks.length === 0 ? 0 : 4 + 4 * this.sacks.length
    return this.end - this.seq - control + optionBytes
  }
}

function isDescribable(payload: unknown): payload is { describe(items: number[]): void } {
  return (
    typeof payload === 'object' && payload !== null && 'describe' in payload && typeof payload.describe === 'function'
  )
}
