import { describe, expect, test } from 'vitest'
import { testNodeId } from '../../../src/core/keys.ts'
import { P2PError } from '../../../src/core/errors.ts'
import { Simulation, SimulatorP2P } from '../../../src/simulator/index.ts'
import type { NameServerHost } from '../../../src/simulator/index.ts'
import { PERFECT } from './homes.ts'

interface Scene {
  readonly sim: Simulation
  readonly servers: readonly NameServerHost[]
  /** Looks the name up on alice, from her event at `atMs`: what came of it, and when. */
  readonly ask: (atMs: number, name?: string) => { outcome: string; tookMs: number }
  /** When questions left alice, in ms after `fromMs`. */
  readonly questions: (fromMs: number) => number[]
}

/** Name servers 10 ms away, bob who registers `bob` at 1 s, and alice behind a NAT. */
function scene(names: readonly string[] = ['ns']): Scene {
  const sim = new Simulation({ seed: 3, config: PERFECT })
  const link = { latencyMs: 10 }
  const servers = names.map((name) => sim.nameServer(name, { link: {} }))
  sim.host('bob', { link }, async ({ runtime }) => {
    const p2p = await SimulatorP2P.create({ relay: 'disabled' })
    await runtime.sleep(1_000)
    await p2p.register('bob', { ttlMs: 20_000 }).catch(() => {})
    await new Promise(() => {})
  })
  const asks: { atMs: number; name: string; result: { outcome: string; tookMs: number } }[] = []
  sim.host('alice', { lan: sim.lan({ nat: 'home', link }) }, async ({ runtime }) => {
    const p2p = await SimulatorP2P.create({ relay: 'disabled', limits: { lookUpTimeoutMs: 60_000 } })
    for (const { atMs, name, result } of asks) {
      await runtime.sleep(atMs - runtime.now())
      const found: unknown = await p2p.discover(name).catch((error: unknown) => {
        if (P2PError.is(error)) return error
        throw error
      })
      result.outcome = P2PError.is(found) ? found.code : 'found'
      result.tookMs = runtime.now() - atMs
    }
  })
  const sentMs: number[] = []
  sim.topology.fabric.rules.add(({ packet, link }) => {
    if (link.from.name === 'alice' && String(packet.destination).endsWith(':53')) {
      sentMs.push(sim.now)
    }
    return 'pass'
  })
  return {
    sim,
    servers,
    ask: (atMs, name = 'bob') => {
      const result = { outcome: 'nothing', tookMs: -1 }
      asks.push({ atMs, name, result })
      return result
    },
    questions: (fromMs) => sentMs.filter((ms) => ms >= fromMs).map((ms) => ms - fromMs),
  }
}

describe('a name server', () => {
  test('is asked by a datagram, and answers after a round trip', async () => {
    const { sim, ask, questions } = scene()
    const [known, cached, unknown] = [ask(5_000), ask(6_000), ask(7_000, 'nobody')]
    await sim.run({ forMs: 20_000 })
    expect([known.outcome, cached.outcome, unknown.outcome]).toEqual(['found', 'found', 'node-not-found'])
    expect(known.tookMs).toBeGreaterThanOrEqual(20)
    expect(known.tookMs).toBeLessThan(21)
    expect(cached.tookMs).toBe(0)
    expect(questions(5_000)).toEqual([0, 2_000])
    await sim.close()
  })

  test('that a partition cuts off is asked again at the times of iroh, and given up; the cache goes on answering', async () => {
    const { sim, ask, questions } = scene()
    sim.at('6s', () => void sim.topology.fabric.graph.addPartition(['ns']))
    const [before, stale, cut] = [ask(5_000), ask(10_000), ask(30_000)]
    await sim.run({ forMs: 60_000 })
    // For 20 s the answer is remembered, whatever has become of bob and of the server.
    expect([before.outcome, stale.outcome, cut.outcome]).toEqual(['found', 'found', 'discovery-failed'])
    const times = questions(30_000)
    expect(times.length).toBe(7)
    for (const [i, aboutMs] of [0, 200, 300, 600, 1_000, 2_000, 3_000].entries()) {
      expect(times.toSorted((a, b) => a - b)[i]).toBeGreaterThanOrEqual(0.8 * aboutMs)
      expect(times.toSorted((a, b) => a - b)[i]).toBeLessThanOrEqual(1.2 * aboutMs)
    }
    expect(cut.tookMs).toBeCloseTo(Math.max(...times) + 3_000, 3)
    await sim.close()
  })

  test('is asked over whatever interface is up', async () => {
    await using sim = new Simulation({ seed: 1, config: PERFECT })
    sim.nameServer('ns')
    sim.host('bob', async () => {
      await (await SimulatorP2P.create()).register('bob')
    })
    const found: string[] = []
    const phone = sim.host('phone', async ({ runtime }) => {
      const p2p = await SimulatorP2P.create()
      await runtime.sleep(3_000)
      found.push(String((await p2p.discover('bob')).equals(testNodeId('bob'))))
    })
    phone.addInterface('4g', { lan: sim.lan({ nat: 'cgnat' }) })
    sim.at('2s', () => void (phone.network.isUp = false))
    await sim.run()
    expect(found).toEqual(['true'])
  })

  test('that loses the first question answers the second', async () => {
    const { sim, ask } = scene()
    let dropped = 0
    const asked = ask(5_000)
    sim.at(4_999, () => {
      sim.topology.fabric.rules.add(({ packet }) =>
        String(packet.destination).endsWith(':53') && dropped++ === 0 ? 'drop' : 'pass',
      )
    })
    await sim.run({ forMs: 20_000 })
    expect(asked.outcome).toBe('found')
    expect(asked.tookMs).toBeGreaterThanOrEqual(160 + 20)
    expect(asked.tookMs).toBeLessThanOrEqual(240 + 21)
    await sim.close()
  })

  test('that is off is passed over for the next', async () => {
    const { sim, servers, ask } = scene(['ns1', 'ns2'])
    sim.at('2s', () => servers[0]?.host.crash())
    const asked = ask(5_000)
    await sim.run({ forMs: 20_000 })
    expect(asked.outcome).toBe('found')
    expect(asked.tookMs).toBeLessThanOrEqual(261)
    await sim.close()
  })

  test('that is out says nothing, and answers again when it is back; one that was restarted too', async () => {
    const { sim, servers, ask } = scene()
    sim.faults.inject({ kind: 'name-outage', atMs: 4_000, forMs: 8_000 })
    const [out, back] = [ask(5_000), ask(20_000)]
    sim.at('50s', () => servers[0]?.host.crash())
    sim.at('51s', () => servers[0]?.host.restart())
    const after = ask(52_000)
    await sim.run({ forMs: 60_000 })
    expect([out.outcome, back.outcome, after.outcome]).toEqual(['discovery-failed', 'found', 'found'])
    await sim.close()
  })

  test('that nobody reaches takes no registrations', async () => {
    const { sim, servers, ask } = scene()
    servers[0]?.host.crash()
    sim.at('20s', () => servers[0]?.host.restart())
    const asked = ask(30_000)
    await sim.run({ forMs: 60_000 })
    expect(asked.outcome).toBe('node-not-found')
    await sim.close()
  })

  test('is in files', async () => {
    const { sim } = scene()
    const file = JSON.parse(JSON.stringify(sim.topology)) as unknown
    await using again = new Simulation({ seed: 1, config: PERFECT })
    again.load(file)
    const [server] = again.topology.fabric.interfaces()
    expect([server?.name, server?.sockets().length]).toEqual(['ns', 0])
    await again.run({ forMs: 10 })
    expect(server?.sockets().map(({ localAddress }) => String(localAddress).endsWith(':53'))).toEqual([true])
    await sim.close()
  })
})
