import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { P2PAddress } from '../../src/core/address.ts'
import { testNodeId } from '../../src/core/keys.ts'
import { discoveryFromEnvironment, parseDiscoveryMode } from '../../src/discovery/index.ts'

const home = new P2PAddress(testNodeId('home'), ['192.0.2.1:1'])
const studio = new P2PAddress(testNodeId('studio'), ['192.0.2.2:2'])

const names = async (env: Record<string, string>): Promise<string[]> =>
  (await discoveryFromEnvironment(env)).map(({ name }) => name)

describe('P2P_DISCOVERY_MODE', () => {
  test('is a list, in the order in which the sources are asked', () => {
    expect(parseDiscoveryMode('')).toEqual([])
    expect(parseDiscoveryMode(' ')).toEqual([])
    expect(parseDiscoveryMode('mdns')).toEqual(['mdns'])
    expect(parseDiscoveryMode(' static , dht,dns,mdns')).toEqual(['static', 'dht', 'dns', 'mdns'])
  })

  test.each([
    ['mDNS', /P2P_DISCOVERY_MODE = "mDNS": "mDNS" is no source of addresses; known are mdns, dht, dns, static/],
    ['mdns,', /"" is no source/],
    ['mdns,,dht', /"" is no source/],
    ['toString', /"toString" is no source/],
    ['dht, dht', /names dht twice/],
    ['mdns;dht', /"mdns;dht" is no source/],
  ])('%j is none', (text, message) => {
    expect(() => parseDiscoveryMode(text)).toThrow(message)
    expect(() => parseDiscoveryMode(text, '--discovery')).toThrow(/^--discovery = /)
  })

  test('asks for sources, and each for what it needs', async () => {
    expect(await names({})).toEqual([])
    expect(await names({ P2P_DISCOVERY_MODE: '' })).toEqual([])
    expect(await names({ P2P_DISCOVERY_MODE: 'mdns,dht' })).toEqual(['mdns', 'dht'])
    const dns = { P2P_DISCOVERY_MODE: 'dns', P2P_DNS_ORIGIN: 'dns.example.org' }
    expect(await names(dns)).toEqual(['dns'])
    expect(await names({ ...dns, P2P_PKARR_SERVER: 'https://dns.example.org' })).toEqual(['dns', 'pkarr'])
    const pkarr = { P2P_PKARR_SERVER: 'https://dns.example.org', P2P_PKARR_PUBLISH: 'all' }
    expect(await names({ ...dns, ...pkarr })).toEqual(['dns', 'pkarr'])
    const dht = { P2P_DISCOVERY_MODE: 'dht', P2P_DHT_BOOTSTRAP: '127.0.0.1:1, dht.example.org:2' }
    expect(await names({ ...dht, P2P_DHT_BIND: '127.0.0.1:0', P2P_DHT_PUBLISH: 'nothing' })).toEqual(['dht'])
  })

  test.each([
    [{ P2P_DISCOVERY_MODE: 'dns' }, /^P2P_DNS_ORIGIN = .*names dns, which needs the domain/],
    [{ P2P_DISCOVERY_MODE: 'dns', P2P_DNS_ORIGIN: 'no domain' }, /^P2P_DNS_ORIGIN = "no domain": must be a domain/],
    [
      { P2P_DISCOVERY_MODE: 'dns', P2P_DNS_ORIGIN: 'a.b', P2P_DNS_SERVERS: 'x' },
      /^P2P_DNS_SERVERS = x: must be a list/,
    ],
    [{ P2P_DISCOVERY_MODE: 'dns', P2P_DNS_ORIGIN: 'a.b', P2P_PKARR_SERVER: 'x' }, /^P2P_PKARR_SERVER = "x": must be/],
    [
      { P2P_DISCOVERY_MODE: 'dns', P2P_DNS_ORIGIN: 'a.b', P2P_PKARR_SERVER: 'http://x', P2P_PKARR_PUBLISH: 'true' },
      /^P2P_PKARR_PUBLISH = "true": must be 'relays'/,
    ],
    [{ P2P_DISCOVERY_MODE: 'dht', P2P_DHT_BOOTSTRAP: 'x' }, /^P2P_DHT_BOOTSTRAP = "x": must be host:port/],
    [{ P2P_DISCOVERY_MODE: 'dht', P2P_DHT_BIND: '[::1]:0' }, /^P2P_DHT_BIND = /],
    [{ P2P_DISCOVERY_MODE: 'dht', P2P_DHT_PUBLISH: 'some' }, /^P2P_DHT_PUBLISH = "some": must be 'relays'/],
    [{ P2P_DISCOVERY_MODE: 'static' }, /^P2P_STATIC_FILE = .*names static, which needs a file of names/],
    [{ P2P_DISCOVERY_MODE: 'static', P2P_STATIC_PEERS: 'home=x' }, /^P2P_STATIC_PEERS: home: /],
    [{ P2P_DISCOVERY_MODE: 'nonsense' }, /^P2P_DISCOVERY_MODE = "nonsense"/],
  ])('says which variable is wrong: %j', async (env, message) => {
    await expect(discoveryFromEnvironment(env as Record<string, string>)).rejects.toMatchObject({
      code: 'invalid-configuration',
      message: expect.stringMatching(message) as unknown,
    })
  })

  test('static takes peers, and a file', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'p2p-environment-'))
    try {
      const file = join(directory, 'names.json')
      await writeFile(file, JSON.stringify({ studio: studio.toTicket() }))
      const [peers, list] = await discoveryFromEnvironment({
        P2P_DISCOVERY_MODE: 'static',
        P2P_STATIC_PEERS: `home=${home.toTicket()}`,
        P2P_STATIC_FILE: file,
      })
      expect((await peers?.resolveName('home'))?.direct).toEqual(home.direct)
      expect((await list?.resolveName('studio'))?.direct).toEqual(studio.direct)
    } finally {
      await rm(directory, { recursive: true })
    }
  })
})
