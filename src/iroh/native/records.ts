/**
 * What the addon tells: records, packed into memory of ours (`native/src/records/record.rs` has the same numbers).
 *
 * @module
 */

/** The kinds of records. */
export const RECORD = {
  /** A call with a token is done: token, handle or 0. */
  done: 1,
  /** A call with a token has failed: token, a number of `FAILURE`; text, or code and reason. */
  failed: 2,
  /** A connection was accepted: endpoint, connection; the peer's id and the protocol. */
  incoming: 3,
  /** A connection is over: connection, a number of `ENDED_BY`; code and reason. */
  closed: 4,
  /** A two-way stream was accepted: connection, stream; its first bytes, and with `ENDS` all of them. */
  twoWay: 5,
  /** As `twoWay`, one-way. */
  oneWay: 6,
  /** Bytes of a stream; with `ENDS` the last. */
  data: 7,
  /** No more bytes come: stream, a number of `HALF_END`; code. */
  readEnd: 8,
  /** The transport has taken what it was to tell of: stream. */
  drained: 9,
  /** No more bytes are wanted: stream, a number of `HALF_END`; code. */
  writeEnd: 10,
  /** What was finished has arrived, or not: stream, a number of `HALF_END`; code. */
  acknowledged: 11,
  /** The transport has opened streams: connection, how many. */
  opened: 12,
  /** Nothing more is accepted: connection. */
  acceptEnd: 13,
  /** A datagram: connection. */
  datagram: 14,
  /** Paths have changed: connection. */
  paths: 15,
  /** Addresses or relays have changed: endpoint. */
  address: 16,
  /** All that a connection may have waiting here waits: connection. */
  full: 17,
  /** As `incoming`, before the handshake is complete. */
  incomingEarly: 18,
  /** The handshake of a connection that began early is complete: connection. */
  confirmed: 19,
} as const

/** Added to the kind of a record whose bytes are the last of their stream. */
export const ENDS = 0x100

/** How a half of a stream ended. */
export const HALF_END = { clean: 0, byPeer: 1, lost: 2 } as const

/** Who ended a connection. */
export const ENDED_BY = { local: 0, remote: 1, timedOut: 2, reset: 3, transport: 4 } as const

/** Set in what `drain` returns when there is more. */
export const MORE = 0x8000_0000

const HEADER_BYTES = 16
const CODE_BYTES = 8

/** Memory that records are packed into, and its reader. */
export class Scratch {
  readonly bytes: Uint8Array
  readonly #words: Uint32Array

  constructor(length: number) {
    // Not zeroed, as every byte that is read has been written; of its own, so that pieces of it can be handed out.
    const { buffer } = Buffer.allocUnsafeSlow(length)
    this.bytes = new Uint8Array(buffer)
    this.#words = new Uint32Array(buffer)
  }

  /** Calls `deliver` with each record of the first `used` bytes. */
  read(used: number, deliver: (kind: number, id: number, number: number, start: number, end: number) => void): void {
    const words = this.#words
    for (let at = 0; at < used;) {
      const word = at >>> 2
      const start = at + HEADER_BYTES
      const end = start + (words[word + 3] as number)
      at = (end + 3) & ~3
      deliver(words[word] as number, words[word + 1] as number, words[word + 2] as number, start, end)
    }
  }

  /** The code at the beginning of a payload. */
  code(start: number): number {
    const word = start >>> 2
    return (this.#words[word] as number) + (this.#words[word + 1] as number) * 2 ** 32
  }

  /** The text of a payload, after its code if it has one. */
  text(start: number, end: number, hasCode: boolean): string {
    return new TextDecoder().decode(this.bytes.subarray(hasCode ? start + CODE_BYTES : start, end))
  }
}
