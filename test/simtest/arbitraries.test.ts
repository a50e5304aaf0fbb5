/** Arbitraries make what they say, shrink to the simplest, and drive simulations; model-based tests find bugs. */
import { assert, asyncProperty, check, commands, constantFrom, integer, property, sample } from 'fast-check'
import type { AsyncCommand } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DefaultP2P } from '../../src/index.ts'
import { resolveOptions, runScenario, scenario } from '../../src/simtest/index.ts'
import {
  buildTopology,
  fault,
  faultSchedule,
  hostName,
  link,
  message,
  nat,
  natPair,
  nodeId,
  path,
  runCommands,
  targetsOf,
  topology,
} from '../../src/simtest/arbitraries/index.ts'
import type { ModelWorld } from '../../src/simtest/arbitraries/index.ts'
import { checkFault, Simulation } from '../../src/simulator/index.ts'
import type { SimHost, SimulatorP2P } from '../../src/simulator/index.ts'

describe('arbitraries', () => {
  test('are what they say', () => {
    for (const name of sample(hostName(), 100)) expect(name).toMatch(/^[a-z]{3,10}$/)
    for (const text of sample(path(), 100)) expect(text).toMatch(/^\/[a-z/]{1,20}$/)
    for (const bytes of sample(message(), 100)) expect(bytes.length).toBeLessThan(1024)
    for (const id of sample(nodeId(), 5)) expect(id.toString()).toHaveLength(52)
    expect(sample(natPair(), 3)[0]).toHaveLength(2)
    const sim = new Simulation({ seed: 1 })
    for (const [i, options] of sample(link(), 100).entries()) {
      sim.host(`host ${i}`, { link: { up: options, down: options } })
    }
  })

  test('faults fit their topology, and shrink to none', () => {
    const shapes = topology().map((shape) => [shape, targetsOf(shape)] as const)
    assert(
      property(
        shapes.chain(([shape, targets]) => faultSchedule(targets, 10_000).map((faults) => ({ shape, faults }))),
        ({ shape, faults }) => {
          const sim = new Simulation({ seed: 1 })
          buildTopology(sim, shape, () => () => {})
          for (const one of faults) {
            checkFault(one)
            expect(one.atMs + ('forMs' in one ? (one.forMs ?? 0) : 0)).toBeLessThanOrEqual(10_000)
            sim.faults.inject(one)
          }
        },
      ),
      { numRuns: 100 },
    )
    const targets = { hosts: ['a', 'b'], lans: [], relays: [] }
    expect(check(property(faultSchedule(targets, 1000), () => false)).counterexample).toEqual([[]])
    expect(check(property(nat(), () => false)).counterexample).toEqual(['none'])
    expect(new Set(sample(fault({ ...targets, lans: ['home'] }, 1000), 1000).map(({ kind }) => kind)).size).toBe(13)
  })

  test('drive simulations: every message arrives, whatever the network', async () => {
    const shape = topology({ maxLans: 2, minHosts: 2, maxHosts: 2 }).filter(({ lans }) =>
      lans.every(({ nat }) => nat !== 'udp-blocked'),
    )
    await assert(
      asyncProperty(shape, message(), integer(), async (network, payload, seed) => {
        await using sim = new Simulation({ seed: seed >>> 0 })
        let heard: Uint8Array | undefined
        const [bob] = buildTopology(sim, network, (i) => async ({ runtime }) => {
          const p2p = await DefaultP2P.create()
          if (i === 0) {
            heard = await (await (await p2p.listen()).accept()).recv()
          } else {
            await runtime.sleep(2000)
            const connection = await p2p.connect((bob as SimHost).id)
            await connection.send(payload)
          }
        })
        await sim.run({ forMs: 60_000 })
        expect(heard).toEqual(payload)
      }),
      { numRuns: 15 },
    )
  }, 60_000)
})

// A counter on a server, which a client adds to; the broken one forgets when it restarts.
interface Counter {
  readonly server: SimHost
  readonly client: SimHost
  readonly p2p: SimulatorP2P
}
interface Model {
  sum: number
}
type Command = AsyncCommand<Model, ModelWorld<Counter>>

class Add implements Command {
  readonly amount: number
  constructor(amount: number) {
    this.amount = amount
  }
  check(): boolean {
    return true
  }
  async run(model: Model, { sim, real: { client, server, p2p } }: ModelWorld<Counter>): Promise<void> {
    const sum = await sim.act(client, async () => {
      await using connection = await p2p.connect(server.id)
      await connection.send(Uint8Array.of(this.amount))
      return (await connection.recv())[0]
    })
    model.sum += this.amount
    if (sum !== model.sum) throw new Error(`it says ${sum}, and should say ${model.sum}`)
  }
  toString(): string {
    return `add ${this.amount}`
  }
}

class Restart implements Command {
  check(model: Model): boolean {
    return model.sum < 200
  }
  async run(_model: Model, { sim, real: { server } }: ModelWorld<Counter>): Promise<void> {
    server.crash()
    server.restart()
    await sim.run({ forMs: 1000 })
  }
  toString(): string {
    return 'restart'
  }
}

function counter(steps: Iterable<Command>, isRepaired: boolean) {
  return scenario('a counter', { durationMs: 10_000_000 }, async (sim) => {
    const server = sim.host('server', async ({ disk }) => {
      const p2p = await DefaultP2P.create()
      let sum = disk.exists('sum') && isRepaired ? ((await disk.read('sum'))[0] as number) : 0
      for await (const connection of await p2p.listen()) {
        sum += (await connection.recv())[0] as number
        await disk.write('sum', Uint8Array.of(sum))
        await disk.fsync('sum')
        await connection.send(Uint8Array.of(sum))
      }
    })
    const client = sim.host('client')
    const p2p = await sim.act(client, () => DefaultP2P.create())
    await runCommands(sim, { sum: 0 }, { server, client, p2p: p2p as unknown as SimulatorP2P }, steps)
  })
}

const anyCommands = commands([integer({ min: 1, max: 5 }).map((n) => new Add(n)), constantFrom(new Restart())], {
  maxCommands: 12,
})

async function outcomeOf(steps: Iterable<Command>, isRepaired: boolean): Promise<string | undefined> {
  const what = counter(steps, isRepaired)
  return (await runScenario(what, resolveOptions(what.options, {}), 1n)).failure?.message
}

describe('a model-based test', () => {
  test('finds what breaks, and shrinks it to three commands', async () => {
    const result = await check(
      asyncProperty(anyCommands, async (steps) => (await outcomeOf(steps, false)) === undefined),
      { numRuns: 50, seed: 1 },
    )
    expect(result.failed).toBe(true)
    expect([...(result.counterexample?.[0] ?? [])].map((step) => step.toString())).toEqual([
      'add 1',
      'restart',
      'add 1',
    ])
  }, 60_000)

  test('passes what is repaired', async () => {
    await assert(
      asyncProperty(anyCommands, async (steps) => {
        expect(await outcomeOf(steps, true)).toBeUndefined()
      }),
      { numRuns: 15, seed: 1 },
    )
  }, 60_000)
})
