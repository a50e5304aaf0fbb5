/**
 * Header fields of requests and answers (RFC 9110, 5).
 *
 * @module
 */
import { invalidConfiguration } from '../core/config.ts'
import type { P2PError } from '../core/errors.ts'

/** What headers can be made from. A list of values becomes one field a value; undefined is left out. */
export type P2PHeadersInit =
  | Iterable<readonly [name: string, value: string]>
  | Readonly<Record<string, string | readonly string[] | undefined>>

const NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/

/** Whether `name` is a field name in lower case. */
export function isHeaderName(name: string): boolean {
  return NAME.test(name)
}

/**
 * Whether `text` from `start` to `end` is a field value (RFC 9110, 5.5, as ISO 8859-1): visible characters, with spaces
 * and tabs between them but not around.
 */
export function isHeaderValue(text: string, start = 0, end: number = text.length): boolean {
  for (let i = start; i < end; i++) {
    const code = text.charCodeAt(i)
    if (code > 0xff || code === 0x7f) return false
    if (code > 0x20) continue
    if ((code !== 0x20 && code !== 0x09) || i === start || i === end - 1) return false
  }
  return true
}

function invalidName(name: string): P2PError {
  return invalidConfiguration('header name', name, "a name consists of letters, digits and !#$%&'*+-.^_`|~")
}

function normalName(name: string): string {
  if (NAME.test(name)) return name
  const lower = name.toLowerCase()
  if (NAME.test(lower)) return lower
  throw invalidName(name)
}

function normalValue(name: string, value: string): string {
  const trimmed = value.trim()
  if (isHeaderValue(trimmed)) return trimmed
  throw invalidConfiguration(
    `header ${name}`,
    value,
    'a value has no line breaks, no control characters, and nothing beyond ISO 8859-1; percent-encode the rest',
  )
}

/**
 * Header fields: names in any case, kept in lower case; fields in the order in which they were added; several values
 * a name. Names and values are checked when they are set.
 *
 * @example
 * ```ts
 * import { P2PHeaders } from '@moosicbox/p2p'
 *
 * const headers = new P2PHeaders({ 'Content-Type': 'audio/flac' })
 * headers.append('vary', 'range')
 * console.log(headers.get('content-type')) // audio/flac
 * ```
 */
export class P2PHeaders implements Iterable<[name: string, value: string]> {
  /** Name, value, name, value: the fields in order. Undefined before anybody has asked, or set one. */
  #list: string[] | undefined
  /** Makes the fields for the first who asks. */
  #make: (() => string[]) | undefined

  /** @throws P2PError `invalid-configuration` for a name or value that is none */
  constructor(init?: P2PHeadersInit) {
    if (init === undefined) return
    if (init instanceof P2PHeaders) {
      this.#list = [...init.#flat]
    } else if (Symbol.iterator in init) {
      for (const [name, value] of init as Iterable<readonly [string, string]>) this.append(name, value)
    } else {
      for (const [name, value] of Object.entries(init)) {
        if (typeof value === 'string') this.append(name, value)
        else for (const one of value ?? []) this.append(name, one)
      }
    }
  }

  /** Headers over what `make` gives (name, value, name, value …), which the decoder has checked already. */
  static fromChecked(make: () => string[]): P2PHeaders {
    const headers = new P2PHeaders()
    headers.#make = make
    return headers
  }

  get #flat(): string[] {
    if (this.#list) return this.#list
    this.#list = this.#make?.() ?? []
    this.#make = undefined
    return this.#list
  }

  /** How many fields there are. */
  get size(): number {
    return this.#flat.length / 2
  }

  /** The value of `name`, several joined by `, ` (RFC 9110, 5.3); undefined when there is none. */
  get(name: string): string | undefined {
    const lower = name.toLowerCase()
    const flat = this.#flat
    let value: string | undefined
    for (let i = 0; i < flat.length; i += 2) {
      if (flat[i] === lower) value = value === undefined ? flat[i + 1] : `${value}, ${flat[i + 1]}`
    }
    return value
  }

  /** Every value of `name`, in order; the way to read `set-cookie`. */
  getAll(name: string): string[] {
    const lower = name.toLowerCase()
    return this.#flat.filter((_, i) => i % 2 === 1 && this.#flat[i - 1] === lower)
  }

  /** Whether there is a field of that name. */
  has(name: string): boolean {
    const lower = name.toLowerCase()
    const flat = this.#flat
    for (let i = 0; i < flat.length; i += 2) if (flat[i] === lower) return true
    return false
  }

  /** Adds a field behind the others. @throws P2PError `invalid-configuration` */
  append(name: string, value: string): this {
    const lower = normalName(name)
    this.#flat.push(lower, normalValue(lower, value))
    return this
  }

  /** Puts `value` in the place of every field of that name. @throws P2PError `invalid-configuration` */
  set(name: string, value: string): this {
    const lower = normalName(name)
    const checked = normalValue(lower, value)
    const flat = this.#flat
    for (let i = 0; i < flat.length; i += 2) {
      if (flat[i] !== lower) continue
      flat[i + 1] = checked
      if (this.#has(lower, i + 2)) this.#list = flat.slice(0, i + 2).concat(without(flat.slice(i + 2), lower))
      return this
    }
    flat.push(lower, checked)
    return this
  }

  /** @internal As `set`, with a name in lower case and a value that are known to be right. */
  setKnown(name: string, value: string): void {
    if (this.has(name)) this.set(name, value)
    else if (this.#flat.length === 0) this.#list = [name, value]
    else this.#flat.push(name, value)
  }

  /** Sets the field unless there is one of that name. @throws P2PError `invalid-configuration` */
  setDefault(name: string, value: string): this {
    return this.has(name) ? this : this.append(name, value)
  }

  /** Takes out every field of that name; says whether there was one. */
  delete(name: string): boolean {
    const rest = without(this.#flat, name.toLowerCase())
    const found = rest.length < this.#flat.length
    this.#list = rest
    return found
  }

  /** Every field, one at a time, in order. */
  *[Symbol.iterator](): IterableIterator<[name: string, value: string]> {
    const flat = this.#flat
    for (let i = 0; i < flat.length; i += 2) yield [flat[i] as string, flat[i + 1] as string]
  }

  /** The fields as name, value, name, value …; not to be changed. */
  flat(): readonly string[] {
    return this.#flat
  }

  /** Names with their values joined, for logs and tests. */
  toJSON(): Record<string, string> {
    const entries = new Map<string, string>()
    for (const [name, value] of this) {
      const before = entries.get(name)
      entries.set(name, before === undefined ? value : `${before}, ${value}`)
    }
    return Object.fromEntries(entries)
  }

  #has(lower: string, from: number): boolean {
    for (let i = from; i < this.#flat.length; i += 2) if (this.#flat[i] === lower) return true
    return false
  }
}

function without(flat: readonly string[], lower: string): string[] {
  const rest: string[] = []
  for (let i = 0; i < flat.length; i += 2) {
    if (flat[i] !== lower) rest.push(flat[i] as string, flat[i + 1] as string)
  }
  return rest
}
