import { describe, expect, test } from 'vitest'
import { testNodeId } from '../../../src/core/keys.ts'
import { resolveTransportConfig } from '../../../src/simulator/transport/config.ts'
import { EXACT, Pair } from './pair.ts'
import type { Link } from './pair.ts'
import { World } from './world.ts'
import type { Node } from './world.ts'

/** Loses the datagrams of one side that have these numbers, in the order of sending. */
function losing(delayUs: number, lost: { client?: readonly number[]; server?: readonly number[] }): Link {
  return (side, _packet, _now, index) => (lost[side]?.includes(index) ? [] : [delayUs])
}

const connectTimeUs = (link: Link | number): number => {
  const pair = new Pair({ link, config: EXACT })
  expect(pair.run(() => pair.client.sink.connected, 60_000_000)).toBe(true)
  return pair.nowUs
}

describe('connecting', () => {
  test.each([0, 1, 25_000, 150_000, 400_000])('takes one round trip at %i us one way', (delayUs) => {
    expect(connectTimeUs(delayUs)).toBe(2 * delayUs)
  })

  test('is done for the server half a round trip later, and confirmed for the client after two in all', () => {
    const pair = new Pair({ link: 25_000, config: EXACT })
    pair.run(() => pair.server?.sink.connected === true)
    expect(pair.nowUs).toBe(75_000)
    expect(pair.client.connection.remoteNode?.equals(testNodeId('server'))).toBe(true)
    expect(pair.serverEnd.connection.remoteNode?.equals(testNodeId('client'))).toBe(true)
    expect([pair.client.connection.alpn, pair.serverEnd.connection.alpn]).toEqual(['test', 'test'])
  })

  test.each(['client', 'server'])('takes the time of keys and signatures on the side of the %s', async (slow) => {
    const world = new World()
    const node = (name: string): Node =>
      world.node(name, name === slow ? { transport: { handshakeProcessingUs: 3_000 } } : {})
    const [client, server] = [node('client'), node('server')]
    const startUs = world.kernel.nowUs()
    await world.until(client.connect(server))
    expect(world.kernel.nowUs() - startUs).toBe(53_000)
  })

  test('takes a server longer for the first flight, and a client for handing the connection over', async () => {
    const world = new World()
    const client = world.node('client', { transport: { handshakeProcessingUs: 100, handoverUs: 400 } })
    const server = world.node('server', { transport: { handshakeProcessingUs: 1_000, acceptUs: 2_000 } })
    const startUs = world.kernel.nowUs()
    await world.until(client.connect(server))
    expect(world.kernel.nowUs() - startUs).toBe(50_000 + 3_000 + 100 + 400)
  })

  test('is followed by probes that a server sends before anything else, as in the packet traces of real ones', async () => {
    const world = new World()
    const [client, server] = [world.node('client', { transport: {} }), world.node('server')]
    const sent: [atUs: number, bytes: number][] = []
    world.topology.fabric.rules.add(({ packet, link }) => {
      if (link.from.name === 'server') sent.push([world.kernel.nowUs(), packet.sizeBytes])
      return 'pass'
    })
    await world.until(client.connect(server))
    await world.kernel.drive(() => false, world.kernel.nowUs() + 100_000)
    // The connection ids were waiting for the pacer: they go in the same moment.
    const first = sent.findIndex(([, bytes]) => bytes === 35)
    const [atUs] = sent[first] ?? []
    expect(sent.filter(([at]) => at === atUs).map(([, bytes]) => bytes)).toEqual([35, 1_093])
  })

  test('sends full datagrams both ways while addresses are unproven, and then small ones', () => {
    const pair = new Pair({ link: 25_000, config: EXACT })
    pair.run(() => false, 1_000_000)
    expect(pair.trace.map(({ atUs, side, bytes }) => [atUs, side, bytes])).toEqual([
      [0, 'client', 1200],
      [25_000, 'server', 1200],
      [50_000, 'client', 1200],
      // Four connection ids, as soon as the pacer that knows only the initial 333 ms has tokens again.
      [51_643, 'server', 138],
      // 36 ids for other paths, and the address the server was seen at, 0.08 round trips after the handshake.
      [53_830, 'client', 1189],
      // HANDSHAKE_DONE, tokens and the client's address; then 33 ids.
      [75_000, 'server', 204],
      [75_680, 'server', 1082],
      // The server's packets are acknowledged at once from the second on, the client's only one after 25 ms.
      [100_000, 'client', 35],
      [103_830, 'server', 36],
      [125_680, 'client', 36],
    ])
  })

  test('a lost first datagram costs 999 ms: three times the initial round-trip time of 333 ms', () => {
    expect(connectTimeUs(losing(25_000, { client: [0] }))).toBe(999_000 + 50_000)
  })

  test('a lost answer costs the same and one more round trip, as hello and flight are sent again apart', () => {
    expect(connectTimeUs(losing(25_000, { server: [0] }))).toBe(999_000 + 2 * 50_000)
  })

  test('the time between attempts doubles up to steps of one second', () => {
    const pair = new Pair({ link: () => [], config: EXACT })
    pair.run(() => false, 8_000_000)
    const times = pair.trace.map(({ atUs }) => atUs)
    // Two datagrams a probe, 26.64 ms apart, as the pacer spreads ten over 0.8 of the assumed round trip. From the
    // second of them on 1998 ms, then 2998 ms: each step a second more, as twice as much would be too much.
    expect(times).toEqual([0, 999_000, 1_025_640, 3_023_640, 3_050_280, 6_048_280, 6_074_920])
  })

  test('is given up after 30 s without a word', () => {
    const pair = new Pair({ link: () => [], config: EXACT })
    pair.run(() => pair.client.sink.close !== undefined)
    expect(pair.client.sink.close).toMatchObject({ by: 'transport', application: false })
    expect(pair.nowUs).toBe(30_000_000)
    expect(pair.client.connection.isDrained).toBe(true)
    expect(pair.client.connection.nextTimeout()).toBe(Number.POSITIVE_INFINITY)
  })

  test('without a protocol in common the client is refused, one round trip later', () => {
    const pair = new Pair({ link: 25_000, config: EXACT, alpns: ['other'], served: ['test'] })
    pair.run(() => pair.client.sink.close !== undefined)
    expect(pair.nowUs).toBe(50_000)
    expect(pair.client.sink.close).toMatchObject({ by: 'remote', application: false, code: 0x178 })
    expect(pair.client.sink.connected).toBe(false)
    pair.run()
    expect(pair.client.connection.isDrained && pair.serverEnd.connection.isDrained).toBe(true)
  })
})

describe('settings', () => {
  test.each([
    { mtuBytes: 1_199 },
    { initialRttUs: 0 },
    { streamWindowBytes: Number.NaN },
    { maxBidiStreams: -1 },
    { packetThreshold: 2.5 },
    { sendWindowBytes: Number.POSITIVE_INFINITY },
  ])('%j make no sense', (config) => {
    const [name] = Object.keys(config)
    expect(() => resolveTransportConfig(config)).toThrow(`transport.${name} = `)
  })

  test('may turn idle time and keep-alive off, and allow no streams', () => {
    const never = Number.POSITIVE_INFINITY
    const config = { idleTimeoutUs: never, keepAliveUs: never, maxBidiStreams: 0 }
    expect(resolveTransportConfig(config)).toMatchObject(config)
  })
})
