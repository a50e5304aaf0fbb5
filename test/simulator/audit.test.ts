import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { digestBytes, digestText, EventKind, HashAudit } from '../../src/simulator/audit.ts'

interface Entry {
  readonly waitUs: number
  readonly kind: number
  readonly host: number
  readonly fields: number[]
}

function hashOf(history: readonly Entry[]): string {
  const audit = new HashAudit()
  let time = 0
  for (const { waitUs, kind, host, fields } of history) {
    time += waitUs
    audit.at(time)
    audit.record(kind, host, fields[0], fields[1], fields[2], fields[3])
  }
  return audit.digest()
}

const anyNumber = fc.oneof(
  fc.integer({ min: -3, max: 3 }),
  fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  fc.integer({ min: 2 ** 31, max: 2 ** 32 - 1 }),
  fc.integer({ min: 2 ** 32, max: 2 ** 53 - 1 }),
  fc.double({ noNaN: true }),
)
const entry = fc.record({
  waitUs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 2 ** 40 })),
  kind: fc.integer({ min: 1, max: 65_535 }),
  host: fc.integer({ min: -1, max: 100_000 }),
  fields: fc.array(anyNumber, { maxLength: 4 }),
})
const history = fc.array(entry, { minLength: 1, maxLength: 12 })

/** Whether the hash tells two numbers apart; it takes -0 for 0. */
const differ = (a: number, b: number): boolean => !(a === b || (Number.isNaN(a) && Number.isNaN(b)))

describe('the history hash', () => {
  test('is the same for the same history, 16 hex digits', () => {
    fc.assert(
      fc.property(history, (entries) => {
        expect(hashOf(entries)).toBe(hashOf(entries))
        expect(hashOf(entries)).toMatch(/^[0-9a-f]{16}$/)
      }),
    )
  })

  test('changes with the time, the kind and the host of any one record', () => {
    fc.assert(
      fc.property(history, fc.nat(), fc.integer({ min: 1, max: 2 ** 33 }), (entries, at, by) => {
        const index = at % entries.length
        const original = hashOf(entries)
        const change = (over: (old: Entry) => Partial<Entry>): string =>
          hashOf(entries.map((old, i) => (i === index ? { ...old, ...over(old) } : old)))
        expect(change((old) => ({ waitUs: old.waitUs + by }))).not.toBe(original)
        expect(change((old) => ({ kind: 1 + ((old.kind + (by % 65_534)) % 65_535) }))).not.toBe(original)
        expect(change((old) => ({ host: old.host + 1 + (by % 1000) }))).not.toBe(original)
      }),
      { numRuns: 300 },
    )
  })

  test('changes with any one field of any one record, and with its absence', () => {
    fc.assert(
      fc.property(history, fc.nat(), anyNumber, (entries, at, value) => {
        const withFields = entries.filter(({ fields }) => fields.length > 0)
        const target = withFields[at % (withFields.length || 1)]
        fc.pre(target !== undefined)
        const original = hashOf(entries)
        const others = target.fields.flatMap((old, field) =>
          differ(old, value) ? [target.fields.with(field, value)] : [],
        )
        for (const fields of others) {
          expect(hashOf(entries.map((old) => (old === target ? { ...target, fields } : old)))).not.toBe(original)
        }
        const shorter = { ...target, fields: target.fields.slice(0, -1) }
        expect(hashOf(entries.map((old) => (old === target ? shorter : old)))).not.toBe(original)
      }),
      { numRuns: 500 },
    )
  })

  test('changes when a record is left out, repeated or swapped', () => {
    fc.assert(
      fc.property(history, fc.nat(), (entries, at) => {
        const index = at % entries.length
        const original = hashOf(entries)
        expect(hashOf(entries.toSpliced(index, 1))).not.toBe(original)
        expect(hashOf(entries.toSpliced(index, 0, { ...(entries[index] as Entry), waitUs: 0 }))).not.toBe(original)
      }),
      { numRuns: 300 },
    )
  })

  test('tells the order of two records of one instant', () => {
    const [a, b] = [1, 2].map((host) => ({ waitUs: 0, kind: EventKind.wake, host, fields: [] }))
    expect(hashOf([a as Entry, b as Entry])).not.toBe(hashOf([b as Entry, a as Entry]))
  })

  test('tells the same words as one large number, two small ones, or a signed and an unsigned one', () => {
    const one = (fields: number[]): string => hashOf([{ waitUs: 0, kind: 5, host: 0, fields }])
    const all = [[-1], [2 ** 32 - 1], [2 ** 32], [0, 1], [1, 0], [0, 0], [0], [], [Number.NaN], [0.5]]
    expect(new Set(all.map(one)).size).toBe(all.length)
  })

  test('no two of 20,000 similar histories collide', () => {
    const seen = new Set<string>()
    for (let i = 0; i < 20_000; i++) seen.add(hashOf([{ waitUs: 1, kind: 1, host: i % 10, fields: [i, i >> 4] }]))
    expect(seen.size).toBe(20_000)
  })

  test('reports each record to its observer, with the time', () => {
    const audit = new HashAudit()
    const seen: unknown[] = []
    audit.observer = (...record) => seen.push(record)
    audit.at(12)
    audit.record(3, 1, 7)
    expect(seen).toEqual([[12, 3, 1, 7, undefined, undefined, undefined]])
  })

  test('event kinds are distinct and fit their range', () => {
    const kinds = Object.values(EventKind)
    expect(new Set(kinds).size).toBe(kinds.length)
    expect(kinds.every((kind) => kind > 0 && kind < 256)).toBe(true)
  })
})

describe('digests', () => {
  test('of bytes change with any one byte and with the length', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 64 }),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (bytes, at, by) => {
          const original = digestBytes(bytes)
          expect(Number.isSafeInteger(original) && original >= 0).toBe(true)
          expect(digestBytes(Uint8Array.from(bytes))).toBe(original)
          const changed = Uint8Array.from(bytes)
          const index = at % bytes.length
          changed[index] = (changed[index] as number) ^ by
          expect(digestBytes(changed)).not.toBe(original)
          expect(digestBytes(bytes.subarray(0, -1))).not.toBe(original)
          expect(digestBytes(Uint8Array.of(...bytes, 0))).not.toBe(original)
        },
      ),
      {
        numRuns: 500,
      },
    )
  })

  test('of bytes do not depend on where they lie', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat({ max: 5 }), (bytes, offset) => {
        const within = new Uint8Array(bytes.length + 10)
        within.set(bytes, offset)
        expect(digestBytes(within.subarray(offset, offset + bytes.length))).toBe(digestBytes(bytes))
      }),
    )
  })

  // The same words whether they are read one way, for short arrays, or the other, for long ones.
  test('of long arrays change with every byte', () => {
    const bytes = Uint8Array.from({ length: 523 }, (_, i) => i)
    const seen = new Set([digestBytes(bytes), digestBytes(bytes.subarray(0, 511)), digestBytes(bytes.subarray(0, 512))])
    for (let i = 0; i < bytes.length; i++) seen.add(digestBytes(bytes.with(i, (bytes[i] as number) ^ 0x80)))
    expect(seen.size).toBe(bytes.length + 3)
  })

  test('of texts differ when the texts do', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (a, b) => {
        fc.pre(a !== b)
        expect(digestText(a)).not.toBe(digestText(b))
      }),
    )
  })
})
