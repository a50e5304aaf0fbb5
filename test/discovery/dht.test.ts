import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { P2PAddress } from '../../src/core/address.ts'
import { testNodeId, testSigningKey } from '../../src/core/keys.ts'
import type { AnnouncedNode } from '../../src/core/system.ts'
import { DhtDiscovery } from '../../src/discovery/index.ts'
import type { DhtOptions } from '../../src/discovery/index.ts'
import type { Bencoded, Dictionary } from '../../src/discovery/dht/bencode.ts'
import { encodeBody, readRecord, signRecord } from '../../src/discovery/pkarr/signed-packet.ts'
import type { SignedPacket } from '../../src/discovery/pkarr/signed-packet.ts'
import { dhtReply, dhtTestnet, itemValues, rawDhtNode, rawDhtNodes } from '../support/dht-testnet.ts'
import type { RawAnswer, StoredItem } from '../support/dht-testnet.ts'
import { ManualRuntime } from '../support/manual-runtime.ts'
import { MemoryNetwork } from '../support/memory-carrier.ts'
import { MemoryNode } from '../support/memory-node.ts'

const id = testNodeId('home')
const address = new P2PAddress(id, ['192.0.2.1:4433', '[2001:db8::1]:4433'], ['https://relay.example/'])

/** Far from what a loaded machine takes. */
const LONG = { timeout: 20_000 }

const source = (bootstrap: readonly string[], options: DhtOptions = {}): DhtDiscovery =>
  new DhtDiscovery({ bootstrap, bind: '127.0.0.1:0', ...options })

interface Announced {
  readonly runtime: ManualRuntime
  /** What each attempt came to. */
  readonly attempts: unknown[]
  readonly stop: () => Promise<void>
  readonly move: (to: P2PAddress) => void
}

/** Announces a node at `address` through `dht`. */
function announce(dht: DhtDiscovery, runtime: ManualRuntime = new ManualRuntime()): Announced {
  const attempts: unknown[] = []
  const listeners = new Set<() => void>()
  let current = address
  const node: AnnouncedNode = {
    id,
    runtime,
    address: () => current,
    onAddressChange: (listener) => {
      listeners.add(listener)
      return { [Symbol.dispose]: () => void listeners.delete(listener) }
    },
    sign: (message) => testSigningKey('home').sign(message),
    onPublished: (error) => attempts.push(error),
  }
  const announcement = dht.announce(node)
  return {
    runtime,
    attempts,
    stop: async () => announcement?.[Symbol.asyncDispose](),
    move: (to) => {
      current = to
      for (const listener of listeners) listener()
    },
  }
}

/** Lets time pass, and waits for what is then published. */
async function published({ runtime, attempts }: Announced, afterMs: number, number: number): Promise<void> {
  await runtime.advance(afterMs)
  await expect.poll(() => attempts.length, LONG).toBe(number)
}

const record = (direct: string, timestampUs: bigint, signer = 'home'): SignedPacket =>
  signRecord({ address: new P2PAddress(id, [direct]), userData: undefined }, timestampUs, (message) =>
    testSigningKey(signer).sign(message),
  )

const asPacket = ({ k, v, sig, seq }: StoredItem): SignedPacket => {
  expect(Buffer.from(k).equals(id.asBytes())).toBe(true)
  return { id, dns: v, signature: sig, timestampUs: BigInt(seq) }
}

/** Sockets of this process, which has none but those of a test. */
const sockets = (): number => process.getActiveResourcesInfo().filter((name) => name === 'UDPWrap').length

afterEach(async () => {
  await vi.waitUntil(() => sockets() === 0, LONG)
})

describe('a record in the DHT', () => {
  test('is stored by its nodes as BEP 44 says, in the bytes of pkarr, and found by whoever has the id', async () => {
    await using net = await dhtTestnet()
    const dht = source(net.bootstrap.slice(0, 1), { publish: 'all', userData: 'kitchen' })
    expect(await dht.resolveId(id)).toBeUndefined()
    const node = announce(dht)
    await published(node, 0, 1)
    expect(node.attempts).toEqual([undefined])
    expect(net.items().length).toBeGreaterThan(1)
    for (const item of net.items()) {
      const packet = asPacket(item)
      expect(packet.timestampUs).toBe(1_700_000_000_000_000n)
      expect(readRecord(packet)).toMatchObject({ userData: 'kitchen', address: { direct: address.direct } })
      // The very bytes that a pkarr server would be given.
      const again = signRecord({ address, userData: 'kitchen' }, packet.timestampUs, (message) =>
        testSigningKey('home').sign(message),
      )
      expect(Buffer.from(encodeBody(packet))).toEqual(Buffer.from(encodeBody(again)))
    }
    // Another process, which begins at another node.
    const found = await source(net.bootstrap.slice(-1)).resolveId(id)
    expect([found?.direct, found?.relays]).toEqual([address.direct, address.relays])
    expect(await dht.resolveId(testNodeId('somebody else'))).toBeUndefined()
    await node.stop()
  })

  test('says no more than it is told to', async () => {
    await using net = await dhtTestnet(3)
    const relays = announce(source(net.bootstrap))
    await published(relays, 0, 1)
    const found = await source(net.bootstrap).resolveId(id)
    expect([found?.direct, found?.relays]).toEqual([[], address.relays])
    relays.move(new P2PAddress(id, address.direct))
    await published(relays, 100, 2)
    expect(String(relays.attempts[1])).toMatch(
      /nothing to publish: this node has no relay, and its own addresses .*'all'/,
    )
    await relays.stop()
    expect(source(net.bootstrap, { publish: 'nothing' }).announce({} as AnnouncedNode)).toBeUndefined()
  })

  test('is published again when the address has changed, and every hour, ever later', async () => {
    await using net = await dhtTestnet(3)
    const dht = source(net.bootstrap, { publish: 'all' })
    const node = announce(dht)
    await published(node, 0, 1)
    node.move(new P2PAddress(id, ['192.0.2.9:9']))
    await published(node, 100, 2)
    expect((await dht.resolveId(id))?.direct).toEqual(['192.0.2.9:9'])
    await published(node, 3_600_000, 3)
    expect(node.attempts).toEqual([undefined, undefined, undefined])
    expect(asPacket(net.items()[0] as StoredItem).timestampUs).toBe(1_700_003_600_100_000n)
    await node.stop()
    expect(node.runtime.pendingTimers).toBe(0)
  })

  test('is later than the one before, though the clock was set back in between', async () => {
    await using net = await dhtTestnet(3)
    const ahead = new ManualRuntime()
    await ahead.advance(86_400_000)
    const before = announce(source(net.bootstrap, { publish: 'all' }), ahead)
    await published(before, 0, 1)
    await before.stop()
    const after = announce(source(net.bootstrap, { publish: 'all' }))
    after.move(new P2PAddress(id, ['192.0.2.77:7']))
    await published(after, 100, 1)
    expect(after.attempts).toEqual([undefined])
    expect((await source(net.bootstrap).resolveId(id))?.direct).toEqual(['192.0.2.77:7'])
    expect(asPacket(net.items()[0] as StoredItem).timestampUs).toBe(1_700_086_400_000_001n)
    await after.stop()
  })

  test('leads a node to another by its id alone', async () => {
    await using net = await dhtTestnet(3)
    const network = new MemoryNetwork()
    const discovery = [source(net.bootstrap, { publish: 'all' })]
    await using home = MemoryNode.create(network, 'home', { discovery })
    const listener = await home.listen()
    await (home.runtime as ManualRuntime).advance(0)
    await expect.poll(() => home.announcements()[0]?.publishedMs, LONG).toBeDefined()
    await using player = MemoryNode.create(network, 'player', { discovery: [source(net.bootstrap)] })
    const [connection] = await Promise.all([player.connect(id), listener.accept()])
    expect(connection.remoteNodeId().equals(id)).toBe(true)
    expect((await player.lookUp(id)).sources).toMatchObject([{ source: 'dht', error: undefined }])
  })
})

describe('nodes of the DHT that lie', () => {
  const good = record('192.0.2.5:5', 1_700_000_000_000_005n)
  const older = record('192.0.2.4:4', 1_700_000_000_000_004n)
  const forged = record('192.0.2.66:6', 1_700_000_000_000_066n, 'thief')
  const another = signRecord({ address: new P2PAddress(testNodeId('thief')), userData: undefined }, 9n, (message) =>
    testSigningKey('thief').sign(message),
  )

  const LIES: Readonly<Record<string, RawAnswer>> = {
    'never answers': () => undefined,
    'makes a decoder loop': () => Buffer.from('l-3:'),
    'sends garbage': () => Buffer.from('d1:r'),
    'has a number for an id': (t) => dhtReply(t, { id: 5 }),
    'has a list for an id': (t) => dhtReply(t, { id: [] }),
    'has numbers for everything': (t) => dhtReply(t, { v: 1, k: 2, sig: 3, seq: 4, token: 5, nodes: 6 }),
    'has lists for everything': (t) => dhtReply(t, { v: [], k: [], sig: [], seq: [], token: [], nodes: [] }),
    'has a value of 1001 bytes': (t) => dhtReply(t, { ...itemValues(good), v: new Uint8Array(1001) }),
    'has an older record': (t) => dhtReply(t, itemValues(older)),
    'has a forged record': (t) => dhtReply(t, itemValues(forged)),
    'has the record of another': (t) => dhtReply(t, itemValues(another)),
    'changes the timestamp': (t) => dhtReply(t, { ...itemValues(good), seq: Number(good.timestampUs) + 1 }),
    'leaves the signature out': (t) => dhtReply(t, { k: id.asBytes(), v: good.dns, seq: 1 }),
    'leaves the key out': (t) => dhtReply(t, { v: good.dns, seq: Number(good.timestampUs), sig: good.signature }),
    'has something else under the key': (t) => dhtReply(t, { v: Buffer.from('hello') }),
    'answers with an error': (t) =>
      Buffer.concat([Buffer.from('d1:eli201e4:nope'), Buffer.from('e1:t2:'), t, Buffer.from('1:y1:ee')]),
    'names contacts that are none': (t) => dhtReply(t, { nodes: new Uint8Array(25) }),
    'names a thousand contacts': (t) => dhtReply(t, { nodes: new Uint8Array(26_000).fill(1) }),
  }

  test.each(Object.entries(LIES))('hide no good record: one that %s', async (_, lie) => {
    await using honest = await rawDhtNode((t) => dhtReply(t, { id: new Uint8Array(20).fill(1), ...itemValues(good) }))
    await using liar = await rawDhtNode(lie)
    const found = await source([liar.place, honest.place]).resolveId(id)
    expect(found?.direct).toEqual(['192.0.2.5:5'])
    expect(liar.asked.length).toBeGreaterThan(0)
  })

  test.each([
    ['has a forged record', /not valid.*: the signature is not that of/],
    ['changes the timestamp', /the signature is not that of/],
    ['has the record of another', /the signature is not that of/],
    ['never answers', /no node has answered; those to begin with are 127\.0\.0\.1:\d+$/],
    ['makes a decoder loop', /no node has answered/],
  ])('are told of when there is nobody else: one that %s', async (name, message) => {
    await using liar = await rawDhtNode(LIES[name] as RawAnswer)
    await expect(source([liar.place]).resolveId(id)).rejects.toMatchObject({
      code: 'discovery-failed',
      query: id.toString(),
      message: expect.stringMatching(message) as unknown,
    })
  })

  test('cannot hold a search up', async () => {
    await using liars = await rawDhtNodes(Object.values(LIES))
    const contacts = liars.nodes.map(({ place }, i) => {
      const port = Number(place.split(':')[1])
      return Buffer.concat([Buffer.alloc(20, i + 10), Buffer.from([127, 0, 0, 1, port >> 8, port & 255])])
    })
    await using honest = await rawDhtNode((t) =>
      dhtReply(t, { id: new Uint8Array(20), nodes: Buffer.concat(contacts) }),
    )
    const dht = source([honest.place], { timeoutMs: 600_000 })
    // It ends because there is nobody left to ask. Those who answer under another id than they have do not count.
    expect(await dht.resolveId(testNodeId('nobody'))).toBeUndefined()
  })

  test('cannot bring an older record back', async () => {
    let packet = good
    await using node = await rawDhtNode((t) => dhtReply(t, itemValues(packet)))
    const dht = source([node.place])
    expect((await dht.resolveId(id))?.direct).toEqual(['192.0.2.5:5'])
    packet = older
    expect((await dht.resolveId(id))?.direct).toEqual(['192.0.2.5:5'])
  })

  test('that have a record of its owner which makes no sense are told of', async () => {
    const dns = new Uint8Array(200).fill(0xff)
    const head = Buffer.from(`3:seqi7e1:v${dns.length}:`)
    const signature = testSigningKey('home').sign(Buffer.concat([head, dns]))
    await using node = await rawDhtNode((t) => dhtReply(t, itemValues({ id, dns, timestampUs: 7n, signature })))
    await expect(source([node.place]).resolveId(id)).rejects.toThrow(/its DNS message cannot be read/)
  })

  test('cannot keep a record from being stored by others', async () => {
    await using net = await dhtTestnet(3)
    await using liars = await rawDhtNodes(Object.values(LIES))
    const node = announce(source([...liars.nodes.map(({ place }) => place), ...net.bootstrap]))
    await published(node, 0, 1)
    expect(node.attempts).toEqual([undefined])
    expect(net.items().length).toBe(3)
    await node.stop()
  })

  test('are told of when none of them stores it, and asked again later', async () => {
    let refuses = true
    const asNumbers = (t: Uint8Array, values: Record<string, Bencoded> = {}): Uint8Array => dhtReply(t, values)
    await using node = await rawDhtNode((t, kind) =>
      kind === 'put' && refuses
        ? Buffer.concat([Buffer.from('d1:eli302e5:oldere1:t2:'), t, Buffer.from('1:y1:ee')])
        : asNumbers(t),
    )
    const announced = announce(source([node.place]))
    await published(announced, 0, 1)
    expect(String(announced.attempts[0])).toMatch(/the nodes that store it have a later record/)
    refuses = false
    await published(announced, 2_000, 2)
    expect(announced.attempts[1]).toBeUndefined()
    const put = node.asked.findLast((query) => Buffer.from(query.get('q') as Uint8Array).toString() === 'put')
    expect(put?.get('ro')).toBe(1)
    expect((put?.get('a') as Dictionary | undefined)?.get('target')).toHaveLength(20)
    await announced.stop()
  })
})

describe('asking the DHT', () => {
  test('fails when there is nobody to ask, and says whom it would have asked', async () => {
    await expect(source([]).resolveId(id)).rejects.toThrow(/nobody to ask: give some nodes as `bootstrap`/)
    const nobody = createSocket('udp4').bind(0, '127.0.0.1')
    await once(nobody, 'listening')
    const { port } = nobody.address()
    nobody.close()
    await expect(source([`127.0.0.1:${port}`]).resolveId(id)).rejects.toThrow(
      `those to begin with are 127.0.0.1:${port}`,
    )
    await expect(source([`${'x'.repeat(64)}:${port}`]).resolveId(id)).rejects.toThrow(/no node has answered/)
  })

  test('takes no longer than it may', async () => {
    await using silent = await rawDhtNodes(Array.from({ length: 20 }, () => () => undefined))
    const dht = source(
      silent.nodes.map(({ place }) => place),
      { timeoutMs: 50 },
    )
    await expect(dht.resolveId(id)).rejects.toMatchObject({ code: 'discovery-failed' })
  })

  test('can be given up, before and meanwhile, and leaves nothing behind', async () => {
    await using silent = await rawDhtNode(() => undefined)
    const dht = source([silent.place])
    await expect(dht.resolveId(id, { signal: AbortSignal.abort('no') })).rejects.toMatchObject({ code: 'aborted' })
    const controller = new AbortController()
    const asking = dht.resolveId(id, { signal: controller.signal })
    await expect.poll(() => silent.asked.length, LONG).toBeGreaterThan(0)
    controller.abort()
    await expect(asking).rejects.toMatchObject({ code: 'aborted', name: 'AbortError' })
    await expect.poll(sockets, LONG).toBe(1)
  })

  test('is done once at a time, for as many as ask', async () => {
    await using net = await dhtTestnet(3)
    const dht = source(net.bootstrap)
    const asking = Array.from({ length: 65 }, (_, i) => dht.resolveId(testNodeId(`node ${i}`)))
    const outcomes = await Promise.allSettled(asking)
    const refused = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []))
    expect(refused).toMatchObject([{ code: 'limit-exceeded', limit: 'searches', max: 64 }])
    expect(outcomes.filter((outcome) => outcome.status === 'fulfilled' && outcome.value === undefined)).toHaveLength(64)
  })

  test('from an address that somebody else has fails, and says so', async () => {
    const other = createSocket('udp4').bind(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address()
    const dht = source(['127.0.0.1:1'], { bind: `127.0.0.1:${port}` })
    await expect(dht.resolveId(id)).rejects.toMatchObject({
      code: 'network',
      message: expect.stringMatching(/cannot bind UDP 127\.0\.0\.1:\d+ \(EADDRINUSE\)/) as unknown,
    })
    await new Promise<void>((resolve) => other.close(resolve))
    // And then it goes on, from that very port, time after time.
    for (let i = 0; i < 3; i++) await expect(dht.resolveId(id)).rejects.toMatchObject({ code: 'discovery-failed' })
  })

  test('needs a package, and says which', async () => {
    vi.doMock('bittorrent-dht', () => {
      throw new Error('Cannot find package')
    })
    try {
      await expect(source(['127.0.0.1:1']).resolveId(id)).rejects.toMatchObject({
        code: 'unsupported',
        message: 'the DHT needs the optional package bittorrent-dht: npm install bittorrent-dht',
      })
    } finally {
      vi.doUnmock('bittorrent-dht')
    }
  })

  test('takes options that make sense', () => {
    for (const place of ['', 'host', 'host:0', 'host:65536', 'http://host:1', '[::1]:1', ':1', 'a b:1', 7]) {
      expect(() => source([place as string])).toThrow(/bootstrap = .*must be host:port/)
    }
    expect(() => source('a:1' as never)).toThrow(/must be a list/)
    for (const bind of ['127.0.0.1', '[::1]:0', 'localhost:0', '127.0.0.1:99999']) {
      expect(() => source([], { bind })).toThrow(/bind = .*IPv4 address and port/)
    }
    expect(() => source([], { publish: 'some' as never })).toThrow(/must be 'relays', 'all' or 'nothing'/)
    expect(() => source([], { timeoutMs: 0 })).toThrow(/timeoutMs = 0/)
    expect(() => source([], { republishMs: Number.NaN })).toThrow(/republishMs/)
    expect(() => source([], { userData: 'x'.repeat(246) })).toThrow(/at most 245 bytes/)
    expect(() => source([], { relay: 'x' } as never)).toThrow(/no option "relay"/)
    expect(() => new DhtDiscovery()).not.toThrow()
  })
})
