/**
 * Records that ours publish, iroh's own server stores, verifies and answers for; and what it answers, ours understand.
 * Nodes of this library and iroh's own find each other through it, both ways, and connect.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { P2PAddress } from '../../src/core/address.ts'
import { testNodeId, testSigningKey } from '../../src/core/keys.ts'
import { NodeId } from '../../src/core/node-id.ts'
import type { P2PDiscovery } from '../../src/core/system.ts'
import { DnsDiscovery, PkarrDiscovery } from '../../src/discovery/index.ts'
import { encodeBody, signRecord } from '../../src/discovery/pkarr/signed-packet.ts'
import { IrohP2P } from '../../src/iroh/index.ts'
import { DOORS } from '../iroh/doors.ts'
import { counterpart, echoOf, freePort, line, LIMIT_MS, run } from './counterparts.ts'
import type { Running } from './counterparts.ts'

const program = counterpart('iroh-dns-server')
const peer = counterpart('p2p-interop-peer') ?? ''
const ALPN = 'p2p-interop/1'
const ORIGIN = 'irohdns.example'
const LOOPBACK = { relay: 'disabled', bind: ['127.0.0.1:0', '[::1]:0'] } as const

describe.skipIf(program === undefined)('iroh-dns-server (skipped: not installed)', () => {
  let server: Running
  let directory: string
  let url: string
  let nameServer: string

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'p2p-dns-server-'))
    const [http, dns] = [await freePort(), await freePort()]
    url = `http://127.0.0.1:${http}`
    nameServer = `127.0.0.1:${dns}`
    const config = `
pkarr_put_rate_limit = "disabled"
data_dir = ${JSON.stringify(directory)}
[http]
port = ${http}
bind_addr = "127.0.0.1"
[dns]
port = ${dns}
bind_addr = "127.0.0.1"
default_soa = "dns1.${ORIGIN} hostmaster.${ORIGIN} 0 10800 3600 604800 3600"
default_ttl = 900
origins = ["${ORIGIN}.", "."]
rr_a = "127.0.0.1"
rr_ns = "ns1.${ORIGIN}."
[metrics]
disabled = true
[mainline]
enabled = false
`
    await writeFile(join(directory, 'config.toml'), config)
    server = run(program ?? '', ['--config', join(directory, 'config.toml')])
    await until(async () => (await fetch(`${url}/healthcheck`)).status < 500)
  }, LIMIT_MS)

  afterAll(async () => {
    await server[Symbol.asyncDispose]()
    await rm(directory, { recursive: true, force: true })
  })

  /** Puts a record of ours; the status tells what the server thinks of it. */
  async function put(name: string, direct: string, timestampUs: bigint, signer = name): Promise<number> {
    const address = new P2PAddress(testNodeId(name), [direct], ['https://relay.example/'])
    const packet = signRecord({ address, userData: 'kitchen' }, timestampUs, (m) => testSigningKey(signer).sign(m))
    const response = await fetch(`${url}/pkarr/${address.id.toString()}`, { method: 'PUT', body: encodeBody(packet) })
    await response.body?.cancel()
    return response.status
  }

  const pkarr = (): PkarrDiscovery => new PkarrDiscovery({ server: url, publish: 'all' })
  const dns = (): DnsDiscovery => new DnsDiscovery({ origin: ORIGIN, servers: [nameServer] })

  test('takes our records, and gives them back over HTTP and over the DNS', async () => {
    const id = testNodeId('kitchen')
    expect(await pkarr().resolveId(id)).toBeUndefined()
    expect(await dns().resolveId(id)).toBeUndefined()
    expect(await put('kitchen', '192.0.2.1:4', 1_700_000_000_000_000n)).toBe(204)
    for (const source of [pkarr(), dns()]) {
      const address = await source.resolveId(id)
      expect(address?.direct).toEqual(['192.0.2.1:4'])
      expect(address?.relays).toEqual(['https://relay.example/'])
    }
  })

  test('refuses forged records, and keeps the later of two', async () => {
    const id = testNodeId('bath')
    expect(await put('bath', '192.0.2.66:6', 2n, 'thief')).toBe(400)
    expect(await pkarr().resolveId(id)).toBeUndefined()
    expect(await put('bath', '192.0.2.2:2', 1_700_000_000_000_002n)).toBe(204)
    await put('bath', '192.0.2.1:1', 1_700_000_000_000_001n)
    expect((await pkarr().resolveId(id))?.direct).toEqual(['192.0.2.2:2'])
  })

  test(
    'two nodes on iroh find each other through it, by id alone, in both ways of asking',
    { timeout: LIMIT_MS },
    async () => {
      const home = await IrohP2P.create({ ...LOOPBACK, discovery: [pkarr()] })
      const listener = await home.listen()
      await until(() => Promise.resolve(home.announcements()[0]?.publishedMs !== undefined))
      for (const discovery of [[pkarr()], [dns()]]) {
        const player = await IrohP2P.create({ ...LOOPBACK, discovery })
        const [connection, accepted] = await Promise.all([player.connect(home.localNodeId()), listener.accept()])
        await connection.send(new TextEncoder().encode('found you'))
        expect(new TextDecoder().decode(await accepted.recv())).toBe('found you')
        await player.close()
      }
      await home.close()
    },
  )

  test(
    'has where a node is, though an earlier record of it is of a clock that was ahead',
    { timeout: LIMIT_MS },
    async () => {
      const ahead = BigInt(Date.now() + 86_400_000) * 1000n
      expect(await put('attic', '192.0.2.1:1', ahead)).toBe(204)
      const options = { ...LOOPBACK, secretKey: testSigningKey('attic'), discovery: [pkarr()] }
      await using home = await IrohP2P.create(options)
      await home.listen()
      await until(() => Promise.resolve(home.announcements()[0]?.publishedMs !== undefined))
      for (const source of [pkarr(), dns()]) {
        expect((await source.resolveId(home.localNodeId()))?.direct).toEqual(home.address().direct)
      }
    },
  )

  describe.skipIf(peer === '')('with nodes of iroh (skipped: p2p-interop-peer is not installed)', () => {
    /** A node of iroh's own on loopback. */
    const irohs = (kind: 'pkarr' | 'dns', ...args: readonly string[]): Running => {
      const where = kind === 'pkarr' ? ['--server', url] : ['--origin', ORIGIN, '--name-server', nameServer]
      return run(peer, [...args, '--lookup', kind, ...where, '--bind', '127.0.0.1:0'])
    }
    const WAYS: readonly ['pkarr' | 'dns', () => P2PDiscovery][] = [
      ['pkarr', pkarr],
      ['dns', dns],
    ]

    describe.each(DOORS)('through the $name door', ({ binding }) => {
      const create = (source: P2PDiscovery): Promise<IrohP2P> =>
        IrohP2P.create({ ...LOOPBACK, binding: binding(), discovery: [source] })

      test.each(WAYS)(
        'ours publishes, and iroh finds it over %s, and connects',
        { timeout: LIMIT_MS },
        async (kind) => {
          await using home = await create(pkarr())
          await home.register('living-room')
          const listener = await home.listen('', { alpns: [ALPN] })
          await expect.poll(() => home.announcements()[0]?.publishedMs, { timeout: LIMIT_MS }).toBeDefined()
          await using client = irohs(kind, 'connect', home.localNodeId().toHex())
          const connection = await listener.accept()
          const stream = await connection.acceptStream()
          await stream.write(await stream.readToEnd(1_000_000))
          await stream.finish()
          expect(await line(client, /^echoed/)).toBe('echoed 100000')
          await using asker = irohs(kind, 'resolve', home.localNodeId().toHex())
          const found = await line(asker, /^found/)
          expect(found).toContain(` ${home.address().direct[0]} `)
          expect(found).toMatch(/ user-data=p2p-name:[\w-]{86}:living-room$/)
        },
      )

      test.each(WAYS)(
        'iroh publishes, and ours finds it over %s, and connects',
        { timeout: LIMIT_MS },
        async (_, way) => {
          await using server = irohs('pkarr', 'listen')
          await line(server, /^ready/)
          const id = NodeId.parse((await line(server, /^id /)).slice(3))
          const bound = (await line(server, /^bound 127/)).slice('bound '.length)
          await using player = await create(way())
          // iroh says nothing of when it has published.
          await expect
            .poll(async () => (await player.lookUp(id)).address?.direct, { timeout: LIMIT_MS })
            .toEqual([bound])
          expect(await echoOf(await player.connect(id, { alpn: ALPN }), 'hello, iroh')).toBe('hello, iroh')
          expect(await line(server, /^accepted/)).toBe(`accepted ${player.localNodeId().toHex()}`)
        },
      )
    })
  })
})

async function until(condition: () => Promise<boolean>): Promise<void> {
  await vi.waitUntil(() => condition().catch(() => false), { timeout: LIMIT_MS, interval: 50 })
}
