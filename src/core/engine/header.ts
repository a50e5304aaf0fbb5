/**
 * Reading the first bytes of a stream the peer has opened.
 *
 * @module
 */
import type { CarrierReceiveStream } from '../carrier.ts'
import { readVarint } from '../encoding.ts'
import { STREAM_KIND } from './wire.ts'

/** What the first bytes said, and the bytes that came with them. */
export interface StreamHeader {
  readonly kind: number
  /** The opener's count of its streams; 0 for messages and control, which are not numbered. */
  readonly number: number
  readonly rest: Uint8Array
}

/** How much is asked for: what follows a header belongs to the stream. */
export const FIRST_READ_BYTES = 65_536

/** The header at the beginning of `bytes`; undefined when there is more of it to come. */
export function parseStreamHeader(bytes: Uint8Array): StreamHeader | undefined {
  const kind = bytes[0]
  if (kind === undefined) return undefined
  const numbered = kind !== STREAM_KIND.messages && kind !== STREAM_KIND.control
  const number = numbered ? readVarint(bytes, 1) : { value: 0, next: 1 }
  return number && { kind, number: number.value, rest: bytes.subarray(number.next) }
}

/**
 * Reads a header; undefined when the stream ends before it is whole. Throws what the carrier throws.
 *
 * @param first what was read already
 */
export async function readStreamHeader(
  stream: CarrierReceiveStream,
  first: Uint8Array | undefined,
): Promise<StreamHeader | undefined> {
  let bytes = first ?? (await stream.read(FIRST_READ_BYTES))
  for (;;) {
    if (!bytes || bytes.length === 0) return undefined
    const header = parseStreamHeader(bytes)
    if (header) return header
    const more = await stream.read(FIRST_READ_BYTES)
    if (!more) return undefined
    const joined: Uint8Array = new Uint8Array(bytes.length + more.length)
    joined.set(bytes)
    joined.set(more, bytes.length)
    bytes = joined
  }
}
