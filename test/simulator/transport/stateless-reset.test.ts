/** What becomes of a connection whose other end has forgotten it. */
import { describe, expect, test } from 'vitest'
import type { CarrierConnection } from '../../../src/core/carrier.ts'
import { testSigningKey } from '../../../src/core/keys.ts'
import { ConnectionIds } from '../../../src/simulator/connection-ids.ts'
import { describeItems, TRACE_ITEMS } from '../../../src/core/trace.ts'
import { SimEndpoint } from '../../../src/simulator/endpoint.ts'
import { Simulation, SimulatorP2P } from '../../../src/simulator/index.ts'
import { randomStream } from '../../../src/simulator/random.ts'
import { SimRelay } from '../../../src/simulator/relay.ts'
import { DATA, INITIAL, Packet, PacketBody, PacketKey } from '../../../src/simulator/transport/packet.ts'
import type { Route } from '../../../src/simulator/transport/path.ts'
import { ResetKey, StatelessResets } from '../../../src/simulator/transport/reset.ts'
import { PERFECT } from '../paths/homes.ts'
import { Pair, pattern, ROUTE, Writer } from './pair.ts'
import type { Side } from './pair.ts'
import { echo, readAll, World, writeAll } from './world.ts'
import type { Node } from './world.ts'

const FORGOTTEN = 'the peer no longer knows this connection: it may have restarted'

/** A connection whose client has closed it and forgotten it, with every packet to the server lost meanwhile. */
function forgotten(): Pair {
  let isCut = false
  const pair: Pair = new Pair({ link: (side) => (side === 'client' && isCut ? [] : [10_000]) })
  pair.run(() => pair.server?.sink.connected === true)
  pair.runUntil(pair.nowUs + 1_000_000)
  isCut = true
  pair.client.connection.close(7, 'nobody hears this', pair.nowUs)
  pair.run(() => pair.client.connection.isDrained, pair.nowUs + 5_000_000)
  expect([pair.client.connection.isDrained, pair.serverEnd.connection.state]).toEqual([true, 'established'])
  isCut = false
  return pair
}

const write = (pair: Pair, side: Side): void => {
  const end = side === 'client' ? pair.client : pair.serverEnd
  const writer = new Writer(end.connection.openStream(false) as number, pattern(500))
  end.act = () => writer.act(end)
}

const resetsIn = (pair: Pair): number => pair.resets.client.sent + pair.resets.server.sent

describe('a connection whose CONNECTION_CLOSE was lost', () => {
  test('ends with the next packet for it', () => {
    const pair = forgotten()
    write(pair, 'server')
    const startUs = pair.nowUs
    pair.run(() => pair.serverEnd.sink.close !== undefined, startUs + 100_000)
    expect(pair.nowUs - startUs).toBe(20_000)
    expect(pair.serverEnd.sink.close).toEqual({ by: 'transport', application: false, code: 0, reason: FORGOTTEN })
    expect([pair.serverEnd.connection.isDrained, resetsIn(pair)]).toEqual([true, 1])
    // Nothing is left to happen on either side.
    expect(pair.run(() => false)).toBe(false)
    expect(pair.nowUs - startUs).toBe(20_000)
  })

  test('ends with the keep-alive where nobody has anything to say', () => {
    const pair = forgotten()
    pair.run(() => pair.serverEnd.sink.close !== undefined, pair.nowUs + 6_000_000)
    expect(pair.serverEnd.sink.close?.reason).toBe(FORGOTTEN)
  })

  test('has no second end where this side, too, has ended it, and waits for nothing more', () => {
    const pair = forgotten()
    pair.serverEnd.connection.close(3, 'mine', pair.nowUs)
    const startUs = pair.nowUs
    pair.run(() => pair.serverEnd.connection.isDrained, startUs + 1_000_000)
    // The recorder throws at a second end.
    expect([pair.nowUs - startUs, pair.serverEnd.sink.close]).toMatchObject([20_000, { by: 'local', code: 3 }])
  })
})

describe('a stateless reset', () => {
  const packetOf = (sizeBytes: number, pathId = 0): Packet =>
    new Packet(
      DATA,
      1,
      0,
      sizeBytes,
      new PacketBody(pathId, 9, true, undefined, undefined, undefined),
      new PacketKey('x'),
      undefined,
    )
  const resets = (seed = 1n): StatelessResets => new StatelessResets(() => randomStream(seed, 'resets'))

  test('is smaller than what it answers, and not sent where it cannot be', () => {
    expect(resets().answer(packetOf(21), 0)).toBe(undefined)
    expect(resets().answer(packetOf(22), 0)?.sizeBytes).toBe(21)
    expect(resets().answer(packetOf(42), 0)?.sizeBytes).toBe(41)
    const sizes = Array.from({ length: 200 }, (_, i) => resets(BigInt(i)).answer(packetOf(100), 0)?.sizeBytes ?? 0)
    expect([Math.min(...sizes) >= 41, Math.max(...sizes) <= 98, new Set(sizes).size > 40]).toEqual([true, true, true])
  })

  test('comes at most every 20 ms', () => {
    const mine = resets()
    const sentUs = Array.from({ length: 100 }, (_, i) => i * 1_000).filter((atUs) => mine.answer(packetOf(100), atUs))
    expect([sentUs, mine.sent]).toEqual([[0, 20_000, 40_000, 60_000, 80_000], 5])
  })

  test('looks like any packet', () => {
    const reset = resets().answer(packetOf(100), 0) as Packet
    expect([reset.kind, reset.sourceId, reset.next, Object.keys(reset), JSON.stringify(reset)]).toEqual([
      DATA,
      0,
      undefined,
      [],
      '{}',
    ])
    for (const key of [undefined, new PacketKey('x')]) expect(reset.open(key)).toBe(undefined)
    expect(Number.isSafeInteger(reset.destinationId) && reset.destinationId !== 1).toBe(true)
  })

  test('of another id, another path or another node is none for this connection', () => {
    const key = new ResetKey()
    const token = key.token(1, 0)
    const reset = (by: ResetKey, pathId: number, id = 1): Packet =>
      new Packet(
        DATA,
        id,
        0,
        99,
        new PacketBody(pathId, 0, true, undefined, undefined, undefined),
        undefined,
        undefined,
      ).reset(by, 5, 40)
    expect(reset(key, 0).isReset(token)).toBe(true)
    for (const other of [reset(new ResetKey(), 0), reset(key, 1), reset(key, 0, 2), packetOf(99)]) {
      expect(other.isReset(token)).toBe(false)
    }
  })

  test('is believed only from where the first path leads, and no more after a change of network', () => {
    const elsewhere: Route = { kind: 'direct', address: '192.0.2.9:9' }
    for (const [moves, from, ends] of [
      [false, ROUTE, true],
      [false, elsewhere, false],
      [true, ROUTE, false],
    ] as const) {
      const pair = forgotten()
      const { connection } = pair.serverEnd
      if (moves) connection.onNetworkChange([], pair.nowUs)
      write(pair, 'server')
      pair.serverEnd.act?.(pair.serverEnd, pair.nowUs)
      const reset = pair.resets.client.answer(connection.poll(pair.nowUs) as Packet, pair.nowUs) as Packet
      connection.handle(reset, from, pair.nowUs)
      expect(connection.isDrained).toBe(ends)
      expect(connection.inspect().drops.foreign).toBe(ends ? 0 : 1)
    }
  })
})

describe('somebody who sees, keeps, repeats and invents packets', () => {
  test('makes no reset that is believed, and ends nothing with one that was', () => {
    const seen: Packet[] = []
    const first = forgotten()
    write(first, 'server')
    const genuine = first.resets.client.answer(
      new Packet(DATA, 1, 0, 500, new PacketBody(0, 0, true, undefined, undefined, undefined), undefined, undefined),
      first.nowUs,
    )
    const pair = new Pair({
      link: (_side, packet) => {
        seen.push(packet)
        return [10_000]
      },
    })
    pair.run(() => pair.server?.sink.connected === true)
    write(pair, 'client')
    pair.runUntil(pair.nowUs + 1_000_000)
    const mine = new ResetKey()
    const forged = seen.flatMap((packet) => [packet.reset(mine, 2, 60), packet.reset(mine, packet.destinationId, 60)])
    const others = [
      genuine as Packet,
      new Packet(
        DATA,
        1,
        0,
        60,
        new PacketBody(0, 0, false, undefined, undefined, undefined),
        mine.token(1, 0),
        undefined,
      ),
    ]
    for (const packet of [...forged, ...others, ...seen])
      for (const side of ['client', 'server'] as const) pair.inject(side, packet)
    pair.runUntil(pair.nowUs + 1_000_000)
    for (const { connection } of [pair.client, pair.serverEnd]) {
      expect(connection.state).toBe('established')
      expect(connection.inspect().drops.foreign).toBeGreaterThan(seen.length)
    }
  })

  test('gets no reset out of an endpoint that still knows the connection, and none believed that it has from elsewhere', async () => {
    const world = new World()
    const seen = new Set<Packet>()
    world.topology.fabric.rules.add(({ packet }) => {
      if (packet.payload instanceof Packet) seen.add(packet.payload)
      return 'pass'
    })
    const { client, server, here, there } = await world.pair()
    world.kernel.runFor(1_000_000)
    const eve = world.topology.host('eve').bind(666, () => {})
    // A client's first packet would make a connection.
    const replayed = [...seen].filter(({ kind }) => kind !== INITIAL)
    for (const packet of replayed) {
      for (const node of [client, server]) {
        eve.send(node.endpoint.boundAddresses()[0] as string, packet, packet.datagramBytes)
        eve.send(
          node.endpoint.boundAddresses()[0] as string,
          packet.reset(new ResetKey(), packet.destinationId, 40),
          40,
        )
        eve.send(node.endpoint.boundAddresses()[0] as string, packet.reset(new ResetKey(), 12_345, 40), 40)
      }
      world.kernel.runFor(10_000)
    }
    world.kernel.runFor(1_000_000)
    const forOne = replayed.filter(({ destinationId }) => destinationId === replayed[0]?.destinationId).length
    const strays = [client, server].map(({ endpoint }) => endpoint.strays.received - replayed.length)
    // Beside what is for nobody there is what is for the other one.
    expect(new Set(strays)).toEqual(new Set([2 * forOne, 2 * (replayed.length - forOne)]))
    expect([client.endpoint.strays.resetsSent, server.endpoint.strays.resetsSent]).toEqual([0, 0])
    void echo(there)
    const stream = await here.openBi()
    await writeAll(stream.send, pattern(5_000))
    expect(await world.until(readAll(stream.receive))).toEqual(pattern(5_000))
  })
})

/** Cuts a node off, lets it close its connection and forget that, and joins it again. */
async function forget(
  world: World,
  node: Node,
  connection: CarrierConnection,
  cut: (isCut: boolean) => void,
): Promise<void> {
  cut(true)
  connection.close(7, 'nobody hears this')
  await world.kernel.drive(() => node.endpoint.connections().length === 0, world.kernel.nowUs() + 20_000_000)
  expect(node.endpoint.connections()).toEqual([])
  cut(false)
}

describe('endpoints', () => {
  test('answer for connections that they have forgotten, and the peer hears why its own is over', async () => {
    const world = new World()
    const { client, server, here, there } = await world.pair()
    world.kernel.runFor(1_000_000)
    let isCut = false
    world.topology.fabric.rules.add(({ packet }) => (isCut && packet.payload instanceof Packet ? 'drop' : 'pass'))
    await forget(world, client, here, (cut) => (isCut = cut))
    const startUs = world.kernel.nowUs()
    expect(await world.until(there.closed)).toEqual({ closeCode: 0, reason: FORGOTTEN, by: 'transport' })
    expect(world.kernel.nowUs() - startUs).toBeLessThan(5_200_000)
    expect([client.endpoint.strays.received, client.endpoint.strays.resetsSent]).toEqual([1, 1])
    expect(server.endpoint.connections()).toEqual([])
    await expect(there.openBi()).rejects.toMatchObject({ code: 'connection-closed', by: 'transport' })
  })

  test('answer over the relay what came over the relay', async () => {
    const world = new World()
    const relay = new SimRelay({ kernel: world.kernel, network: world.topology.host('relay') })
    const nodes = ['server', 'client'].map((name) =>
      world.node(name, { lan: world.topology.lan({ nat: 'symmetric' }), relays: [relay.url] }),
    )
    const [server, client] = nodes as [Node, Node]
    world.kernel.runFor(500_000)
    const [here, there] = await world.until(Promise.all([client.connect(server), server.accept()]))
    world.kernel.runFor(1_000_000)
    expect(there.paths().map(({ kind }) => kind)).toEqual(['relay'])
    // What the client says is held until nobody wants it any more.
    const send = client.endpoint.transmit.bind(client.endpoint)
    await forget(world, client, here, (isCut) => (client.endpoint.transmit = isCut ? (): void => {} : send))
    expect(await world.until(there.closed)).toMatchObject({ reason: FORGOTTEN, by: 'transport' })
    expect(client.endpoint.strays.resetsSent).toBe(1)
  })

  test('do not take a host that has started again for what it was: its secrets are others', async () => {
    const world = new World()
    const { server, here } = await world.pair()
    world.kernel.runFor(1_000_000)
    const [address] = server.endpoint.boundAddresses()
    server.endpoint.destroy()
    const startUs = world.kernel.nowUs()
    const restarted = new SimEndpoint({
      kernel: world.kernel,
      host: 0,
      name: 'server, started again',
      key: testSigningKey('server'),
      network: server.network,
      port: Number(address?.split(':').at(-1)),
    })
    restarted.setAlpns(['test'])
    // It has ids of its own to compare with.
    const client = world.node('other')
    await world.until(client.connect(restarted.address()))
    expect(await world.until(here.closed)).toMatchObject({
      by: 'transport',
      reason: expect.stringMatching(/no sign of life/),
    })
    expect(world.kernel.nowUs() - startUs).toBeGreaterThan(25_000_000)
    expect(restarted.strays.received).toBeGreaterThan(0)
    expect(restarted.strays.resetsSent).toBe(0)
  })

  test('that have both forgotten do not go on answering each other', async () => {
    const world = new World()
    const old = new Map<Packet, string>()
    const sent = new Set<Packet>()
    let isOver = false
    world.topology.fabric.rules.add(({ packet: { payload, destination } }) => {
      if (!(payload instanceof Packet)) return 'pass'
      if (isOver) sent.add(payload)
      else if (payload.kind !== INITIAL) old.set(payload, destination.toString())
      return 'pass'
    })
    const { client, server, here, there } = await world.pair()
    void echo(there)
    const stream = await here.openBi()
    await writeAll(stream.send, pattern(50_000))
    await world.until(readAll(stream.receive))
    here.close(0, '')
    const done = (): boolean => client.endpoint.connections().length + server.endpoint.connections().length === 0
    await world.kernel.drive(done, world.kernel.nowUs() + 10_000_000)
    expect([client.endpoint.connections(), server.endpoint.connections()]).toEqual([[], []])
    // Everything comes once more, from the address that it came from, as nobody answers elsewhere.
    isOver = true
    const sockets = [client, server].map(({ endpoint }) => endpoint)
    for (const [packet, to] of old) {
      const from = sockets.find((each) => each.boundAddresses()[0] !== to) as SimEndpoint
      from.sendDatagram(to, packet, packet.datagramBytes)
    }
    world.kernel.runFor(10_000_000)
    const resets = client.endpoint.strays.resetsSent + server.endpoint.strays.resetsSent
    expect(resets).toBe(2)
    expect(sent.size).toBe(old.size + resets)
  })

  test('that took every reset for a packet of their own would come to an end, too', () => {
    const both = [1n, 2n].map((seed) => new StatelessResets(() => randomStream(seed, 'resets')))
    let packet: Packet | undefined = new Packet(
      DATA,
      1,
      0,
      1_452,
      new PacketBody(0, 0, true, undefined, undefined, undefined),
      undefined,
      undefined,
    )
    let answers = 0
    for (; packet && answers < 2_000; answers++) packet = both[answers % 2]?.answer(packet, answers * 20_000)
    expect([packet, answers < 100]).toEqual([undefined, true])
  })
})

describe('what is to be seen of it', () => {
  test('the end in the application, packets and resets in netstat, the reset in a trace', async () => {
    const sim = new Simulation({ seed: 1, config: { ...PERFECT } })
    const sent: string[] = []
    let isCut = false
    sim.topology.fabric.rules.add(({ packet: { payload } }) => {
      if (!(payload instanceof Packet)) return 'pass'
      const items: number[] = []
      payload.describe(items)
      sent.push(describeItems(items, { items: TRACE_ITEMS, relayMessages: [] }))
      return isCut ? 'drop' : 'pass'
    })
    let closed: unknown
    const server = sim.host('server', {}, async () => {
      const p2p = await SimulatorP2P.create({ relay: 'disabled' })
      for await (const connection of await p2p.listen()) closed = await connection.closed
    })
    sim.host('client', {}, async ({ runtime }) => {
      const p2p = await SimulatorP2P.create({ relay: 'disabled' })
      await runtime.sleep(100)
      const connection = await p2p.connect(server.id)
      await runtime.sleep(2_000)
      isCut = true
      connection.close()
      await runtime.sleep(1_500)
      isCut = false
      await runtime.sleep(10_000)
    })
    await sim.run({ forMs: 12_000 })
    expect(closed).toMatchObject({ by: 'transport', reason: FORGOTTEN })
    const netstat = sim.netstat()
    expect(netstat.nodes.find(({ host }) => host === 'client')).toMatchObject({ strayPackets: 1, resetsSent: 1 })
    expect(String(netstat)).toMatch(/for connections that are not there\n.*\n *client +1 +1\n/)
    expect(sent.filter((text) => /^StatelessReset bytes=\d+$/.test(text)).length).toBeGreaterThan(0)
    await sim.close()
  })
})

describe('connection ids', () => {
  test('are known to whom they are from, and to nobody else', () => {
    const [mine, others] = ['a', 'b'].map((name) => new ConnectionIds(randomStream(1n, name))) as [
      ConnectionIds,
      ConnectionIds,
    ]
    expect(mine.isOwn(0)).toBe(false)
    const ids = Array.from({ length: 1_000 }, () => mine.next(() => false))
    others.next(() => false)
    expect(ids.every((id) => Number.isSafeInteger(id) && mine.isOwn(id))).toBe(true)
    expect(ids.filter((id) => others.isOwn(id))).toEqual([])
    expect(ids.filter((id) => mine.isOwn(id + 1) || mine.isOwn(id + 0x10_0000))).toEqual([])
    // In the 30 bits that the table looks at, too, they differ.
    expect(new Set(ids.map((id) => id % 0x4000_0000)).size).toBe(1_000)
  })

  test('that are taken are drawn again', () => {
    const ids = new ConnectionIds(randomStream(1n, 'a'))
    const taken = new ConnectionIds(randomStream(1n, 'a')).next(() => false)
    expect(ids.next((id) => id === taken)).not.toBe(taken)
  })
})
