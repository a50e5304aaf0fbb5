/**
 * Bytes across the binding, whose arrays of numbers are what makes it slow: about 50 ns a byte each way.
 *
 * @module
 */
import type { Official } from './load.ts'

/** Larger writes are cut into pieces of this size, so that each blocks the main thread for a few milliseconds only. */
export const PIECE_BYTES = 65_536

/** Turns bytes into what the binding takes, and back. */
export class ByteCodec {
  readonly #takesBuffers: boolean
  /** Used for every whole piece: the binding has copied it when its call returns. */
  #scratch: number[] | undefined

  constructor(official: Official) {
    this.#takesBuffers = takesBuffers(official)
  }

  /** `bytes` from `start` to `end`, good for one call. */
  encode(bytes: Uint8Array, start = 0, end: number = bytes.length): number[] {
    if (this.#takesBuffers) return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start) as never
    const length = end - start
    const array = length === PIECE_BYTES ? (this.#scratch ??= newArray(length)) : newArray(length)
    for (let i = 0; i < length; i++) array[i] = bytes[start + i] as number
    return array
  }

  /** `header` and `bytes` behind it, good for one call. */
  encodeBoth(header: Uint8Array, bytes: Uint8Array): number[] {
    if (this.#takesBuffers) return Buffer.concat([header, bytes]) as never
    const before = header.length
    const array = newArray(before + bytes.length)
    for (let i = 0; i < before; i++) array[i] = header[i] as number
    for (let i = 0; i < bytes.length; i++) array[before + i] = bytes[i] as number
    return array
  }

  /** UTF-8. */
  encodeText(text: string): number[] {
    return this.encode(new TextEncoder().encode(text))
  }

  /** What the binding returned, as an array of the caller's own. */
  decode(array: ArrayLike<number>): Uint8Array {
    if (array instanceof Uint8Array) return new Uint8Array(array.buffer, array.byteOffset, array.length)
    const length = array.length
    const bytes = new Uint8Array(length)
    // A loop: the constructor and `from` take ten times as long on such arrays.
    for (let i = 0; i < length; i++) bytes[i] = array[i] as number
    return bytes
  }
}

/** An array that has its full size at once, so that filling it does not grow it step by step. */
function newArray(length: number): number[] {
  // oxlint-disable-next-line unicorn/no-new-array -- `Array.from({ length })` takes six times as long
  return new Array<number>(length)
}

/** Whether this version takes Buffers (iroh-ffi pull request 282) rather than arrays of numbers. */
function takesBuffers(official: Official): boolean {
  try {
    official.SecretKey.fromBytes(Buffer.alloc(32, 1) as never)
    return true
  } catch {
    return false
  }
}
