/** What outlives a run, what is real, and what never ends: found and named, instead of left to a test runner's time-out. */
import { describe, expect, test } from 'vitest'
import type { ScenarioBody } from '../../src/simtest/index.ts'
import { check } from './support.ts'

// Taken before any simulation, as a module of the application does when it is loaded.
const { setTimeout: captured } = globalThis

let cached = 0

const sleepers = (sleepMs: () => number): ScenarioBody => {
  return async (sim) => {
    sim.host('alice', ({ runtime }) => runtime.sleep(10))
    sim.host('bob', async ({ runtime }) => {
      await runtime.sleep(5)
      await runtime.sleep(sleepMs())
    })
    await sim.run()
  }
}

describe('the first seed, run once more', () => {
  test('has the same history', async () => {
    expect(
      (
        await check(
          { seeds: 2 },
          sleepers(() => 20),
        )
      ).difference,
    ).toBeUndefined()
  })

  test('shows a variable that outlives the run, at its event and on its host', async () => {
    const { difference, failures } = await check(
      { seeds: 2 },
      sleepers(() => (cached += 20)),
    )
    expect(failures).toEqual([])
    expect(difference).toMatch(/^the histories part at event \d+ of \d+, where host bob is at \S+ m?s of virtual time$/)
  })

  test('is not run where it was not asked for, or one seed is all', async () => {
    expect(
      (
        await check(
          { seeds: 2, checkIsolation: false },
          sleepers(() => (cached += 20)),
        )
      ).difference,
    ).toBeUndefined()
    expect(
      (
        await check(
          { seeds: 1 },
          sleepers(() => (cached += 20)),
        )
      ).difference,
    ).toBeUndefined()
  })
})

describe('a scenario that does not end', () => {
  test('because nothing runs that could wake it, fails and says so', async () => {
    const { examined } = await check({ seeds: 1, timeoutMs: 1000, shrinkMs: 0 }, async (sim) => {
      sim.host('alice', ({ runtime }) => runtime.sleep(10))
      await new Promise(() => {})
    })
    expect(examined[0]?.text).toContain('the scenario has waited for 1 s of real time, and its simulation does not run')
  })

  test('because it runs for ever in little steps, is ended by runLimitMs', async () => {
    const { failures } = await check({ seeds: 1, runLimitMs: 200, shrinkMs: 0 }, async (sim) => {
      sim.host('alice', async ({ runtime }) => {
        for (;;) await runtime.sleep(1)
      })
      for (;;) await sim.run({ forMs: 1 })
    })
    expect(failures[0]?.failure?.message).toContain('the scenario is not over in time')
  })

  test('because virtual time goes on and on, is ended by runLimitMs, with what each host does', async () => {
    const { examined } = await check({ seeds: 1, runLimitMs: 200, durationMs: 1e12, shrinkMs: 0 }, async (sim) => {
      sim.host('mill', async ({ runtime }) => {
        for (;;) await runtime.sleep(1)
      })
      await sim.run()
    })
    expect(examined[0]?.text).toContain('the run is not over after 0.2 s of real time')
    expect(examined[0]?.text).toContain('mill')
    // Real time ended it: that its history is another each time is nobody's fault.
    expect(examined[0]?.isRepeatable).toBe(true)
  })
})

test('a real timer that a program took hold of before is named by its line', async () => {
  const { examined } = await check({ seeds: 1, shrinkMs: 0 }, async (sim) => {
    let woke = false
    sim.host('alice', async ({ runtime }) => {
      captured(() => (woke = true), 3_600_000).unref()
      await runtime.sleep(10)
    })
    await sim.until('alice woke', () => woke, { forMs: 1000 })
  })
  expect(examined[0]?.text).toMatch(/Not of the simulation\n {2}host alice used a real timer .*isolation\.test\.ts:\d+/)
})
