import { describe, expect, test } from 'vitest'
import { parseSimulatorConfig } from '../../../src/core/config.ts'
import { NetworkKind, RandomPartitions, Topology } from '../../../src/simulator/network/index.ts'
import { Simulation } from '../../../src/simulator/simulation.ts'
import { TestKernel } from '../support/test-kernel.ts'
import { failure } from './support.ts'

interface Observed {
  readonly starts: number[]
  readonly lengths: number[]
  readonly open: number
}

/** Partitions of a minute between four hosts. */
function observe(seed: string, probability: number, hosts = 4): Observed {
  const kernel = new TestKernel({ seed, keepRecords: true })
  const topology = new Topology(kernel)
  for (let i = 0; i < hosts; i++) topology.host(`host-${i}`)
  const partitions = new RandomPartitions(kernel, topology.fabric.graph, { probability, stepMs: 10, maxSteps: 100 })
  kernel.runFor(60_000_000)
  partitions.stop()
  kernel.run()
  const starts = new Map<number, number>()
  const lengths: number[] = []
  for (const { kind, a, atUs } of kernel.audit.records) {
    if (kind === NetworkKind.partition) starts.set(a, atUs)
    if (kind === NetworkKind.heal) lengths.push(atUs - (starts.get(a) ?? 0))
  }
  return { starts: [...starts.values()], lengths, open: topology.fabric.graph.partitions().length }
}

describe('random partitions', () => {
  test('start as often as they should, at steps, last 1 to maxSteps of them, and all heal', () => {
    const { starts, lengths, open } = observe('seed', 0.05)
    // 6000 steps: 300 expected, five standard deviations of 17.
    expect(starts.length).toBeGreaterThan(215)
    expect(starts.length).toBeLessThan(385)
    expect(starts.every((at) => at % 10_000 === 0)).toBe(true)
    expect(lengths).toHaveLength(starts.length)
    expect(lengths.every((length) => length >= 10_000 && length <= 1_000_000 && length % 10_000 === 0)).toBe(true)
    expect(new Set(lengths).size).toBeGreaterThan(50)
    expect(open).toBe(0)
  })

  test('are the same for the same seed', () => {
    expect(observe('a', 0.02)).toEqual(observe('a', 0.02))
    expect(observe('a', 0.02)).not.toEqual(observe('b', 0.02))
  })

  test('cut somebody off from somebody, both ways or one, even two hosts', () => {
    const kernel = new TestKernel()
    const topology = new Topology(kernel)
    const [a, b] = [topology.host('a').node, topology.host('b').node]
    const { graph } = topology.fabric
    const partitions = new RandomPartitions(kernel, graph, { probability: 1, stepMs: 1, maxSteps: 1 })
    const seen = new Set<string>()
    for (let i = 0; i < 200; i++) {
      kernel.runFor(1000)
      for (const partition of graph.partitions()) {
        seen.add(`${partition.direction} ${partition.blocks(a, b)} ${partition.blocks(b, a)}`)
      }
    }
    expect(partitions.started).toBe(200)
    expect([...seen].toSorted()).toEqual(['a-to-b false true', 'a-to-b true false', 'both true true'])
  })

  test('keep the interfaces of a host together', async () => {
    await using sim = new Simulation({ seed: 1, config: { partitionProbability: 0.1 } })
    for (const name of ['a', 'b', 'c']) sim.host(name).addInterface('4g')
    const { graph } = sim.topology.fabric
    const apart = new Set<string>()
    for (let at = 10; at < 5_000; at += 10) {
      sim.at(at, () => {
        for (const { groupA, groupB = [] } of graph.partitions()) {
          apart.add(groupA.join(' '))
          for (const name of ['a', 'b', 'c']) expect(groupA.includes(name)).toBe(groupA.includes(`${name}/4g`))
          expect(groupA.length + groupB.length).toBe(6)
        }
      })
    }
    await sim.run({ forMs: 5_000 })
    expect(apart.size).toBeGreaterThan(5)
  })

  test('need two hosts, and sensible numbers', () => {
    expect(observe('seed', 0.5, 1).starts).toEqual([])
    const make = (options: object) => () =>
      new RandomPartitions(new TestKernel(), new Topology(new TestKernel()).fabric.graph, {
        probability: 0.1,
        ...options,
      })
    expect(failure(make({ probability: Number.NaN }))).toBe('invalid-configuration: probability')
    expect(failure(make({ probability: 0 }))).toBe('invalid-configuration: probability')
    expect(failure(make({ stepMs: 0 }))).toBe('invalid-configuration: stepMs')
    expect(failure(make({ maxSteps: 1.5 }))).toBe('invalid-configuration: maxSteps')
  })

  test('SIMULATOR_PARTITION_PROBABILITY switches them on, in steps of SIMULATOR_STEP_SIZE_MS', async () => {
    const partitions = async (env: Record<string, string>): Promise<number> => {
      let count = 0
      await using sim = new Simulation({
        seed: 3,
        config: parseSimulatorConfig(env),
        observer: (_time, kind) => {
          if (kind === NetworkKind.partition) count++
        },
      })
      for (const name of ['a', 'b', 'c']) sim.host(name, ({ runtime }) => runtime.sleep(60_000))
      expect((await sim.run()).ended).toBe('programs')
      return count
    }
    expect(await partitions({})).toBe(0)
    const every = await partitions({ SIMULATOR_PARTITION_PROBABILITY: '0.1', SIMULATOR_STEP_SIZE_MS: '100' })
    expect(every).toBeGreaterThan(30)
    expect(every).toBeLessThan(95)
  })
})
