/** A failure is made as small as it can be: nothing is left that could go, in one element. */
import { assert, nat, property } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { arbitraryFault } from './faults.ts'
import { check, noise } from './support.ts'
import { resolveOptions, runScenario, scenario } from '../../src/simtest/index.ts'
import type { Plan, ScenarioBody } from '../../src/simtest/index.ts'
import { softerFaults } from '../../src/simtest/shrink.ts'
import { checkFault } from '../../src/simulator/index.ts'
import type { Fault } from '../../src/simulator/index.ts'

/** Fails when host 1 is off while host 2 stands still. */
const both: ScenarioBody = async (sim) => {
  const size = sim.integer(4, 9, 'hosts')
  sim.pick(['tea', 'coffee', 'water'], 'drink')
  for (let i = 0; i < size; i++) sim.host(`host ${i}`, ({ runtime }) => runtime.sleep(20_000))
  sim.always('one of them works', () => {
    const [, one, two] = sim.hosts
    return one?.isOn !== false || two?.isPaused !== true
  })
  await sim.run({ forMs: 20_000 })
}

const matter: Fault[] = [
  { kind: 'crash', atMs: 3111, forMs: 4000, host: 'host 1', disk: 'lost' },
  { kind: 'pause', atMs: 4222, forMs: 3000, host: 'host 2' },
]

describe('shrinking', () => {
  test('200 faults come down to the two that matter, and nothing of them can go', async () => {
    const faults = noise(200, matter)
    expect(faults.length).toBe(200)
    const { examined } = await check({ seeds: 1, faults }, both)
    const [one] = examined
    expect(one?.isRepeatable).toBe(true)
    expect(one?.shrunk?.isMinimal).toBe(true)
    const plan = one?.outcome.plan as Plan
    expect(plan.faults.map((fault) => fault.kind)).toEqual(['crash', 'pause'])
    expect(plan.faults[0]).not.toHaveProperty('disk', 'lost')
    expect(plan.picks).toEqual([0, 0])
    // It says what it says: without any one element the run does not fail.
    const what = scenario('again', { faults }, both)
    const resolved = resolveOptions(what.options, {})
    const fails = async (changes: Partial<Plan>): Promise<boolean> =>
      (await runScenario(what, resolved, 1n, { plan: { ...plan, ...changes } })).failure !== undefined
    expect(await fails({})).toBe(true)
    for (const fault of plan.faults)
      expect(await fails({ faults: plan.faults.filter((it) => it !== fault) })).toBe(false)
    for (const [i, fault] of plan.faults.entries()) {
      for (const softer of softerFaults(fault)) {
        expect([softer, await fails({ faults: plan.faults.with(i, softer) })]).toEqual([softer, false])
      }
    }
  }, 60_000)

  test('hosts that do not matter are left out', async () => {
    const { examined } = await check({ seeds: 1, faults: matter }, async (sim) => {
      for (let i = 0; i < 4; i++) sim.host(`host ${i}`, ({ runtime }) => runtime.sleep(20_000))
      let beats = 0
      sim.host('heart', async ({ runtime }) => {
        for (;;) {
          await runtime.sleep(500)
          beats++
        }
      })
      sim.always('x', () => beats < 10)
      await sim.run({ forMs: 20_000 })
    })
    expect(examined[0]?.outcome.plan).toMatchObject({ faults: [], without: ['host 0', 'host 1', 'host 2', 'host 3'] })
    expect(examined[0]?.text).toContain('without host 0, host 1, host 2, host 3')
  })

  test('a choice becomes the least that fails', async () => {
    const { examined } = await check({ seeds: 200, stopAt: 'first' }, (sim) => {
      const size = sim.integer(0, 1000, 'size')
      if (size >= 137) throw new Error('too large')
    })
    expect(examined[0]?.outcome.plan.picks).toEqual([137])
  })

  test('it keeps to what failed first', async () => {
    const { examined } = await check({ seeds: 1, seed: 7, faults: noise(20, []) }, async (sim) => {
      const size = sim.integer(0, 1000)
      for (let i = 0; i < 4; i++) sim.host(`host ${i}`, ({ runtime }) => runtime.sleep(100))
      await sim.run()
      if (size > 100) throw new Error('the first thing')
      throw new Error('something else')
    })
    expect(examined[0]?.outcome.failure?.message).toBe('the first thing')
    expect(examined[0]?.outcome.plan.picks).toEqual([101])
  })

  test('it ends when the time is over, with what it has', async () => {
    const { examined } = await check({ seeds: 1, faults: noise(200, matter), shrinkMs: 1 }, both)
    expect(examined[0]?.shrunk?.isMinimal).toBe(false)
    expect(examined[0]?.outcome.failure).toBeDefined()
    expect(examined[0]?.text).toContain('the time was over')
  })

  test('what is softer is a fault, differs, and every chain of it ends', () => {
    assert(
      property(arbitraryFault(), nat(), (fault, choice) => {
        let at = fault
        for (let steps = 0; ; steps++) {
          const softer = softerFaults(at)
          if (softer.length === 0) break
          expect(steps).toBeLessThan(500)
          for (const next of softer) {
            checkFault(JSON.parse(JSON.stringify(next)))
            expect(next).not.toEqual(at)
          }
          at = softer[(choice + steps) % softer.length] as Fault
        }
      }),
      { numRuns: 200 },
    )
  })
})
