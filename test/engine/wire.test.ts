import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeControlFrame, encodeControlFrame, encodeStreamHeader, LIBRARY_CODE } from '../../src/core/engine/wire.ts'
import type { ControlFrame } from '../../src/core/engine/wire.ts'
import { toHex } from '../../src/core/encoding.ts'

const number = fc.oneof(fc.nat(100), fc.maxSafeNat())
const frame: fc.Arbitrary<ControlFrame> = fc.oneof(
  fc.record({
    type: fc.constantFrom('reset' as const, 'stop' as const),
    openedBySender: fc.boolean(),
    number,
    code: number,
  }),
  fc.record({ type: fc.constant('end' as const), streams: number, messages: fc.boolean() }),
  fc.constant({ type: 'drained' as const }),
)

describe('control frames', () => {
  test('are read back as they were written, one after the other', () => {
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 10 }), (frames) => {
        const bytes = Buffer.concat(frames.map(encodeControlFrame))
        const decoded: ControlFrame[] = []
        for (let offset = 0; offset < bytes.length;) {
          const result = decodeControlFrame(bytes, offset)
          if (!result || result === 'malformed') throw new Error('not decoded')
          decoded.push(result.frame)
          offset = result.next
        }
        expect(decoded).toEqual(frames)
      }),
    )
  })

  test('that are cut short are waited for', () => {
    fc.assert(
      fc.property(frame, fc.nat(100), (value, cut) => {
        const bytes = encodeControlFrame(value)
        expect(decodeControlFrame(bytes.subarray(0, cut % bytes.length), 0)).toBeUndefined()
      }),
    )
  })

  test('any bytes are a frame, the beginning of one, or malformed; never an exception', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 30 }), fc.nat(30), (bytes, offset) => {
        const result = decodeControlFrame(bytes, offset)
        if (result === undefined || result === 'malformed') return
        expect(result.next).toBeGreaterThan(offset)
        expect(result.next).toBeLessThanOrEqual(bytes.length)
      }),
    )
  })

  // Written down from docs/wire.md by hand.
  test.each<[string, ControlFrame]>([
    ['01010507', { type: 'reset', openedBySender: true, number: 5, code: 7 }],
    ['02004100c000000100000005', { type: 'stop', openedBySender: false, number: 256, code: 2 ** 32 + 5 }],
    ['03013f', { type: 'end', messages: true, streams: 63 }],
    ['030080004000', { type: 'end', messages: false, streams: 16_384 }],
    ['04', { type: 'drained' }],
  ])('%s', (hex, value) => {
    expect(toHex(encodeControlFrame(value))).toBe(hex)
    expect(decodeControlFrame(Buffer.from(hex, 'hex'), 0)).toEqual({ frame: value, next: hex.length / 2 })
  })

  test.each(['00', '05', 'ff', '0102', '0302', '0300ffffffffffffffff', '010100ffffffffffffffff'])(
    '%s is malformed',
    (hex) => {
      expect(decodeControlFrame(Buffer.from(hex, 'hex'), 0)).toBe('malformed')
    },
  )
})

test('a stream’s header is its kind and its number', () => {
  expect(toHex(encodeStreamHeader(0x01, 0))).toBe('0100')
  expect(toHex(encodeStreamHeader(0x02, 63))).toBe('023f')
  expect(toHex(encodeStreamHeader(0x11, 64))).toBe('114040')
  expect(toHex(encodeStreamHeader(0x11, 2 ** 53 - 1))).toBe('11c01fffffffffffff')
})

test('the library’s codes are those of the specification', () => {
  expect(LIBRARY_CODE).toEqual({
    refused: 2 ** 32 + 1,
    ended: 2 ** 32 + 2,
    drained: 2 ** 32 + 3,
    protocol: 2 ** 32 + 4,
    unclaimed: 2 ** 32 + 5,
    limit: 2 ** 32 + 6,
    headerTimeout: 2 ** 32 + 7,
  })
})
