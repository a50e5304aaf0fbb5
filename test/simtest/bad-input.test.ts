/** Nonsense is told so, in words that help. */
import { describe, expect, test } from 'vitest'
import { resolveOptions, scenario, simTest } from '../../src/simtest/index.ts'
import type { ScenarioOptions, SimTest } from '../../src/simtest/index.ts'
import { check } from './support.ts'

const nothing = (): void => {}

describe('options', () => {
  test.each<[unknown, string]>([
    [{ seeds: 0 }, 'seeds = 0'],
    [{ seeds: 1.5 }, 'seeds = 1.5'],
    [{ seeds: [] }, 'must name at least one seed'],
    [{ seeds: [-1] }, 'must be a whole number from 0 to 2^64 - 1'],
    [{ seed: 'seven' }, 'must be a whole number'],
    [{ seed: 2n ** 64n }, 'must be a whole number from 0 to 2^64 - 1'],
    [{ faults: 'stormy' }, 'there is no such profile of faults; known are calm, mobile, hostile'],
    [{ faults: [{ kind: 'flood', atMs: 0 }] }, 'there is no such fault'],
    [{ durationMs: 0 }, 'durationMs = 0'],
    [{ config: { durationMs: 0 } }, 'durationMs = 0'],
    [{ seeds: 'many' }, 'seeds = "many": must be how many, or a list of seeds'],
    [{ durationMs: '10s' }, 'durationMs'],
    [{ timeoutMs: -1 }, 'timeoutMs'],
    [{ shrinkMs: Number.NaN }, 'shrinkMs'],
  ])('the %#. are refused', (options, message) => {
    expect(() => resolveOptions(options as ScenarioOptions, {})).toThrow(message)
  })

  test.each<[Record<string, string>, string]>([
    [{ SIMULATOR_SEED: 'abc' }, 'SIMULATOR_SEED = "abc"'],
    [{ SIMULATOR_SEED: '18446744073709551616' }, 'SIMULATOR_SEED'],
    [{ SIMULATOR_RUNS: '0' }, 'SIMULATOR_RUNS'],
    [{ SIMULATOR_DURATION: '0s' }, 'SIMULATOR_DURATION = "0s": time must move'],
    [{ SIMULATOR_DURATION: 'soon' }, 'must be a duration such as 10s'],
    [{ SIMULATOR_STEP_SIZE_MS: '0' }, 'SIMULATOR_STEP_SIZE_MS'],
    [{ SIMULATOR_EPOCH_OFFSET: '-1' }, 'SIMULATOR_EPOCH_OFFSET'],
  ])('%j in the environment are refused', (environment, message) => {
    expect(() => resolveOptions({}, environment)).toThrow(message)
  })

  test('that nobody knows are refused, as are a scenario without a name or a body', () => {
    expect(() => scenario('x', { sedes: 3 } as ScenarioOptions, nothing)).toThrow('no option "sedes"; known are seeds')
    expect(() => scenario('', {}, nothing)).toThrow('a scenario has a name')
    expect(() => scenario('x', {}, undefined as never)).toThrow('a scenario is a function')
    expect(() => simTest('x', { test: 3 as never }, nothing)).toThrow("must be a runner's test function")
  })

  test('of the environment come before those of the test', () => {
    const options = { seeds: 50, seed: 3, durationMs: 1 }
    expect(resolveOptions(options, {})).toMatchObject({ isWhole: true, config: { durationMs: 1 } })
    expect(resolveOptions(options, {}).seeds.slice(0, 2)).toEqual([3n, 4n])
    expect(resolveOptions(options, { SIMULATOR_SEED: '9' })).toMatchObject({ seeds: [9n], isWhole: false })
    expect(resolveOptions(options, { SIMULATOR_RUNS: '2' }).seeds).toEqual([3n, 4n])
    const both = resolveOptions(options, { SIMULATOR_SEED: '18446744073709551615', SIMULATOR_RUNS: '2' })
    expect(both.seeds).toEqual([18_446_744_073_709_551_615n, 0n])
    expect(resolveOptions(options, { SIMULATOR_DURATION: '10s' }).config.durationMs).toBe(10_000)
    expect(resolveOptions(options, { SIMULATOR_EPOCH_OFFSET: '5' }).config.epochOffsetMs).toBe(5)
    expect(resolveOptions({ seeds: [5, 1n] }, {}).seeds).toEqual([5n, 1n])
  })
})

describe('in a scenario', () => {
  const failsWith = async (body: Parameters<typeof check>[1], options: ScenarioOptions = {}): Promise<string> => {
    const { failures } = await check({ seeds: 1, shrinkMs: 0, ...options }, body)
    return failures[0]?.failure?.message ?? 'it did not fail'
  }

  test('nothing to pick from, a range upside down, an interval of nothing', async () => {
    expect(await failsWith((sim) => void sim.pick([]))).toContain('there must be something to pick from')
    expect(await failsWith((sim) => void sim.integer(3, 2))).toContain('must be two whole numbers')
    expect(await failsWith((sim) => void sim.every(0, nothing))).toContain('time must pass in between')
  })

  test('a fault on an unknown host', async () => {
    const faults = [{ kind: 'crash', atMs: 1, host: 'nobody' }] as const
    expect(await failsWith((sim) => void sim.host('alice', nothing), { faults })).toContain(
      '"nobody": a crash cannot happen',
    )
  })

  test('a fault on an unknown relay, of which nothing is made smaller', async () => {
    const faults = [
      { kind: 'crash', atMs: 1, forMs: 10, host: 'alice' },
      { kind: 'relay-crash', atMs: 1, forMs: 10, relay: 'nowhere' },
    ] as const
    const { examined } = await check({ seeds: 1, faults }, (sim) => void sim.host('alice', nothing))
    expect(examined[0]?.outcome.failure?.message).toBe(
      'fault.relay = "nowhere": there is no relay of this name; there are relay:default',
    )
    expect(examined[0]?.shrunk).toBeUndefined()
    expect(examined[0]?.text).toContain('not made smaller')
  })

  test('what is thrown and is no error is told as it is', async () => {
    // oxlint-disable-next-line typescript/only-throw-error -- what an application might do
    const body = (sim: SimTest): void => void sim.host('alice', () => Promise.reject({ foo: 1 }))
    expect(await failsWith(body)).toBe('{"foo":1}')
    const { examined } = await check({ seeds: 1, shrinkMs: 0 }, body)
    expect(String(examined[0]?.outcome.error)).toMatch(/host alice failed at 0 ms .*: \{"foo":1\}/)
  })

  test('an endless loop ends the run, not the process', async () => {
    const message = await failsWith(
      (sim) => {
        sim.host('mill', () => {
          for (;;);
        })
      },
      { timeoutMs: 300 },
    )
    expect(message).toContain('code ran for 1 s without a break')
  })

  test('promises that wake each other for ever end it too', async () => {
    const message = await failsWith(
      (sim) => {
        sim.host('mill', async () => {
          for (;;) await Promise.resolve()
        })
      },
      { timeoutMs: 300 },
    )
    expect(message).toContain('without a break')
  })

  test('what was not reached in time says how far it came', async () => {
    await expect(
      check({ seeds: 1000, timeoutMs: 50 }, async (sim) => {
        sim.host('a', async ({ runtime }) => {
          for (let i = 0; i < 5000; i++) await runtime.sleep(1)
        })
        await sim.run()
      }),
    ).rejects.toThrow(/ran \d+ of 1000 seeds in 50 ms/)
  })
})

describe('a condition that is asynchronous', () => {
  const no = (async () => false) as unknown as () => boolean
  const broken = (async () => {
    throw new Error('nobody hears this')
  }) as unknown as () => boolean
  const ways: readonly [string, (sim: SimTest, condition: () => boolean) => unknown][] = [
    ['until "x"', (sim, condition) => sim.until('x', condition)],
    ['until "x"', (sim, condition) => sim.converge('x', condition)],
    ['eventually "x"', (sim, condition) => sim.eventually('x', condition)],
    ['always "x"', (sim, condition) => sim.always('x', condition)],
    ['sometimes "x"', (sim, condition) => sim.sometimes('x', condition)],
    ['run', (sim, condition) => sim.run({ until: condition })],
  ]
  test.each(ways.flatMap(([what, use]) => [no, broken].map((condition) => ({ what, use, condition }))))(
    '$what says so, and does not hold',
    async ({ what, use, condition }) => {
      const lost: unknown[] = []
      const hear = (reason: unknown): void => void lost.push(reason)
      process.on('unhandledRejection', hear)
      const { failures } = await check({ seeds: 1, shrinkMs: 0 }, async (sim) => {
        sim.host('a', ({ runtime }) => runtime.sleep(1000))
        await use(sim, condition)
      })
      await new Promise(setImmediate)
      process.off('unhandledRejection', hear)
      expect(failures[0]?.failure).toMatchObject({
        message: expect.stringMatching(`^the condition of ${what} returned a promise; conditions are synchronous: `),
        key: expect.stringContaining('invalid-configuration'),
      })
      expect(lost).toEqual([])
    },
  )
})
