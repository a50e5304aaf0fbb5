/** What the DHT library is shown of the world, and the world of it. */
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeBencode, encodeBencode } from '../../src/discovery/dht/bencode.ts'
import type { Bencoded, Dictionary } from '../../src/discovery/dht/bencode.ts'
import { cleanAnswer, completeQuery, targetOf } from '../../src/discovery/dht/guarded-socket.ts'

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'))
const textOf = (value: Uint8Array | undefined): string | undefined => value && Buffer.from(value).toString('latin1')

const { value: bencoded } = fc.letrec<{ value: Bencoded }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', maxDepth: 4 },
    fc.maxSafeInteger(),
    fc.uint8Array({ maxLength: 40 }),
    fc.array(tie('value'), { maxLength: 4 }),
    fc
      .dictionary(fc.string({ unit: 'binary-ascii', maxLength: 8 }), tie('value'), { maxKeys: 4 })
      .map((entries) => new Map(Object.entries(entries)) as Dictionary),
  ),
}))

describe('bencoding', () => {
  test('comes back as it was', () => {
    fc.assert(
      fc.property(bencoded, (value) => {
        expect(encodeBencode(decodeBencode(encodeBencode(value)) as Bencoded)).toEqual(encodeBencode(value))
      }),
    )
  })

  test('is that of the specification', () => {
    for (const text of ['i-3e', 'i0e', '4:spam', '0:', 'l4:spam4:eggse', 'd3:cow3:moo4:spam4:eggse', 'le', 'de']) {
      expect(textOf(encodeBencode(decodeBencode(bytes(text)) as Bencoded))).toBe(text)
    }
    const unsorted = decodeBencode(bytes('d4:spam1:b3:cow1:ae'))
    expect(textOf(encodeBencode(unsorted as Bencoded))).toBe('d3:cow1:a4:spam1:be')
  })

  test.each([
    '', 'l-3:', 'd-3:', '-1:', 'i03e', 'i-0e', 'ie', 'i1', 'i1.5e', 'i99999999999999999e', '01:a', '5:spam', 'l', 'd',
    'd3:cow', 'd3:cow3:moo', 'd1:a1:b1:a1:ce', 'di1ei2ee', 'i1ei2e', 'lee', '99999999999999999999999:', 'x',
    `${'l'.repeat(10)}${'e'.repeat(10)}`,
  ])('%j is none', (text) => {
    expect(decodeBencode(bytes(text))).toBeUndefined()
  }) // prettier-ignore

  test('nests no deeper than a message needs, and never as deep as the stack', () => {
    expect(decodeBencode(bytes(`${'l'.repeat(9)}${'e'.repeat(9)}`))).toBeDefined()
    expect(decodeBencode(bytes('l'.repeat(60_000)))).toBeUndefined()
    expect(decodeBencode(bytes('d1:a'.repeat(15_000)))).toBeUndefined()
  })

  test('is read without an end to be waited for, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'lde0123456789:-i'), maxLength: 60 }), (text) => {
        const value = decodeBencode(bytes(text))
        expect(value === undefined || encodeBencode(value).length <= text.length).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })
})

const FIELDS = ['id', 'k', 'nodes', 'seq', 'sig', 'token', 'v']

describe('an answer', () => {
  const id = 'i'.repeat(20)
  const reply = (values: string): Uint8Array => bytes(`d1:rd2:id20:${id}${values}e1:t2:xy1:y1:re`)

  test('keeps what answers have, and loses the rest', () => {
    const clean = cleanAnswer(bytes(`d2:ip6:abcdef1:rd2:id20:${id}1:q1:q5:token2:tte1:t2:xy1:v4:LT011:y1:re`), true)
    expect(textOf(clean)).toBe(`d1:rd2:id20:${id}5:token2:tte1:t2:xy1:y1:re`)
    // As nodes of iroh number it.
    const padded = cleanAnswer(bytes(`d1:rd2:id20:${id}e1:t4:\0\0xy1:y1:re`), true)
    expect(textOf(padded)).toBe(`d1:rd2:id20:${id}e1:t2:xy1:y1:re`)
    expect(textOf(cleanAnswer(bytes('d1:eli302e5:oldere1:t2:xy1:y1:ee'), true))).toBe(
      'd1:eli302e5:oldere1:t2:xy1:y1:ee',
    )
  })

  test.each([
    ['a query', bytes(`d1:ad2:id20:${id}e1:q4:ping1:t2:xy1:y1:qe`)],
    ['a number for an id', bytes('d1:rd2:idi5ee1:t2:xy1:y1:re')],
    ['no id', bytes('d1:rde1:t2:xy1:y1:re')],
    ['a list for an answer', bytes('d1:rle1:t2:xy1:y1:re')],
    ['another transaction', bytes(`d1:rd2:id20:${id}e1:t3:xyz1:y1:re`)],
    ['a long transaction', bytes(`d1:rd2:id20:${id}e1:t6:\0\0\0\0xy1:y1:re`)],
    ['an error without a code', bytes('d1:el5:oldere1:t2:xy1:y1:ee')],
    ['a dictionary for a token', reply('5:tokende')],
    ['a long token', reply(`5:token200:${'t'.repeat(200)}`)],
    ['a negative number of an item', reply('3:seqi-1e')],
    ['a short signature', reply('3:sig2:ab')],
    ['a short key', reply('1:k2:ab')],
    ['a value of 1001 bytes', reply(`1:v1001:${'v'.repeat(1001)}`)],
    ['a list for a value', reply('1:vle')],
    ['more than a packet has', bytes(`d1:rd2:id20:${id}1:x9000:${'x'.repeat(9000)}e1:t2:xy1:y1:re`)],
  ])('is not %s', (_, packet) => {
    expect(cleanAnswer(packet, true)).toBeUndefined()
  })

  test('may have contacts: whole ones, and on the internet only such as are there', () => {
    const contact = (a: number, b: number): string => `${'c'.repeat(20)}${String.fromCharCode(a, b, 3, 4, 0x1a, 0xe1)}`
    const all = [contact(9, 9), contact(192, 168), contact(127, 0), contact(10, 1), contact(224, 0)].join('')
    const packet = reply(`5:nodes${all.length + 3}:${all}xyz`)
    expect(textOf(cleanAnswer(packet, true))).toContain(`5:nodes26:${contact(9, 9)}`)
    expect(textOf(cleanAnswer(packet, false))).toContain(`5:nodes130:${all}`)
    expect(textOf(cleanAnswer(reply('5:nodesi5e'), true))).toBe(textOf(reply('')))
  })

  test('is written anew from the fields of an answer, or nothing, whatever has come', () => {
    const valid = reply('5:token2:tt1:v3:abc3:seqi7e')
    const damaged = fc
      .array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { maxLength: 5 })
      .map((changes) => changes.reduce((packet, [at, byte]) => packet.fill(byte, at, at + 1), valid.slice()))
    fc.assert(
      fc.property(fc.oneof(damaged, fc.uint8Array({ maxLength: 200 })), (packet) => {
        const clean = cleanAnswer(packet, true)
        if (!clean) return
        const read = decodeBencode(clean) as Dictionary
        expect(encodeBencode(read)).toEqual(clean)
        expect(['r', 'e']).toContain(textOf(read.get('y') as Uint8Array))
        const values = read.get('r') as Dictionary | undefined
        expect(values === undefined || values.has('id')).toBe(true)
        expect([...(values?.keys() ?? [])].every((name) => FIELDS.includes(name))).toBe(true)
      }),
      { numRuns: 3000 },
    )
  })
})

describe('a query', () => {
  test('says that nobody need ask back', () => {
    const query = bytes(`d1:ad2:id20:${'i'.repeat(20)}e1:q3:get1:t2:xy1:y1:qe`)
    expect(textOf(completeQuery(query))).toBe(`d1:ad2:id20:${'i'.repeat(20)}e1:q3:get2:roi1e1:t2:xy1:y1:qe`)
  })

  test('that stores names its target', () => {
    const key = 'k'.repeat(32)
    const query = completeQuery(bytes(`d1:ad1:k32:${key}e1:q3:put1:t2:xy1:y1:qe`))
    const target = textOf(targetOf(bytes(key)))
    expect(textOf(query)).toBe(`d1:ad1:k32:${key}6:target20:${target}e1:q3:put2:roi1e1:t2:xy1:y1:qe`)
  })
})
