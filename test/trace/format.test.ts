/** The bytes of a trace, as `docs/trace.md` tells them; and a reader that trusts none of them. */
import { P2PError } from '@moosicbox/p2p'
import { describeItems, parseTrace, readTrace, TRACE_KINDS, TraceParser } from '@moosicbox/p2p/trace'
import type { TraceRecord } from '@moosicbox/p2p/trace'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { manualWriter } from './support.ts'

const address = (index: number, text: string): { index: number; toString(): string } => ({
  index,
  toString: () => text,
})
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const SENT = { kind: 'sent', host: 1, node: 2, from: 0, to: 1 } as const
const LINK = { to: 1, active: 1, jitterUs: 0, bitsPerSecond: 1e9 } as const
const nothing = { describe: () => {} }

/** Where the records begin: behind magic, version, and the header with its length, which takes two bytes. */
function bodyOf(bytes: Uint8Array): Uint8Array {
  const [low = 0, high = 0] = bytes.subarray(9, 11)
  expect([low >= 0x80, high < 0x80]).toEqual([true, true])
  return bytes.subarray(11 + (low & 0x7f) + high * 128)
}

/** What reading comes to: the message of the library's own error, where there is one. */
function attempt(bytes: Uint8Array): string {
  try {
    parseTrace(bytes)
    return 'read'
  } catch (error) {
    if (P2PError.is(error, 'serialization')) return error.message
    throw error
  }
}

describe('the bytes', () => {
  test('begin with a magic number, the version, and the header as JSON', () => {
    const { writer, sink } = manualWriter()
    writer.close()
    const { bytes } = sink
    expect(hex(bytes.subarray(0, 9))).toBe('89703270740d0a1a01')
    expect(bodyOf(bytes)).toHaveLength(0)
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(11)))
    expect(header).toMatchObject({ seed: '7', node: 'v20.0.0', epochMs: 1_700_000_000_000 })
    expect(header.kinds).toContainEqual([28, 'delivered', 'packet:p', 'host:u', 'from:u', 'to:u', 'corrupted:u'])
    expect(header.enums.dropReason).toEqual(['none', 'loss', 'partition'])
  })

  test('of each type of field are these', () => {
    const manual = manualWriter()
    const { writer, sink } = manual
    writer.record('node', { node: 300, name: 'á', type: 'core', lan: 0 })
    manual.timeUs = 128
    writer.record('log', { host: -1, text: '' })
    writer.record('heal', { partition: 2 ** 53 - 1 })
    manual.timeUs = 129
    writer.record('partition', { partition: 0, direction: 'a-to-b', groupA: [1, 200], groupB: [] })
    writer.record('event', { event: 4, host: 3, values: [0.5] })
    writer.close()
    expect(hex(bodyOf(sink.bytes))).toBe(
      [
        '08 00 ac02 02c3a1 02 00', // node 300, "á", core, no LAN
        '38 8001 01 00', // 128 us later, host -1, ""
        '12 00 ffffffffffffff0f', // the largest whole number
        '11 01 00 01 0201c801 00', // a-to-b, [1, 200], []
        '3f 00 04 06 01000000000000e03f', // [0.5]
      ]
        .join('')
        .replaceAll(' ', ''),
    )
  })

  test('of packets are these: addresses come first, numbers are told by their differences', () => {
    const manual = manualWriter()
    const { writer, sink } = manual
    const a = address(0, '10.0.0.1:1')
    const b = address(1, '10.0.0.2:2')
    const payload = { describe: (items: number[]) => void items.push(3, 3, 9, 0, 50, 4, 0) }
    writer.sent(5, 1, 2, 'udp', a, b, 1200, payload)
    writer.hop(5, 2, 3, 0, 1000)
    manual.timeUs = 1000
    writer.sent(6, 1, 2, 'tcp', a, b, 40, 'a text')
    writer.translated(5, 3, b, b)
    writer.delivered(5, 4, a, b, true)
    writer.dropped(6, 1, 2)
    writer.close()
    const text = (string: string): string => Buffer.from([string.length, ...Buffer.from(string)]).toString('hex')
    expect(hex(bodyOf(sink.bytes))).toBe(
      [
        `10 00 00 ${text('10.0.0.1:1')}`,
        `10 00 01 ${text('10.0.0.2:2')}`,
        '18 00 0a 01 02 00 00 01 b009 07 03030900320400',
        '19 00 00 02 03 00 e807',
        '18 e807 02 01 02 01 00 01 28 03 000128',
        '1a 00 01 03 01 01',
        '1c 00 00 04 00 01 01',
        '1d 00 02 01 02',
      ]
        .join('')
        .replaceAll(' ', ''),
    )
    const { records, header } = parseTrace(sink.bytes)
    expect(records.slice(2)).toEqual([
      { ...SENT, timeUs: 0, packet: 5, protocol: 'udp', bytes: 1200, items: [3, 3, 9, 0, 50, 4, 0] },
      { kind: 'hop', timeUs: 0, packet: 5, from: 2, to: 3, inUs: 0, takesUs: 1000 },
      { ...SENT, timeUs: 1000, packet: 6, protocol: 'tcp', bytes: 40, items: [0, 1, 40] },
      { kind: 'translated', timeUs: 1000, packet: 5, node: 3, from: 1, to: 1 },
      { kind: 'delivered', timeUs: 1000, packet: 5, host: 4, from: 0, to: 1, corrupted: 1 },
      { kind: 'dropped', timeUs: 1000, packet: 6, reason: 'loss', node: 2 },
    ])
    expect(describeItems([3, 3, 9, 0, 50, 4, 0], header)).toBe('Data #9, PING')
    expect(describeItems([23, 1, 1], header)).toBe('Relay hello')
    expect(describeItems([9, 4, 0, 100, 20, 1], header)).toBe('STREAM stream=0 offset=100 length=20 fin=1')
    expect(describeItems([9999, 1, 5], header)).toBe('? ?=5')
  })

  test('no code, and no name of a field within a kind, is used twice', () => {
    const kinds = Object.values(TRACE_KINDS)
    expect(new Set(kinds.map(({ code }) => code)).size).toBe(kinds.length)
    for (const { code } of kinds) expect(code).toBeLessThan(128)
  })
})

describe('the limit', () => {
  test('cuts the trace, which says so and still tells how the run ended', () => {
    const { writer, sink } = manualWriter(100_000)
    for (let i = 0; i < 10_000; i++) writer.record('log', { host: 0, text: 'a line of some length' })
    writer.sent(0, 0, 0, 'udp', address(0, 'a'), address(1, 'b'), 1, nothing)
    writer.ran({ outcome: 'programs', hash: 'abc', events: 3 })
    writer.close()
    const { records } = parseTrace(sink.bytes)
    expect(sink.bytes.length).toBeLessThanOrEqual(100_000)
    expect(sink.bytes.length).toBeGreaterThan(90_000)
    expect(records.slice(-2)).toMatchObject([
      { kind: 'cut', maxBytes: 100_000 },
      { kind: 'ran', hash: 'abc' },
    ])
    expect(records.slice(0, -2).every(({ kind }) => kind === 'log')).toBe(true)
  })

  test('of a text and of a list cuts them', () => {
    const { writer, sink } = manualWriter()
    writer.record('log', { host: 0, text: 'é'.repeat(20_000) })
    writer.record('event', { event: 1, host: 0, values: Array.from({ length: 3000 }, () => 1) })
    writer.close()
    const [log, event] = parseTrace(sink.bytes).records
    expect(log).toMatchObject({ text: 'é'.repeat(8192) })
    expect(event).toMatchObject({ values: { length: 1024 } })
  })
})

describe('the reader', () => {
  function example(): Uint8Array {
    const manual = manualWriter()
    const { writer, sink } = manual
    for (let i = 0; i < 50; i++) {
      manual.timeUs += i * 1000
      writer.sent(i, i, 2, 'udp', address(i, `10.0.0.${i}:1`), address(100, '10.1.0.0:1'), 1200, nothing)
      writer.record('link', { ...LINK, from: i, latencyUs: 2 ** 40 + i, loss: i / 100 })
      if (i % 3 === 0) writer.dropped(i, 1, 2)
    }
    writer.ran({ outcome: 'idle', hash: '0123456789abcdef', events: 9 })
    writer.close()
    return sink.bytes
  }

  test('gives the same records however the bytes come', async () => {
    const bytes = example()
    const whole = parseTrace(bytes)
    expect(whole.isTruncated).toBe(false)
    expect(whole.records).toHaveLength(50 + 51 + 50 + 17 + 1)
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: bytes.length }), { maxLength: 40 }), async (cuts) => {
        const places = [0, ...cuts.toSorted((a, b) => a - b), bytes.length]
        async function* pieces(): AsyncGenerator<Uint8Array> {
          for (let i = 1; i < places.length; i++) yield bytes.slice(places[i - 1], places[i])
        }
        const { header, records } = await readTrace(pieces())
        const read: TraceRecord[] = []
        for await (const some of records) read.push(...some)
        expect(read).toEqual(whole.records)
        expect(header).toEqual(whole.header)
      }),
      { numRuns: 30 },
    )
  })

  test('gives what is whole of a trace that was cut off anywhere', () => {
    const bytes = example()
    const { records } = parseTrace(bytes)
    const body = bytes.length - bodyOf(bytes).length
    for (let length = body; length < bytes.length; length++) {
      const part = parseTrace(bytes.subarray(0, length))
      expect(part.records).toEqual(records.slice(0, part.records.length))
      expect(part.records.length).toBeLessThan(records.length)
    }
    expect(parseTrace(bytes.subarray(0, bytes.length - 1)).isTruncated).toBe(true)
    for (const length of [0, 3, 8, 9, 11, 400]) {
      expect(() => parseTrace(bytes.subarray(0, length))).toThrow(/ends within its header/)
    }
  })

  test('says what is wrong with what is no trace', () => {
    const bytes = example()
    const changed = (at: number, value: number): Uint8Array => {
      const copy = bytes.slice()
      copy[at] = value
      return copy
    }
    expect(attempt(new TextEncoder().encode('{"a trace": false}'))).toMatch(/no trace/)
    expect(attempt(changed(8, 2))).toMatch(/version 2, and only version 1/)
    expect(attempt(changed(11, 0))).toMatch(/no JSON/)
    const body = bytes.length - bodyOf(bytes).length
    expect(attempt(changed(body, 120))).toMatch(/no record of code 120 \(byte \d+\)/)
    expect(attempt(changed(10, 0x7f))).toMatch(/ends within/)
  })

  test('survives any change of any byte, with a record or an error that says so', () => {
    const bytes = example()
    fc.assert(
      fc.property(fc.nat({ max: bytes.length - 1 }), fc.nat({ max: 255 }), (at, value) => {
        const copy = bytes.slice()
        copy[at] = value
        expect(attempt(copy)).toMatch(/^read$|trace/)
      }),
      { numRuns: 500 },
    )
  })

  test('reads kinds and fields that it has never heard of, from the header', () => {
    const { writer, sink } = manualWriter()
    writer.close()
    const text = new TextDecoder().decode(sink.bytes.subarray(11))
    const header = JSON.parse(text) as { kinds: unknown[] }
    header.kinds.push([99, 'eclipse', 'of:x', 'how:e:direction', 'depth:s'])
    const bytes = new TextEncoder().encode(JSON.stringify(header))
    const parser = new TraceParser()
    parser.push(sink.bytes.subarray(0, 9))
    parser.push(Uint8Array.of((bytes.length & 0x7f) | 0x80, bytes.length >> 7))
    parser.push(bytes)
    parser.push(Uint8Array.of(99, 5, 3, 0x73, 0x75, 0x6e, 1, 3))
    expect(parser.take()).toEqual([{ kind: 'eclipse', timeUs: 5, of: 'sun', how: 'a-to-b', depth: -2 }])
  })
})
