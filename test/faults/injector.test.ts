/** What each fault does to hosts that talk, and that healing leaves nothing of it behind. */
import { describe, expect, test } from 'vitest'
import { Simulation, SimulatorP2P } from '../../src/simulator/index.ts'
import type { Fault, SimHost, SimulatorConnection } from '../../src/simulator/index.ts'
import { parseSimulatorConfig } from '../../src/core/config.ts'

const config = { ...parseSimulatorConfig({}), defaultPacketLoss: 0 }

interface Echo {
  readonly sim: Simulation
  readonly server: SimHost
  readonly client: SimHost
  /** When each echo came back, in seconds, and how long it took, in milliseconds. */
  readonly echoes: { readonly atS: number; readonly tookMs: number }[]
  readonly connections: SimulatorConnection[]
}

/** A client in a LAN asks a public server for an echo twice a second. */
function echo(seed = 1): Echo {
  const sim = new Simulation({ seed, config })
  const home = sim.lan({ name: 'home', nat: 'home' })
  const echoes: { atS: number; tookMs: number }[] = []
  const connections: SimulatorConnection[] = []
  const server = sim.host('server', async () => {
    const p2p = await SimulatorP2P.create()
    for await (const connection of await p2p.listen()) {
      void (async () => {
        for await (const message of connection) await connection.send(message)
      })().catch(() => {})
    }
  })
  const client = sim.host('client', { lan: home }, async ({ runtime }) => {
    const p2p = await SimulatorP2P.create()
    for (;;) {
      try {
        const connection = await p2p.connect(server.id, { timeoutMs: 5000 })
        connections.push(connection)
        for (;;) {
          const before = runtime.now()
          await connection.send(new Uint8Array(100))
          await connection.recv()
          echoes.push({ atS: Math.floor(sim.now / 1000), tookMs: Math.round(runtime.now() - before) })
          await runtime.sleep(400)
        }
      } catch {
        await runtime.sleep(500)
      }
    }
  })
  return { sim, server, client, echoes, connections }
}

/** The seconds without any echo. */
async function gaps(fault: Fault, forS = 60): Promise<{ gaps: number[]; echo: Echo }> {
  const made = echo()
  await using sim = made.sim
  sim.faults.inject(fault)
  await sim.run({ forMs: forS * 1000 })
  expect(sim.faults.active).toEqual([])
  const seen = new Set(made.echoes.map(({ atS }) => atS))
  return { gaps: Array.from({ length: forS }, (_, i) => i).filter((s) => s > 1 && !seen.has(s)), echo: made }
}

describe('a fault', () => {
  test('that there is not leaves nobody without an answer', async () => {
    const { echoes, sim } = echo()
    await using _sim = sim
    await sim.run({ forMs: 60_000 })
    expect(echoes.length).toBeGreaterThan(100)
    expect(Math.max(...echoes.map(({ tookMs }) => tookMs))).toBeLessThan(130)
  })

  test('partition', async () => {
    const { gaps: silent } = await gaps({ kind: 'partition', atMs: 10_000, forMs: 8000, a: ['home'] })
    expect(silent).toEqual(expect.arrayContaining([11, 12, 13, 14, 15, 16, 17]))
    expect(Math.max(...silent)).toBeLessThan(30)
  })

  test('one-way partition', async () => {
    const fault = { kind: 'one-way-partition', atMs: 10_000, forMs: 8000, from: ['server'], to: ['home'] } as const
    expect((await gaps(fault)).gaps).toEqual(expect.arrayContaining([11, 12, 13, 14, 15, 16, 17]))
  })

  test('crash, and the power comes back', async () => {
    const { gaps: silent, echo } = await gaps({ kind: 'crash', atMs: 10_000, forMs: 5000, host: 'server' })
    expect(silent).toEqual(expect.arrayContaining([11, 12, 13, 14]))
    expect(echo.connections.length).toBeGreaterThan(1)
    expect(echo.echoes.at(-1)?.atS).toBeGreaterThan(50)
  })

  test('restart', async () => {
    const { echo } = await gaps({ kind: 'restart', atMs: 10_000, host: 'client' })
    expect(echo.connections.length).toBe(2)
  })

  test('pause: what has come meanwhile is answered afterwards, over the same connection', async () => {
    const { gaps: silent, echo } = await gaps({ kind: 'pause', atMs: 10_000, forMs: 8000, host: 'server' })
    expect(silent.filter((s) => s !== 10)).toEqual([11, 12, 13, 14, 15, 16, 17])
    expect(echo.connections.length).toBe(1)
    expect(echo.echoes.find(({ atS }) => atS === 18)?.tookMs).toBeGreaterThan(6000)
  })

  test('pause: timers of the host are late, not lost', async () => {
    await using sim = new Simulation({ seed: 1, config })
    const at: number[] = []
    sim.host('sleeper', async ({ runtime }) => {
      for (let i = 0; i < 4; i++) {
        await runtime.sleep(1000)
        at.push(sim.now)
      }
    })
    sim.faults.inject({ kind: 'pause', atMs: 1500, forMs: 3000, host: 'sleeper' })
    await sim.run()
    expect(at).toEqual([1000, 4500, 5500, 6500])
  })

  test('slow: every event takes its time, one after the other', async () => {
    const { echo } = await gaps({ kind: 'slow', atMs: 10_000, forMs: 20_000, host: 'server', eventMs: 100 })
    const during = echo.echoes.filter(({ atS }) => atS > 12 && atS < 29).map(({ tookMs }) => tookMs)
    expect(Math.min(...during)).toBeGreaterThan(190)
    const after = echo.echoes.filter(({ atS }) => atS > 33).map(({ tookMs }) => tookMs)
    expect(Math.max(...after)).toBeLessThan(130)
  })

  test('link flap, of a LAN', async () => {
    const fault = { kind: 'link-flap', atMs: 10_000, forMs: 9000, line: 'home', downMs: 2800, upMs: 200 } as const
    const { gaps: silent, echo } = await gaps(fault)
    expect(silent).toEqual(expect.arrayContaining([11, 12, 14, 15]))
    const links = echo.sim.topology.fabric.graph.links()
    expect(links.every(({ isActive }) => isActive)).toBe(true)
  })

  test('link degrade: latency', async () => {
    const { echo } = await gaps({
      kind: 'link-degrade',
      atMs: 10_000,
      forMs: 20_000,
      line: 'server',
      addLatencyMs: 300,
    })
    const during = echo.echoes.filter(({ atS }) => atS > 12 && atS < 29).map(({ tookMs }) => tookMs)
    expect(Math.min(...during)).toBeGreaterThanOrEqual(700)
    expect(echo.sim.topology.fabric.rules.size).toBe(0)
  })

  test.each(['loss', 'duplicate', 'reorder', 'corrupt'] as const)('link degrade: %s harms no message', async (knob) => {
    const { echo } = await gaps({ kind: 'link-degrade', atMs: 5000, forMs: 50_000, line: 'home', [knob]: 0.2 })
    expect(echo.echoes.length).toBeGreaterThan(30)
    expect(echo.sim.topology.fabric.dropped.rule ?? 0).toBeGreaterThanOrEqual(knob === 'loss' ? 10 : 0)
  })

  test('link degrade: a throttled line queues and drops', async () => {
    const made = echo()
    await using sim = made.sim
    let doneMs = 0
    sim.host('bulk', async () => {
      const p2p = await SimulatorP2P.create()
      const connection = await p2p.connect(made.server.id)
      for (let i = 0; i < 10; i++) await connection.send(new Uint8Array(10_000))
      for (let i = 0; i < 10; i++) await connection.recv()
      doneMs = sim.now
    })
    sim.faults.inject({ kind: 'link-degrade', atMs: 0, line: 'bulk', rateBitsPerSecond: 100_000 })
    await sim.run({ forMs: 60_000 })
    // 100 KB each way at 12.5 KB a second.
    expect(doneMs).toBeGreaterThan(8000)
    expect(doneMs).toBeLessThan(40_000)
  })

  test('NAT rebinding: other ports, or another address', async () => {
    for (const address of [false, true]) {
      const { sim, echoes } = echo()
      await using _sim = sim
      await sim.run({ forMs: 10_000 })
      const nat = sim.topology.fabric.lans()[0]?.nat
      const outside = (): string => nat?.snapshot()[0]?.outside ?? ''
      const before = outside()
      sim.faults.inject({ kind: 'nat-rebind', atMs: 10_000, lan: 'home', address })
      await sim.run({ forMs: 60_000 })
      expect(outside()).not.toBe(before)
      expect(outside().split(':')[0] === before.split(':')[0]).toBe(!address)
      expect(echoes.at(-1)?.atS).toBeGreaterThan(60)
    }
  })

  test('mapping expiry', async () => {
    const { sim } = echo()
    await using _sim = sim
    await sim.run({ forMs: 10_000 })
    const nat = sim.topology.fabric.lans()[0]?.nat
    expect(nat?.snapshot()).not.toEqual([])
    let left = -1
    sim.faults.inject({ kind: 'mapping-expiry', atMs: 10_001, lan: 'home' })
    sim.at(10_001, () => {
      left = nat?.snapshot().length ?? -1
    })
    await sim.run({ forMs: 10 })
    expect(left).toBe(0)
  })

  test('relay crash', async () => {
    const { sim } = echo()
    await using _sim = sim
    sim.faults.inject({ kind: 'relay-crash', atMs: 1000, forMs: 1000 })
    const on: boolean[] = []
    for (const atMs of [500, 1500, 2500]) sim.at(atMs, () => void on.push(sim.defaultRelay.host.isOn))
    await sim.run({ forMs: 3000 })
    expect(on).toEqual([true, false, true])
  })

  test('name-server outage; two that overlap end with the later', async () => {
    await using sim = new Simulation({ seed: 1 })
    sim.faults.inject({ kind: 'name-outage', atMs: 1000, forMs: 2000 })
    sim.faults.inject({ kind: 'name-outage', atMs: 2000, forMs: 2000 })
    const down: boolean[] = []
    for (const atMs of [500, 1500, 3500, 4500]) sim.at(atMs, () => void down.push(sim.names.isDown))
    await sim.run({ forMs: 5000 })
    expect(down).toEqual([false, true, true, false])
  })

  test('clock jump', async () => {
    await using sim = new Simulation({ seed: 1 })
    const host = sim.host('alice')
    sim.faults.inject({ kind: 'clock-jump', atMs: 1000, host: 'alice', byMs: -60_000 })
    await sim.run({ forMs: 2000 })
    expect(host.runtime.wallClockMs() - sim.config.epochOffsetMs).toBe(-58_000)
    expect(host.runtime.now()).toBe(2000)
  })

  test('address change, in the same network and to another', async () => {
    const { sim, client, echoes } = echo()
    await using _sim = sim
    sim.lan({ name: 'office' })
    const first = client.network.ip.toString()
    sim.faults.inject({ kind: 'address-change', atMs: 10_000, host: 'client' })
    sim.faults.inject({ kind: 'address-change', atMs: 30_000, host: 'client', lan: 'office' })
    await sim.run({ forMs: 20_000 })
    expect(client.network.ip.toString()).not.toBe(first)
    expect(client.options.lan?.name).toBe('home')
    await sim.run({ forMs: 60_000 })
    expect(client.options.lan?.name).toBe('office')
    expect(echoes.at(-1)?.atS).toBeGreaterThan(75)
  })
})

describe('healing', () => {
  test('ends what is on, cancels what is to come, and leaves the internet as it was', async () => {
    const { sim, server, echoes } = echo()
    await using _sim = sim
    expect(sim.defaultRelay.host.isOn).toBe(true)
    const before = JSON.stringify(sim.topology.fabric.graph.links().map(({ name, settings }) => ({ name, settings })))
    const all: Fault[] = [
      { kind: 'partition', atMs: 1000, a: ['home'], b: ['server'] },
      { kind: 'crash', atMs: 2000, host: 'server' },
      { kind: 'pause', atMs: 2000, forMs: 100_000, host: 'client' },
      { kind: 'slow', atMs: 2000, host: 'client', eventMs: 50 },
      { kind: 'link-flap', atMs: 2000, forMs: 100_000, line: 'home', downMs: 10_000, upMs: 1 },
      { kind: 'link-flap', atMs: 2500, forMs: 100_000, line: 'home', downMs: 10_000, upMs: 1 },
      { kind: 'link-degrade', atMs: 2000, line: 'server', loss: 1 },
      { kind: 'name-outage', atMs: 2000 },
      { kind: 'relay-crash', atMs: 2000 },
    ]
    for (const fault of all) sim.faults.inject(fault)
    sim.faults.inject({ kind: 'crash', atMs: 40_000, host: 'server' })
    await sim.run({ forMs: 5000 })
    expect(sim.faults.active).toEqual(all)
    sim.faults.healAll()
    expect(sim.faults.active).toEqual([])
    expect(server.isOn).toBe(true)
    const now = JSON.stringify(sim.topology.fabric.graph.links().map(({ name, settings }) => ({ name, settings })))
    expect(now).toBe(before)
    await sim.run({ forMs: 60_000 })
    expect(echoes.at(-1)?.atS).toBeGreaterThan(60)
  })

  test('one fault ends when it is disposed of', async () => {
    await using sim = new Simulation({ seed: 1 })
    sim.host('alice')
    {
      using fault = sim.faults.inject({ kind: 'link-degrade', atMs: 0, line: 'alice', loss: 0.5 })
      await sim.run({ forMs: 1 })
      expect(fault.isActive).toBe(true)
      expect(sim.topology.fabric.rules.size).toBe(1)
    }
    expect(sim.topology.fabric.rules.size).toBe(0)
  })

  test('what the scenario took down stays down', async () => {
    await using sim = new Simulation({ seed: 1 })
    sim.host('alice')
    const { graph } = sim.topology.fabric
    graph.updateLink('alice', 'internet', { isActive: false })
    sim.faults.inject({ kind: 'link-flap', atMs: 0, forMs: 100, line: 'alice', downMs: 50, upMs: 10 })
    await sim.run({ forMs: 200 })
    expect(graph.link('alice', 'internet').isActive).toBe(false)
    expect(graph.link('internet', 'alice').isActive).toBe(true)
  })

  test('what the scenario changes meanwhile stays changed', async () => {
    await using sim = new Simulation({ seed: 1 })
    sim.host('alice')
    const { graph } = sim.topology.fabric
    sim.faults.inject({ kind: 'link-flap', atMs: 10, forMs: 100, line: 'alice', downMs: 500, upMs: 10 })
    sim.at(20, () => {
      graph.updateLink('alice', 'internet', { isActive: false })
      graph.updateLink('internet', 'alice', { latencyMs: 7 })
      // It is down for the fault's sake, which passes.
      expect(graph.link('internet', 'alice').isActive).toBe(false)
      expect(JSON.stringify(sim.topology)).toContain('"down":{"latencyMs":7')
    })
    await sim.run({ forMs: 200 })
    expect(graph.link('alice', 'internet').isActive).toBe(false)
    expect(graph.link('internet', 'alice')).toMatchObject({ isActive: true, latencyMs: 7 })
  })
})

test('an address change meets hosts with fixed addresses, and those of a region', async () => {
  await using sim = new Simulation({ seed: 1 })
  const home = sim.lan({ name: 'home' })
  const fixed = sim.host('fixed', { ip: '198.18.0.9', ip6: '2001:db8::9' })
  const tokyo = sim.host('tokyo', { region: 'tokyo' })
  sim.faults.inject({ kind: 'address-change', atMs: 10, host: 'fixed' })
  sim.faults.inject({ kind: 'address-change', atMs: 10, host: 'tokyo', lan: 'home' })
  await sim.run({ forMs: 20 })
  expect(fixed.network.ips.map(({ text, version }) => [text.startsWith('198.18.0.9'), version])).toEqual([
    [false, 4],
    [false, 6],
  ])
  expect(tokyo.options.lan).toBe(home)
})

test('the same faults give the same history, others another', async () => {
  const run = async (fault: Fault): Promise<string> => {
    const { sim } = echo(5)
    await using _sim = sim
    sim.faults.inject(fault)
    return (await sim.run({ forMs: 30_000 })).hash
  }
  const fault: Fault = { kind: 'link-degrade', atMs: 3000, forMs: 5000, line: 'home', loss: 0.3, duplicate: 0.3 }
  expect(await run(fault)).toBe(await run(fault))
  expect(await run(fault)).not.toBe(await run({ ...fault, atMs: 3001 }))
})
