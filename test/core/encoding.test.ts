import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  BASE32,
  decodeBase32,
  encodeBase32,
  encodeVarint,
  fromHex,
  readVarint,
  toHex,
  varintLength,
  writeVarint,
  Z_BASE_32,
} from '../../src/core/encoding.ts'

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

describe('z-base-32', () => {
  test.each([
    // The whole-byte examples of the specification (Zooko O'Whielacronx, 2002).
    [Uint8Array.of(0xf0, 0xbf, 0xc7), '6n9hq'],
    [Uint8Array.of(0xd4, 0x7a, 0x04), '4t7ye'],
    // TBD's web5 test vectors.
    [utf8('hello'), 'pb1sa5dx'],
    [utf8('hello world!'), 'pb1sa5dxrb5s6huccooo'],
    [
      utf8('The quick brown fox jumps over the lazy dog.'),
      'ktwgkedtqiwsg43ycj3g675qrbug66bypj4s4hdurbzzc3m1rb4go3jyptozw6jyctzsqmo',
    ],
    [new Uint8Array(0), ''],
  ])('%s', (bytes, text) => {
    expect(encodeBase32(bytes, Z_BASE_32)).toBe(text)
    expect(decodeBase32(text, Z_BASE_32)).toEqual({ bytes })
  })
})

describe('base32', () => {
  // RFC 4648, 10, without the padding.
  test.each([
    ['', ''],
    ['f', 'MY'],
    ['fo', 'MZXQ'],
    ['foo', 'MZXW6'],
    ['foob', 'MZXW6YQ'],
    ['fooba', 'MZXW6YTB'],
    ['foobar', 'MZXW6YTBOI'],
  ])('%j is %s', (text, encoded) => {
    expect(encodeBase32(utf8(text), BASE32)).toBe(encoded.toLowerCase())
    expect(decodeBase32(encoded, BASE32)).toEqual({ bytes: utf8(text) })
  })
})

describe.each([
  ['z-base-32', Z_BASE_32],
  ['base32', BASE32],
])('%s', (_name, alphabet) => {
  test('is read back in any case', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.boolean(), (bytes, upper) => {
        const text = encodeBase32(bytes, alphabet)
        expect(decodeBase32(upper ? text.toUpperCase() : text, alphabet)).toEqual({ bytes })
      }),
    )
  })

  test('has one text for any bytes: what is read is what would be written', () => {
    const character = fc.constantFrom(...alphabet)
    fc.assert(
      fc.property(fc.string({ unit: character, maxLength: 60 }), (text) => {
        const { bytes, why } = decodeBase32(text, alphabet)
        expect(bytes ? encodeBase32(bytes, alphabet) : text).toBe(text)
        expect(why ?? 'length').toMatch(/^(length|trailing-bits)$/)
        expect(bytes === undefined).toBe(why !== undefined)
      }),
    )
  })

  test('says what is wrong', () => {
    const [zero, one] = [alphabet[0] ?? '', alphabet[1] ?? '']
    expect(decodeBase32(zero, alphabet)).toEqual({ why: 'length' })
    expect(decodeBase32(zero.repeat(3), alphabet)).toEqual({ why: 'length' })
    expect(decodeBase32(zero + one, alphabet)).toEqual({ why: 'trailing-bits' })
    expect(decodeBase32(`${zero}=`, alphabet)).toEqual({ why: 'alphabet' })
    // The Kelvin sign, of which `toLowerCase` makes a k, and other signs beyond ASCII.
    for (const sign of ['\u212A', 'İ', 'ſ', '😀', ' ']) {
      expect(decodeBase32(zero + sign, alphabet)).toEqual({ why: 'alphabet' })
    }
  })
})

describe('hex', () => {
  test('is read back in any case', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const text = toHex(bytes)
        expect(text).toBe(Buffer.from(bytes).toString('hex'))
        expect(fromHex(text)).toEqual(bytes)
        expect(fromHex(text.toUpperCase())).toEqual(bytes)
      }),
    )
  })

  test.each(['0', 'abc', 'zz', '0x', ' 0', '0٠'])('%j is none', (text) => {
    expect(fromHex(text)).toBeUndefined()
  })
})

describe('variable-length integers', () => {
  // RFC 9000, A.1.
  test.each([
    ['25', 37],
    ['7bbd', 15_293],
    ['9d7f3e7d', 494_878_333],
  ])('%s is %d', (hex, value) => {
    const bytes = Buffer.from(hex, 'hex')
    expect(readVarint(bytes, 0)).toEqual({ value, next: bytes.length })
    expect(toHex(encodeVarint(value))).toBe(hex)
  })

  test('longer forms than necessary are read', () => {
    expect(readVarint(Buffer.from('4025', 'hex'), 0)).toEqual({ value: 37, next: 2 })
    expect(readVarint(Buffer.from('80000025', 'hex'), 0)).toEqual({ value: 37, next: 4 })
    expect(readVarint(Buffer.from('c000000000000025', 'hex'), 0)).toEqual({ value: 37, next: 8 })
  })

  test('beyond 2^53 - 1 there is no exact number', () => {
    // RFC 9000, A.1, the eight-byte example: 151288809941952652.
    expect(readVarint(Buffer.from('c2197c5eff14e88c', 'hex'), 0)).toEqual({ value: Number.NaN, next: 8 })
    expect(readVarint(Buffer.from('c01fffffffffffff', 'hex'), 0)).toEqual({ value: Number.MAX_SAFE_INTEGER, next: 8 })
    expect(readVarint(Buffer.from('c020000000000000', 'hex'), 0)).toEqual({ value: Number.NaN, next: 8 })
  })

  test('are read back, wherever they stand', () => {
    const value = fc.oneof(fc.nat(70), fc.nat(20_000), fc.nat(), fc.maxSafeNat())
    fc.assert(
      fc.property(value, fc.uint8Array({ maxLength: 5 }), (number, before) => {
        const bytes = new Uint8Array(before.length + 9).fill(0xee)
        bytes.set(before)
        bytes.fill(0, before.length, before.length + 8)
        const next = writeVarint(bytes, before.length, number)
        expect(next - before.length).toBe(varintLength(number))
        expect(readVarint(bytes, before.length)).toEqual({ value: number, next })
        expect(readVarint(bytes.subarray(0, next - 1), before.length)).toBeUndefined()
        expect(bytes.at(-1)).toBe(0xee)
      }),
    )
  })

  test.each([
    [63, 1],
    [64, 2],
    [16_383, 2],
    [16_384, 4],
    [1_073_741_823, 4],
    [1_073_741_824, 8],
  ])('%d takes %d bytes', (value, length) => {
    expect(encodeVarint(value).length).toBe(length)
  })
})
