/** Records that ours publish, iroh's own server stores, verifies and answers for; and what it answers, ours understand. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { P2PAddress } from '../../src/core/address.ts'
import { testNodeId, testSigningKey } from '../../src/core/keys.ts'
import { DnsDiscovery, PkarrDiscovery } from '../../src/discovery/index.ts'
import { encodeBody, signRecord } from '../../src/discovery/pkarr/signed-packet.ts'
import { IrohP2P } from '../../src/iroh/index.ts'
import { counterpart, freePort, run } from './counterparts.ts'
import type { Running } from './counterparts.ts'

const program = counterpart('iroh-dns-server')
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
  })

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

  const pkarr = (): PkarrDiscovery => new PkarrDiscovery({ server: url })
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

  test('two nodes on iroh find each other through it, by id alone, in both ways of asking', async () => {
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
  })
})

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 200; i++) {
    if (await condition().catch(() => false)) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error('it did not happen within 10 s')
}
