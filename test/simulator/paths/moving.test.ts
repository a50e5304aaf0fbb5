import { describe, expect, test } from 'vitest'
import { P2PError } from '../../../src/core/errors.ts'
import { testNodeId } from '../../../src/core/keys.ts'
import { Simulation, SimulatorP2P } from '../../../src/simulator/index.ts'
import type { HostOptions, RelayHost, SimHost, SimulatorConnection } from '../../../src/simulator/index.ts'
import { PERFECT, selected } from './homes.ts'

interface Seen {
  /** When the phone got each echo, in ms. */
  readonly atMs: number[]
  /** Numbers of echoes, in the order in which they came. */
  readonly numbers: number[]
  /** Each change of the phone's path: ms, kind. */
  readonly paths: [number, string][]
  failure: unknown
}

interface Scene {
  readonly sim: Simulation
  readonly relay: RelayHost
  readonly phone: SimHost
  readonly server: SimHost
  readonly seen: Seen
}

/** A phone counts towards a server, ten times a second, over one connection; the server echoes. */
function scene(options: {
  readonly phone: (sim: Simulation) => HostOptions
  readonly server?: (sim: Simulation) => HostOptions
  readonly relay?: 'disabled'
  readonly seconds?: number
  readonly seed?: number
}): Scene {
  const sim = new Simulation({ seed: options.seed ?? 1, config: PERFECT })
  const relay = sim.relay('relay')
  const create = { relay: options.relay ?? [relay.url] }
  const server = sim.host('server', options.server?.(sim) ?? {}, async () => {
    const p2p = await SimulatorP2P.create(create)
    for await (const connection of await p2p.listen()) void echo(connection)
  })
  const seen: Seen = { atMs: [], numbers: [], paths: [], failure: undefined }
  const until = (options.seconds ?? 60) * 1000
  const phone = sim.host('phone', options.phone(sim), async ({ runtime }) => {
    const p2p = await SimulatorP2P.create(create)
    await runtime.sleep(1_000)
    const connection = await p2p.connect(testNodeId('server'))
    const note = (): void => {
      const kind = selected(connection)
      if (seen.paths.at(-1)?.[1] !== kind) seen.paths.push([sim.now, kind])
    }
    connection.onPathChange(note)
    note()
    const receiving = (async (): Promise<void> => {
      for await (const [number = -1] of connection) {
        seen.atMs.push(sim.now)
        seen.numbers.push(number)
      }
    })()
    try {
      for (let i = 0; sim.now < until; i = (i + 1) % 256) {
        await connection.send(Uint8Array.of(i))
        await runtime.sleep(100)
      }
      await runtime.sleep(5_000)
      connection.close()
    } catch (error) {
      seen.failure = error
    }
    await receiving.catch(() => {})
  })
  return { sim, relay, phone, server, seen }
}

async function echo(connection: SimulatorConnection): Promise<void> {
  try {
    for await (const message of connection) await connection.send(message)
  } catch {
    // It is over.
  }
}

/** The longest time without an echo, in ms. */
function silence({ atMs }: Seen): number {
  return Math.max(...atMs.slice(1).map((at, i) => at - (atMs[i] as number)))
}

function expectEveryEcho({ numbers, failure }: Seen): void {
  expect(failure).toBe(undefined)
  expect(numbers.length).toBeGreaterThan(100)
  expect(numbers).toEqual(numbers.map((_, i) => i % 256))
}

const wifi = (sim: Simulation): HostOptions => ({ lan: sim.lan({ name: 'house', nat: 'home' }) })

describe('a phone that moves to another network', () => {
  test('from public to behind a NAT, without a relay: its packets go on from there, and so does the path', async () => {
    const { sim, phone, seen } = scene({ phone: () => ({}), relay: 'disabled' })
    const lan = sim.lan({ nat: 'cgnat', name: 'mobile' })
    sim.at('20s', () => phone.move({ lan }))
    await sim.run({ forMs: 100_000 })
    expectEveryEcho(seen)
    expect(seen.paths.map(([, kind]) => kind)).toEqual(['direct'])
    // What was under way is sent again.
    expect(silence(seen)).toBeLessThan(1_500)
    await sim.close()
  })

  test('from a home to a mobile network: over the relay at once, and then directly again', async () => {
    const { sim, phone, seen } = scene({
      phone: wifi,
      server: (s) => ({ lan: s.lan({ name: 'office', nat: 'home' }) }),
    })
    const lan = sim.lan({ nat: 'cgnat', name: 'mobile' })
    sim.at('20s', () => phone.move({ lan }))
    await sim.run({ forMs: 100_000 })
    expectEveryEcho(seen)
    expect(seen.paths.map(([, kind]) => kind)).toEqual(['relay', 'direct', 'relay', 'direct'])
    const [leftMs, backMs] = seen.paths.slice(2).map(([atMs]) => atMs)
    expect(leftMs).toBe(20_000)
    expect(backMs).toBeLessThan(23_000)
    expect(silence(seen)).toBeLessThan(2_500)
    await sim.close()
  })

  test('a server that moves while there is only a direct path is lost: clients do not follow', async () => {
    const { sim, server, seen } = scene({ phone: () => ({}), relay: 'disabled', seconds: 120 })
    sim.at('20s', () => server.move({}))
    await sim.run({ forMs: 200_000 })
    expect(P2PError.is(seen.failure) && seen.failure.code).toBe('connection-closed')
    expect(String(seen.failure)).toContain('no sign of life')
    expect(seen.atMs.at(-1)).toBeLessThan(20_200)
    await sim.close()
  })

  test('to one that blocks UDP: over the relay, for good', async () => {
    const { sim, phone, seen } = scene({ phone: wifi })
    const lan = sim.lan({ nat: 'udp-blocked', name: 'hotel' })
    sim.at('20s', () => phone.move({ lan }))
    await sim.run({ forMs: 100_000 })
    expectEveryEcho(seen)
    expect(seen.paths.at(-1)?.[1]).toBe('relay')
    await sim.close()
  })

  test('while the relay dies: it stands still until one of them is back, and loses nothing', async () => {
    for (let seed = 1; seed <= 8; seed++) {
      const { sim, phone, relay, seen } = scene({
        seed,
        phone: wifi,
        server: (s) => ({ lan: s.lan({ name: 'office', nat: 'symmetric' }) }),
      })
      const mobile = sim.lan({ nat: 'cgnat', name: 'mobile' })
      const flat = sim.lan({ nat: 'home', behind: mobile, name: 'flat' })
      sim.at('19s', () => relay.kill())
      sim.at('20s', () => phone.move({ lan: flat }))
      sim.at('24s', () => relay.start())
      await sim.run({ forMs: 120_000 })
      expectEveryEcho(seen)
      expect(silence(seen)).toBeLessThan(15_000)
      await sim.close()
    }
  })

  test('and so may the server', async () => {
    const { sim, server, seen } = scene({
      phone: wifi,
      server: (s) => ({ lan: s.lan({ name: 'office', nat: 'home' }) }),
    })
    const lan = sim.lan({ nat: 'home', name: 'elsewhere' })
    sim.at('20s', () => server.move({ lan }))
    await sim.run({ forMs: 100_000 })
    expectEveryEcho(seen)
    expect(seen.paths.at(-1)?.[1]).toBe('direct')
    expect(silence(seen)).toBeLessThan(5_000)
    await sim.close()
  })

  test('a moved node is found by its id at its new place', async () => {
    const sim = new Simulation({ seed: 1, config: PERFECT })
    const office = sim.lan({ name: 'office' })
    const server = sim.host('server', async () => {
      const p2p = await SimulatorP2P.create()
      for await (const connection of await p2p.listen()) void echo(connection)
    })
    const echoes: number[] = []
    sim.host('client', async ({ runtime }) => {
      const p2p = await SimulatorP2P.create()
      for (const atMs of [1_000, 60_000]) {
        await runtime.sleep(atMs - sim.now)
        const connection = await p2p.connect(server.id)
        await connection.send(Uint8Array.of(5))
        echoes.push((await connection.recv())[0] ?? -1)
        await connection.end()
      }
    })
    sim.at('10s', () => server.move({ lan: office }))
    await sim.run({ forMs: 100_000 })
    expect(echoes).toEqual([5, 5])
    await sim.close()
  })
})

describe('a host that is away for a while', () => {
  const outages: [string, (host: SimHost) => () => void][] = [
    ['asleep', (host) => host.pause()],
    [
      'with its interface down',
      (host) => {
        host.network.isUp = false
        return () => {
          host.network.isUp = true
        }
      },
    ],
  ]

  test.each(outages)('%s for 10 s keeps its connections', async (_name, leave) => {
    for (const who of ['phone', 'server'] as const) {
      const all = scene({ phone: wifi, server: (s) => ({ lan: s.lan({ name: 'office', nat: 'home' }) }) })
      let comeBack = (): void => {}
      all.sim.at('20s', () => void (comeBack = leave(all[who])))
      all.sim.at('30s', () => comeBack())
      await all.sim.run({ forMs: 120_000 })
      expectEveryEcho(all.seen)
      expect(silence(all.seen)).toBeGreaterThan(9_000)
      // The next probe is at most five seconds away.
      expect(silence(all.seen)).toBeLessThan(17_000)
      await all.sim.close()
    }
  })

  test.each(outages)('%s for 45 s loses them, and is told', async (_name, leave) => {
    const all = scene({ phone: wifi, seconds: 120 })
    let comeBack = (): void => {}
    all.sim.at('20s', () => void (comeBack = leave(all.server)))
    all.sim.at('65s', () => comeBack())
    await all.sim.run({ forMs: 200_000 })
    expect(P2PError.is(all.seen.failure, 'connection-closed')).toBe(true)
    await all.sim.close()
  })
})

describe('a connection with nothing to say', () => {
  test.each([
    ['direct', 'home', 'home'],
    ['relay', 'symmetric', 'symmetric'],
  ] as const)('that is %s costs little more than its keep-alives', async (kind, a, b) => {
    const sim = new Simulation({ seed: 1, config: PERFECT })
    const relay = sim.relay('relay')
    const options = { relay: [relay.url] }
    sim.host('server', { lan: sim.lan({ nat: a }) }, async () => {
      const p2p = await SimulatorP2P.create(options)
      await (await p2p.listen()).accept()
      await new Promise(() => {})
    })
    const kinds: string[] = []
    sim.host('client', { lan: sim.lan({ nat: b }) }, async ({ runtime }) => {
      const p2p = await SimulatorP2P.create(options)
      await runtime.sleep(1_000)
      const connection = await p2p.connect(testNodeId('server'))
      await runtime.sleep(100_000)
      kinds.push(selected(connection))
      await new Promise(() => {})
    })
    const { events: before } = await sim.run({ forMs: 120_000 })
    const { events: after } = await sim.run({ forMs: 600_000 })
    expect(kinds).toEqual([kind])
    // Both sides ping each path each 5 s and acknowledge: 24 to 48 packets a minute over up to four links; the relay's own
    // pings, and where it is relayed one round of probes a minute.
    const perMinute = (after - before) / 10
    expect(perMinute).toBeLessThan(900)
    await sim.close()
  })
})
