import assert from 'node:assert/strict'
import { decode, encode } from 'dns-packet'
import { describe, expect, test } from 'vitest'
import { testNodeId, testSigningKey } from '../../../src/core/keys.ts'
import { MdnsDiscovery, StaticDiscovery } from '../../../src/discovery/index.ts'
import type { MdnsEvent, MdnsOptions } from '../../../src/discovery/index.ts'
import { encodeGoodbye, encodeQuery, encodeRecord, labelOf, readPacket } from '../../../src/discovery/mdns/wire.ts'
import { signName } from '../../../src/discovery/signed-name.ts'
import { failed, outcome, track } from '../../support/engine-suite.ts'
import { ManualRuntime, settle } from '../../support/manual-runtime.ts'
import { MemoryNetwork } from '../../support/memory-carrier.ts'
import { MemoryLan } from '../../support/memory-lan.ts'
import type { LanHost } from '../../support/memory-lan.ts'
import { MemoryNode } from '../../support/memory-node.ts'

interface Member {
  readonly node: MemoryNode
  readonly mdns: MdnsDiscovery
  readonly host: LanHost
}

/** A local network on one clock. */
class World {
  readonly runtime = new ManualRuntime()
  readonly lan = new MemoryLan()
  readonly network = new MemoryNetwork()
  readonly #members: Member[] = []

  join(name: string, options: MdnsOptions = {}, ...addresses: string[]): Member {
    const own = addresses.length > 0 ? addresses : [`10.0.0.${this.#members.length + 1}`]
    const host = this.lan.host(...own)
    const mdns = new MdnsDiscovery(options, host.open)
    const node = MemoryNode.create(this.network, name, { runtime: this.runtime, discovery: [mdns] })
    node.endpoint.direct = own.map((ip) => (ip.includes(':') ? `[${ip}]:7` : `${ip}:7`))
    const member = { node, mdns, host }
    this.#members.push(member)
    return member
  }

  /** Everything closes, and leaves nothing behind. */
  async end(): Promise<void> {
    const closed = Promise.all(this.#members.map(({ node }) => node.close()))
    await this.runtime.advance(60_000)
    assert.ok(typeof (await outcome(closed)) === 'object', 'the nodes do not close')
    assert.equal(this.runtime.pendingTimers, 0, 'timers are left')
    assert.ok(
      this.#members.every(({ host }) => host.links() === 0),
      'the network is open yet',
    )
  }

  /** What was sent since the last call, as `who what`. */
  traffic(): string[] {
    return this.lan.sent.splice(0).map(({ from, bytes }) => {
      const heard = readPacket(bytes, false)
      const [sighting] = heard?.sightings ?? []
      const what = heard?.asked ? 'asks' : !sighting ? 'tells the service' : sighting.record ? 'is here' : 'leaves'
      return `${from} ${what}`
    })
  }
}

/** What browsing tells, as `kind name address`. */
function events(mdns: MdnsDiscovery, signal?: AbortSignal): { readonly log: string[]; readonly done: Promise<void> } {
  const log: string[] = []
  const text = ({ kind, peer }: MdnsEvent): string =>
    `${kind} ${peer.name ?? peer.userData ?? peer.id.fmtShort()} ${peer.address.direct.join(' ')}`
  const run = async (): Promise<void> => {
    for await (const event of mdns.browse({ signal })) log.push(text(event))
    log.push('end')
  }
  return { log, done: run() }
}

const packetOf = (name: string, direct: string, userData?: string): Uint8Array =>
  encodeRecord({ id: testNodeId(name), direct: [direct], relay: undefined, userData })
const nameOf = (node: string, name: string): string => signName(name, (message) => testSigningKey(node).sign(message))

describe('a node on the local network', () => {
  test('is found by its id, at the addresses that are on the network and no others', async () => {
    const world = new World()
    const a = world.join('a', {}, '10.0.0.1', 'fd00::1')
    const b = world.join('b')
    a.node.endpoint.direct = ['10.0.0.1:7', '[fd00::1]:8', '203.0.113.5:7', '127.0.0.1:7']
    await a.node.listen()
    const found = track(b.mdns.resolveId(testNodeId('a')))
    await world.runtime.advance(500)
    expect(found.now).toMatchObject({ value: { direct: ['10.0.0.1:7', '[fd00::1]:8'] } })
    expect(a.node.announcements()).toMatchObject([{ source: 'mdns', publishedMs: 100, error: undefined }])
    await world.end()
  })

  test('says that it is here twice, that it has moved, and that it leaves', async () => {
    const world = new World()
    const a = world.join('a', {}, '10.0.0.1', '10.0.0.9')
    await a.node.listen()
    await world.runtime.advance(5_000)
    expect(world.traffic()).toEqual(['10.0.0.1 is here', '10.0.0.1 is here'])
    a.node.endpoint.direct = ['10.0.0.9:7']
    for (const watcher of a.node.endpoint.addressWatchers) watcher()
    await world.runtime.advance(5_000)
    expect(world.traffic()).toEqual(['10.0.0.1 is here', '10.0.0.1 is here'])
    await a.node.close()
    expect(world.traffic()).toEqual(['10.0.0.1 leaves'])
    await world.end()
  })

  test('that only looks others up has the network open while it does, and says nothing of itself', async () => {
    const world = new World()
    const a = world.join('a')
    const found = track(a.mdns.resolveId(testNodeId('nobody')))
    await settle()
    expect(a.host.links()).toBe(1)
    await world.runtime.advance(2_999)
    expect(found.now).toBe('pending')
    await world.runtime.advance(1)
    expect(found.now).toEqual({ value: undefined })
    expect(world.traffic()).toEqual(Array.from({ length: 12 }, () => '10.0.0.1 asks'))
    expect([a.host.links(), world.runtime.pendingTimers]).toEqual([0, 0])
    await world.end()
  })

  test('asks no more often for many look-ups than for one, and anew when an interface comes', async () => {
    const world = new World()
    const a = world.join('a')
    const asking = Array.from({ length: 50 }, (_, i) => track(a.mdns.resolveId(testNodeId(`p${i}`))))
    await world.runtime.advance(99)
    expect(world.traffic()).toEqual(['10.0.0.1 asks'])
    a.host.set(new Error('unplugged'))
    await world.runtime.advance(2_401)
    expect(world.traffic()).toEqual([])
    a.host.set(undefined)
    await settle()
    expect(world.traffic()).toEqual(['10.0.0.1 asks'])
    await world.runtime.advance(500)
    expect(asking.map(({ now }) => now)).toEqual(asking.map(() => ({ value: undefined })))
    await world.end()
  })

  test('answers after a moment of its own, not twice for questions that come together, nor when it is known', async () => {
    const world = new World()
    const a = world.join('a')
    await a.node.listen()
    await world.runtime.advance(5_000)
    world.traffic()
    for (let i = 0; i < 20; i++) {
      world.lan.inject(encodeQuery())
      await world.runtime.advance(100)
    }
    // Once after 20 to 120 ms, and then every 500 ms.
    expect(world.traffic().length).toBe(4)
    await world.runtime.advance(5_000)
    world.traffic()
    for (let i = 0; i < 100; i++) {
      world.lan.inject(encodeQuery(false))
      await world.runtime.advance(20)
    }
    expect(world.traffic().length).toBeLessThanOrEqual(4)
    await world.runtime.advance(5_000)
    world.traffic()
    const data = `${labelOf(testNodeId('a'))}._irohv1._udp.local`
    const questions = [{ name: '_irohv1._udp.local', type: 'PTR' as const }]
    const ask = (ttl: number): Uint8Array =>
      encode({ type: 'query', questions, answers: [{ type: 'PTR', name: '_irohv1._udp.local', ttl, data }] })
    world.lan.inject(ask(120))
    await world.runtime.advance(1_000)
    expect(world.traffic()).toEqual([])
    world.lan.inject(ask(10))
    await world.runtime.advance(1_000)
    expect(world.traffic()).toEqual(['10.0.0.1 is here'])
    await world.end()
  })

  test('takes turns with the others in answering nodes of iroh, so that each is heard', async () => {
    const world = new World()
    const members = ['a', 'b', 'c', 'd'].map((name) => world.join(name))
    for (const { node } of members) await node.listen()
    await world.runtime.advance(5_000)
    world.traffic()
    const silentFor = new Map(members.map(({ host }) => [host, 0]))
    const address = (i: number): string => `10.0.0.${i + 1}`
    let answers = 0
    let longest = 0
    for (let round = 0; round < 200; round++) {
      world.lan.inject(encodeQuery(false))
      await world.runtime.advance(700)
      const spoke = world.traffic()
      answers += spoke.length
      for (const [i, { host }] of members.entries()) {
        const silent = spoke.includes(`${address(i)} is here`) ? 0 : (silentFor.get(host) ?? 0) + 1
        silentFor.set(host, silent)
        longest = Math.max(longest, silent)
      }
    }
    expect(answers).toBeGreaterThan(300)
    expect(answers).toBeLessThanOrEqual(400)
    // Two answer each question, and iroh forgets who has missed three turns.
    expect(longest).toBeLessThan(6)
    // Two of iroh's that are quicker take the turn.
    world.lan.inject(encodeQuery(false))
    for (let i = 0; i < 2; i++) world.lan.inject(packetOf(`iroh's ${i}`, '10.0.0.9:9'))
    await world.runtime.advance(5_000)
    expect(world.traffic()).toEqual([])
    // Who is asked for by id answers in any case, and so does everybody who is asked for as a node of this library.
    for (const query of [encodeQuery(false, [labelOf(testNodeId('c'))]), encodeQuery()]) {
      world.lan.inject(query)
      for (let i = 0; i < 2; i++) world.lan.inject(packetOf(`iroh's ${i}`, '10.0.0.9:9'))
      await world.runtime.advance(5_000)
    }
    expect(world.traffic().sort()).toEqual(
      ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.3', '10.0.0.4'].map((from) => `${from} is here`),
    )
    await world.end()
  })

  test('says what kind of service there is, when somebody asks for that, and no more often', async () => {
    const world = new World()
    const a = world.join('a')
    await a.node.listen()
    await world.runtime.advance(5_000)
    world.lan.sent.length = 0
    const questions = [{ name: '_services._dns-sd._udp.local', type: 'PTR' as const }]
    for (let i = 0; i < 10; i++) {
      world.lan.inject(encode({ type: 'query', questions }))
      await world.runtime.advance(100)
    }
    const kinds = world.lan.sent.map(({ bytes }) => decode(Buffer.from(bytes)).answers?.map(({ name }) => name))
    expect(kinds).toEqual([['_services._dns-sd._udp.local'], ['_services._dns-sd._udp.local']])
    // Whoever is asked for comes along with it.
    await world.runtime.advance(5_000)
    world.lan.sent.length = 0
    world.lan.inject(encode({ type: 'query', questions }))
    world.lan.inject(encodeQuery())
    await world.runtime.advance(1_000)
    expect(world.traffic()).toEqual(['10.0.0.1 tells the service', '10.0.0.1 is here'])
    await world.end()
  })

  test('speaks less often where there are many, and may be remembered for as long as it was registered', async () => {
    const world = new World()
    const a = world.join('a')
    await a.node.register('attic', { ttlMs: 20_000 })
    await a.node.listen()
    for (let i = 0; i < 100; i++) world.lan.inject(packetOf(`p${i}`, '10.0.0.9:9'))
    await world.runtime.advance(5_000)
    const [first] = world.lan.sent
    expect(readPacket(first?.bytes ?? new Uint8Array(), false)?.sightings).toMatchObject([{ ttlMs: 20_000 }])
    world.traffic()
    for (let i = 0; i < 40; i++) {
      world.lan.inject(encodeQuery())
      await world.runtime.advance(100)
    }
    expect(world.traffic().length).toBe(2)
    await world.end()
  })

  test('is not made known when it is not to be, and says so when it cannot be', async () => {
    const world = new World()
    const quiet = world.join('quiet', { publish: false })
    await quiet.node.listen()
    expect(quiet.node.announcements()).toEqual([])
    expect(await outcome(quiet.node.register('x'))).toEqual(failed('invalid-configuration', { setting: 'publish' }))
    const elsewhere = world.join('elsewhere')
    elsewhere.node.endpoint.direct = ['127.0.0.1:7']
    await elsewhere.node.listen()
    const cut = world.join('cut')
    cut.host.set(new Error('no route'))
    await cut.node.listen()
    await world.runtime.advance(3_000)
    const why = (member: Member): string | undefined => member.node.announcements()[0]?.error?.message
    expect(why(elsewhere)).toMatch(/none of its addresses \(127\.0\.0\.1:7\) is on an interface/)
    expect(why(cut)).toMatch(/lan0 \(IPv4\): no route/)
    expect(world.traffic()).toEqual([])
    const asked = track(cut.mdns.resolveId(testNodeId('elsewhere')))
    await world.runtime.advance(3_000)
    expect(asked.now).toEqual(
      failed('discovery-failed', { message: expect.stringContaining('lan0 (IPv4): no route') as unknown }),
    )
    cut.host.set(undefined)
    await world.runtime.advance(3_000)
    expect(why(cut)).toBeUndefined()
    expect(world.traffic()).toEqual(['10.0.0.3 is here', '10.0.0.3 is here'])
    await world.end()
    expect(world.traffic()).toEqual(['10.0.0.3 leaves'])
  })
})

describe('browsing', () => {
  test('tells who is found, changed, leaves or falls silent, and ends with the node', async () => {
    const world = new World()
    const [a, b] = [world.join('a'), world.join('b')]
    const { log, done } = events(b.mdns)
    await a.node.listen()
    await a.node.register('attic')
    await b.node.listen()
    world.lan.inject(packetOf('c', '10.0.0.3:7', 'free text'))
    await world.runtime.advance(1_000)
    expect(log.sort()).toEqual(['found attic 10.0.0.1:7', 'found free text 10.0.0.3:7'])
    expect(b.mdns.peers().map(({ address }) => address.direct[0])).toEqual(['10.0.0.3:7', '10.0.0.1:7'])
    world.lan.inject(packetOf('c', '10.0.0.4:7'))
    await a.node.close()
    await world.runtime.advance(2_000)
    const c = testNodeId('c').fmtShort()
    expect(log.slice(2)).toEqual([`changed ${c} 10.0.0.4:7`, 'lost attic 10.0.0.1:7'])
    await world.runtime.advance(28_000)
    expect(log.slice(4)).toEqual([`lost ${c} 10.0.0.4:7`])
    await b.node.close()
    await done
    expect(log.at(-1)).toBe('end')
    await world.end()
  })

  test('asks at once, and then three times in the time of silence; who is heard again is not lost', async () => {
    const world = new World()
    const [a, b] = [world.join('a'), world.join('b')]
    await a.node.listen()
    await world.runtime.advance(3_000)
    world.traffic()
    const { log } = events(b.mdns)
    await world.runtime.advance(300_000)
    expect(log).toEqual([`found ${testNodeId('a').fmtShort()} 10.0.0.1:7`])
    const asked = world.traffic().filter((line) => line === '10.0.0.2 asks')
    expect(asked.length).toBe(4 + 29)
    await world.end()
  })

  test('a goodbye in another name is found out: who is still there says so', async () => {
    const world = new World()
    const [a, b] = [world.join('a'), world.join('b')]
    await a.node.listen()
    const { log } = events(b.mdns)
    await world.runtime.advance(10_000)
    world.lan.inject(encodeGoodbye(testNodeId('a')))
    await world.runtime.advance(10_000)
    expect(log).toEqual([`found ${testNodeId('a').fmtShort()} 10.0.0.1:7`])
    await world.end()
  })

  test('waits longer for a word of each where there are many', async () => {
    const world = new World()
    const a = world.join('a')
    const { log } = events(a.mdns)
    await settle()
    for (let i = 0; i < 40; i++) world.lan.inject(packetOf(`p${i}`, '10.0.0.9:9'))
    // The last of them came when there were 39.
    await world.runtime.advance(39 * 2_500 - 1)
    expect(log.filter((line) => line.startsWith('lost')).length).toBe(39)
    await world.runtime.advance(1)
    expect(log.filter((line) => line.startsWith('lost')).length).toBe(40)
    await world.end()
  })

  test('is aborted by its signal, and left without a trace', async () => {
    const world = new World()
    const a = world.join('a')
    const controller = new AbortController()
    const browsing = track(events(a.mdns, controller.signal).done)
    await settle()
    expect(a.host.links()).toBe(1)
    controller.abort()
    expect(await outcome(Promise.resolve())).toHaveProperty('value')
    expect(browsing.now).toEqual(failed('aborted'))
    expect(a.host.links()).toBe(0)
    const loop = a.mdns.browse()
    const first = loop.next()
    await settle()
    world.lan.inject(packetOf('c', '10.0.0.3:7'))
    expect((await first).value).toMatchObject({ kind: 'found' })
    await loop.return()
    expect(a.host.links()).toBe(0)
    await world.end()
  })

  test('a reader that is slow sees the latest of each peer', async () => {
    const world = new World()
    const a = world.join('a')
    const loop = a.mdns.browse()
    const first = loop.next()
    await settle()
    for (const [name, port] of [['c', 1], ['c', 2], ['d', 1], ['d', 2], ['c', 3]] as const) {
      world.lan.inject(packetOf(name, `10.0.0.3:${port}`))
    } // prettier-ignore
    world.lan.inject(packetOf('gone', '10.0.0.3:9'))
    world.lan.inject(encodeGoodbye(testNodeId('gone')))
    await world.runtime.advance(1_500)
    const seen = [await first, await loop.next()].map(({ value }) => value)
    expect(seen.map((event) => event && `${event.kind} ${event.peer.address.direct[0]}`)).toEqual([
      'found 10.0.0.3:2',
      'found 10.0.0.3:3',
    ])
    const third = loop.next()
    expect(await outcome(third)).toBe('pending')
    world.lan.inject(packetOf('e', '10.0.0.5:1'))
    await third
    // Lost and found again between two looks.
    world.lan.inject(encodeGoodbye(testNodeId('c')))
    await world.runtime.advance(1_500)
    world.lan.inject(packetOf('c', '10.0.0.3:4'))
    expect((await loop.next()).value).toMatchObject({ kind: 'changed', peer: { address: { direct: ['10.0.0.3:4'] } } })
    await loop.return()
    await world.end()
  })

  test('needs a node', async () => {
    expect(await outcome(new MdnsDiscovery().browse().next())).toEqual(failed('invalid-configuration'))
    const real = new MdnsDiscovery()
    const node = MemoryNode.create(new MemoryNetwork(), 'simulated', { discovery: [real] })
    expect(await outcome(real.browse().next())).toEqual(failed('unsupported', { what: 'mdns' }))
    await node.listen()
    expect(node.announcements()[0]?.error).toMatchObject({ code: 'unsupported' })
  })
})

describe('names on the local network', () => {
  test('lead to who has registered them; a later one replaces the first', async () => {
    const world = new World()
    const [a, b] = [world.join('a'), world.join('b')]
    await a.node.register('living-room')
    await a.node.listen()
    const found = track(b.node.discover('living-room'))
    await world.runtime.advance(1_000)
    expect(found.now).toEqual({ value: testNodeId('a') })
    await a.node.register('Wohnzimmer ♪')
    const again = [track(b.node.discover('living-room')), track(b.node.discover('Wohnzimmer ♪'))]
    await world.runtime.advance(5_000)
    expect(again.map(({ now }) => now)).toEqual([failed('node-not-found'), { value: testNodeId('a') }])
    await world.end()
  })

  test('that two go by lead to neither, and both are told', async () => {
    const world = new World()
    const [a, b, c] = [world.join('a'), world.join('b'), world.join('c')]
    for (const { node } of [a, b]) {
      await node.register('living-room')
      await node.listen()
    }
    const found = track(c.node.discover('living-room'))
    await world.runtime.advance(1_000)
    const ids = [testNodeId('a'), testNodeId('b')].map((id) => id.toString()).sort()
    expect(found.now).toEqual(
      failed('discovery-failed', { message: expect.stringContaining(ids.join(', ')) as unknown }),
    )
    // An alias says which is meant.
    const discovery = [new StaticDiscovery({ 'living-room': testNodeId('b') }), c.mdns]
    const d = MemoryNode.create(world.network, 'd', { runtime: world.runtime, discovery })
    const meant = track(d.discover('living-room'))
    await world.runtime.advance(1_000)
    expect(meant.now).toEqual({ value: testNodeId('b') })
    await d.close()
    await b.node.close()
    await world.runtime.advance(2_000)
    const alone = track(c.node.discover('living-room'))
    await world.runtime.advance(2_000)
    expect(alone.now).toEqual({ value: testNodeId('a') })
    await world.end()
  })

  test('that are not signed by their node lead nowhere, and are told of', async () => {
    const world = new World()
    const a = world.join('a')
    const found = track(a.node.discover('living-room'))
    await settle()
    // The signature is the thief's, the id is not; and the signature of another name.
    world.lan.inject(packetOf('honest', '10.0.0.66:6', nameOf('thief', 'living-room')))
    world.lan.inject(packetOf('other', '10.0.0.67:6', nameOf('other', 'kitchen').replace('kitchen', 'living-room')))
    await world.runtime.advance(3_000)
    expect(found.now).toEqual(
      failed('discovery-failed', { message: expect.stringMatching(/that node has not signed it/) as unknown }),
    )
    expect(a.mdns.status().forgedNames).toBe(2)
    const both = track(a.node.discover('living-room'))
    await settle()
    world.lan.inject(packetOf('honest', '10.0.0.66:6', nameOf('thief', 'living-room')))
    world.lan.inject(packetOf('rightful', '10.0.0.5:6', nameOf('rightful', 'living-room')))
    await world.runtime.advance(1_000)
    expect(both.now).toEqual({ value: testNodeId('rightful') })
    await world.end()
  })

  test('are waited with for 0.3 s after they are claimed, and no longer than the look-up', async () => {
    const world = new World()
    const a = world.join('a')
    const { log } = events(a.mdns)
    await settle()
    world.lan.inject(packetOf('b', '10.0.0.5:1'))
    await world.runtime.advance(10_000)
    const found = track(a.node.discover('attic'))
    // It has been there for long, and claims the name now; that its address changes is no new claim.
    for (const port of [1, 2, 3]) {
      world.lan.inject(packetOf('b', `10.0.0.5:${port}`, nameOf('b', 'attic')))
      await world.runtime.advance(99)
      expect(found.now).toBe('pending')
    }
    await world.runtime.advance(3)
    expect(found.now).toEqual({ value: testNodeId('b') })
    const late = track(a.node.discover('cellar'))
    await world.runtime.advance(2_900)
    world.lan.inject(packetOf('c', '10.0.0.6:1', nameOf('c', 'cellar')))
    await world.runtime.advance(100)
    expect(late.now).toEqual({ value: testNodeId('c') })
    expect(log.length).toBeGreaterThan(4)
    await world.end()
  })

  test('are told of once when they are forged, and forgotten with the node', async () => {
    const world = new World()
    const a = world.join('a')
    const found = track(a.mdns.resolveId(testNodeId('nobody')))
    await settle()
    for (const port of [1, 2, 3]) {
      world.lan.inject(packetOf('honest', `10.0.0.66:${port}`, nameOf('thief', 'attic')))
    }
    await world.runtime.advance(3_000)
    expect([a.mdns.status().forgedNames, found.now]).toEqual([1, { value: undefined }])
    await a.node.register('attic')
    await a.node.close()
    // The same key and the same source, and another node.
    const second = MemoryNode.create(world.network, 'a', { runtime: world.runtime, discovery: [a.mdns] })
    second.endpoint.direct = ['10.0.0.1:7']
    await second.listen()
    await world.runtime.advance(2_000)
    const told = world.lan.sent.flatMap(({ bytes }) => readPacket(bytes, false)?.sightings ?? [])
    expect(told.map(({ record }) => record?.userData)).toEqual([undefined, undefined])
    await second.close()
    await world.end()
  })

  test('must be names, and there is no room for one beside a text of the application', async () => {
    const world = new World()
    const a = world.join('a')
    for (const name of [' x', 'x\n', 'x'.repeat(129), 'a\u202eb']) {
      expect(await outcome(a.node.register(name))).toEqual(failed('invalid-configuration', { setting: 'name' }))
      expect(await outcome(a.node.discover(name))).toEqual(failed('node-not-found'))
    }
    const b = world.join('b', { userData: 'mine' })
    expect(await outcome(b.node.register('x'))).toEqual(failed('invalid-configuration', { setting: 'userData' }))
    await world.end()
  })

  test('composed and decomposed letters are the same name', async () => {
    const world = new World()
    const [a, b] = [world.join('a'), world.join('b')]
    await a.node.register('Ku\u0308che')
    await a.node.listen()
    const found = track(b.node.discover('K\u00fcche'))
    await world.runtime.advance(1_000)
    expect(found.now).toEqual({ value: testNodeId('a') })
    await world.end()
  })
})

describe('a flood', () => {
  test('of peers is kept within bounds; who is looked for is found nevertheless', async () => {
    const world = new World()
    const a = world.join('a', { maxPeers: 10 })
    const controller = new AbortController()
    const { log, done } = events(a.mdns, controller.signal)
    await settle()
    for (let i = 0; i < 40; i++) world.lan.inject(packetOf(`p${i}`, '10.0.0.9:9'))
    await settle()
    expect([log.length, a.mdns.peers().length, a.mdns.status().ignoredPeers]).toEqual([10, 10, 30])
    const wanted = track(a.mdns.resolveId(testNodeId('p39')))
    await settle()
    world.lan.inject(packetOf('p39', '10.0.0.39:9'))
    await settle()
    expect(wanted.now).toMatchObject({ value: { direct: ['10.0.0.39:9'] } })
    controller.abort()
    expect(await outcome(done)).toEqual(failed('aborted'))
    await world.end()
  })

  test('of packets is not read to the end, and later ones are', async () => {
    const world = new World()
    const a = world.join('a')
    const found = track(a.mdns.resolveId(testNodeId('late')))
    await settle()
    for (let i = 0; i < 5_000; i++) world.lan.inject(Uint8Array.of(1, 2, 3))
    world.lan.inject(packetOf('late', '10.0.0.9:9'))
    await settle()
    expect(found.now).toBe('pending')
    expect(a.mdns.status()).toMatchObject({ malformedPackets: 999, droppedPackets: 4_002 })
    await world.runtime.advance(100)
    world.lan.inject(packetOf('late', '10.0.0.9:9'))
    await settle()
    expect(found.now).toMatchObject({ value: { direct: ['10.0.0.9:9'] } })
    await world.end()
  })
})

describe('options', () => {
  test('that make no sense are refused', () => {
    const bad: readonly object[] = [
      { interfaces: [] }, { interfaces: 'eth0' }, { interfaces: [''] }, { maxPeers: 0 }, { maxPeers: 1.5 },
      { timeoutMs: 0 }, { lostAfterMs: -1 }, { userData: 'x'.repeat(246) }, { port: 5353 },
    ] // prettier-ignore
    for (const options of bad) {
      expect(() => new MdnsDiscovery(options)).toThrow(expect.objectContaining({ code: 'invalid-configuration' }))
    }
    expect(new MdnsDiscovery().status()).toEqual({
      interfaces: [],
      forgedNames: 0,
      malformedPackets: 0,
      droppedPackets: 0,
      ignoredPeers: 0,
    })
  })
})
