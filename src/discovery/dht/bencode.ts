/**
 * Bencoding (BEP 3), as strict as messages of strangers deserve: whatever is not exactly one value within the limits is
 * no value at all.
 *
 * @module
 */
import { concatBytes } from '../../core/encoding.ts'

/** What can be bencoded; the keys of a dictionary are bytes, each as one character. */
export type Bencoded = number | Uint8Array | readonly Bencoded[] | Dictionary

/** A dictionary. */
export type Dictionary = ReadonlyMap<string, Bencoded>

/** A message of the DHT nests three deep. */
const MAX_DEPTH = 8

const BYTE = { dictionary: 0x64, end: 0x65, integer: 0x69, list: 0x6c } as const

/** The value that `bytes` are, or undefined. */
export function decodeBencode(bytes: Uint8Array): Bencoded | undefined {
  const reader = new Reader(bytes)
  const value = reader.value(0)
  return reader.atEnd ? value : undefined
}

/** `value` in its one canonical form. */
export function encodeBencode(value: Bencoded): Uint8Array {
  const parts: Uint8Array[] = []
  encodeInto(parts, value)
  return concatBytes(parts)
}

/** A key or a number, whose characters are bytes. */
function text(value: string): Uint8Array {
  return Uint8Array.from(value, (character) => character.charCodeAt(0))
}

function encodeInto(parts: Uint8Array[], value: Bencoded): void {
  if (typeof value === 'number') {
    parts.push(text(`i${value}e`))
  } else if (value instanceof Uint8Array) {
    parts.push(text(`${value.length}:`), value)
  } else if (value instanceof Map) {
    parts.push(text('d'))
    for (const [key, entry] of [...(value as Dictionary)].sort(([a], [b]) => (a < b ? -1 : 1))) {
      parts.push(text(`${key.length}:${key}`))
      encodeInto(parts, entry)
    }
    parts.push(text('e'))
  } else {
    parts.push(text('l'))
    for (const entry of value as readonly Bencoded[]) encodeInto(parts, entry)
    parts.push(text('e'))
  }
}

/** Reads from left to right; every step moves on, and the first that makes no sense ends it. */
class Reader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length
  }

  value(depth: number): Bencoded | undefined {
    if (depth > MAX_DEPTH) return undefined
    switch (this.#bytes[this.#at]) {
      case BYTE.integer:
        this.#at++
        return this.#number('e', true)
      case BYTE.list:
        return this.#list(depth)
      case BYTE.dictionary:
        return this.#dictionary(depth)
      default:
        return this.#string()
    }
  }

  #list(depth: number): readonly Bencoded[] | undefined {
    const entries: Bencoded[] = []
    for (this.#at++; this.#bytes[this.#at] !== BYTE.end;) {
      const entry = this.value(depth + 1)
      if (entry === undefined) return undefined
      entries.push(entry)
    }
    this.#at++
    return entries
  }

  /** The order of the keys is not insisted on: nothing here depends on it. */
  #dictionary(depth: number): Dictionary | undefined {
    const entries = new Map<string, Bencoded>()
    for (this.#at++; this.#bytes[this.#at] !== BYTE.end;) {
      const bytes = this.#string()
      const key = bytes && String.fromCharCode(...bytes)
      const entry = key === undefined || entries.has(key) ? undefined : this.value(depth + 1)
      if (key === undefined || entry === undefined) return undefined
      entries.set(key, entry)
    }
    this.#at++
    return entries
  }

  #string(): Uint8Array | undefined {
    const length = this.#number(':', false)
    if (length === undefined || length > this.#bytes.length - this.#at) return undefined
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  /** Digits up to `end`, without leading zeros, and exact in a JavaScript number. */
  #number(end: ':' | 'e', isSigned: boolean): number | undefined {
    const start = this.#at
    const stop = this.#bytes.subarray(start, start + 20).indexOf(end.charCodeAt(0))
    if (stop < 0) return undefined
    const digits = String.fromCharCode(...this.#bytes.subarray(start, start + stop))
    if (!(isSigned ? /^(?:0|-?[1-9]\d*)$/ : /^(?:0|[1-9]\d*)$/).test(digits)) return undefined
    this.#at = start + stop + 1
    const value = Number(digits)
    return Number.isSafeInteger(value) ? value : undefined
  }
}
