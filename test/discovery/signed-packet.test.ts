import { decode, encode } from 'dns-packet'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { P2PAddress } from '../../src/core/address.ts'
import { testNodeId, testSigningKey } from '../../src/core/keys.ts'
import { LatestPackets } from '../../src/discovery/pkarr/latest-packets.ts'
import { decodeBody, encodeBody, readRecord, signRecord } from '../../src/discovery/pkarr/signed-packet.ts'
import type { SignedPacket } from '../../src/discovery/pkarr/signed-packet.ts'

const key = testSigningKey('home')
const id = key.nodeId
const address = new P2PAddress(id, ['192.0.2.1:4433', '[2001:db8::1]:4433'], ['https://relay.example/'])
const sign = (message: Uint8Array): Uint8Array => key.sign(message)
const signed = signRecord({ address, userData: 'living-room' }, 1_700_000_000_000_000n, sign)

describe('a signed packet', () => {
  test('comes back as it was', () => {
    const body = encodeBody(signed)
    const packet = decodeBody(id, body)
    expect(packet.timestampUs).toBe(1_700_000_000_000_000n)
    const record = readRecord(packet)
    expect(record.userData).toBe('living-room')
    expect(record.address.direct).toEqual(address.direct)
    expect(record.address.relays).toEqual(address.relays)
  })

  test('has the layout of pkarr: signature, big-endian microseconds, and a DNS answer with id 0', () => {
    const body = Buffer.from(encodeBody(signed))
    expect(body.readBigUInt64BE(64)).toBe(1_700_000_000_000_000n)
    const message = decode(body.subarray(72))
    expect([message.id, message.type]).toEqual([0, 'response'])
    expect(message.answers?.map(({ name, type }) => `${type} ${name}`)).toEqual(
      Array.from({ length: 4 }, () => `TXT _iroh.${id.toString()}`),
    )
    // What is signed is BEP 44's form of a mutable item.
    const text = `3:seqi1700000000000000e1:v${body.length - 72}:`
    expect(Buffer.from(key.sign(Buffer.concat([Buffer.from(text), body.subarray(72)])))).toEqual(body.subarray(0, 64))
  })

  test('is refused when a single bit is different, or it is cut or too long', () => {
    const body = encodeBody(signed)
    fc.assert(
      fc.property(fc.nat(body.length * 8 - 1), (bit) => {
        const altered = body.slice()
        altered[bit >> 3] = (altered[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        expect(() => decodeBody(id, altered)).toThrow(/not valid: the signature is not that of/)
      }),
    )
    fc.assert(
      fc.property(fc.nat(body.length - 1), (length) => {
        expect(() => decodeBody(id, body.subarray(0, length))).toThrow(/not valid/)
      }),
    )
    expect(() => decodeBody(id, new Uint8Array(2000))).toThrow(/it has more than 1072 bytes/)
    expect(() => decodeBody(testNodeId('somebody else'), body)).toThrow(/the signature is not that of/)
  })

  test('holds as many addresses as fit, relays first, whatever there are', () => {
    const socket = fc.tuple(fc.ipV4(), fc.integer({ min: 1, max: 65_535 })).map(([ip, port]) => `${ip}:${port}`)
    const relay = fc.tuple(fc.domain(), fc.string({ unit: fc.constantFrom('a', 'b', '/'), maxLength: 300 }))
    fc.assert(
      fc.property(fc.array(socket, { maxLength: 60 }), fc.array(relay, { maxLength: 3 }), (direct, relays) => {
        const urls = relays.map(([domain, path]) => `https://${domain}/${path}`)
        const packet = signRecord({ address: new P2PAddress(id, direct, urls), userData: 'name' }, 1n, sign)
        expect(packet.dns.length).toBeLessThanOrEqual(1000)
        const record = readRecord(decodeBody(id, encodeBody(packet)))
        expect(record.userData).toBe('name')
        const unique = [...new Set(direct)]
        expect(unique.slice(0, record.address.direct.length)).toEqual(record.address.direct)
        const sureToFit = urls.length === 0 && direct.length <= 5 ? unique.length : 0
        expect(record.address.direct.length).toBeGreaterThanOrEqual(sureToFit)
      }),
    )
  })

  test('may say things that make no sense: they are passed over', () => {
    const name = `_iroh.${id.toString()}`
    const txt = (data: string): object => ({ type: 'TXT', name, ttl: 30, class: 'IN', data })
    const answers = [
      'addr=192.0.2.7:1', 'addr=nonsense', 'relay=not a url', 'relay=ftp://x.example/', 'future=thing', 'no equals sign',
      `user-data=${'x'.repeat(240)}`, 'addr=192.0.2.8:99999', '=',
    ].map(txt) // prettier-ignore
    const strange = { type: 'TXT', name: '_iroh.other', ttl: 30, class: 'IN', data: 'addr=192.0.2.66:6' }
    const dns = new Uint8Array(encode({ type: 'response', answers: [...answers, strange] as never }))
    const record = readRecord({ id, dns, timestampUs: 1n, signature: new Uint8Array(64) })
    expect(record.address.direct).toEqual(['192.0.2.7:1'])
    expect(record.address.relays).toEqual([])
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1000 }), (garbage) => {
        expect(
          failureCode(() => readRecord({ id, dns: garbage, timestampUs: 1n, signature: new Uint8Array(64) })),
        ).toMatch(/^(none|protocol)$/)
      }),
      { numRuns: 500 },
    )
  })
})

describe('the latest records', () => {
  const at = (name: string, timestampUs: bigint): SignedPacket =>
    signRecord(
      { address: new P2PAddress(testNodeId(name)), userData: undefined },
      timestampUs,
      () => new Uint8Array(64),
    )

  test('are those with the highest timestamps, in whichever order they come', () => {
    const times = fc.array(fc.bigInt({ min: 0n, max: 9n }), { minLength: 1 })
    fc.assert(
      fc.property(times, (timestamps) => {
        const latest = new LatestPackets()
        let highest = -1n
        for (const timestampUs of timestamps) {
          if (timestampUs > highest) highest = timestampUs
          expect(latest.note(at('home', timestampUs)).timestampUs).toBe(highest)
          expect(latest.get(id)?.timestampUs).toBe(highest)
        }
      }),
    )
  })

  test('are those of the last 1024 ids that were asked for', () => {
    const latest = new LatestPackets()
    for (let i = 0; i < 1024; i++) latest.note(at(`node ${i}`, 2n))
    latest.note(at('node 0', 1n))
    latest.note(at('one more', 1n))
    expect(latest.get(testNodeId('node 0'))?.timestampUs).toBe(2n)
    expect(latest.get(testNodeId('node 1'))).toBeUndefined()
    expect(latest.get(testNodeId('node 2'))).toBeDefined()
  })
})

const failureCode = (call: () => unknown): string => {
  try {
    call()
    return 'none'
  } catch (error) {
    return (error as { code: string }).code
  }
}
