/**
 * Text encodings of bytes: hex, RFC 4648 base32 and z-base-32, and the variable-length integers of RFC 9000, 16.
 *
 * @module
 */

/** The alphabet of z-base-32 (Zooko, 2002), in which ids are displayed. */
export const Z_BASE_32 = 'ybndrfg8ejkmcpqxot1uwisza345h769'
/** The alphabet of RFC 4648 base32, in lower case, which iroh's tickets use. */
export const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567'

/** A copy that shares nothing: `slice` does not make one of a `Buffer`. */
export function copyBytes(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes)
}

/** All parts, one after the other, in an array of their own. */
export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let offset = 0
  for (const part of parts) {
    bytes.set(part, offset)
    offset += part.length
  }
  return bytes
}

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** Lower-case hex digits. */
export function toHex(bytes: Uint8Array): string {
  const digits: string[] = []
  for (const byte of bytes) digits.push(HEX[byte] as string)
  return digits.join('')
}

/** The bytes of an even number of hex digits in any case, or undefined. */
export function fromHex(text: string): Uint8Array | undefined {
  if (text.length % 2 !== 0 || !/^[0-9a-f]*$/i.test(text)) return undefined
  const bytes = new Uint8Array(text.length / 2)
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16)
  return bytes
}

/** Encodes without padding; the last character's unused bits are 0. */
export function encodeBase32(bytes: Uint8Array, alphabet: string): string {
  // Put together by `+=` it would remain a chain of as many strings as it has characters.
  const characters: string[] = []
  let bits = 0
  let value = 0
  for (const byte of bytes) {
    value = ((value << 8) | byte) & 0xfff
    bits += 8
    while (bits >= 5) {
      bits -= 5
      characters.push(alphabet.charAt((value >> bits) & 31))
    }
  }
  if (bits > 0) characters.push(alphabet.charAt((value << (5 - bits)) & 31))
  return characters.join('')
}

/** What {@link decodeBase32} found: the bytes, or why there are none. */
export interface Base32Result {
  readonly bytes?: Uint8Array
  readonly why?: 'alphabet' | 'length' | 'trailing-bits'
}

/** Decodes text without padding, in any case; only the canonical form is taken. */
export function decodeBase32(text: string, alphabet: string): Base32Result {
  const bytes = new Uint8Array(Math.floor((text.length * 5) / 8))
  let length = 0
  let bits = 0
  let value = 0
  // Not `toLowerCase`, which makes letters of signs that only look like them (the Kelvin sign).
  for (const character of text.replace(/[A-Z]/g, (letter) => letter.toLowerCase())) {
    const digit = alphabet.indexOf(character)
    if (digit < 0) return { why: 'alphabet' }
    value = ((value << 5) | digit) & 0xfff
    bits += 5
    if (bits >= 8) {
      bits -= 8
      bytes[length++] = (value >> bits) & 0xff
    }
  }
  if (bits >= 5) return { why: 'length' }
  if ((value & ((1 << bits) - 1)) !== 0) return { why: 'trailing-bits' }
  return { bytes }
}

/** The length of `value` as a variable-length integer: 1, 2, 4 or 8 bytes. */
export function varintLength(value: number): 1 | 2 | 4 | 8 {
  if (value < 0x40) return 1
  if (value < 0x4000) return 2
  return value < 0x4000_0000 ? 4 : 8
}

/** Writes `value` (0 to 2^53 - 1) at `offset` in its shortest form; returns the offset behind it. */
export function writeVarint(target: Uint8Array, offset: number, value: number): number {
  const length = varintLength(value)
  if (length === 1) {
    target[offset] = value
    return offset + 1
  }
  let rest = value
  for (let i = length - 1; i >= 0; i--) {
    target[offset + i] = rest % 256
    rest = Math.floor(rest / 256)
  }
  const prefix = length === 2 ? 0x40 : length === 4 ? 0x80 : 0xc0
  target[offset] = (target[offset] ?? 0) | prefix
  return offset + length
}

/** The bytes of `value` as a variable-length integer. */
export function encodeVarint(value: number): Uint8Array {
  const bytes = new Uint8Array(varintLength(value))
  writeVarint(bytes, 0, value)
  return bytes
}

/**
 * Reads the variable-length integer at `offset`: its value and the offset behind it, undefined when `source` ends
 * before it does, or a value of NaN when it is over 2^53 - 1.
 */
export function readVarint(source: Uint8Array, offset: number): { value: number; next: number } | undefined {
  const first = source[offset]
  if (first === undefined) return undefined
  const length = 1 << (first >> 6)
  if (offset + length > source.length) return undefined
  let value = first & 0x3f
  for (let i = 1; i < length; i++) value = value * 256 + (source[offset + i] ?? 0)
  return { value: Number.isSafeInteger(value) ? value : Number.NaN, next: offset + length }
}
