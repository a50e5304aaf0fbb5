import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { parseSimulatorConfig } from '../../src/core/config.ts'
import { testNodeId, testSigningKey } from '../../src/core/keys.ts'
import { DefaultP2P } from '../../src/default-p2p.ts'
import { P2PResponse, P2PRouter } from '../../src/router/index.ts'
import { natPresets, Simulation, SimulatorP2P } from '../../src/simulator/index.ts'
import type {
  HostProgram,
  NatPreset,
  NatPresetName,
  SimulationOptions,
  SimulatorCreateOptions,
} from '../../src/simulator/index.ts'

const PERFECT = parseSimulatorConfig({ SIMULATOR_DEFAULT_PACKET_LOSS: '0' })

/** A program that answers every message with itself, for as long as it has power. */
const echo: HostProgram = async () => {
  const p2p = await SimulatorP2P.create()
  for await (const connection of await p2p.listen()) {
    void (async (): Promise<void> => {
      for await (const message of connection) await connection.send(message)
    })()
  }
}

async function run(
  programs: Readonly<Record<string, HostProgram>>,
  options: SimulationOptions = {},
  forMs = 120_000,
): Promise<string> {
  await using sim = new Simulation({ seed: 1, config: PERFECT, ...options })
  for (const [name, program] of Object.entries(programs)) sim.host(name, program)
  const { hash } = await sim.run({ forMs })
  return hash
}

describe('options', () => {
  test.each([
    [{ relays: 'disabled' }, 'relays', /SimulatorP2P\.create has no option "relays"; known are .*relay, bind, host/],
    [{ bind: ['localhost'] }, 'bind', /must be ip:port/],
  ])('that make no sense are refused: %j', async (options: object, setting, message) => {
    const host: HostProgram = async () => {
      await expect(SimulatorP2P.create(options as SimulatorCreateOptions)).rejects.toMatchObject({
        code: 'invalid-configuration',
        setting,
        message: expect.stringMatching(message) as unknown,
      })
      await using p2p = await SimulatorP2P.create({ bind: ['127.0.0.1:0'] })
      expect(p2p.backend).toBe('simulator')
    }
    await run({ host })
  })
})

test('a slow host answers later, also after it has moved', async () => {
  const roundTrips: number[] = []
  await using sim = new Simulation({ seed: 1, config: PERFECT })
  const slow = sim.host('slow', { processingMs: 30 }, echo)
  sim.host('client', async ({ runtime }) => {
    await using p2p = await SimulatorP2P.create()
    const connection = await p2p.connect(slow.id)
    const measure = async (): Promise<void> => {
      const before = runtime.now()
      await connection.send(Uint8Array.of(1))
      await connection.recv()
      roundTrips.push(runtime.now() - before)
    }
    for (let i = 0; i < 3; i++) await measure()
    slow.move({})
    await runtime.sleep(10_000)
    for (let i = 0; i < 3; i++) await measure()
  })
  await sim.run({ forMs: 120_000 })
  for (const last of [2, 5]) {
    // 30 ms after a packet; a little less when it was at another one already, as the two are answered together.
    expect(roundTrips[last]).toBeGreaterThan(125)
    expect(roundTrips[last]).toBeLessThan(131)
  }
})

test('a stream that is abandoned right behind its bytes does not look as if it were whole', async () => {
  const codes: unknown[] = []
  await run({
    server: async () => {
      const p2p = await SimulatorP2P.create()
      const connection = await (await p2p.listen()).accept()
      const stream = await connection.acceptStream()
      await stream.readExactly(10)
      await stream.readToEnd(1000).catch((error: unknown) => codes.push(error))
    },
    client: async ({ runtime }) => {
      const p2p = await SimulatorP2P.create()
      await runtime.sleep(1000)
      const stream = await (await p2p.connect(testNodeId('server'))).openStream()
      await stream.write(new Uint8Array(10))
      await runtime.sleep(500)
      await stream.write(new Uint8Array(100))
      await runtime.sleep(0.02)
      stream.reset(7)
    },
  })
  expect(codes).toMatchObject([{ code: 'stream-reset', streamCode: 7 }])
})

test('nodes and connections are short to look at', async () => {
  await run({
    server: echo,
    client: async ({ runtime }) => {
      await runtime.sleep(1)
      await using p2p = await SimulatorP2P.create()
      expect(inspect(p2p)).toBe(`SimulatorP2P(simulator, ${testNodeId('client').toString()})`)
      const connection = await p2p.connect(testNodeId('server'))
      const remote = testNodeId('server').fmtShort()
      expect(inspect(connection)).toBe(`SimulatorConnection(to ${remote}, moosicbox/p2p/1, open)`)
      connection.close()
      expect(inspect(connection)).toBe(`SimulatorConnection(to ${remote}, moosicbox/p2p/1, closed)`)
    },
  })
})

describe('a node created by a host', () => {
  test('runs on it, with its id and runtime, after any number of awaits', async () => {
    await run({
      alice: async (host) => {
        await host.runtime.sleep(3)
        await Promise.resolve()
        const p2p = await SimulatorP2P.create()
        expect(p2p.host).toBe(host)
        expect(p2p.localNodeId().equals(testNodeId('alice'))).toBe(true)
        expect(p2p.runtime).toBe(host.runtime)
        expect(p2p.backend).toBe('simulator')
        await p2p.close()
        await p2p.close()
      },
      bob: async (host) => {
        await host.runtime.sleep(3)
        await using p2p = await SimulatorP2P.create()
        expect(p2p.host).toBe(host)
      },
    })
  })

  test('exchanges messages with another, found by its id', async () => {
    const received: number[] = []
    await run({
      server: echo,
      client: async ({ runtime }) => {
        await runtime.sleep(1)
        await using p2p = await SimulatorP2P.create()
        const connection = await p2p.connect(testNodeId('server'))
        for (const size of [0, 1, 100_000]) {
          await connection.send(new Uint8Array(size).fill(7))
          const answer = await connection.recv()
          expect(answer.every((byte) => byte === 7)).toBe(true)
          received.push(answer.length)
        }
        await connection.end()
      },
    })
    expect(received).toEqual([0, 1, 100_000])
  })

  test('takes part in the same history every time, and in another with another seed', async () => {
    const programs: Record<string, HostProgram> = {
      server: echo,
      client: async ({ runtime }) => {
        await runtime.sleep(1)
        await using p2p = await SimulatorP2P.create()
        await using connection = await p2p.connect(testNodeId('server'))
        for (let i = 0; i < 20; i++) {
          await connection.send(runtime.randomBytes(1 + Math.floor(runtime.random() * 20_000)))
          await connection.recv()
        }
      },
    }
    const config = parseSimulatorConfig({})
    const first = await run(programs, { config })
    expect(await run(programs, { config })).toBe(first)
    expect(await run(programs, { config, settle: 'immediates' })).toBe(first)
    expect(await run(programs, { config, seed: 2 })).not.toBe(first)
  })

  test('finds others by name, after the delay of a look-up, and not those that are unknown', async () => {
    const times: number[] = []
    await run({
      server: async ({ runtime }) => {
        const p2p = await SimulatorP2P.create()
        await runtime.sleep(50)
        await p2p.register('Home')
      },
      client: async ({ runtime }) => {
        await using p2p = await SimulatorP2P.create()
        await expect(p2p.discover('home')).rejects.toMatchObject({ code: 'node-not-found' })
        await runtime.sleep(200)
        for (let i = 0; i < 2; i++) {
          const start = runtime.now()
          expect((await p2p.discover('home')).equals(testNodeId('server'))).toBe(true)
          times.push(runtime.now() - start)
        }
        const controller = new AbortController()
        const aborted = p2p.discover('elsewhere', { signal: controller.signal })
        controller.abort()
        await expect(aborted).rejects.toMatchObject({ code: 'aborted' })
      },
    })
    expect(times).toEqual([100, 0])
  })

  test('needs no host to be named by DefaultP2P, and serves', async () => {
    let text = ''
    await run({
      server: async () => {
        const p2p = await DefaultP2P.create()
        const router = new P2PRouter().route('GET', '/hello/:name', (req) =>
          P2PResponse.text(`hello, ${req.params['name']}`),
        )
        await p2p.serve(router)
      },
      client: async ({ runtime }) => {
        await runtime.sleep(1)
        const p2p = await DefaultP2P.create()
        const answer = await p2p.request(testNodeId('server'), { method: 'GET', path: '/hello/world' })
        text = await answer.text()
        await p2p.close()
      },
    })
    expect(text).toBe('hello, world')
  })

  test('obeys the settings of the simulator', async () => {
    const config = parseSimulatorConfig({ SIMULATOR_MAX_MESSAGE_SIZE: '10', SIMULATOR_CONNECTION_TIMEOUT_SECS: '2' })
    await run(
      {
        server: echo,
        client: async ({ runtime }) => {
          await runtime.sleep(1)
          await using p2p = await SimulatorP2P.create()
          const connection = await p2p.connect(testNodeId('server'))
          await expect(connection.send(new Uint8Array(11))).rejects.toMatchObject({
            code: 'message-too-large',
            max: 10,
          })
          const start = runtime.now()
          await expect(p2p.connect((await p2p.discover('gone')).toString())).rejects.toMatchObject({
            code: 'no-route',
            cause: { code: 'timeout', afterMs: 2000 },
          })
          expect(runtime.now() - start).toBeCloseTo(2000, -3)
        },
        gone: async () => {
          const p2p = await SimulatorP2P.create()
          await p2p.register('gone')
          p2p.host.crash()
        },
      },
      { config },
    )
  })
})

describe('connecting in vain', () => {
  test('tells why: nobody of that id, nobody listening, nobody there any more, itself', async () => {
    const codes: unknown[] = []
    await run({
      deaf: async () => void (await SimulatorP2P.create()),
      closed: async () => {
        const p2p = await SimulatorP2P.create()
        await p2p.listen()
        await p2p.close()
      },
      client: async ({ runtime }) => {
        await runtime.sleep(5000)
        await using p2p = await SimulatorP2P.create()
        for (const name of ['nobody', 'deaf', 'closed', 'client']) {
          await p2p.connect(testNodeId(name)).catch((error: { code: string }) => codes.push(error.code))
        }
      },
    })
    expect(codes).toEqual(['no-route', 'refused', 'no-route', 'self-connect'])
  })
})

describe('behind NATs', () => {
  /** How a client reaches a server in the end: over a direct path, over the relay, or not at all. */
  async function pathBetween(serverNat: NatPresetName, clientNat: NatPresetName, portMapping = false): Promise<string> {
    await using sim = new Simulation({ seed: 1, config: PERFECT })
    const lan = sim.lan({ nat: serverNat, prefix: '192.168.1.0/24' })
    sim.host('server', { lan, portMapping }, echo)
    let path = 'none'
    // Both LANs have the same private addresses, as homes do.
    sim.host('client', { lan: sim.lan({ nat: clientNat, prefix: '192.168.1.0/24' }) }, async ({ runtime }) => {
      await runtime.sleep(1)
      await using p2p = await SimulatorP2P.create()
      const connection = await p2p.connect(testNodeId('server')).catch(() => undefined)
      if (!connection) return
      await connection.send(Uint8Array.of(1))
      await connection.recv()
      await runtime.sleep(10_000)
      path = connection.stats().path
      await connection.end()
    })
    await sim.run({ forMs: 60_000 })
    return path
  }

  /** Whether a packet from behind `from` gets in behind `to`, once both have sent to each other (RFC 4787). */
  function admits(from: NatPreset, to: NatPreset): boolean {
    const independent = 'endpoint-independent'
    return to.mapping === independent && (to.filtering !== 'address-and-port-dependent' || from.mapping === independent)
  }

  const open = natPresets.filter(({ blocksUdp }) => blocksUdp !== true)
  test.each(open.map((server) => [server.name, server] as const))(
    'a server behind %s is reached directly where a hole can be punched, else over the relay',
    async (_name, server) => {
      for (const client of open) {
        const expected = admits(server, client) || admits(client, server) ? 'direct' : 'relay'
        expect(`${client.name}: ${await pathBetween(server.name, client.name)}`).toBe(`${client.name}: ${expected}`)
      }
    },
  )

  test('a forwarded port makes the server reachable for everybody', async () => {
    for (const { name } of open) expect(`${name}: ${await pathBetween('home', name, true)}`).toBe(`${name}: direct`)
  })

  test('two hosts of one LAN, introduced by the relay, end up with a path within it', async () => {
    await using sim = new Simulation({ seed: 1, config: PERFECT })
    const lan = sim.lan({ nat: 'symmetric' })
    sim.host('server', { lan }, echo)
    const seen: string[] = []
    sim.host('client', { lan }, async ({ runtime }) => {
      await runtime.sleep(1)
      await using p2p = await SimulatorP2P.create()
      const connection = await p2p.connect(testNodeId('server'))
      await runtime.sleep(10_000)
      const { kind, remote } = connection.paths().find(({ selected }) => selected) ?? { kind: 'none', remote: '' }
      seen.push(kind, remote.split(':')[0] ?? '')
    })
    await sim.run({ forMs: 60_000 })
    expect(seen).toEqual(['direct', sim.hosts[0]?.network.ip.toString()])
  })

  test('where UDP is blocked the relay is the way', async () => {
    expect(await pathBetween('home', 'udp-blocked')).toBe('relay')
    expect(await pathBetween('udp-blocked', 'udp-blocked')).toBe('relay')
  })

  test('a relay of its own is used by who is told to, and no relay means no way in', async () => {
    const reach = async (relay: 'own' | 'disabled'): Promise<string> => {
      await using sim = new Simulation({ seed: 1, config: PERFECT })
      const own = sim.relay('eu')
      const options = { relay: relay === 'own' ? [own.url] : relay } as const
      const found: string[] = []
      sim.host('server', { lan: sim.lan({ nat: 'symmetric' }) }, async () => {
        const p2p = await SimulatorP2P.create(options)
        found.push(...p2p.address().relays)
        await p2p.listen()
      })
      sim.host('client', { lan: sim.lan({ nat: 'symmetric', prefix: '10.0.0.0/24' }) }, async ({ runtime }) => {
        await runtime.sleep(1)
        await using p2p = await SimulatorP2P.create(options)
        const connection = await p2p.connect(testNodeId('server')).catch(() => undefined)
        found.push(connection?.paths().find(({ selected }) => selected)?.remote ?? 'no way')
      })
      await sim.run({ forMs: 60_000 })
      return found.map((url) => url.replace(own.url, 'eu')).join(' ')
    }
    expect(await reach('own')).toBe('eu eu')
    expect(await reach('disabled')).toBe('no way')
  })

  test('a connection over a relay survives its outage', async () => {
    await using sim = new Simulation({ seed: 1, config: PERFECT })
    sim.host('server', { lan: sim.lan({ nat: 'symmetric' }) }, echo)
    const answers: number[] = []
    sim.host('client', { lan: sim.lan({ nat: 'symmetric', prefix: '10.0.0.0/24' }) }, async ({ runtime }) => {
      await runtime.sleep(1)
      await using p2p = await SimulatorP2P.create()
      const connection = await p2p.connect(testNodeId('server'))
      for (let i = 0; i < 6; i++) {
        await connection.send(Uint8Array.of(i))
        answers.push((await connection.recv())[0] ?? -1)
        await runtime.sleep(1000)
      }
    })
    sim.at('3s', () => sim.defaultRelay.host.crash())
    sim.at('5s', () => sim.defaultRelay.host.restart())
    await sim.run({ forMs: 120_000 })
    expect(answers).toEqual([0, 1, 2, 3, 4, 5])
  })

  test('two servers in one home have two ports', async () => {
    await using sim = new Simulation({ seed: 1, config: PERFECT })
    const home = sim.lan({ nat: 'home' })
    const tickets: string[][] = []
    for (const name of ['a', 'b']) {
      sim.host(name, { lan: home, portMapping: true }, async () => {
        const p2p = await SimulatorP2P.create()
        tickets.push([...p2p.address().direct])
      })
    }
    await sim.run()
    expect(new Set(tickets.flat()).size).toBe(4)
  })

  test('a host that moves is found at its new place', async () => {
    await using sim = new Simulation({ seed: 1, config: PERFECT })
    const server = sim.host('server', { lan: sim.lan({ nat: 'home' }), portMapping: true }, echo)
    const elsewhere = sim.lan({ nat: 'full-cone' })
    const seen: string[] = []
    sim.at(1000, () => server.move({ lan: elsewhere, portMapping: true }))
    sim.host('client', async ({ runtime }) => {
      await runtime.sleep(2000)
      await using p2p = await SimulatorP2P.create()
      const connection = await p2p.connect(testNodeId('server'))
      seen.push(connection.paths()[0]?.remote ?? '')
      await connection.end()
    })
    expect((await sim.run({ forMs: 60_000 })).ended).toBe('time')
    expect(seen[0]?.split(':')[0]).toBe(elsewhere.nat?.outsideIp.toString())
  })

  test('a node whose host has crashed since announces nothing when the host moves', async () => {
    await using sim = new Simulation({ seed: 1, config: PERFECT })
    let starts = 0
    const server = sim.host('server', { lan: sim.lan({ nat: 'home' }), portMapping: true }, async () => {
      // It comes back without its node.
      if (++starts === 1) await SimulatorP2P.create({ relay: 'disabled' })
    })
    const elsewhere = sim.lan({ nat: 'full-cone' })
    sim.at(1000, () => server.crash())
    sim.at(2000, () => server.restart())
    sim.at(3000, () => server.move({ lan: elsewhere, portMapping: true }))
    let known: readonly string[] = []
    sim.host('client', async ({ runtime }) => {
      await runtime.sleep(4000)
      await using p2p = await SimulatorP2P.create()
      const { address } = await p2p.lookUp(testNodeId('server'))
      known = address?.direct ?? []
    })
    await sim.run({ forMs: 60_000 })
    expect(starts).toBe(2)
    expect(known.join(' ')).not.toContain(elsewhere.nat?.outsideIp.toString())
  })
})

describe('one id', () => {
  test('is one live node: a second is refused until the first is closed', async () => {
    await run({
      alice: async () => {
        const first = await SimulatorP2P.create()
        await expect(SimulatorP2P.create()).rejects.toThrow(/a node of this id is alive already/)
        await using other = await SimulatorP2P.create({ secretKey: testSigningKey('other') })
        expect(other.localNodeId().equals(testNodeId('other'))).toBe(true)
        await first.close()
        await using second = await SimulatorP2P.create()
        await first.close()
        await expect(SimulatorP2P.create()).rejects.toThrow(/alive already/)
        expect(second.localNodeId().equals(testNodeId('alice'))).toBe(true)
      },
    })
  })
})

describe('a crash', () => {
  test('tells nobody; a restarted host is reached under the same id', async () => {
    await using sim = new Simulation({ seed: 1, config: PERFECT })
    sim.host('server', echo)
    const log: string[] = []
    sim.host('client', async ({ runtime }) => {
      await runtime.sleep(1)
      await using p2p = await SimulatorP2P.create({ limits: { idleTimeoutMs: 4000 } })
      const connection = await p2p.connect(testNodeId('server'))
      await connection.send(Uint8Array.of(1))
      await connection.recv()
      const { by } = await connection.closed
      log.push(`closed by ${by} after ${Math.round(runtime.now() / 1000)} s`)
      await runtime.sleep(20_000)
      const again = await p2p.connect(testNodeId('server'))
      await again.send(Uint8Array.of(2))
      log.push(`again: ${(await again.recv())[0]}`)
      await again.end()
    })
    sim.at('10s', () => sim.crash('server'))
    sim.at('20s', () => sim.restart('server'))
    await sim.run({ forMs: 60_000 })
    expect(log).toEqual(['closed by transport after 15 s', 'again: 2'])
  })
})

describe('a crashed host', () => {
  test('hears nothing any more: not even that its connections are over', async () => {
    await using sim = new Simulation({ seed: 1, config: PERFECT })
    const log: string[] = []
    sim.host('server', async () => {
      const p2p = await SimulatorP2P.create()
      const connection = await (await p2p.listen()).accept()
      void connection.closed.then(() => log.push('server'))
      await connection.recv().finally(() => log.push('server received'))
    })
    sim.host('client', async ({ runtime }) => {
      await runtime.sleep(1)
      const p2p = await SimulatorP2P.create()
      const connection = await p2p.connect(testNodeId('server'))
      void connection.closed.then(() => log.push('client'))
    })
    sim.at('2s', () => sim.crash('server'))
    await sim.run({ forMs: 100_000 })
    await sim.run({ forMs: 100_000 })
    expect(log).toEqual(['client'])
  })
})

describe('a run without a limit', () => {
  test('ends when nodes that keep themselves alive have nothing left to say', async () => {
    await using sim = new Simulation({ seed: 1, config: PERFECT })
    sim.host('server', echo)
    sim.host('client', async ({ runtime }) => {
      await runtime.sleep(1)
      const p2p = await SimulatorP2P.create()
      const connection = await p2p.connect(testNodeId('server'))
      await runtime.sleep(3_600_000)
      await connection.recv()
    })
    const first = await sim.run()
    expect(first).toMatchObject({ ended: 'idle', waiting: ['server', 'client'] })
    expect(first.virtualMs).toBeGreaterThan(4_200_000)
    expect(first.virtualMs).toBeLessThan(4_300_000)
    // Asked for time, it passes, however quiet it is.
    expect(await sim.run({ forMs: 1_000_000 })).toMatchObject({ ended: 'time', virtualMs: first.virtualMs + 1_000_000 })
  })
})

describe('code that belongs to no host', () => {
  test('has to say which host a node is for', async () => {
    await using sim = new Simulation({ seed: 1 })
    const host = sim.host('alice')
    let node: SimulatorP2P | undefined
    sim.at(1, async () => {
      await expect(SimulatorP2P.create()).rejects.toThrow(/cannot be told which host the node is for: .* pass `host`/)
      node = await SimulatorP2P.create({ host })
    })
    await sim.run({ forMs: 5 })
    expect(node?.host).toBe(host)
  })

  test('is told when it has left its simulation by waiting for something real', async () => {
    await using sim = new Simulation({ seed: 1, leaks: 'off' })
    let error: unknown
    sim.host('alice', ({ runtime }) => {
      setTimeout(() => {
        SimulatorP2P.create().catch((reason: unknown) => {
          error = reason
        })
      }, 1)
      return runtime.bridge('waiting', () => new Promise((resolve) => setTimeout(resolve, 20)))
    })
    await sim.run()
    expect(String(error)).toMatch(/waited for something real, such as a timer/)
  })
})
