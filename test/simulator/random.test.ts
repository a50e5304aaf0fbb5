import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { drawBytes, randomStream, Sfc32 } from '../../src/simulator/random.ts'

const take = (stream: Sfc32, count: number): number[] => Array.from({ length: count }, () => stream.nextU32())

describe('sfc32', () => {
  // From the sfc-prng crate 0.3 (sorairolake/sfc-rs), whose second half of vectors PractRand's RNG_output printed.
  test.each([
    {
      words: [0, 0, 0] as const,
      expected: [
        0xfb52c520, 0x38802be1, 0x948279e6, 0xec4bf1d9, 0x7cb0a909, 0xfad8b4a8, 0x3ca4b808, 0x3821b4c5, 0x5e7023ca,
        0x50f26bf7, 0xf1e1b0a2, 0x6163032f, 0x3bf3c9a4, 0x6db6c5e0, 0x57331c8c, 0x2aaf9993,
      ],
    },
    {
      words: [0, 0x89abcdef, 0x01234567] as const,
      expected: [
        0x35e05b54, 0x4c627ca1, 0x33a043e2, 0xb6113c67, 0x7cab9699, 0x4a52efeb, 0x5936797f, 0x139e2b9f, 0xc7df3db1,
        0x61ce1717, 0x5581e344, 0xbc3016ea, 0xa6bfd381, 0xcfed5524, 0x8a34536c, 0x3e3fa43b,
      ],
    },
    {
      words: [0, 2, 1] as const,
      expected: [
        0x03b80bb8, 0xa87dbc7e, 0x1787178c, 0x4c7b7234, 0xc65dade2, 0x2c692349, 0xf52c2153, 0xdf098072, 0x9d49b03c,
        0x9562381a, 0xc9b41738, 0x64b75e54, 0x36ce9b32, 0xf106947e, 0x0afc726b, 0x549bbc87,
      ],
    },
  ])('equals PractRand for the seed $words', ({ words: [a, b, c], expected }) => {
    expect(take(new Sfc32(a, b, c), expected.length)).toEqual(expected)
  })

  test('draws depend on the seed and the name alone', () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 2n ** 64n - 1n), fc.string(), (seed, name) => {
        const first = take(randomStream(seed, name), 4)
        expect(take(randomStream(seed, name), 4)).toEqual(first)
        expect(take(randomStream(seed, `${name}x`), 4)).not.toEqual(first)
        expect(take(randomStream(seed + 1n, name), 4)).not.toEqual(first)
      }),
    )
  })

  test('a seed and a name do not run into each other', () => {
    expect(take(randomStream(1n, '1'), 4)).not.toEqual(take(randomStream(11n, ''), 4))
  })
})

describe('derived draws', () => {
  test('nextBelow stays below its bound', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 32 }), fc.bigInt(0n, 1000n), (bound, seed) => {
        const stream = randomStream(seed, 'below')
        for (let i = 0; i < 20; i++) {
          const value = stream.nextBelow(bound)
          expect(Number.isInteger(value) && value >= 0 && value < bound).toBe(true)
        }
      }),
    )
  })

  // A bound for which "modulo" would draw the lower half of the range twice as often as the upper half.
  test('nextBelow has no bias', () => {
    const stream = randomStream(7n, 'bias')
    const bound = 3 * 2 ** 30
    const draws = 40_000
    let low = 0
    for (let i = 0; i < draws; i++) if (stream.nextBelow(bound) < bound / 3) low++
    expect(Math.abs(low / draws - 1 / 3)).toBeLessThan(0.012) // five standard deviations
  })

  test.each([1, 2, 6, 10, 1000])('nextBelow(%i) reaches every value evenly', (bound) => {
    const stream = randomStream(3n, 'even')
    const counts = Array.from({ length: bound }, () => 0)
    for (let i = 0; i < bound * 400; i++) {
      const value = stream.nextBelow(bound)
      counts[value] = (counts[value] ?? 0) + 1
    }
    expect(Math.min(...counts)).toBeGreaterThan(280)
    expect(Math.max(...counts)).toBeLessThan(520)
  })

  test.each([0, -1, 1.5, Number.NaN, 2 ** 32 + 1])('nextBelow refuses %d', (bound) => {
    expect(() => randomStream(0n, '').nextBelow(bound)).toThrow(/whole number from 1 to 2\^32/)
  })

  test('nextFloat is the draw divided by 2^32', () => {
    const [integers, floats] = [randomStream(5n, 'f'), randomStream(5n, 'f')]
    for (let i = 0; i < 10; i++) expect(floats.nextFloat()).toBe(integers.nextU32() / 2 ** 32)
  })

  test('every draw is reported, those that nextBelow throws away too', () => {
    const seen: number[] = []
    const stream = randomStream(9n, 'seen', (value) => seen.push(value))
    for (let i = 0; i < 50; i++) stream.nextBelow(2 ** 31 + 1)
    expect(seen.length).toBeGreaterThan(60)
    expect(seen).toEqual(take(randomStream(9n, 'seen'), seen.length))
  })

  test.each([0, 1, 4, 7, 33])('drawBytes(%i) has that length and the draws as little-endian words', (length) => {
    const bytes = drawBytes(randomStream(2n, 'bytes'), length)
    expect(bytes.length).toBe(length)
    const words = Buffer.alloc(64)
    const stream = randomStream(2n, 'bytes')
    for (let i = 0; i < 64; i += 4) words.writeUInt32LE(stream.nextU32(), i)
    expect(Buffer.from(bytes)).toEqual(words.subarray(0, length))
  })
})
