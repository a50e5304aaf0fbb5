/**
 * Reads the head of a request or an answer off a stream, refusing what is too long before it takes any memory.
 *
 * @module
 */
import { readVarint, varintLength } from '../core/encoding.ts'
import { P2PError } from '../core/errors.ts'
import type { P2PReceiveStream } from '../core/stream.ts'

/** A head, and what of the body came with it. */
export interface RawHead {
  readonly head: Uint8Array
  readonly rest: Uint8Array
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

/**
 * Reads up to the end of the head.
 *
 * @throws P2PError `limit-exceeded`, `protocol`, and what `read` throws
 */
export async function readHead(stream: P2PReceiveStream, maxBytes: number): Promise<RawHead> {
  let bytes = await readOn(stream)
  let announced = readLength(bytes, maxBytes)
  while (!announced) {
    // Here are at most 3 bytes of a length of 4.
    bytes = Buffer.concat([bytes, await readOn(stream)])
    announced = readLength(bytes, maxBytes)
  }
  const { length, next } = announced
  if (bytes.length >= next + length)
    return { head: bytes.subarray(next, next + length), rest: bytes.subarray(next + length) }
  const head = new Uint8Array(length)
  head.set(bytes.subarray(next))
  for (let filled = bytes.length - next; ;) {
    const chunk = await readOn(stream)
    const taken = Math.min(chunk.length, length - filled)
    head.set(chunk.subarray(0, taken), filled)
    filled += taken
    if (filled === length) return { head, rest: chunk.subarray(taken) }
  }
}

async function readOn(stream: P2PReceiveStream): Promise<Uint8Array> {
  const chunk = await stream.read(READ_BYTES)
  if (!chunk) throw P2PError.of('protocol', 'the peer ended the stream before its head was complete', {})
  return chunk
}
