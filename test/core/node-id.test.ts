import { inspect } from 'node:util'
import * as iroh from '@number0/iroh'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isCurvePoint } from '../../src/core/curve.ts'
import { encodeBase32, BASE32, Z_BASE_32 } from '../../src/core/encoding.ts'
import { testNodeId } from '../../src/core/keys.ts'
import { NodeId } from '../../src/core/node-id.ts'

/** Whether the official binding takes these bytes for an id. */
function irohTakes(bytes: Uint8Array): boolean {
  try {
    iroh.EndpointId.fromBytes([...bytes])
    return true
  } catch {
    return false
  }
}

const invalid = (why: string): unknown =>
  expect.objectContaining({ code: 'invalid-node-id', message: expect.stringContaining(why) as unknown })

/**
 * Public keys of RFC 8032, 7.1 (tests 1, 2, 3, 1024 and SHA(abc)), and the id of iroh's own tests. The texts were made
 * with Python's base64 module and an alphabet translation.
 */
const VECTORS: readonly (readonly [hex: string, zBase32: string, base32: string])[] = [
  [
    'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    '47pjoycnsrfmxikm95jh13y88e8qnhzu5kungjpxyepgt7a8krpy',
    '25njqamcweflpvkl73j4szahhihoc4xt3ktcgjnpaingr5yhkena',
  ],
  [
    '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    '8iybxo9eeqriirizbkuw4g56z1qjomgxf5njpdgy3ik9nkzwcagy',
    'hvabpq7iioevvevxbktu2g36xsojqlgpf3cjndgazvk7ckxumyga',
  ],
  [
    'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
    '9teh5dundno48dprx5eyrc8omyrbp5euze3o8mn77qetk1rooy1o',
    '7ri43dtcdcq2hdnep3iaemhqlaebn3itxizqhlc55oirkseqqasq',
  ],
  [
    '278117fc144c72340f67d0f2316e8386ceffbf2b2428c9c51fef7c597f1d426e',
    'r6ytx9ywjt3ded584d3dn5wdo58x9x3mrowcute9776f19a7ejzy',
    'e6arp7aujrzdid3h2dzdc3udq3hp7pzlequmtri7556fs7y5ijxa',
  ],
  [
    'ec172b93ad5e563f4932c70e1245034c35467ef2efd4d64ebf819683467e2bf1',
    '7om1zr7pm3md61j1ah8brtedjo4wc9z179kpcui9ogmegtu6fxao',
    '5qlsxe5nlzld6sjsy4hberidjq2um7xs57knmtv7qgligrt6fpyq',
  ],
  [
    'ae58ff8833241ac82d6ff7611046ed67b5072d142c588d0063e942d9a75502b6',
    'i3cx9nburopcommx67otytzpc64oqmewftce4ydd7fbpuj4iyk5y',
    'vzmp7cbteqnmqllp65qrarxnm62qoliufrmi2add5fbntj2vak3a',
  ],
]

describe('a node id', () => {
  test.each(VECTORS)('%s', (hex, zBase32, base32) => {
    const id = NodeId.fromBytes(Buffer.from(hex, 'hex'))
    expect(id.toString()).toBe(zBase32)
    expect(id.toHex()).toBe(hex)
    expect(id.fmtShort()).toBe(hex.slice(0, 10))
    for (const text of [hex, zBase32, base32]) {
      for (const form of [text, text.toUpperCase(), ` ${text}\n`]) expect(NodeId.parse(form).toHex()).toBe(hex)
    }
    // The official binding reads and writes the same.
    expect(iroh.EndpointId.fromString(base32).toString()).toBe(hex)
    expect(iroh.EndpointId.fromString(hex).fmtShort()).toBe(id.fmtShort())
  })

  test('of Pubky’s documentation and of Oxen’s tests', () => {
    expect(NodeId.parse('o4dksfbqk85ogzdb5osziw6befigbuxmuxkuxq8434q89uj56uyy').toHex()).toBe(
      '8686ab142e51f7035c61dc2d7ad3c1416a60cdeb9bd537b8face9c7fcd3bf4c0',
    )
    const key = 'f16ba5591039f089b42a834175093094074d0d937a79e53e5ce730f946e14b88'
    expect(encodeBase32(Buffer.from(key, 'hex'), Z_BASE_32)).toBe(
      '6fi4kseo88aeupbkopyzknjo1odw4dcuxjh6kx1hhhax1tzbjqry',
    )
  })

  test('is read back from each of its forms, in any case', () => {
    fc.assert(
      fc.property(fc.string(), fc.boolean(), (name, upper) => {
        const id = testNodeId(name)
        const [zBase32, hex, base32] = [id.toString(), id.toHex(), encodeBase32(id.asBytes(), BASE32)]
        const parse = (text: string): NodeId => NodeId.parse(upper ? text.toUpperCase() : text)
        expect(parse(zBase32).equals(id)).toBe(true)
        expect(parse(hex).equals(id)).toBe(true)
        // What base32 spells may be z-base-32 of another point; then that is what is meant, as that is what is shown.
        const ambiguous = parse(base32)
        expect(ambiguous.equals(id) || ambiguous.toString() === base32).toBe(true)
        expect(NodeId.fromBytes(id.asBytes()).equals(id)).toBe(true)
      }),
    )
  })

  test.each([
    ['Uint8Array', (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes)],
    // Its `slice` shares the memory.
    ['Buffer', (bytes: Uint8Array): Uint8Array => Buffer.from(bytes)],
  ])('hands out copies and keeps its own (%s)', (_name, make) => {
    const bytes = make(testNodeId('a').asBytes())
    const hex = testNodeId('a').toHex()
    const ids = [NodeId.fromBytes(bytes), NodeId.fromPublicKey(bytes), testNodeId('a')]
    bytes.fill(0)
    for (const id of ids) id.asBytes().fill(0)
    expect(ids.map((id) => id.toHex())).toEqual([hex, hex, hex])
  })

  test('equal ids are equal by text, in JSON and for people', () => {
    const [one, other] = [testNodeId('a'), NodeId.parse(testNodeId('a').toHex())]
    expect(one.equals(other)).toBe(true)
    expect(one.equals(testNodeId('b'))).toBe(false)
    expect(new Map([[one.toString(), 1]]).get(other.toString())).toBe(1)
    expect(JSON.stringify({ one })).toBe(`{"one":"${other.toString()}"}`)
    expect(inspect(one)).toBe(`NodeId(${other.toString()})`)
    expect(`${one}`).toBe(other.toString())
  })

  test.each([
    ['', 'has 0 characters'],
    ['short', 'has 5 characters'],
    ['y'.repeat(51), 'has 51 characters'],
    ['y'.repeat(53), 'has 53 characters'],
    ['0'.repeat(63), 'has 63 characters'],
    ['g'.repeat(64), 'must all be hex digits'],
    [`${'0'.repeat(62)}0x`, 'must all be hex digits'],
    [`l${'2'.repeat(50)}9`, 'fit neither'],
    ['-'.repeat(52), 'fit neither'],
    // The first vector with the last character's unused bits set.
    ['47pjoycnsrfmxikm95jh13y88e8qnhzu5kungjpxyepgt7a8krpb', 'beyond the 256'],
    ['25njqamcweflpvkl73j4szahhihoc4xt3ktcgjnpaingr5yhken2', 'beyond the 256'],
    [`02${'00'.repeat(31)}`, 'not a point on the ed25519 curve'],
    [encodeBase32(Uint8Array.of(2, ...new Uint8Array(31)), Z_BASE_32), 'not a point on the ed25519 curve'],
  ])('%j is none, and the message says why', (text, why) => {
    expect(() => NodeId.parse(text)).toThrow(invalid(why))
    expect(() => NodeId.parse(text)).toThrow(expect.objectContaining({ value: text }))
  })

  test.each([
    [new Uint8Array(31), 'has 31 bytes'],
    [new Uint8Array(33), 'has 33 bytes'],
    [Uint8Array.of(2, ...new Uint8Array(31)), 'not a point on the ed25519 curve'],
  ])('nor are these bytes', (bytes, why) => {
    expect(() => NodeId.fromBytes(bytes)).toThrow(invalid(why))
  })

  test('a long text does not make a long message', () => {
    expect(() => NodeId.parse('x'.repeat(100_000))).toThrow(/^.{0,200}$/)
  })

  test('any text is an id or `invalid-node-id`', () => {
    const text = fc.oneof(fc.string(), fc.string({ minLength: 52, maxLength: 52 }), fc.string({ unit: 'binary' }))
    fc.assert(
      fc.property(text, (value) => {
        expect(() => NodeId.parse(value)).toThrow(expect.objectContaining({ code: 'invalid-node-id' }))
      }),
    )
  })
})

describe('the curve', () => {
  const bytes = fc.uint8Array({ minLength: 32, maxLength: 32 })

  test('random bytes are a point exactly when the official binding says so', () => {
    let points = 0
    let others = 0
    fc.assert(
      fc.property(bytes, (value) => {
        const taken = irohTakes(value)
        if (taken) points++
        else others++
        expect(isCurvePoint(value)).toBe(taken)
      }),
      { numRuns: 500 },
    )
    // About half of all are: the comparison is worth something.
    expect(Math.min(points, others)).toBeGreaterThan(100)
  })

  test('so are the strange ones: small, of low order, not reduced, with either sign', () => {
    const p = 2n ** 255n - 19n
    const numbers = [0n, 1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n, p - 2n, p - 1n, p, p + 1n, p + 2n, 2n ** 255n - 1n]
    for (const y of numbers) {
      for (const sign of [0n, 1n]) {
        let rest = y | (sign << 255n)
        const value = Uint8Array.from({ length: 32 }, () => {
          const byte = Number(rest & 255n)
          rest >>= 8n
          return byte
        })
        expect([y, sign, isCurvePoint(value)]).toEqual([y, sign, irohTakes(value)])
      }
    }
  })

  test('every key’s public half is a point', () => {
    fc.assert(
      fc.property(fc.string(), (name) => {
        expect(isCurvePoint(testNodeId(name).asBytes())).toBe(true)
      }),
    )
  })
})
