/**
 * The bytes of requests and answers (`docs/wire.md`). Each is a head and a body on one half of a stream:
 *
 * ```
 * request = length:varint  head{length}  body until FIN
 * head    = method  target:string  fields
 * method  = one byte: 1.. of METHODS, or 0 and a string
 * answer  = length:varint  head{length}  body until FIN
 * head    = status:varint (200 to 599)  fields
 * fields  = count:varint  field*
 * field   = one byte: 1.. of FIELD_NAMES, or 0 and a string;  value:string
 * string  = length:varint  bytes
 * ```
 *
 * Varints are those of RFC 9000, 16, in their shortest form. Every head has exactly one encoding, and the decoder
 * takes no other: what it accepts encodes to the same bytes again.
 *
 * @module
 */
import { invalidConfiguration } from '../core/config.ts'
import { varintLength, writeVarint } from '../core/encoding.ts'
import { P2PError } from '../core/errors.ts'
import { isHeaderName, isHeaderValue, P2PHeaders } from './headers.ts'

/** Methods of one byte, counted from 1. The order is part of the protocol. */
export const METHODS: readonly string[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

/** Field names of one byte, counted from 1. The order is part of the protocol. */
// prettier-ignore
export const FIELD_NAMES: readonly string[] = [
  'accept', 'accept-encoding', 'accept-language', 'accept-ranges', 'access-control-allow-origin', 'age', 'allow',
  'authorization', 'cache-control', 'content-disposition', 'content-encoding', 'content-language', 'content-length',
  'content-location', 'content-range', 'content-type', 'cookie', 'date', 'etag', 'expires', 'if-match',
  'if-modified-since', 'if-none-match', 'if-range', 'if-unmodified-since', 'last-modified', 'link', 'location',
  'origin', 'range', 'referer', 'retry-after', 'server-timing', 'set-cookie', 'traceparent', 'tracestate',
  'user-agent', 'vary', 'www-authenticate', 'x-request-id',
]

/** Fields that describe a hop of HTTP/1.1 and mean nothing here: left out when encoding, refused when decoding. */
export const HOP_FIELDS: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
])

/** Most header fields of one head. */
const MAX_FIELDS = 256
/** Longest method. */
const MAX_METHOD_BYTES = 32

const METHOD_CODES: ReadonlyMap<string, number> = new Map(METHODS.map((name, i) => [name, i + 1]))
const FIELD_CODES: ReadonlyMap<string, number> = new Map(FIELD_NAMES.map((name, i) => [name, i + 1]))
const METHOD = /^[A-Z][A-Z0-9_-]{0,31}$/
/** A target as RFC 9112, 3.2.1 calls it origin-form, with anything beyond ASCII allowed. */
// oxlint-disable-next-line no-control-regex -- it is there to refuse them
const TARGET = /^\/[^\x00-\x20\x7f#]*$/
/** As most are: in ASCII. */
const ASCII_TARGET = /^\/[\x21\x22\x24-\x7e]*$/
/** A `content-length`. */
const LENGTH = /^(?:0|[1-9]\d{0,14})$/
const EMPTY = new Uint8Array(0)

/** The head of a request. */
export interface RequestHead {
  /** In upper case. */
  readonly method: string
  /** Path and query, as they were sent: percent-encoded. */
  readonly target: string
  readonly headers: P2PHeaders
}

/** The head of an answer. */
export interface ResponseHead {
  /** 200 to 599. */
  readonly status: number
  readonly headers: P2PHeaders
}

/** What a head that was decoded says besides. */
export interface Decoded {
  /** The `content-length`, undefined when there is none. */
  readonly contentLength: number | undefined
}

/** Methods whose requests have a body only when they say so: that they do not say so is enough (RFC 9110, 8.6). */
export const BODYLESS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS'])

/** Whether `method` can be sent. */
export function isMethod(method: string): boolean {
  return METHOD.test(method)
}

/** Whether `target` can be sent. */
export function isTarget(target: string): boolean {
  return ASCII_TARGET.test(target) || (TARGET.test(target) && target.isWellFormed())
}

/** The limit on the length of a head, crossed by this side. */
function headTooLarge(bytes: number, maxBytes: number): P2PError {
  return P2PError.of('limit-exceeded', `the head has ${bytes} bytes; at most ${maxBytes} can be sent`, {
    limit: 'maxHeaderBytes',
    max: maxBytes,
  })
}

/** Messages are written one behind the other in memory of this size, unless they are larger than half of it. */
const POOL_BYTES = 8192
let pool = Buffer.alloc(0)
let poolUsed = 0

/** Text up to this length is written by itself: a call into Node costs more. */
const SHORT = 48

/** Writes a head behind four free bytes, where its length goes once it is known. */
class HeadWriter {
  readonly #buffer: Buffer
  readonly #start: number
  #offset: number

  /** @param capacity the most that is written */
  constructor(capacity: number) {
    const bytes = capacity + 4
    const isLarge = bytes > POOL_BYTES / 2
    if (!isLarge && poolUsed + bytes > pool.length) {
      pool = Buffer.alloc(POOL_BYTES)
      poolUsed = 0
    }
    this.#buffer = isLarge ? Buffer.alloc(bytes) : pool
    this.#start = isLarge ? 0 : poolUsed
    this.#offset = this.#start + 4
  }

  varint(value: number): void {
    this.#offset = writeVarint(this.#buffer, this.#offset, value)
  }

  byte(value: number): void {
    this.#buffer[this.#offset++] = value
  }

  latin1(text: string): void {
    const { length } = text
    this.varint(length)
    const start = this.#offset
    if (length > SHORT) this.#buffer.write(text, start, 'latin1')
    else for (let i = 0; i < length; i++) this.#buffer[start + i] = text.charCodeAt(i)
    this.#offset = start + length
  }

  target(target: string): void {
    if (ASCII_TARGET.test(target)) {
      this.latin1(target)
    } else {
      this.varint(Buffer.byteLength(target))
      this.#offset += this.#buffer.write(target, this.#offset)
    }
  }

  fields(headers: P2PHeaders): void {
    const flat = headers.flat()
    let count = 0
    for (let i = 0; i < flat.length; i += 2) if (!HOP_FIELDS.has(flat[i] as string)) count++
    if (count > MAX_FIELDS) {
      throw P2PError.of('limit-exceeded', `the head has ${count} header fields; at most ${MAX_FIELDS} can be sent`, {
        limit: 'header fields',
        max: MAX_FIELDS,
      })
    }
    this.varint(count)
    let lengths = 0
    for (let i = 0; i < flat.length; i += 2) {
      const name = flat[i] as string
      const code = FIELD_CODES.get(name) ?? 0
      if (code === 0 && HOP_FIELDS.has(name)) continue
      if (name === 'content-length' && (lengths++ > 0 || !LENGTH.test(flat[i + 1] as string))) {
        throw invalidConfiguration('header content-length', flat[i + 1], 'must be one whole number of bytes')
      }
      this.byte(code)
      if (code === 0) this.latin1(name)
      this.latin1(flat[i + 1] as string)
    }
  }

  /** The message: the head's length, the head, and `body`. */
  end(maxBytes: number, body: Uint8Array): Uint8Array {
    const length = this.#offset - this.#start - 4
    if (length > maxBytes) throw headTooLarge(length, maxBytes)
    const start = this.#start + 4 - varintLength(length)
    writeVarint(this.#buffer, start, length)
    this.#buffer.set(body, this.#offset)
    const end = this.#offset + body.length
    if (this.#buffer === pool) poolUsed = end
    return new Uint8Array(this.#buffer.buffer, this.#buffer.byteOffset + start, end - start)
  }
}

function fieldsCapacity(headers: P2PHeaders): number {
  let capacity = 8
  for (const text of headers.flat()) capacity += text.length + 9
  return capacity
}

/**
 * A request's head with `body`, or the beginning of a body, behind it, to go out in one write.
 *
 * @throws P2PError `limit-exceeded` when the head has more than `maxHeaderBytes`
 */
export function encodeRequest(head: RequestHead, maxHeaderBytes: number, body: Uint8Array = EMPTY): Uint8Array {
  const { method, target, headers } = head
  const code = METHOD_CODES.get(method) ?? 0
  const writer = new HeadWriter(method.length + 3 * target.length + 32 + fieldsCapacity(headers) + body.length)
  writer.byte(code)
  if (code === 0) writer.latin1(method)
  writer.target(target)
  writer.fields(headers)
  return writer.end(maxHeaderBytes, body)
}

/**
 * An answer's head with `body`, or the beginning of a body, behind it, to go out in one write.
 *
 * @throws P2PError `limit-exceeded` when the head has more than `maxHeaderBytes`
 */
export function encodeResponse(head: ResponseHead, maxHeaderBytes: number, body: Uint8Array = EMPTY): Uint8Array {
  const writer = new HeadWriter(16 + fieldsCapacity(head.headers) + body.length)
  writer.varint(head.status)
  writer.fields(head.headers)
  return writer.end(maxHeaderBytes, body)
}

function malformed(why: string): P2PError {
  return P2PError.of('protocol', `the peer sent a malformed head: ${why}`, {})
}

/** Takes a head apart, front to back: a text of one character a byte. */
class HeadParser {
  readonly #text: string
  #offset: number
  /** The `content-length` among the fields that were read. */
  contentLength: number | undefined

  constructor(text: string, offset = 0) {
    this.#text = text
    this.#offset = offset
  }

  byte(): number {
    if (this.#offset >= this.#text.length) throw malformed('it ends too early')
    return this.#text.charCodeAt(this.#offset++)
  }

  varint(max: number): number {
    const first = this.byte()
    const length = 1 << (first >> 6)
    if (this.#offset + length - 1 > this.#text.length) throw malformed('it ends too early')
    let value = first & 0x3f
    for (let i = 1; i < length; i++) value = value * 256 + this.byte()
    if (value > max) throw malformed(`it holds a number over ${max}`)
    if (length !== varintLength(value)) throw malformed('a number is longer than it need be')
    return value
  }

  latin1(maxBytes: number): string {
    const start = this.#skipText(maxBytes)
    return this.#text.slice(start, this.#offset)
  }

  target(): string {
    const encoded = this.latin1(this.#text.length)
    if (ASCII_TARGET.test(encoded)) return encoded
    let target
    try {
      target = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(encoded, 'latin1'))
    } catch {
      throw malformed('its target is not UTF-8')
    }
    if (!TARGET.test(target)) throw malformed('its target is no path')
    return target
  }

  method(): string {
    const code = this.byte()
    if (code > 0) {
      const known = METHODS[code - 1]
      if (known === undefined) throw malformed(`there is no method ${code}`)
      return known
    }
    const method = this.latin1(MAX_METHOD_BYTES)
    if (!METHOD.test(method) || METHOD_CODES.has(method)) throw malformed('its method is none')
    return method
  }

  /** Checks the fields; their texts are cut out when somebody asks for one. */
  fields(): P2PHeaders {
    const text = this.#text
    const count = this.varint(MAX_FIELDS)
    const first = this.#offset
    for (let i = 0; i < count; i++) {
      const name = this.#fieldName()
      const start = this.#skipText(text.length)
      if (!isHeaderValue(text, start, this.#offset)) {
        throw malformed(`the value of ${name} has characters it may not have`)
      }
      if (name === 'content-length') this.#readContentLength(text.slice(start, this.#offset))
    }
    if (this.#offset !== text.length) throw malformed('it has bytes left over')
    if (count === 0) return new P2PHeaders()
    return P2PHeaders.fromChecked(() => new HeadParser(text, first).#flat())
  }

  /** Name, value, name, value: what is left, which was checked before. */
  #flat(): string[] {
    const flat: string[] = []
    while (this.#offset < this.#text.length) flat.push(this.#fieldName(), this.latin1(this.#text.length))
    return flat
  }

  /** Where the next string begins; what follows it is next. */
  #skipText(maxBytes: number): number {
    const length = this.varint(maxBytes)
    const start = this.#offset
    if (start + length > this.#text.length) throw malformed('it ends too early')
    this.#offset = start + length
    return start
  }

  #readContentLength(value: string): void {
    if (this.contentLength !== undefined || !LENGTH.test(value)) {
      throw malformed('its content-length is not one whole number')
    }
    this.contentLength = Number(value)
  }

  #fieldName(): string {
    const code = this.byte()
    if (code > 0) {
      const known = FIELD_NAMES[code - 1]
      if (known === undefined) throw malformed(`there is no field ${code}`)
      return known
    }
    const name = this.latin1(this.#text.length)
    if (!isHeaderName(name) || FIELD_CODES.has(name)) throw malformed('the name of a field is none')
    if (HOP_FIELDS.has(name)) throw malformed(`it has the field ${name}, which belongs to HTTP/1.1`)
    return name
  }
}

/** What `toString` of a buffer calls: called on the bytes themselves it needs no buffer over them. */
const { latin1Slice } = Buffer.prototype as unknown as {
  readonly latin1Slice: (this: Uint8Array, start: number, end: number) => string
}

/** The bytes from `start` to `end`, a character each. */
function textOf(bytes: Uint8Array, start: number, end: number): string {
  return latin1Slice.call(bytes, start, end)
}

/** Decodes a request's head: `bytes` from `start` to `end`, without its length. @throws P2PError `protocol` */
export function decodeRequestHead(bytes: Uint8Array, start = 0, end: number = bytes.length): RequestHead & Decoded {
  const parser = new HeadParser(textOf(bytes, start, end))
  const method = parser.method()
  const target = parser.target()
  const headers = parser.fields()
  return { method, target, headers, contentLength: parser.contentLength }
}

/** Decodes an answer's head, as `decodeRequestHead`. @throws P2PError `protocol` */
export function decodeResponseHead(bytes: Uint8Array, start = 0, end: number = bytes.length): ResponseHead & Decoded {
  const parser = new HeadParser(textOf(bytes, start, end))
  const status = parser.varint(599)
  if (status < 200) throw malformed(`${status} is no status of an answer`)
  const headers = parser.fields()
  return { status, headers, contentLength: parser.contentLength }
}
