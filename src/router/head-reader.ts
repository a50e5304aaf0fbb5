/**
 * Gathers the head of a request or an answer from a stream, refusing what is too long before it takes any memory.
 *
 * @module
 */
import { readVarint, varintLength } from '../core/encoding.ts'
import { P2PError } from '../core/errors.ts'

/** A head among bytes of a stream; behind it begins the body. */
export interface RawHead {
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
}

/** What of the body came with a head. */
export function behindHead({ bytes, end }: RawHead): Uint8Array | undefined {
  return end < bytes.length ? bytes.subarray(end) : undefined
}

/** Asked of a stream at a time. */
export const READ_BYTES = 65_536

/** The head's length once it is there. @throws P2PError `limit-exceeded` as soon as the bytes claim too much */
function readLength(bytes: Uint8Array, maxBytes: number): { length: number; next: number } | undefined {
  const first = bytes[0]
  if (first === undefined) return undefined
  // Eight bytes are either over any limit or not the shortest form: no need to wait for the other seven.
  const claimed = first >= 0xc0 ? { value: Number.POSITIVE_INFINITY, next: 8 } : readVarint(bytes, 0)
  if (!claimed) return undefined
  if (claimed.value > maxBytes) {
    const message = `the peer announced a head of over ${maxBytes} bytes (maxHeaderBytes)`
    throw P2PError.of('limit-exceeded', message, { limit: 'maxHeaderBytes', max: maxBytes })
  }
  if (claimed.value === 0 || varintLength(claimed.value) !== claimed.next) {
    throw P2PError.of('protocol', 'the peer sent a malformed head: its length is empty or not in its shortest form', {})
  }
  return { length: claimed.value, next: claimed.next }
}

function join(first: Uint8Array, second: Uint8Array): Uint8Array {
  const joined = new Uint8Array(first.length + second.length)
  joined.set(first)
  joined.set(second, first.length)
  return joined
}

/** Gathers a head from the chunks of a stream; mostly the first holds all of it. */
export class HeadReader {
  readonly #maxBytes: number
  /** The first bytes of the length, until it is known. */
  #start: Uint8Array | undefined
  #head: Uint8Array | undefined
  #filled = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /**
   * Takes the next chunk, undefined for the end of the stream; returns the head once it is whole.
   *
   * @throws P2PError `limit-exceeded`, `protocol`
   */
  push(chunk: Uint8Array | undefined): RawHead | undefined {
    if (!chunk) throw P2PError.of('protocol', 'the peer ended the stream before its head was complete', {})
    if (this.#head) return this.#fill(this.#head, chunk)
    // At most 3 bytes of a length of 4 are ever kept.
    const bytes = this.#start ? join(this.#start, chunk) : chunk
    const announced = readLength(bytes, this.#maxBytes)
    if (!announced) {
      this.#start = bytes
      return undefined
    }
    const { length, next } = announced
    const end = next + length
    if (bytes.length >= end) return { bytes, start: next, end }
    this.#head = new Uint8Array(length)
    return this.#fill(this.#head, bytes.subarray(next))
  }

  #fill(head: Uint8Array, chunk: Uint8Array): RawHead | undefined {
    const missing = head.length - this.#filled
    if (chunk.length < missing) {
      head.set(chunk, this.#filled)
      this.#filled += chunk.length
      return undefined
    }
    head.set(chunk.subarray(0, missing), this.#filled)
    if (chunk.length === missing) return { bytes: head, start: 0, end: head.length }
    return { bytes: join(head, chunk.subarray(missing)), start: 0, end: head.length }
  }
}
