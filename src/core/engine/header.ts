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

const FIRST_READ_BYTES = 65_536

/** Reads a header; undefined when the stream ends before it is whole. Throws what the carrier throws. */
export async function readStreamHeader(stream: CarrierReceiveStream): Promise<StreamHeader | undefined> {
  let bytes = await stream.read(FIRST_READ_BYTES)
  for (;;) {
    const kind = bytes?.[0]
    if (!bytes || kind === undefined) return undefined
    const numbered = kind !== STREAM_KIND.messages && kind !== STREAM_KIND.control
    const number = numbered ? readVarint(bytes, 1) : { value: 0, next: 1 }
    if (number) return { kind, number: number.value, rest: bytes.subarray(number.next) }
    const more = await stream.read(FIRST_READ_BYTES)
    if (!more) return undefined
    const joined: Uint8Array = new Uint8Array(bytes.length + more.length)
    joined.set(bytes)
    joined.set(more, bytes.length)
    bytes = joined
  }
}
