import { describe, expect, test } from 'vitest'
import type { CarrierConnection } from '../../../src/core/carrier.ts'
import { testNodeId } from '../../../src/core/keys.ts'
import { natPresets } from '../../../src/simulator/network/index.ts'
import type { NatPresetName } from '../../../src/simulator/network/index.ts'
import { SimRelay } from '../../../src/simulator/relay.ts'
import { pattern } from './pair.ts'
import { echo, readAll, World, writeAll } from './world.ts'
import type { Node } from './world.ts'

interface Homes {
  readonly world: World
  readonly relay: SimRelay
  readonly server: Node
  readonly client: Node
}

/** A relay, and two nodes behind NATs of their own that are attached to it. */
function homes(
  serverNat: NatPresetName | 'none' = 'home',
  clientNat: NatPresetName | 'none' = 'home',
  options: ConstructorParameters<typeof World>[0] = {},
): Homes {
  const world = new World({ defaultLatencyMs: 20, ...options })
  const relay = new SimRelay({ kernel: world.kernel, network: world.topology.host('relay') })
  const node = (name: string, nat: NatPresetName | 'none'): Node =>
    world.node(name, { lan: nat === 'none' ? undefined : world.topology.lan({ nat }), relays: [relay.url] })
  const server = node('server', serverNat)
  const client = node('client', clientNat)
  world.kernel.runFor(500_000)
  return { world, relay, server, client }
}

const selected = (connection: CarrierConnection): string | undefined =>
  connection.paths().find((path) => path.selected)?.kind

async function connect({ world, client, server }: Homes): Promise<[CarrierConnection, CarrierConnection]> {
  return world.until(Promise.all([client.connect(server), server.accept()]))
}

/** Lets the world run until both sides say that they are direct, or the time is over. */
async function direct(
  homes: Homes,
  here: CarrierConnection,
  there: CarrierConnection,
  limitUs: number,
): Promise<number> {
  const { kernel } = homes.world
  const startUs = kernel.nowUs()
  const done = (): boolean => selected(here) === 'direct' && selected(there) === 'direct'
  await kernel.drive(done, startUs + limitUs)
  return done() ? kernel.nowUs() - startUs : Number.POSITIVE_INFINITY
}

describe('attaching', () => {
  test('takes four round trips, and two to learn where one is seen', () => {
    const { world, relay, server } = homes()
    const late = world.node('late', { lan: world.topology.lan({ nat: 'home' }), relays: [relay.url] })
    const seen: [number, readonly string[]][] = []
    const startUs = world.kernel.nowUs()
    late.endpoint.watchAddress(() => seen.push([world.kernel.nowUs() - startUs, late.endpoint.address().direct]))
    // TCP, TLS, WebSocket, and the way of the proof, each way with the wire of the LAN; the relay's news takes half more.
    world.kernel.runFor(3 * 40_200 + 20_000 - 1)
    expect(relay.isAttached(testNodeId('late'))).toBe(false)
    world.kernel.runFor(1_000)
    expect(relay.isAttached(testNodeId('late'))).toBe(true)
    world.kernel.runFor(40_000_000)
    // 40 ms each, and the wires of the LAN.
    expect(seen.map(([atUs]) => Math.floor(atUs / 1_000))).toEqual([80])
    expect(seen[0]?.[1].length).toBe(2)
    expect(relay.isAttached(testNodeId('server'))).toBe(true)
    const address = server.endpoint.address()
    expect(address.relays).toEqual([relay.url])
    expect(address.direct[0]?.startsWith('192.168.1.')).toBe(true)
    expect(address.direct[1]?.startsWith('198.18.')).toBe(true)
  })

  test('keeps the mapping of the NAT for hours', async () => {
    const all = homes()
    all.world.kernel.runFor(2 * 3_600_000_000)
    expect(all.relay.clients).toBe(2)
    await connect(all)
  })

  test('is made again after the relay was gone', async () => {
    const all = homes()
    const { world, relay } = all
    relay.close()
    world.kernel.runFor(120_000_000)
    const again = new SimRelay({ kernel: world.kernel, network: world.topology.fabric.interfaces()[0] as never })
    world.kernel.runFor(60_000_000)
    expect(again.clients).toBe(2)
    await connect(all)
  })

  test('ends with the node', async () => {
    const { world, relay, server, client } = homes()
    await world.until(server.endpoint.close())
    world.kernel.runFor(100_000)
    expect(relay.clients).toBe(1)
    client.endpoint.destroy()
    world.kernel.runFor(100_000_000)
    const other = world.node('other', { relays: [relay.url] })
    await expect(world.until(other.connect(client))).rejects.toMatchObject({ code: 'timeout' })
    expect(relay.isAttached(testNodeId('client'))).toBe(false)
  })
})

describe('a player and a server, each behind a home NAT', () => {
  test('connect over the relay, in one round trip over it', async () => {
    const all = homes()
    const startUs = all.world.kernel.nowUs()
    const [here, there] = await connect(all)
    // Twice 40 ms and the wires of the LANs; the server hears a half more.
    expect(all.world.kernel.nowUs() - startUs).toBeGreaterThan(120_000)
    expect(all.world.kernel.nowUs() - startUs).toBeLessThan(125_000)
    expect([selected(here), selected(there)]).toEqual(['relay', 'relay'])
    // Both homes use the same private addresses; the client does not take itself for the server.
    expect(all.client.endpoint.boundAddresses()).toEqual(all.server.endpoint.boundAddresses())
    expect(here.paths()).toMatchObject([{ kind: 'relay', remote: all.relay.url, selected: true, rttMs: 80.4 }])
  })

  test('find the direct path within three round trips or so, and tell of it', async () => {
    const all = homes()
    const [here, there] = await connect(all)
    let changes = 0
    here.onPathChange(() => changes++)
    const tookUs = await direct(all, here, there, 5_000_000)
    expect(tookUs).toBeLessThan(400_000)
    expect(changes).toBeGreaterThan(0)
    const path = here.paths().find((each) => each.selected)
    expect(path?.remote).toBe(all.server.endpoint.address().direct[1])
    // The relay carries no more than the pings that keep its path.
    all.world.kernel.runFor(1_000_000)
    const { forwarded } = all.relay
    void echo(there)
    const stream = await here.openBi()
    await writeAll(stream.send, pattern(300_000))
    expect(Buffer.compare(await all.world.until(readAll(stream.receive)), pattern(300_000))).toBe(0)
    expect(all.relay.forwarded - forwarded).toBeLessThan(5)
  })

  test('no byte is lost or out of order when the path changes in the middle of transfers', async () => {
    const all = homes()
    const [here, there] = await connect(all)
    void echo(there)
    const sizes = [1_000_000, 200_000, 100, 50_000]
    const echoes = Promise.all(
      sizes.map(async (size, i) => {
        const stream = await here.openBi()
        const [, bytes] = await Promise.all([writeAll(stream.send, pattern(size, i)), readAll(stream.receive)])
        return Buffer.compare(bytes, pattern(size, i))
      }),
    )
    expect(await all.world.until(echoes)).toEqual([0, 0, 0, 0])
    expect([selected(here), selected(there)]).toEqual(['direct', 'direct'])
  })

  test.each([1, 2, 3, 4, 5, 6])('nor over links that lose one in twenty packets (seed %i)', async (seed) => {
    const all = homes('home', 'home', { seed: String(seed), defaultPacketLoss: 0.05 })
    all.world.kernel.runFor(10_000_000)
    const [here, there] = await connect(all)
    void echo(there)
    const stream = await here.openBi()
    const bytes = pattern(400_000, seed)
    const [, answer] = await all.world.until(Promise.all([writeAll(stream.send, bytes), readAll(stream.receive)]))
    expect(Buffer.compare(answer, bytes)).toBe(0)
    expect([selected(here), selected(there)]).toEqual(['direct', 'direct'])
  })

  test('go back to the relay when the direct path dies, and on', async () => {
    const all = homes()
    const [here, there] = await connect(all)
    expect(await direct(all, here, there, 5_000_000)).toBeLessThan(1_000_000)
    void echo(there)
    // From now on the two NATs hear nothing of each other.
    const ips = [all.client, all.server].map((node) => node.endpoint.address().direct[1]?.split(':')[0])
    all.world.topology.fabric.rules.add(({ packet: { source, destination } }) =>
      ips.includes(source.ip.text) && ips.includes(destination.ip.text) ? 'drop' : 'pass',
    )
    const stream = await here.openBi()
    const bytes = pattern(100_000)
    const [, answer] = await all.world.until(Promise.all([writeAll(stream.send, bytes), readAll(stream.receive)]))
    expect(Buffer.compare(answer, bytes)).toBe(0)
    expect(selected(here)).toBe('relay')
  })
})

describe('which pairs of NATs become direct', () => {
  // The rule of RFC 4787's classes; it follows from packets meeting mappings and filters, and is written nowhere else.
  const never: readonly string[] = ['home x symmetric', 'symmetric x home', 'symmetric x symmetric']
  const names = ['full-cone', 'restricted-cone', 'home', 'symmetric'] as const
  const pairs = names.flatMap((a) => names.map((b) => [a, b] as const))

  test.each(pairs)('%s x %s', async (a, b) => {
    expect(natPresets.map(({ name }) => name)).toContain(a)
    const all = homes(a, b)
    const [here, there] = await connect(all)
    const tookUs = await direct(all, here, there, 20_000_000)
    expect(Number.isFinite(tookUs)).toBe(!never.includes(`${a} x ${b}`))
    // Whatever the path, it carries.
    void echo(there)
    const stream = await here.openBi()
    await writeAll(stream.send, pattern(10_000))
    expect(Buffer.compare(await all.world.until(readAll(stream.receive)), pattern(10_000))).toBe(0)
  })

  test.each(['home', 'udp-blocked'] as const)('where UDP is blocked there is the relay (from %s)', async (nat) => {
    const all = homes(nat, 'udp-blocked')
    const [here, there] = await connect(all)
    expect(await direct(all, here, there, 20_000_000)).toBe(Number.POSITIVE_INFINITY)
    void echo(there)
    const stream = await here.openBi()
    await writeAll(stream.send, pattern(10_000))
    expect(Buffer.compare(await all.world.until(readAll(stream.receive)), pattern(10_000))).toBe(0)
  })
})
