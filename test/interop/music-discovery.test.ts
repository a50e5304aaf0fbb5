/** The music program finds its server as people would want it to: by a name on the local network, by its id in a DHT. */
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { build } from '../examples/built.ts'
import { dhtTestnet } from '../support/dht-testnet.ts'
import { lanHosts, namespacesWork } from '../support/lan-hosts.ts'
import type { LanHosts } from '../support/lan-hosts.ts'
import { run } from './counterparts.ts'
import type { Running } from './counterparts.ts'

/** Itself, and not the launcher: what is killed at the end of a test must be all there is. */
const MUSIC = ['--conditions=iroh', fileURLToPath(new URL('../../build/examples/music/main.js', import.meta.url))]
/** Time enough on a machine that does much else. */
const LIMIT_MS = 120_000

async function says(program: Running, pattern: RegExp): Promise<RegExpExecArray> {
  for (const started = performance.now(); performance.now() - started < LIMIT_MS;) {
    const found = pattern.exec(program.output())
    if (found) return found
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`it did not say ${pattern}:\n${program.output()}`)
}

beforeAll(() => build(), LIMIT_MS)

describe.skipIf(!namespacesWork)('on a local network (skipped: no network namespaces here)', () => {
  let hosts: LanHosts
  beforeAll(async () => {
    hosts = await lanHosts()
  })
  afterAll(() => hosts[Symbol.asyncDispose]())

  test('a player knows nothing but the name of the room', { timeout: LIMIT_MS }, async () => {
    const serving = ['serve', '--discovery', 'mdns', '--name', 'living-room']
    await using server = hosts.left.start(process.execPath, [...MUSIC, ...serving])
    await says(server, /npm start -- play living-room --discovery mdns/)
    const playing = ['play', 'living-room', '--discovery', 'mdns', '--list']
    await using player = hosts.right.start(process.execPath, [...MUSIC, ...playing])
    await says(player, /album \d+ .*Hole Punching/)
    expect(player.output()).toMatch(/Found +"living-room" is node/)
  })
})

test('in a DHT a player knows nothing but the id', { timeout: LIMIT_MS }, async () => {
  await using dht = await dhtTestnet(3)
  const env = {
    P2P_DISCOVERY_MODE: 'dht',
    P2P_DHT_BOOTSTRAP: dht.bootstrap.join(','),
    P2P_DHT_BIND: '127.0.0.1:0',
    P2P_DHT_PUBLISH: 'all',
  }
  await using server = run(process.execPath, [...MUSIC, 'serve', '--loopback'], env)
  const id = (await says(server, /Node id +(\w{52})/))[1] ?? ''
  await expect.poll(() => dht.items().length, { timeout: LIMIT_MS }).toBeGreaterThan(0)
  await using player = run(process.execPath, [...MUSIC, 'play', id, '--loopback', '--list'], env)
  await says(player, /album \d+ .*Hole Punching/)
})
