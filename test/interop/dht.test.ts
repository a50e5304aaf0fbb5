/**
 * Nodes of this library and iroh's own find each other in a mainline DHT, both ways, and connect: one that is made of
 * nodes in Rust, and one of nodes in JavaScript. All of it on loopback.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { NodeId } from '../../src/core/node-id.ts'
import { DhtDiscovery } from '../../src/discovery/index.ts'
import { IrohP2P } from '../../src/iroh/index.ts'
import { DOORS } from '../iroh/doors.ts'
import { dhtTestnet } from '../support/dht-testnet.ts'
import { counterpart, echoOf, line, lines, LIMIT_MS, run } from './counterparts.ts'
import type { Running } from './counterparts.ts'

const peer = counterpart('p2p-interop-peer') ?? ''
const ALPN = 'p2p-interop/1'

/** A node of iroh's own on loopback. */
function irohs(bootstrap: readonly string[], ...args: readonly string[]): Running {
  const places = bootstrap.flatMap((place) => ['--bootstrap', place])
  return run(peer, [...args, '--lookup', 'dht', ...places, '--bind', '127.0.0.1:0'])
}

interface Dht extends AsyncDisposable {
  readonly bootstrap: readonly string[]
}

async function rustDht(): Promise<Dht> {
  const program = run(peer, ['dht', '5'])
  await line(program, /^ready/)
  const bootstrap = (await lines(program, /^bootstrap /)).map((text) => text.slice('bootstrap '.length))
  return { bootstrap, [Symbol.asyncDispose]: () => program[Symbol.asyncDispose]() }
}

const KINDS: readonly [string, () => Promise<Dht>][] = [
  ['of nodes in Rust', rustDht],
  ['of nodes in JavaScript', () => dhtTestnet(5)],
]

describe.skipIf(peer === '')('a DHT (skipped: p2p-interop-peer is not installed)', () => {
  describe.each(KINDS)('%s', (_, start) => {
    let dht: Dht
    beforeAll(async () => {
      dht = await start()
    }, LIMIT_MS)
    afterAll(() => dht[Symbol.asyncDispose]())

    const create = (binding: ReturnType<(typeof DOORS)[number]['binding']>): Promise<IrohP2P> =>
      IrohP2P.create({
        binding,
        relay: 'disabled',
        bind: ['127.0.0.1:0', '[::1]:0'],
        discovery: [new DhtDiscovery({ bootstrap: dht.bootstrap, bind: '127.0.0.1:0', publish: 'all' })],
      })

    describe.each(DOORS)('through the $name door', ({ binding }) => {
      test('iroh finds ours by id, and connects', { timeout: LIMIT_MS }, async () => {
        await using home = await create(binding())
        const listener = await home.listen('', { alpns: [ALPN] })
        await expect.poll(() => home.announcements()[0], { timeout: LIMIT_MS }).toMatchObject({ error: undefined })
        await expect.poll(() => home.announcements()[0]?.publishedMs, { timeout: LIMIT_MS }).toBeDefined()
        await using client = irohs(dht.bootstrap, 'connect', home.localNodeId().toHex())
        const connection = await listener.accept()
        const stream = await connection.acceptStream()
        const bytes = await stream.readToEnd(1_000_000)
        await stream.write(bytes)
        await stream.finish()
        expect(await line(client, /^echoed/)).toBe('echoed 100000')
        await using asker = irohs(dht.bootstrap, 'resolve', home.localNodeId().toHex())
        expect(await line(asker, /^found/)).toContain(` ${home.address().direct[0]}`)
      })

      test('ours finds iroh by id, and connects', { timeout: LIMIT_MS }, async () => {
        await using server = irohs(dht.bootstrap, 'listen')
        await line(server, /^ready/)
        const id = NodeId.parse((await line(server, /^id /)).slice(3))
        await using player = await create(binding())
        // iroh says nothing of when it has published.
        await expect
          .poll(async () => (await player.lookUp(id)).address?.direct.length, { timeout: LIMIT_MS })
          .toBeGreaterThan(0)
        expect(await echoOf(await player.connect(id, { alpn: ALPN }), 'hello, iroh')).toBe('hello, iroh')
        expect(await line(server, /^accepted/)).toBe(`accepted ${player.localNodeId().toHex()}`)
      })

      test('two of ours find each other by id', { timeout: LIMIT_MS }, async () => {
        await using home = await create(binding())
        const listener = await home.listen()
        await expect.poll(() => home.announcements()[0]?.publishedMs, { timeout: LIMIT_MS }).toBeDefined()
        await using player = await create(binding())
        const [connection, accepted] = await Promise.all([player.connect(home.localNodeId()), listener.accept()])
        await connection.send(new TextEncoder().encode('found you'))
        expect(new TextDecoder().decode(await accepted.recv())).toBe('found you')
      })
    })
  })
})
