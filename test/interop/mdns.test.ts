/**
 * Nodes of this library and iroh's own find each other on a local network, both ways, and connect. Two hosts, each a
 * network namespace, and a virtual cable between them.
 */
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testNodeId } from '../../src/core/keys.ts'
import { encodeRecord } from '../../src/discovery/mdns/wire.ts'
import { NATIVE_DOOR } from '../iroh/doors.ts'
import { lanHosts, namespacesWork } from '../support/lan-hosts.ts'
import type { LanHost, LanHosts } from '../support/lan-hosts.ts'
import { counterpart, line, LIMIT_MS } from './counterparts.ts'
import type { Running } from './counterparts.ts'

const OURS = fileURLToPath(new URL('programs/lan-node.mjs', import.meta.url))
const peer = counterpart('p2p-interop-peer') ?? ''

/** A node of this library on a host. */
function ours(host: LanHost, ...args: readonly string[]): Running {
  return host.start(process.execPath, [OURS, ...args])
}

/** A node of iroh's own on a host. */
function irohs(host: LanHost, ...args: readonly string[]): Running {
  return host.start(peer, [...args, '--lookup', 'mdns'])
}

const idOf = async (program: Running): Promise<string> => (await line(program, /^id /)).slice(3)

describe.skipIf(!namespacesWork)('a local network (skipped: no network namespaces here)', () => {
  let hosts: LanHosts
  beforeAll(async () => {
    hosts = await lanHosts()
  })
  afterAll(() => hosts[Symbol.asyncDispose]())

  for (const door of ['native', 'official'] as const) {
    describe.skipIf(door === 'native' && !NATIVE_DOOR.here)(`through the ${door} door`, () => {
      const args = ['--door', door]

      describe.skipIf(peer === '')('with nodes of iroh (skipped: p2p-interop-peer is not installed)', () => {
        test('iroh finds ours by id, and connects', { timeout: LIMIT_MS }, async () => {
          await using server = ours(hosts.left, 'listen', ...args)
          await line(server, /^ready/)
          await using client = irohs(hosts.right, 'connect', await idOf(server))
          await line(client, /^echoed 100000/)
          expect(await line(server, /^accepted/)).toBe(`accepted ${await idOf(client)}`)
        })

        test('ours finds iroh by id, and connects', { timeout: LIMIT_MS }, async () => {
          await using server = irohs(hosts.left, 'listen')
          await line(server, /^ready/)
          await using client = ours(hosts.right, 'connect', await idOf(server), ...args)
          await line(client, /^echoed 100000/)
          expect(await line(server, /^accepted/)).toBe(`accepted ${await idOf(client)}`)
        })
      })

      test('two of ours find each other by a name, and connect', { timeout: LIMIT_MS }, async () => {
        await using server = ours(hosts.left, 'listen', '--name', 'living-room', ...args)
        await line(server, /^ready/)
        await using finder = ours(hosts.right, 'discover', 'living-room', ...args)
        const id = (await line(finder, /^discovered/)).split(' ')[1] ?? ''
        expect(id).toBe(await idOf(server))
        await using client = ours(hosts.right, 'connect', id, ...args)
        await line(client, /^echoed 100000/)
      })
    })
  }

  describe.skipIf(peer === '')('with nodes of iroh (skipped: p2p-interop-peer is not installed)', () => {
    test('each sees the other, with what it says of itself', { timeout: LIMIT_MS }, async () => {
      await using here = ours(hosts.left, 'listen', '--name', 'living-room')
      await using there = irohs(hosts.right, 'listen', '--user-data', 'kitchen radio')
      const [ourId, theirId] = [await idOf(here), await idOf(there)]
      await using mine = ours(hosts.left, 'browse', '--lost-after', '5000')
      await using theirs = irohs(hosts.right, 'browse')
      expect(await line(mine, new RegExp(`found ${theirId}`))).toMatch(/ 10\.77\.0\.2:\d+ user-data=kitchen radio$/)
      expect(await line(mine, new RegExp(`found ${ourId}`))).toMatch(/ 10\.77\.0\.1:\d+ name=living-room$/)
      expect(await line(theirs, new RegExp(`found ${ourId}`))).toMatch(
        / 10\.77\.0\.1:\d+ user-data=p2p-name:[\w-]{86}:living-room$/,
      )
      // iroh's own says no goodbye when it is killed: it is silent.
      await there[Symbol.asyncDispose]()
      await line(mine, new RegExp(`lost ${theirId}`))
      here.process.stdin?.end()
      await line(here, /^closed/)
      await line(mine, new RegExp(`lost ${ourId}`))
      // And iroh goes by silence alone.
      await line(theirs, new RegExp(`lost ${ourId}`))
    })
  })

  test('an interface that goes and comes again is used again', { timeout: LIMIT_MS }, async () => {
    await using server = ours(hosts.left, 'listen', '--name', 'attic')
    await line(server, /^ready/)
    await using browser = ours(hosts.right, 'browse', '--lost-after', '2000')
    const id = await idOf(server)
    await line(browser, new RegExp(`^found ${id}`))
    hosts.right.shell('ip link set lan down')
    await line(browser, new RegExp(`^lost ${id}`))
    hosts.right.shell('ip link set lan up && ip -6 addr replace fe80::2/64 dev lan nodad')
    expect(await line(browser, new RegExp(`^found ${id}`), 2)).toMatch(/name=attic$/)
    hosts.right.shell('ip route add default dev lan')
  })

  test('what a node is known by follows its addresses, over several interfaces', { timeout: LIMIT_MS }, async () => {
    await using two = await lanHosts()
    await using server = ours(two.left, 'listen', '--door', NATIVE_DOOR.here ? 'native' : 'official')
    await line(server, /^ready/)
    await using browser = ours(two.right, 'browse')
    const id = await idOf(server)
    expect(await line(browser, new RegExp(`^found ${id}`))).toMatch(/ 10\.77\.0\.1:\d+ $/)
    two.connect('second', '10.78.0')
    expect(await line(browser, new RegExp(`^changed ${id} .*10\\.78`))).toMatch(/ 10\.77\.0\.1:\d+ 10\.78\.0\.1:\d+ $/)
    // What is left when the first one is cut is found over the second.
    two.right.shell('ip link set lan down')
    await using client = ours(two.right, 'connect', id)
    await line(client, /^echoed 100000/)
  })

  test('what comes from beyond the network, or makes no sense, is not heard', { timeout: LIMIT_MS }, async () => {
    await using two = await lanHosts()
    two.right.shell('ip addr add 192.0.2.9/32 dev lan')
    await using browser = ours(two.left, 'browse')
    await line(browser, /^ready/)
    const send = async (from: string, name: string): Promise<void> => {
      const record = { id: testNodeId(name), direct: ['10.77.0.9:7'], relay: undefined, userData: undefined }
      const program = fileURLToPath(new URL('programs/send-packets.mjs', import.meta.url))
      const packet = Buffer.from(encodeRecord(record)).toString('base64')
      await using sender = two.right.start(process.execPath, [program, from, packet])
      await line(sender, /^sent/)
    }
    await send('192.0.2.9', 'stranger')
    await send('10.77.0.2', 'neighbour')
    await line(browser, new RegExp(`^found ${testNodeId('neighbour').toHex()}`))
    expect(browser.output()).not.toContain(testNodeId('stranger').toHex())
  })

  test('another responder on the same host goes on being heard, and so are ours', { timeout: LIMIT_MS }, async () => {
    const other = fileURLToPath(new URL('programs/other-responder.mjs', import.meta.url))
    await using responder = hosts.left.start(process.execPath, [other, 'answer'])
    await line(responder, /^ready/)
    await using server = ours(hosts.left, 'listen', '--name', 'attic')
    await line(server, /^ready/)
    await using asker = hosts.right.start(process.execPath, [other, 'ask'])
    expect(await line(asker, /^answer/)).toBe('answer printer.local 10.77.0.1')
    await using finder = ours(hosts.right, 'discover', 'attic')
    await line(finder, /^discovered/)
    // What is asked of one of them by unicast does not end up with the other.
    await using direct = hosts.right.start(process.execPath, [other, 'ask-directly', '10.77.0.1'])
    expect(await line(direct, /^answer/)).toBe('answer printer.local 10.77.0.1')
  })
})

describe.skipIf(!namespacesWork)('a network of IPv6 alone (skipped: no network namespaces here)', () => {
  test('two of ours find each other there', { timeout: LIMIT_MS }, async () => {
    await using hosts = await lanHosts('IPv6')
    await using server = ours(hosts.left, 'listen', '--name', 'attic')
    await line(server, /^ready/)
    await using browser = ours(hosts.right, 'browse')
    const id = await idOf(server)
    expect(await line(browser, new RegExp(`^found ${id}`))).toMatch(/ \[fd77::1\]:\d+ name=attic$/)
    await using client = ours(hosts.right, 'connect', id)
    await line(client, /^echoed 100000/)
  })
})

describe.skipIf(!namespacesWork)('no network (skipped: no network namespaces here)', () => {
  test('nobody is found, and a node that listens says why it is not known', { timeout: LIMIT_MS }, async () => {
    await using hosts = await lanHosts()
    hosts.left.shell('ip link del lan')
    await using finder = ours(hosts.left, 'discover', 'attic')
    expect(await line(finder, /^failed/)).toMatch(/^failed discovery-failed .*no network interface/)
    await using server = ours(hosts.left, 'listen')
    await line(server, /^ready/)
    expect(await line(server, /^unpublished/)).toMatch(/^unpublished mdns .*no network interface/)
  })
})
