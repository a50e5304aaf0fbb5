import * as iroh from '@number0/iroh'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { P2PAddress } from '../../src/core/address.ts'
import { BASE32, encodeBase32 } from '../../src/core/encoding.ts'
import { testNodeId } from '../../src/core/keys.ts'
import { NodeId } from '../../src/core/node-id.ts'
import { attempt } from '../support/attempt.ts'

/** The id, relay and address of iroh-tickets' own test, and its ticket as Python's base64 module spells the bytes. */
const ID = 'ae58ff8833241ac82d6ff7611046ed67b5072d142c588d0063e942d9a75502b6'
const TICKET =
  'endpointacxfr74igmsbvsbnn73wcecg5vt3kbzncqwfrdiampuufwnhkublmaqacbuhi5dqhixs6zdfojyc43lffyxqcad7aaaadaai'

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'))
const ticketOf = (bytes: Uint8Array): string => `endpoint${encodeBase32(bytes, BASE32)}`

const port = fc.nat(65_535)
const ipv4 = fc.tuple(fc.ipV4(), port).map(([ip, number]) => `${ip}:${number}`)
/** As Rust and RFC 5952 write them. */
const ipv6 = fc
  .tuple(fc.array(fc.oneof(fc.constant(0), fc.nat(0xffff)), { minLength: 8, maxLength: 8 }), port)
  .map(([groups, number]) => {
    const { hostname } = new URL(`http://[${groups.map((group) => group.toString(16)).join(':')}]`)
    const mapped = groups.slice(0, 6).join() === '0,0,0,0,0,65535'
    const [high = 0, low = 0] = groups.slice(6)
    const host = mapped ? `[::ffff:${high >> 8}.${high & 255}.${low >> 8}.${low & 255}]` : hostname
    return `${host}:${number}`
  })
const relay = fc.webUrl().map((url) => new URL(url).href)
const address = fc
  .record({
    name: fc.string(),
    direct: fc.uniqueArray(fc.oneof(ipv4, ipv6), { maxLength: 5 }),
    relays: fc.uniqueArray(relay, { maxLength: 2 }),
  })
  .map(({ name, direct, relays }) => new P2PAddress(testNodeId(name), direct, relays))

describe('a ticket', () => {
  test('is the published one', () => {
    const value = new P2PAddress(NodeId.parse(ID), ['127.0.0.1:1024'], ['http://derp.me./'])
    expect(value.toTicket()).toBe(TICKET)
    expect(`${value}`).toBe(TICKET)
    const read = P2PAddress.parse(TICKET)
    expect([read.id.toHex(), read.direct, read.relays]).toEqual([ID, ['127.0.0.1:1024'], ['http://derp.me./']])
  })

  test('is read by the official binding', () => {
    fc.assert(
      fc.property(address, (value) => {
        const read = iroh.EndpointTicket.fromString(value.toTicket()).endpointAddr()
        expect(read.id().toString()).toBe(value.id.toHex())
        expect(read.directAddresses().toSorted()).toEqual([...value.direct].toSorted())
        expect(
          value.relays.length === 0 ? read.relayUrl() === null : value.relays.includes(read.relayUrl() ?? ''),
        ).toBe(true)
      }),
    )
  })

  test('of the official binding is read here', () => {
    fc.assert(
      fc.property(address, (value) => {
        const id = iroh.EndpointId.fromString(value.id.toHex())
        const theirs = new iroh.EndpointAddr(id, value.relays[0], [...value.direct])
        const read = P2PAddress.parse(iroh.EndpointTicket.fromAddr(theirs).toString())
        expect(read.id.equals(value.id)).toBe(true)
        expect([...read.direct].toSorted()).toEqual([...value.direct].toSorted())
        expect(read.relays).toEqual(value.relays.slice(0, 1))
      }),
    )
  })

  test('is read back, in any case and with space around it', () => {
    fc.assert(
      fc.property(address, fc.boolean(), (value, upper) => {
        const ticket = value.toTicket()
        const read = P2PAddress.parse(upper ? ` ${ticket.toUpperCase()}\n` : ticket)
        expect(read.id.equals(value.id)).toBe(true)
        expect(read.direct).toEqual(value.direct)
        expect(read.relays).toEqual(value.relays)
      }),
    )
  })

  test('holds 256 addresses and no more', () => {
    const direct = Array.from({ length: 257 }, (_, i) => `10.0.0.1:${i}`)
    const most = new P2PAddress(testNodeId('a'), direct.slice(1))
    expect(P2PAddress.parse(most.toTicket()).direct.length).toBe(256)
    expect(() => new P2PAddress(testNodeId('a'), direct)).toThrow(
      expect.objectContaining({ code: 'invalid-configuration' }),
    )
    expect(() => P2PAddress.parse(ticketOf(hex(`00 ${ID} 8102`)))).toThrow(/above 256/)
  })

  test.each([
    ['', 'too early'],
    ['00', 'too early'],
    [`00 ${ID.slice(2)}`, 'too early'],
    [`01 ${ID} 00`, 'version 1'],
    [`00 ${ID}`, 'too early'],
    [`00 ${ID} 01`, 'too early'],
    [`00 ${ID} 01 01 00 7f0000`, 'too early'],
    [`00 ${ID} 01 01 00 7f000001`, 'too early'],
    [`00 ${ID} 01 01 00 7f000001 808004`, 'above 65535'],
    [`00 ${ID} 01 02 00`, 'above 1'],
    [`00 ${ID} 01 01 02`, 'above 1'],
    [`00 ${ID} 01 00 ff7f`, 'above 4096'],
    [`00 ${ID} 01 00 05 61626364`, 'too early'],
    [`00 ${ID} ffffffffffff`, 'above 256'],
    [`00 ${ID} 00 00`, 'left over'],
    [`00 ${ID} 01 00 02 6869`, 'no URL'],
    // http://a/ and a byte that is no UTF-8.
    [`00 ${ID} 01 00 0a 687474703a2f2f612fff`, 'no URL'],
  ])('of the bytes %j is malformed: %s', (bytes, why) => {
    const ticket = ticketOf(hex(bytes))
    expect(() => P2PAddress.parse(ticket)).toThrow(
      expect.objectContaining({
        code: 'invalid-configuration',
        setting: 'ticket',
        value: ticket,
        message: expect.stringContaining(why) as unknown,
      }),
    )
  })

  test('with a key that is none says so', () => {
    const ticket = ticketOf(hex(`00 02${'00'.repeat(31)} 00`))
    expect(() => P2PAddress.parse(ticket)).toThrow(expect.objectContaining({ code: 'invalid-node-id' }))
  })

  test('that was cut, typed badly or made up is an error, never something else', () => {
    const letters = [...BASE32]
    const damage = fc.oneof(
      fc.nat(TICKET.length - 1).map((at) => TICKET.slice(0, at)),
      fc.string({ unit: fc.constantFrom(...letters), maxLength: 150 }).map((rest) => `endpoint${rest}`),
      fc.string({ maxLength: 50 }).map((rest) => `endpoint${rest}`),
      fc.uint8Array({ maxLength: 80 }).map((rest) => ticketOf(Uint8Array.of(0, ...hex(ID), ...rest))),
    )
    fc.assert(
      fc.property(damage, (text) => {
        const result = attempt(() => P2PAddress.parse(text))
        const error = expect.objectContaining({
          code: expect.stringMatching(/^invalid-(configuration|node-id)$/) as unknown,
        }) as unknown
        // What is read can be written and read again.
        expect(result).toEqual('value' in result ? { value: P2PAddress.parse(result.value.toTicket()) } : { error })
      }),
      { numRuns: 1_000 },
    )
  })

  test('a long one does not make a long message', () => {
    expect(() => P2PAddress.parse(`endpoint${'!'.repeat(100_000)}`)).toThrow(/^.{0,200}$/)
  })
})

describe('an address', () => {
  test.each(['', '1.2.3.4', '1.2.3.4:', '1.2.3.4:65536', '1.2.3:4', '01.2.3.4:5', '256.1.1.1:1', '1.2.3.4:-1'])(
    '%j is not ip:port',
    (text) => {
      expect(() => new P2PAddress(testNodeId('a'), [text])).toThrow(
        expect.objectContaining({ code: 'invalid-configuration', setting: 'direct', value: text }),
      )
    },
  )

  test.each([
    '::1:5',
    '[::1]',
    '[:::]:1',
    '[1::2::3]:1',
    '[1:2:3:4:5:6:7]:1',
    '[1:2:3:4:5:6:7:8:9]:1',
    '[1:2:3:4:5:6:7:8::]:1',
    '[12345::]:1',
    '[g::]:1',
    '[1.2.3.4::]:1',
    '[::1.2.3.4:5]:1',
    '[::1.2.3]:1',
    '[1.2.3.4]:1',
    'localhost:1',
  ])('nor is %j', (text) => {
    expect(() => new P2PAddress(testNodeId('a'), [text])).toThrow(
      expect.objectContaining({ code: 'invalid-configuration', value: text }),
    )
  })

  test.each([
    ['[::]:0', '[::]:0'],
    ['[0:0:0:0:0:0:0:1]:65535', '[::1]:65535'],
    ['[2001:DB8:0:0:1:0:0:1]:1', '[2001:db8::1:0:0:1]:1'],
    ['[1:0:2:3:4:5:6:7]:1', '[1:0:2:3:4:5:6:7]:1'],
    ['[1:2:3:4:5:6:7::]:1', '[1:2:3:4:5:6:7:0]:1'],
    ['[::ffff:1.2.3.4]:1', '[::ffff:1.2.3.4]:1'],
    ['[::ffff:102:304]:1', '[::ffff:1.2.3.4]:1'],
    ['[1:2:3:4:5:6:1.2.3.4]:1', '[1:2:3:4:5:6:102:304]:1'],
    ['0.0.0.0:0', '0.0.0.0:0'],
  ])('%s comes out of a ticket as %s', (text, canonical) => {
    const ticket = new P2PAddress(testNodeId('a'), [text]).toTicket()
    expect(P2PAddress.parse(ticket).direct).toEqual([canonical])
  })

  test.each(['', 'relay', '//relay.example', `https://relay.example/${'x'.repeat(4096)}`])(
    '%j is no relay',
    (relayUrl) => {
      expect(() => new P2PAddress(testNodeId('a'), [], [relayUrl])).toThrow(
        expect.objectContaining({ code: 'invalid-configuration', setting: 'relays', value: relayUrl }),
      )
    },
  )

  test('cannot be changed', () => {
    const direct = ['1.2.3.4:5']
    const value = new P2PAddress(testNodeId('a'), direct)
    direct.push('nonsense')
    expect(value.direct).toEqual(['1.2.3.4:5'])
    expect(() => (value.direct as string[]).push('more')).toThrow(TypeError)
  })

  test('of an id in any form has no addresses', () => {
    const id = testNodeId('a')
    for (const text of [id.toString(), id.toHex(), ` ${id.toHex().toUpperCase()} `]) {
      const value = P2PAddress.parse(text)
      expect([value.id.equals(id), value.direct, value.relays]).toEqual([true, [], []])
    }
  })

  test('an id that begins like a ticket is an id', () => {
    // 52 characters of z-base-32, of which some ending makes a point on the curve.
    const candidates = Array.from('ybndrfg8ejkmcpqx', (letter) => `endpoint${letter.repeat(43)}o`)
    const ids = candidates.filter((text) => {
      try {
        return NodeId.parse(text).toString() === text
      } catch {
        return false
      }
    })
    expect(ids.length).toBeGreaterThan(0)
    for (const text of ids) expect(P2PAddress.parse(text).id.toString()).toBe(text)
  })
})
