/** The encoding of reports. */
import { array, assert, integer, ipV4, property, tuple, uint8Array } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { P2PError } from '../../src/core/errors.ts'
import { encodeReport, MAX_REPORTED_ADDRESSES, ReportReader } from '../../src/core/reflector.ts'
import { attempt } from '../support/attempt.ts'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

describe('a report', () => {
  test.each([
    [[], '00'],
    [['192.0.2.7:7843'], '0104c00002071ea3'],
    [['[2001:db8::1]:65535', '198.51.100.1:1'], '020620010db8000000000000000000000001ffff04c63364010001'],
    // As sockets of both families show IPv4 addresses.
    [['[::ffff:192.0.2.7]:7843'], '0104c00002071ea3'],
    // A text that is none is left out.
    [['fe80::1%eth0', '192.0.2.7:7843'], '0104c00002071ea3'],
  ])('of %j', (addresses, bytes) => {
    expect(hex(encodeReport(addresses))).toBe(bytes)
  })

  test('holds the first eight', () => {
    const addresses = Array.from({ length: 12 }, (_, i) => `192.0.2.1:${i + 1}`)
    expect(new ReportReader().push(encodeReport(addresses))).toEqual([addresses.slice(0, MAX_REPORTED_ADDRESSES)])
  })

  const port = integer({ min: 1, max: 65_535 })
  const address = tuple(ipV4(), port)
    .map(([ip, at]) => `${ip}:${at}`)
    .filter((text) => !/(^|\.)0\d/.test(text))

  test('is read as it was written, wherever the stream is cut', () => {
    assert(
      property(
        array(array(address, { maxLength: 8 }), { maxLength: 5 }),
        integer({ min: 1, max: 40 }),
        (reports, size) => {
          const bytes = Buffer.concat(reports.map((report) => encodeReport(report)))
          const reader = new ReportReader()
          const read: (readonly string[])[] = []
          for (let at = 0; at < bytes.length; at += size) read.push(...reader.push(bytes.subarray(at, at + size)))
          expect(read).toEqual(reports)
        },
      ),
    )
  })

  test.each([
    ['0904', /at most 8/],
    ['0105', /family/],
    ['02040102030400010704', /family/],
  ])('%s is none', (bytes, message) => {
    expect(() => new ReportReader().push(Buffer.from(bytes, 'hex'))).toThrow(message)
  })

  test('of any bytes is one, is not whole yet, or is an error of the protocol', () => {
    assert(
      property(uint8Array({ maxLength: 400 }), (bytes) => {
        const outcome = attempt(() => new ReportReader().push(bytes))
        const isFine =
          'value' in outcome
            ? outcome.value.every(({ length }) => length <= MAX_REPORTED_ADDRESSES)
            : P2PError.is(outcome.error, 'protocol')
        expect(isFine).toBe(true)
      }),
    )
  })
})
