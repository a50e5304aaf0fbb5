import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AddressPool } from '../../../src/simulator/network/addresses.ts'
import {
  AddressBook,
  compareIpAddresses,
  compareSocketAddresses,
  parsePrefix,
} from '../../../src/simulator/network/index.ts'
import { failure } from './support.ts'

describe('addresses', () => {
  test('equal addresses are the same object, however they are written', () => {
    const book = new AddressBook()
    expect(book.parse('10.0.0.1:53')).toBe(book.parse('10.0.0.1:53'))
    expect(book.parse('10.0.0.1:53')).toBe(book.socket(book.ip('10.0.0.1'), 53))
    expect(book.parse('[FD00:0:0:0::1]:53')).toBe(book.parse('[fd00::1]:53'))
    expect(book.parse('[fd00::1]:53').toString()).toBe('[fd00::1]:53')
    expect(book.ip('::ffff:1.2.3.4').version).toBe(6)
  })

  test('indexes count first uses', () => {
    const book = new AddressBook()
    expect(['10.0.0.2', '10.0.0.1', '10.0.0.2', 'fd00::1'].map((text) => book.ip(text).index)).toEqual([0, 1, 0, 2])
    expect(['10.0.0.1:9', '10.0.0.1:8', '10.0.0.1:9'].map((text) => book.parse(text).index)).toEqual([0, 1, 0])
  })

  test('any IPv4 socket address comes back from its text', () => {
    const book = new AddressBook()
    fc.assert(
      fc.property(fc.ipV4(), fc.integer({ min: 0, max: 65_535 }), (ip, port) => {
        const address = book.parse(`${ip}:${port}`)
        expect(address.toString()).toBe(`${ip}:${port}`)
        expect(address.port).toBe(port)
        expect(address.ip.text).toBe(ip)
      }),
    )
  })

  test('any IPv6 address is one object, whatever its text', () => {
    const book = new AddressBook()
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 65_535 }), { minLength: 8, maxLength: 8 }), (groups) => {
        const long = groups.map((group) => group.toString(16).padStart(4, '0')).join(':')
        const ip = book.ip(long)
        expect(book.ip(ip.text)).toBe(ip)
        expect(ip.value).toBe(groups.reduce((value, group) => value * 65_536n + BigInt(group), 0n))
      }),
    )
  })

  test('order is by version, number and port, not by text', () => {
    const book = new AddressBook()
    const texts = ['9.0.0.1:5', '10.0.0.1:100', '10.0.0.1:20', '[::1]:1', '10.0.0.2:1', '255.0.0.1:1']
    const sorted = texts.map((text) => book.parse(text)).sort(compareSocketAddresses)
    expect(sorted.map(String)).toEqual([
      '9.0.0.1:5',
      '10.0.0.1:20',
      '10.0.0.1:100',
      '10.0.0.2:1',
      '255.0.0.1:1',
      '[::1]:1',
    ])
    expect(compareIpAddresses(book.ip('1.2.3.4'), book.ip('1.2.3.4'))).toBe(0)
  })

  test.each(['', '1.2.3:4', '1.2.3.4', '1.2.3.4:65536', '256.1.1.1:1', '01.2.3.4:1', '::1:5', '[1.2.3.4]:5', 'host:1'])(
    '%j is no socket address',
    (text) => {
      expect(failure(() => new AddressBook().parse(text))).toBe('invalid-configuration: address')
    },
  )

  test.each(['10.0.0.0', '10.0.0.0/33', '10.0.0.1/24', '10.0.0.0/-1', 'fd00::/129', '/8', '10.0.0.0/8x'])(
    '%j is no prefix',
    (text) => {
      expect(failure(() => parsePrefix(text, 'prefix'))).toBe('invalid-configuration: prefix')
    },
  )

  test('a pool hands out every address but the first and the last, and none twice', () => {
    const book = new AddressBook()
    const pool = new AddressPool(book, parsePrefix('10.0.0.8/29', 'prefix'))
    const taken = [1, 2, 3, 4, 5].map(() => pool.take((ip) => ip.text === '10.0.0.10').text)
    expect(taken).toEqual(['10.0.0.9', '10.0.0.11', '10.0.0.12', '10.0.0.13', '10.0.0.14'])
    expect(failure(() => pool.take(() => false))).toBe('limit-exceeded: addresses')
    expect(pool.contains(book.ip('10.0.0.15'))).toBe(true)
    expect(pool.contains(book.ip('10.0.0.16'))).toBe(false)
    expect(pool.contains(book.ip('fd00::8'))).toBe(false)
  })
})
