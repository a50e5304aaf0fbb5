import * as fc from 'fast-check'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { fromHex, toHex } from '../../src/core/encoding.ts'
import { P2PError } from '../../src/core/errors.ts'
import {
  decodeRequestHead,
  decodeResponseHead,
  encodeRequest,
  encodeResponse,
  FIELD_NAMES,
  HOP_FIELDS,
  METHODS,
} from '../../src/router/codec.ts'
import { behindHead, HeadReader } from '../../src/router/head-reader.ts'
import type { RawHead } from '../../src/router/head-reader.ts'
import { P2PHeaders } from '../../src/router/headers.ts'

type Pairs = readonly (readonly [string, string])[]

interface Vector {
  readonly name: string
  readonly kind: 'request' | 'response'
  readonly method: string
  readonly target: string
  readonly status: number
  readonly headers: Pairs
  readonly body: string
  readonly bytes: string
  readonly code: string
}

function vectors(file: 'heads' | 'malformed'): Vector[] {
  const text = readFileSync(join(import.meta.dirname, `vectors/${file}.json`), 'utf8')
  return (JSON.parse(text) as Record<string, Vector[]>)[file] ?? []
}

const hex = (text: string): Uint8Array => {
  const bytes = fromHex(text)
  if (!bytes) throw new Error(`not hex: ${text}`)
  return bytes
}

const MAX = 16_384

/** Reads a head from `chunks`, and nothing behind it but what came with it. */
function readHead(
  chunks: readonly Uint8Array[],
  maxBytes: number,
): { head: Uint8Array; rest: Uint8Array; raw: RawHead } {
  const reader = new HeadReader(maxBytes)
  for (const chunk of chunks) {
    const raw = chunk.length > 0 && reader.push(chunk)
    if (!raw) continue
    return { head: raw.bytes.subarray(raw.start, raw.end), rest: behindHead(raw) ?? new Uint8Array(0), raw }
  }
  reader.push(undefined)
  throw new Error('the end of the stream was taken for a head')
}

function encode(vector: Vector): Uint8Array {
  const headers = new P2PHeaders(vector.headers)
  const body = hex(vector.body)
  return vector.kind === 'request'
    ? encodeRequest({ method: vector.method, target: vector.target, headers }, MAX, body)
    : encodeResponse({ status: vector.status, headers }, MAX, body)
}

/** Cuts `bytes` into pieces of the given sizes, over and over. */
function cut(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const pieces: Uint8Array[] = []
  for (let offset = 0, i = 0; offset < bytes.length; i++) {
    const size = sizes[i % sizes.length] ?? 1
    pieces.push(bytes.subarray(offset, offset + size))
    offset += size
  }
  return pieces
}

describe('the encoding', () => {
  test.each(vectors('heads'))('$name', (vector) => {
    expect(toHex(encode(vector))).toBe(vector.bytes)
    const { head, rest, raw } = readHead([hex(vector.bytes)], MAX)
    expect(toHex(rest)).toBe(vector.body)
    const decode = vector.kind === 'request' ? decodeRequestHead : decodeResponseHead
    const { headers, contentLength, ...line } = decode(raw.bytes, raw.start, raw.end)
    const expected =
      vector.kind === 'request' ? { method: vector.method, target: vector.target } : { status: vector.status }
    expect(line).toEqual(expected)
    expect([...headers]).toEqual(vector.headers)
    expect([...decode(head).headers]).toEqual(vector.headers)
    expect(contentLength?.toString()).toBe(headers.get('content-length'))
  })

  test.each(vectors('malformed'))('refuses $name', ({ kind, bytes, code }) => {
    const decode = kind === 'request' ? decodeRequestHead : decodeResponseHead
    expect(() => decode(readHead([hex(bytes)], MAX).head)).toThrow(expect.objectContaining({ code }) as Error)
  })

  test('its tables are part of the protocol', () => {
    // Changing either is a new version of the protocol: append nothing, reorder nothing.
    expect(METHODS).toHaveLength(7)
    expect(FIELD_NAMES).toHaveLength(40)
    expect(FIELD_NAMES).toEqual([...FIELD_NAMES].sort())
    expect(FIELD_NAMES.filter((name) => HOP_FIELDS.has(name))).toEqual([])
  })
})

const method = fc.oneof(fc.constantFrom(...METHODS), fc.stringMatching(/^[A-Z][A-Z0-9_-]{0,31}$/))
const target = fc
  .string({ unit: 'grapheme', maxLength: 200 })
  // oxlint-disable-next-line no-control-regex -- these are what a target cannot have
  .map((text) => `/${text.replace(/[\x00-\x20\x7f#]/g, '')}`)
const name = fc
  .oneof(fc.constantFrom(...FIELD_NAMES), fc.stringMatching(/^[!#$%&'*+.^_`|~0-9a-z-]{1,20}$/))
  .filter((text) => !HOP_FIELDS.has(text) && text !== 'content-length')
const value = fc.stringMatching(/^[\t\x20-\x7e\x80-\xff]{0,40}$/).map((text) => text.trim())
const headers = fc.array(fc.tuple(name, value), { maxLength: 40 })

describe('the codec', () => {
  test('brings every request back, however its bytes are cut', () => {
    const body = fc.uint8Array({ maxLength: 300 })
    const sizes = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 8 })
    fc.assert(
      fc.property(method, target, headers, body, sizes, (method, target, pairs, body, sizes) => {
        const bytes = encodeRequest({ method, target, headers: new P2PHeaders(pairs) }, MAX, body)
        const { head, rest } = readHead(cut(bytes, sizes), MAX)
        const decoded = decodeRequestHead(head)
        expect([decoded.method, decoded.target, [...decoded.headers]]).toEqual([method, target, pairs])
        // What came with the head is the beginning of the body.
        expect(toHex(body).startsWith(toHex(rest))).toBe(true)
        const inOne = readHead([bytes], MAX)
        expect(toHex(inOne.rest)).toBe(toHex(body))
      }),
    )
  })

  test('brings every answer back', () => {
    fc.assert(
      fc.property(fc.integer({ min: 200, max: 599 }), headers, (status, pairs) => {
        const bytes = encodeResponse({ status, headers: new P2PHeaders(pairs) }, MAX)
        const skip = bytes.length > 64 ? 2 : 1
        const decoded = decodeResponseHead(bytes.subarray(skip))
        expect([decoded.status, [...decoded.headers]]).toEqual([status, pairs])
      }),
    )
  })

  test('takes garbage for an error, and nothing in two ways', () => {
    // Valid heads, damaged: more of the decoder is reached than by noise alone.
    const damaged = fc
      .tuple(
        method,
        target,
        headers,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 2 }),
        fc.constantFrom(0, 0, 0, 1, 5),
      )
      .map(([method, target, pairs, changes, missing]) => {
        const bytes = encodeRequest({ method, target, headers: new P2PHeaders(pairs) }, MAX).slice()
        for (const [at, byte] of changes) bytes[at % bytes.length] = byte
        return bytes.subarray(bytes.length > 64 ? 2 : 1, bytes.length - missing)
      })
    let taken = 0
    /** What it is decoded to, encoded again; undefined when it is refused. */
    const again = (bytes: Uint8Array, kind: 'request' | 'response'): string | undefined => {
      let encoded
      try {
        encoded =
          kind === 'request'
            ? encodeRequest(decodeRequestHead(bytes), 1e9)
            : encodeResponse(decodeResponseHead(bytes), 1e9)
      } catch (error) {
        if (P2PError.is(error, 'protocol')) return undefined
        throw error
      }
      taken++
      return toHex(encoded).slice(-2 * bytes.length)
    }
    fc.assert(
      fc.property(fc.oneof(damaged, fc.uint8Array({ maxLength: 100 })), (bytes) => {
        expect([toHex(bytes), undefined]).toContain(again(bytes, 'request'))
        expect([toHex(bytes), undefined]).toContain(again(bytes, 'response'))
      }),
      { numRuns: 3000 },
    )
    expect(taken).toBeGreaterThan(100)
  })

  test('reading a head from any bytes ends with a head or an error, never with more than its limit', () => {
    const chunks = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 10 })
    fc.assert(
      fc.property(chunks, fc.integer({ min: 1, max: 100 }), (chunks, max) => {
        let good
        try {
          const { head } = readHead(chunks, max)
          good = head.length > 0 && head.length <= max
        } catch (error) {
          good = P2PError.is(error, 'protocol') || P2PError.is(error, 'limit-exceeded')
        }
        expect(good).toBe(true)
      }),
      { numRuns: 1000 },
    )
  })

  test('a claim of gigabytes is refused at its first bytes', () => {
    for (const bytes of [[0xff], [0xc0, 0], [0xbf, 0xff, 0xff, 0xff]]) {
      expect(() => new HeadReader(MAX).push(Uint8Array.from(bytes))).toThrow(
        expect.objectContaining({ code: 'limit-exceeded', limit: 'maxHeaderBytes', max: MAX }) as Error,
      )
    }
  })

  test('refuses to send heads that nobody would take', () => {
    const request =
      (headers: P2PHeaders): (() => unknown) =>
      () =>
        encodeRequest({ method: 'GET', target: '/', headers }, 100)
    expect(request(new P2PHeaders({ a: 'x'.repeat(100) }))).toThrow(/at most 100/)
    expect(request(new P2PHeaders({ a: Array.from({ length: 257 }, () => '') }))).toThrow(/256/)
    expect(request(new P2PHeaders({ 'content-length': '1, 1' }))).toThrow(/content-length/)
    expect(request(new P2PHeaders({ 'content-length': ['1', '1'] }))).toThrow(/content-length/)
  })

  test('leaves out what belongs to a hop of HTTP/1.1', () => {
    const headers = new P2PHeaders({ connection: 'close', vary: 'a', 'transfer-encoding': 'chunked' })
    const bytes = encodeRequest({ method: 'GET', target: '/', headers }, MAX)
    expect([...decodeRequestHead(bytes.subarray(1)).headers]).toEqual([['vary', 'a']])
  })

  test('gives headers that do not change with the memory that they came in', () => {
    const headers = new P2PHeaders({ vary: 'a', 'x-long': 'b'.repeat(100), 'content-length': '5' })
    const bytes = encodeRequest({ method: 'PUT', target: '/a', headers }, MAX).slice()
    const raw = readHead([bytes], MAX).raw
    const decoded = decodeRequestHead(raw.bytes, raw.start, raw.end)
    bytes.fill(0)
    expect([...decoded.headers]).toEqual([...headers])
    expect(decoded.contentLength).toBe(5)
  })

  test('messages that were encoded do not change with the next, of any size', () => {
    const sizes = fc.array(fc.integer({ min: 0, max: 6000 }), { minLength: 2, maxLength: 12 })
    fc.assert(
      fc.property(sizes, (sizes) => {
        const messages = sizes.map((size, i) => {
          const body = new Uint8Array(size).fill(i)
          return {
            body,
            bytes: encodeResponse({ status: 200 + i, headers: new P2PHeaders({ age: `${i}` }) }, MAX, body),
          }
        })
        for (const [i, { body, bytes }] of messages.entries()) {
          const { head, rest } = readHead([bytes], MAX)
          const decoded = decodeResponseHead(head)
          expect([decoded.status, decoded.headers.get('age')]).toEqual([200 + i, `${i}`])
          expect(toHex(rest)).toBe(toHex(body))
        }
      }),
    )
  })
})
