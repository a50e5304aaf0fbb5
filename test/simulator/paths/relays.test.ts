import { describe, expect, test } from 'vitest'
import { testNodeId } from '../../../src/core/keys.ts'
import { INTERNET, Simulation, SimulatorP2P } from '../../../src/simulator/index.ts'
import type { HostProgram, RelayHost } from '../../../src/simulator/index.ts'
import { PERFECT } from './homes.ts'

/** Three relays at 5, 20 and 60 ms from the core. */
function regions(seed = 1): { sim: Simulation; relays: RelayHost[]; urls: string[] } {
  const sim = new Simulation({ seed, config: PERFECT })
  const relays = [60, 5, 20].map((latencyMs, i) => sim.relay(['us', 'eu', 'uk'][i] as string, { link: { latencyMs } }))
  return { sim, relays, urls: relays.map(({ url }) => url) }
}

const server =
  (relay: readonly string[]): HostProgram =>
  async () => {
    const p2p = await SimulatorP2P.create({ relay })
    for await (const connection of await p2p.listen()) {
      void (async (): Promise<void> => {
        for await (const message of connection) await connection.send(message)
      })()
    }
  }

describe('of several relays', () => {
  test('the nearest becomes home, and whoever knows the id finds the node there', async () => {
    const { sim, relays, urls } = regions()
    const [, eu] = relays
    sim.host('server', { lan: sim.lan({ nat: 'symmetric' }) }, server(urls))
    const seen: unknown[] = []
    sim.host('client', { lan: sim.lan({ nat: 'symmetric' }) }, async ({ runtime }) => {
      const p2p = await SimulatorP2P.create({ relay: urls })
      expect(p2p.address().relays).toEqual([])
      await runtime.sleep(3_000)
      seen.push(p2p.address().relays)
      const connection = await p2p.connect(testNodeId('server'))
      seen.push(connection.paths().map(({ remote }) => remote))
    })
    await sim.run({ forMs: 20_000 })
    expect(seen).toEqual([[eu?.url], [eu?.url]])
    expect(relays.map(({ relay }) => relay?.clients)).toEqual([0, 2, 0])
    await sim.close()
  })

  test('another one takes its place when it dies, and later look-ups find the node there', async () => {
    const { sim, relays, urls } = regions()
    const [, eu, uk] = relays
    sim.host('server', { lan: sim.lan({ nat: 'symmetric' }) }, server(urls))
    const homes: [number, string | undefined][] = []
    const found: unknown[] = []
    sim.host('client', { lan: sim.lan({ nat: 'symmetric' }) }, async ({ runtime }) => {
      const p2p = await SimulatorP2P.create({ relay: urls })
      for (let second = 0; second < 100; second++) {
        await runtime.sleep(1_000)
        const home = p2p.address().relays[0]
        if (homes.at(-1)?.[1] !== home) homes.push([second + 1, home])
      }
      const connection = await p2p.connect(testNodeId('server'))
      await connection.send(Uint8Array.of(7))
      found.push(
        (await connection.recv())[0],
        connection.paths().map(({ remote }) => remote),
      )
    })
    sim.at('10s', () => eu?.host.crash())
    await sim.run({ forMs: 140_000 })
    expect(homes.map(([, url]) => url)).toEqual([eu?.url, uk?.url])
    // A silent relay is noticed by its missing pong, up to 20 s later, and the next check is 20 to 26 s after that.
    const atSecond = homes[1]?.[0] ?? 0
    expect(atSecond).toBeGreaterThan(30)
    expect(atSecond).toBeLessThan(60)
    expect(found).toEqual([7, [uk?.url]])
    await sim.close()
  })

  test.each([
    [100, false],
    [200, true],
  ])('one that has become %i ms away is left only when another is a third nearer: %s', async (latencyMs, moves) => {
    const sim = new Simulation({ seed: 1, config: PERFECT })
    const near = sim.relay('near', { link: { latencyMs: 30 } })
    const other = sim.relay('other', { link: { latencyMs: 80 } })
    const seen: (string | undefined)[] = []
    sim.host('node', { link: { latencyMs: 1 } }, async ({ runtime }) => {
      const p2p = await SimulatorP2P.create({ relay: [other.url, near.url] })
      await runtime.sleep(10_000)
      seen.push(p2p.address().relays[0])
      await runtime.sleep(400_000)
      seen.push(p2p.address().relays[0])
    })
    sim.at('20s', () => sim.topology.fabric.graph.updateLink('near', INTERNET, { latencyMs: 2 * latencyMs - 30 }))
    await sim.run({ forMs: 500_000 })
    expect(seen).toEqual([near.url, moves ? other.url : near.url])
    await sim.close()
  })

  test('with nobody reachable a node goes on, and finds one later', async () => {
    const { sim, relays, urls } = regions()
    for (const relay of relays) relay.host.network.isUp = false
    const seen: unknown[] = []
    sim.host('node', async ({ runtime }) => {
      const p2p = await SimulatorP2P.create({ relay: urls })
      await runtime.sleep(60_000)
      seen.push(p2p.address().relays)
      await runtime.sleep(60_000)
      seen.push(p2p.address().relays)
    })
    sim.at('61s', () => {
      for (const relay of relays) relay.host.network.isUp = true
    })
    await sim.run({ forMs: 130_000 })
    expect(seen).toEqual([[], [relays[1]?.url]])
    await sim.close()
  })

  test('that are none, a node is told at once', async () => {
    const sim = new Simulation({ seed: 1, config: PERFECT })
    sim.host('node', async () => {
      await expect(SimulatorP2P.create({ relay: ['https://relay.example/'] })).rejects.toMatchObject({
        code: 'invalid-configuration',
        message: expect.stringContaining('is given by its address') as unknown,
      })
    })
    await sim.run()
    await sim.close()
  })
})

/** A client behind a NAT that nothing gets through, so that all it sends goes over `relay`. */
async function transfer(relay: RelayHost, sim: Simulation, bytes: number): Promise<number> {
  let tookMs = Number.NaN
  sim.host('server', { lan: sim.lan({ nat: 'symmetric' }) }, async () => {
    const p2p = await SimulatorP2P.create({ relay: [relay.url] })
    const connection = await (await p2p.listen()).accept()
    const upload = await connection.acceptReceiveStream()
    await upload.readToEnd(bytes)
    await connection.send(Uint8Array.of(1))
  })
  sim.host('client', { lan: sim.lan({ nat: 'symmetric' }) }, async ({ runtime }) => {
    const p2p = await SimulatorP2P.create({ relay: [relay.url] })
    await runtime.sleep(2_000)
    const connection = await p2p.connect(testNodeId('server'))
    const startMs = runtime.now()
    const upload = await connection.openSendStream()
    await upload.write(new Uint8Array(bytes))
    await upload.finish()
    await connection.recv()
    tookMs = runtime.now() - startMs
  })
  await sim.run({ forMs: 300_000 })
  return tookMs
}

describe('a relay', () => {
  test('that limits the rate is as fast as it says, and loses nothing', async () => {
    const took: number[] = []
    for (const rateLimit of [undefined, { bytesPerSecond: 100_000 }]) {
      const sim = new Simulation({ seed: 1, config: PERFECT })
      took.push(await transfer(sim.relay('relay', { rateLimit }), sim, 1_000_000))
      await sim.close()
    }
    const [free = 0, limited = 0] = took
    expect(free).toBeLessThan(3_000)
    // 1,000,000 bytes and what carries them.
    expect(limited).toBeGreaterThan(9_500)
    expect(limited).toBeLessThan(13_500)
  })

  test('that denies a node keeps it out, however often it asks', async () => {
    const sim = new Simulation({ seed: 1, config: PERFECT })
    const relay = sim.relay('members', { allow: (id) => id.equals(testNodeId('member')) })
    const create: HostProgram = async ({ runtime }) => {
      await SimulatorP2P.create({ relay: [relay.url] })
      await runtime.sleep(60_000)
    }
    sim.host('member', create)
    sim.host('stranger', create)
    sim.at('50s', () => {
      expect(relay.relay?.isAttached(testNodeId('member'))).toBe(true)
      expect(relay.relay?.isAttached(testNodeId('stranger'))).toBe(false)
    })
    await sim.run()
    await sim.close()
  })

  test('costs an attached node that is idle no more than a ping in 15 s and a question in 25', async () => {
    const sim = new Simulation({ seed: 1, config: PERFECT })
    const relay = sim.relay('relay')
    const events = async (): Promise<number> => (await sim.run({ forMs: 600_000 })).events
    const nodes = 20
    for (let i = 0; i < nodes; i++) {
      sim.host(`node-${i}`, { lan: sim.lan() }, async () => {
        await SimulatorP2P.create({ relay: [relay.url] })
        await new Promise(() => {})
      })
    }
    const before = await events()
    const perMinute = ((await events()) - before) / nodes / 10
    // 4 pings and answers of two packets and their acknowledgements, 2.4 questions and answers, over two or three links.
    expect(perMinute).toBeLessThan(100)
    expect(relay.relay?.clients).toBe(nodes)
    await sim.close()
  })

  test('sends to the newer of two connections of one id, and to the older one when that is gone', async () => {
    const sim = new Simulation({ seed: 1, config: PERFECT })
    const relay = sim.relay('relay')
    const node = sim.host('node', async ({ runtime }) => {
      await SimulatorP2P.create({ relay: [relay.url] })
      await runtime.sleep(100_000)
    })
    sim.at('5s', () => {
      node.crash()
      node.restart()
    })
    const clients: (number | undefined)[] = []
    for (const at of [4, 7, 60]) sim.at(`${at}s`, () => void clients.push(relay.relay?.clients))
    await sim.run({ forMs: 90_000 })
    expect(clients).toEqual([1, 1, 1])
    expect(relay.relay?.snapshot().attachments.length).toBe(1)
    await sim.close()
  })
})
