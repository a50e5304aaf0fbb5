import { describe, expect, test } from 'vitest'
import { testNodeId } from '../../../src/core/keys.ts'
import { P2PError } from '../../../src/core/errors.ts'
import { Simulation, SimulatorP2P } from '../../../src/simulator/index.ts'
import type { HostOptions, HostProgram, RelayHost } from '../../../src/simulator/index.ts'
import { PERFECT } from './homes.ts'

interface Scene {
  readonly alice?: (sim: Simulation) => HostOptions
  readonly bob?: (sim: Simulation) => HostOptions
  readonly relay?: 'disabled'
  readonly bobRuns?: boolean
  readonly then?: (sim: Simulation, relay: RelayHost) => void
  /** As a ticket, and not looked up by id. */
  readonly byTicket?: boolean
  readonly before?: (sim: Simulation) => void
}

/** What alice is told when she connects to bob after 5 s, and how long that took. */
async function told(scene: Scene): Promise<{ code: string; message: string; afterMs: number }> {
  await using sim = new Simulation({ seed: 1, config: PERFECT })
  const relay = sim.relay('relay')
  scene.before?.(sim)
  const options = { relay: scene.relay ?? [relay.url] }
  let ticket = ''
  const bob: HostProgram = async () => {
    const p2p = await SimulatorP2P.create(options)
    await p2p.listen()
    ticket = p2p.address().toTicket()
    await new Promise(() => {})
  }
  if (scene.bobRuns ?? true) sim.host('bob', scene.bob?.(sim) ?? {}, bob)
  const found: { code: string; message: string; afterMs: number }[] = []
  sim.host('alice', scene.alice?.(sim) ?? {}, async ({ runtime }) => {
    const p2p = await SimulatorP2P.create(options)
    await runtime.sleep(5_000)
    const startMs = runtime.now()
    try {
      await p2p.connect(scene.byTicket === true ? ticket : testNodeId('bob'), { timeoutMs: 12_000 })
      found.push({ code: 'connected', message: '', afterMs: runtime.now() - startMs })
    } catch (error) {
      if (!P2PError.is(error)) throw error
      found.push({ code: error.code, message: error.message, afterMs: runtime.now() - startMs })
    }
  })
  sim.at('4s', () => scene.then?.(sim, relay))
  await sim.run({ forMs: 60_000 })
  return found[0] as never
}

/** A host that only a ticket tells of: no relay introduces anybody to it. */
const alone = (bob: NonNullable<Scene['bob']>, rest: Scene = {}): Scene => ({
  bob,
  relay: 'disabled',
  byTicket: true,
  ...rest,
})
const home = (sim: Simulation): HostOptions => ({ lan: sim.lan({ name: 'house', nat: 'home' }) })

describe('a connect that cannot succeed says why', () => {
  test.each<[string, Scene]>([
    [
      "alice's NAT (office) drops UDP, and no relay is reachable: relay is off",
      {
        alice: (sim) => ({ lan: sim.lan({ name: 'office', nat: 'udp-blocked' }) }),
        then: (_sim, relay) => relay.host.crash(),
      },
    ],
    [
      "bob's NAT (house) lets nobody in whom it was not told of, and relays are disabled on alice",
      {
        bob: home,
        relay: 'disabled',
        byTicket: true,
      },
    ],
    [
      "bob's NAT (house) lets nobody in whom it was not told of, and no relay is reachable: relay was killed",
      {
        bob: home,
        then: (_sim, relay) => relay.kill(),
      },
    ],
    [
      'a partition cuts the way from alice to bob, and no relay is reachable: a partition cuts the way from bob to relay',
      {
        then: (sim) => void sim.topology.fabric.graph.addPartition(['bob']),
      },
    ],
    ['bob has no power', { then: (sim) => sim.crash('bob') }],
    ['there is no node with this id', { bobRuns: false }],
    [
      'the network interface of bob is down',
      {
        then: (sim) => {
          for (const host of sim.hosts) if (host.name === 'bob') host.network.isUp = false
        },
      },
    ],
    ['bob is asleep', { then: (sim) => void sim.hosts.find(({ name }) => name === 'bob')?.pause() }],
    [
      'the link internet>bob loses every packet, and no relay is reachable: the link internet>bob loses every packet',
      { then: (sim) => sim.topology.fabric.graph.updateLink('internet', 'bob', { packetLoss: 1 }) },
    ],
    [
      'rules or faults drop packets on the link internet>bob',
      { then: (sim) => void sim.faults.inject({ kind: 'link-degrade', atMs: 4_500, line: 'bob', loss: 1 }) },
    ],
    [
      "bob's NAT (provider) lets nobody in whom it was not told of, and relays are disabled on alice",
      alone((sim) => ({
        lan: sim.lan({ nat: 'full-cone', behind: sim.lan({ name: 'provider', nat: 'home', prefix: '10.0.0.0/8' }) }),
      })),
    ],
    [
      'bob does not know its address outside of its NAT (house), and relays are disabled on alice',
      alone((sim) => ({ lan: sim.lan({ name: 'house', nat: 'full-cone' }) })),
    ],
    [
      'bob does not know its address outside of its NAT (provider), and relays are disabled on alice',
      alone((sim) => ({
        lan: sim.lan({ nat: 'home', portMapping: true, behind: sim.lan({ name: 'provider', nat: 'cgnat' }) }),
      })),
    ],
    [
      "bob's firewall (house) lets nobody in whom it was not told of, and relays are disabled on alice",
      alone((sim) => ({ lan: sim.lan({ name: 'house', nat: 'none', ipv6: true }) }), {
        alice: () => ({ ip: '2001:db8::77' }),
      }),
    ],
    [
      'alice has no address of IPv6, as bob has, and relays are disabled on alice',
      alone(() => ({ ip: '2001:db8::77' })),
    ],
    [
      "bob's NAT (house) lets nobody in whom it was not told of, and no relay is reachable: relay is off",
      {
        // Only one of its interfaces is down.
        bob: home,
        then: (sim, relay) => {
          relay.host.crash()
          const alice = sim.hosts.find(({ name }) => name === 'alice')
          alice?.addInterface('4g')
          if (alice) alice.network.isUp = false
        },
      },
    ],
    [
      'its address cannot be looked up, as no name server answers: a partition cuts the way from alice to dns',
      {
        before: (sim) => void sim.nameServer('dns'),
        then: (sim) => void sim.topology.fabric.graph.addPartition(['dns']),
      },
    ],
  ])('%s', async (why, scene) => {
    const { code, message, afterMs } = await told(scene)
    expect([code, message.replace(/^no route to \w+: /, '')]).toEqual(['no-route', why])
    expect(afterMs).toBeLessThanOrEqual(12_000)
  })

  test('and connects where there is a way', async () => {
    expect((await told({ alice: home })).code).toBe('connected')
    expect((await told({ alice: (sim) => ({ lan: sim.lan({ nat: 'home' }) }), bob: home })).code).toBe('connected')
  })
})

describe('the state of the network', () => {
  test('shows relays, who is attached, and connections with their windows', async () => {
    await using sim = new Simulation({ seed: 1, config: PERFECT })
    const relay = sim.relay('relay')
    sim.host('bob', { lan: sim.lan({ nat: 'symmetric' }) }, async () => {
      const p2p = await SimulatorP2P.create({ relay: [relay.url] })
      for await (const connection of await p2p.listen()) await connection.send(await connection.recv())
    })
    sim.host('alice', { lan: sim.lan({ nat: 'symmetric' }) }, async ({ runtime }) => {
      const p2p = await SimulatorP2P.create({ relay: [relay.url] })
      await runtime.sleep(1_000)
      const connection = await p2p.connect(testNodeId('bob'))
      await connection.send(new Uint8Array(50_000))
      await connection.recv()
      const [path] = connection.paths()
      expect(path).toMatchObject({ kind: 'relay', remote: relay.url, selected: true, inFlightBytes: 0 })
      expect(path?.rttMs).toBeGreaterThan(100)
      expect(path?.windowBytes).toBeGreaterThan(12_000)
      await connection.recv()
    })
    const result = await sim.run({ forMs: 10_000 })
    const { relays, nodes } = sim.netstat()
    expect(relays.map(({ host, attachments }) => [host, attachments.map(({ node }) => node)])).toEqual([
      ['relay', ['bob', 'alice']],
    ])
    const alice = nodes.find(({ host }) => host === 'alice')
    expect(alice?.relays).toMatchObject([{ url: relay.url, isHome: true, state: 'attached' }])
    expect(alice?.connections[0]).toMatchObject({ peer: 'bob', state: 'established' })
    expect(alice?.connections[0]?.paths[0]?.windowBytes).toBeGreaterThan(12_000)
    const text = String(sim.netstat())
    for (const part of ['attached to relays', "nodes' relays", 'connections', `${relay.url} (home)`, 'relay*']) {
      expect(text).toContain(part)
    }
    // A run that has not come to its end brings it along.
    expect([result.ended, result.netstat]).toEqual(['time', text])
  })

  test('tells what the links have corrupted, and who has dropped it', async () => {
    await using sim = new Simulation({ seed: 1, config: PERFECT })
    const bob = sim.host('bob', { link: { corruption: 0.2 } }, async () => {
      const p2p = await SimulatorP2P.create({ relay: 'disabled' })
      for await (const connection of await p2p.listen()) await connection.send(await connection.recv())
    })
    sim.host('alice', async ({ runtime }) => {
      const p2p = await SimulatorP2P.create({ relay: 'disabled' })
      await runtime.sleep(100)
      const connection = await p2p.connect(bob.id)
      await connection.send(new Uint8Array(100_000))
      await connection.recv()
    })
    await sim.run({ forMs: 60_000 })
    const { network, nodes } = sim.netstat()
    const link = network.links.find(({ to }) => to === 'bob')
    expect(link?.corruptedPackets).toBeGreaterThan(10)
    expect(nodes.find(({ host }) => host === 'bob')?.corruptedDatagrams).toBe(link?.corruptedPackets)
    const text = String(sim.netstat())
    expect(text).toMatch(new RegExp(`internet > bob .* ${link?.corruptedPackets}\\n`))
    expect(text).toMatch(
      new RegExp(`dropped by the transport's authentication\\n.*\\n  bob +${link?.corruptedPackets}\\n`),
    )
  })

  test('comes with a program that ends because it cannot connect', async () => {
    await using sim = new Simulation({ seed: 1, config: PERFECT })
    sim.host('alice', async () => {
      const p2p = await SimulatorP2P.create()
      await p2p.connect(testNodeId('bob'))
    })
    await expect(sim.run()).rejects.toMatchObject({
      code: 'program-failed',
      message: expect.stringMatching(
        /no route to \w+: there is no node with this id\n\nat \d.*nodes' relays/s,
      ) as unknown,
    })
  })
})

test('the state of the network comes with errors that a failed connect has caused', async () => {
  await using sim = new Simulation({ seed: 1, config: PERFECT })
  sim.host('alice', async () => {
    const p2p = await SimulatorP2P.create({ relay: 'disabled' })
    await p2p.connect(testNodeId('bob')).catch((cause: unknown) => {
      throw new Error('no service', { cause })
    })
  })
  await expect(sim.run()).rejects.toThrow(/no service\n\nat \d.*hosts\n/s)
})

describe('two homes with the same private addresses', () => {
  test('a stranger in the own LAN who refuses does not end the attempt', async () => {
    await using sim = new Simulation({ seed: 1, config: PERFECT })
    const options = { relay: 'disabled' } as const
    let ticket = ''
    // bob is at 192.168.1.2 behind a forwarded port; so is a stranger in alice's own home, who serves something else.
    sim.host('bob', { lan: sim.lan({ nat: 'home' }), portMapping: true }, async () => {
      const p2p = await SimulatorP2P.create(options)
      ticket = p2p.address().toTicket()
      for await (const connection of await p2p.listen()) await connection.send(await connection.recv())
    })
    const lan = sim.lan({ nat: 'home' })
    sim.host('stranger', { lan }, async () => {
      const p2p = await SimulatorP2P.create(options)
      await p2p.listen('', { alpns: ['something-else'] })
      await new Promise(() => {})
    })
    const seen: unknown[] = []
    sim.host('alice', { lan }, async ({ runtime }) => {
      const p2p = await SimulatorP2P.create(options)
      await runtime.sleep(1_000)
      const connection = await p2p.connect(ticket)
      await connection.send(Uint8Array.of(7))
      seen.push((await connection.recv())[0], runtime.now())
    })
    await sim.run({ forMs: 30_000 })
    expect(seen[0]).toBe(7)
    // The hello goes out again at once, without the place that has refused.
    expect(seen[1]).toBeLessThan(2_500)
  })

  test('and when nobody else answers, it is told as a refusal after three seconds', async () => {
    await using sim = new Simulation({ seed: 1, config: PERFECT })
    const options = { relay: 'disabled' } as const
    let ticket = ''
    sim.host('bob', { lan: sim.lan({ nat: 'home' }), portMapping: true }, async () => {
      const p2p = await SimulatorP2P.create(options)
      ticket = p2p.address().toTicket()
      await p2p.listen()
      await new Promise(() => {})
    })
    const lan = sim.lan({ nat: 'home' })
    sim.host('stranger', { lan }, async () => {
      const p2p = await SimulatorP2P.create(options)
      await p2p.listen('', { alpns: ['something-else'] })
      await new Promise(() => {})
    })
    const seen: unknown[] = []
    sim.host('alice', { lan }, async ({ runtime }) => {
      const p2p = await SimulatorP2P.create(options)
      await runtime.sleep(1_000)
      sim.crash('bob')
      const startMs = runtime.now()
      const failure: unknown = await p2p.connect(ticket).catch((error: unknown) => error)
      seen.push(P2PError.is(failure) && failure.code, runtime.now() - startMs)
    })
    await sim.run({ forMs: 60_000 })
    expect(seen[0]).toBe('refused')
    expect(seen[1]).toBeGreaterThan(2_999)
    expect(seen[1]).toBeLessThan(3_100)
  })
})
