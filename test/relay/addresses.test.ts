/** Who counts as one address. */
import { expect, test } from 'vitest'
import { Addresses, groupOf } from '../../src/relay/addresses.ts'

test.each([
  ['127.0.0.1', '127.0.0.1'],
  ['::ffff:10.0.0.1', '10.0.0.1'],
  ['2001:db8:1:2:3:4:5:6', '20010db800010002'],
  ['2001:db8:1:2::1', '20010db800010002'],
  ['fe80::1%eth0', 'fe80000000000000'],
  ['::1', '0000000000000000'],
])('%s counts as %s', (address, group) => {
  expect(groupOf(address)).toBe(group)
})

test('a /64 shares its limit, and gives it back', () => {
  const addresses = new Addresses(2)
  expect([addresses.enter('2001:db8::1'), addresses.enter('2001:db8::2'), addresses.enter('2001:db8::3')]).toEqual([
    true,
    true,
    false,
  ])
  expect(addresses.enter('2001:db8:0:1::1')).toBe(true)
  addresses.leave('2001:db8::1')
  expect(addresses.enter('2001:db8::3')).toBe(true)
  expect(addresses.enter(undefined)).toBe(false)
})
