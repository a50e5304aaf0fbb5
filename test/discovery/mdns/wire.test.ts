import { decode, encode } from 'dns-packet'
import type { Answer } from 'dns-packet'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { testNodeId } from '../../../src/core/keys.ts'
import {
  encodeGoodbye,
  encodeQuery,
  encodeRecord,
  encodeTypes,
  labelOf,
  readPacket,
} from '../../../src/discovery/mdns/wire.ts'
import type { LocalRecord } from '../../../src/discovery/mdns/wire.ts'

const id = testNodeId('home')
const label = labelOf(id)
const SERVICE = '_irohv1._udp.local'
const instance = `${label}.${SERVICE}`
const record: LocalRecord = {
  id,
  direct: ['10.0.0.1:4433', '[2001:db8::1]:4434'],
  relay: 'https://relay.example/',
  userData: 'kitchen',
}

const read = (bytes: Uint8Array): LocalRecord[] =>
  (readPacket(bytes, false)?.sightings ?? []).flatMap((sighting) => sighting.record ?? [])
const answer = (answers: unknown[], additionals: unknown[] = []): Uint8Array =>
  encode({ type: 'response', answers: answers as Answer[], additionals: additionals as Answer[] })

describe('what a node says of itself', () => {
  test('has the newer form of iroh: PTR, SRV and TXT, addresses beside them, 120 s, class IN', () => {
    const packet = Buffer.from(encodeRecord(record))
    expect(packet.readUInt16BE(0)).toBe(0)
    expect(packet.readUInt16BE(2)).toBe(0x8400)
    const { answers = [], additionals = [] } = decode(packet)
    const line = (entry: Answer): string =>
      'class' in entry ? `${entry.type} ${entry.name} ${entry.ttl} ${entry.class} ${JSON.stringify(entry.data)}` : ''
    expect(answers.map(line)).toEqual([
      `PTR ${SERVICE} 120 IN "${instance}"`,
      `SRV ${instance} 120 IN {"priority":0,"weight":0,"port":4433,"target":"${label}-4433.local"}`,
      `SRV ${instance} 120 IN {"priority":0,"weight":0,"port":4434,"target":"${label}-4434.local"}`,
      `TXT ${instance} 120 IN ${JSON.stringify([Buffer.from('relay=https://relay.example/'), Buffer.from('user-data=kitchen')])}`,
    ])
    expect(additionals.map(line)).toEqual([
      `A ${label}-4433.local 120 IN "10.0.0.1"`,
      `AAAA ${label}-4434.local 120 IN "2001:db8::1"`,
    ])
    expect(answers.every((entry) => !('flush' in entry) || entry.flush === false)).toBe(true)
  })

  test('has no TXT record when there is nothing to say, and no relay that is too long', () => {
    const bare = decode(Buffer.from(encodeRecord({ ...record, relay: undefined, userData: undefined })))
    expect(bare.answers?.map(({ type }) => type)).toEqual(['PTR', 'SRV', 'SRV'])
    const long = { ...record, relay: `https://relay.example/${'x'.repeat(300)}` }
    expect(read(encodeRecord(long))).toEqual([{ ...record, relay: undefined }])
  })

  test('comes back as it was, as far as it fits a packet', () => {
    const v4 = fc.tuple(fc.integer({ min: 1, max: 126 }), fc.nat(255), fc.nat(255), fc.nat(255)).map((b) => b.join('.'))
    const address = fc.tuple(v4, fc.constantFrom(1, 4433, 65_535)).map(([ip, port]) => `${ip}:${port}`)
    const text = fc.option(fc.string({ maxLength: 60 }), { nil: undefined })
    fc.assert(
      fc.property(fc.uniqueArray(address, { minLength: 1, maxLength: 40 }), text, (direct, userData) => {
        const packet = encodeRecord({ ...record, direct, userData })
        expect(packet.length).toBeLessThanOrEqual(1400)
        const [back] = read(packet)
        expect(back).toEqual({ ...record, userData, direct: back?.direct })
        expect(back?.direct.every((one) => direct.includes(one))).toBe(true)
        expect(back?.direct.length).toBeGreaterThanOrEqual(Math.min(direct.length, 5))
      }),
    )
  })

  test('a goodbye is a PTR record of 0 s alone, which nodes of iroh pass over', () => {
    const packet = decode(Buffer.from(encodeGoodbye(id)))
    expect(packet.answers).toMatchObject([{ type: 'PTR', name: SERVICE, ttl: 0, data: instance }])
    expect(packet.additionals).toEqual([])
    expect(readPacket(encodeGoodbye(id), false)?.sightings).toMatchObject([{ record: undefined, ttlMs: 0 }])
  })

  test('answers in the older form are read too: no PTR, always a TXT, 0 s', () => {
    const old = answer(
      [
        { type: 'SRV', name: `${instance}.`, ttl: 0, data: { port: 7, target: `${label}-7.local` } },
        { type: 'TXT', name: instance, ttl: 0, data: [''] },
      ],
      [{ type: 'A', name: `${label}-7.local`, ttl: 0, data: '10.0.0.9' }],
    )
    const heard = readPacket(old, false)
    expect(heard?.sightings).toEqual([
      { id, ttlMs: 120_000, record: { id, direct: ['10.0.0.9:7'], relay: undefined, userData: undefined } },
    ])
  })
})

describe('questions', () => {
  const ask = (name: string, type = 'PTR', answers: unknown[] = []): ReturnType<typeof readPacket> =>
    readPacket(
      encode({ type: 'query', questions: [{ name, type: type as 'PTR', class: 'IN' }], answers: answers as Answer[] }),
      false,
    )

  test('begin with PTR of the service, as iroh asks; who else is to answer comes behind it', () => {
    const packet = decode(
      Buffer.from(
        encodeQuery(
          true,
          Array.from({ length: 9 }, () => label),
        ),
      ),
    )
    expect(packet.id).toBe(0)
    expect(packet.questions).toEqual([
      { type: 'PTR', name: SERVICE, class: 'IN' },
      { type: 'PTR', name: `_p2p._sub.${SERVICE}`, class: 'IN' },
      ...Array.from({ length: 8 }, () => ({ type: 'SRV', name: instance, class: 'IN' })),
    ])
    const asked = { turn: true, everyone: false, types: false, labels: new Set(), known: new Set() }
    expect(readPacket(encodeQuery(false), false)?.asked).toEqual(asked)
    expect(readPacket(encodeQuery(), false)?.asked).toEqual({ ...asked, everyone: true })
    expect(readPacket(encodeQuery(false, [label]), false)?.asked).toEqual({ ...asked, labels: new Set([label]) })
  })

  test('may be for all, for one node, for a host, for the types, or for nothing of ours', () => {
    expect(ask('_IROHv1._UDP.Local')?.asked?.turn).toBe(true)
    expect(ask(instance, 'SRV')?.asked?.labels).toEqual(new Set([label]))
    expect(ask(`${label}-4433.local`, 'A')?.asked?.labels).toEqual(new Set([label]))
    expect(ask('_services._dns-sd._udp.local')?.asked?.types).toBe(true)
    expect(decode(Buffer.from(encodeTypes())).answers).toMatchObject([{ type: 'PTR', data: SERVICE }])
    for (const [name, type] of [[SERVICE, 'SRV'], ['_http._tcp.local', 'PTR'], ['printer.local', 'A']] as const) {
      expect(ask(name, type)).toEqual({ asked: undefined, sightings: [] })
    } // prettier-ignore
  })

  test('say whom the asker knows already, if he will for a while', () => {
    const known = (ttl: number): unknown[] => [{ type: 'PTR', name: SERVICE, ttl, data: instance }]
    expect(ask(SERVICE, 'PTR', known(100))?.asked?.known).toEqual(new Set([label]))
    expect(ask(SERVICE, 'PTR', known(50))?.asked?.known).toEqual(new Set())
  })
})

describe('packets from hell', () => {
  const srv = (port: number, target: string): unknown => ({
    type: 'SRV',
    name: instance,
    ttl: 9,
    data: { port, target },
  })

  test('what is not an address that can be sent to is passed over', () => {
    const host = 'h.local'
    const bad = ['0.0.0.0', '127.0.0.1', '224.0.0.251', '255.255.255.255']
    const bad6 = ['::', '::1', 'fe80::1', 'ff02::fb']
    const additionals = [
      ...bad.map((data) => ({ type: 'A', name: host, data })),
      ...bad6.map((data) => ({ type: 'AAAA', name: host, data })),
    ]
    expect(read(answer([srv(7, host)], additionals))).toEqual([])
    const good = { type: 'A', name: 'H.Local', data: '10.1.1.1' }
    expect(read(answer([srv(7, host)], [...additionals, good]))[0]?.direct).toEqual(['10.1.1.1:7'])
    expect(read(answer([srv(0, host)], [good]))).toEqual([])
    const local = readPacket(answer([srv(7, host)], additionals), true)
    expect(local?.sightings[0]?.record?.direct).toEqual(['127.0.0.1:7', '[::1]:7'])
  })

  test('messages of another kind, and failures, are passed over', () => {
    const packet = Buffer.from(encodeRecord(record))
    expect(read(packet).length).toBe(1)
    for (const flags of [0x8400 | (4 << 11), 0x8400 | 3]) {
      packet.writeUInt16BE(flags, 2)
      expect(readPacket(packet, false)).toEqual({ asked: undefined, sightings: [] })
    }
  })

  test('an instance that is no id, another class, and what is too much are passed over', () => {
    const a = { type: 'A', name: 'h.local', data: '10.1.1.1' }
    for (const name of [`${'1'.repeat(52)}.${SERVICE}`, `${'7'.repeat(52)}.${SERVICE}`, `x.${SERVICE}`, SERVICE]) {
      expect(read(answer([{ type: 'SRV', name, data: { port: 7, target: 'h.local' } }], [a]))).toEqual([])
    }
    const chaos = { type: 'SRV', name: instance, class: 'CH', data: { port: 7, target: 'h.local' } }
    expect(read(answer([chaos], [a]))).toEqual([])
    const many = Array.from({ length: 100 }, (_, i) => ({ type: 'A', name: 'h.local', data: `10.1.1.${i + 1}` }))
    expect(read(answer([srv(7, 'h.local')], many))[0]?.direct.length).toBe(16)
    const crowd = Array.from({ length: 60 }, (_, i) => ({
      type: 'SRV', name: `${labelOf(testNodeId(`p${i}`))}.${SERVICE}`, data: { port: 7, target: 'h.local' },
    })) // prettier-ignore
    expect(read(answer(crowd, [a])).length).toBe(16)
    const relays = ['ftp://x/', 'nonsense'].map((url) => ({ type: 'TXT', name: instance, data: [`relay=${url}`] }))
    expect(read(answer([srv(7, 'h.local'), ...relays], [a]))[0]?.relay).toBeUndefined()
    const text = { type: 'TXT', name: instance, data: ['user-data=one', 'user-data=two'] }
    expect(read(answer([srv(7, 'h.local'), text], [a]))[0]?.userData).toBe('one')
  })

  test('no bytes break the reader, and what it makes of them is bounded and valid', () => {
    const valid = [encodeRecord(record), encodeQuery(), encodeGoodbye(id), encodeTypes()]
    const mutated = fc
      .tuple(fc.constantFrom(...valid), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 8 }), fc.nat(2000))
      .map(([packet, changes, length]) => {
        const bytes = packet.slice(0, length)
        for (const [at, value] of changes) if (bytes.length > 0) bytes[at % bytes.length] = value
        return bytes
      })
    fc.assert(
      fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 1500 })), (bytes) => {
        const heard = readPacket(bytes, false)
        const records = (heard?.sightings ?? []).flatMap((sighting) => sighting.record ?? [])
        expect((heard?.sightings ?? []).every(({ ttlMs }) => ttlMs <= 3_600_000)).toBe(true)
        expect(records.every(({ direct }) => direct.length <= 16)).toBe(true)
        // What was read can be told on.
        expect(records.every((one) => read(encodeRecord(one)).length === 1)).toBe(true)
      }),
      { numRuns: 5_000 },
    )
    expect(readPacket(new Uint8Array(9_001), false)).toBeUndefined()
    expect(readPacket(new Uint8Array(0), false)).toBeUndefined()
  })
})
