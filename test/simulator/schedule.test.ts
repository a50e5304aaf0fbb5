/** Which of the events of one instant comes first, and finding races by it. */
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { P2PError } from '../../src/core/errors.ts'
import { Driver } from '../../src/simulator/driver.ts'
import { explore } from '../../src/simulator/explore.ts'
import { ChosenSchedule } from '../../src/simulator/schedule.ts'
import type { Schedule } from '../../src/simulator/schedule.ts'
import { Scheduler } from '../../src/simulator/scheduler.ts'
import { Simulation } from '../../src/simulator/simulation.ts'
import type { SimulationResult } from '../../src/simulator/simulation-options.ts'

interface Planned {
  readonly delayUs: number
  readonly lane: number
  readonly next: readonly Planned[]
  readonly cancelled: boolean
}

interface Ran {
  readonly timeUs: number
  readonly lane: number
  readonly order: number
}

/** Runs a tree of events; returns them as they ran, with the order in which they were scheduled. */
async function run(plan: readonly Planned[], schedule: Schedule, seed = 1n): Promise<Ran[]> {
  const scheduler = new Scheduler(seed, schedule)
  const ran: Ran[] = []
  let scheduled = 0
  const add = ({ delayUs, lane, next, cancelled }: Planned): void => {
    const order = scheduled++
    const event = scheduler.schedule(
      delayUs,
      () => {
        ran.push({ timeUs: scheduler.nowUs(), lane, order })
        for (const planned of next) add(planned)
      },
      lane,
    )
    if (cancelled) event.cancel()
  }
  for (const planned of plan) add(planned)
  await new Driver(scheduler).run()
  expect(scheduler.eventsPending).toBe(0)
  return ran
}

const { events } = fc.letrec<{ event: Planned; events: Planned[] }>((tie) => ({
  event: fc.record({
    delayUs: fc.nat(3),
    lane: fc.nat(3),
    next: fc.oneof({ depthSize: 'small', withCrossShrink: true }, fc.constant([]), tie('events')),
    cancelled: fc.boolean().map((cancelled) => cancelled),
  }),
  events: fc.array(tie('event'), { maxLength: 6 }),
}))

const schedules: readonly (readonly [string, (numbers: number[]) => Schedule])[] = [
  ['seeded', () => 'seeded'],
  ['fifo', () => 'fifo'],
  ['pct', () => 'pct'],
  ['pct of depth 5 over 20 events', () => ({ depth: 5, events: 20 })],
  ['chosen', (numbers) => new ChosenSchedule(numbers)],
]

describe.each(schedules)('a schedule that is %s', (_name, make) => {
  test('keeps time, and the order within a lane; runs everything once, and the same again', async () => {
    await fc.assert(
      fc.asyncProperty(events, fc.array(fc.nat(3)), fc.bigInt({ min: 0n, max: 100n }), async (plan, numbers, seed) => {
        const ran = await run(plan, make(numbers), seed)
        const byTime = [...ran].sort((a, b) => a.timeUs - b.timeUs)
        expect(ran.map(({ timeUs }) => timeUs)).toEqual(byTime.map(({ timeUs }) => timeUs))
        expect(new Set(ran.map(({ order }) => order)).size).toBe(ran.length)
        for (let i = 1; i < ran.length; i++) {
          for (let j = 0; j < i; j++) {
            const [before, after] = [ran[j] as Ran, ran[i] as Ran]
            const isTogether = before.timeUs === after.timeUs && before.lane === after.lane
            expect(isTogether && before.order > after.order).toBe(false)
          }
        }
        expect(await run(plan, make(numbers), seed)).toEqual(ran)
      }),
      { numRuns: 60 },
    )
  })
})

const lanes = (count: number, delayUs = 5): Planned[] =>
  Array.from({ length: count }, (_, lane) => ({ delayUs, lane: lane + 1, next: [], cancelled: false }))
const orderOf = async (schedule: Schedule, seed: bigint): Promise<string> =>
  (await run(lanes(4), schedule, seed)).map(({ lane }) => lane).join('')

describe('lanes of one instant', () => {
  test('run as scheduled when that is asked for', async () => {
    for (let seed = 0n; seed < 20n; seed++) expect(await orderOf('fifo', seed)).toBe('1234')
  })

  test.each(['seeded', 'pct'] as const)('run in every order sooner or later: %s', async (schedule) => {
    const orders = new Set<string>()
    for (let seed = 0n; seed < 400n; seed++) orders.add(await orderOf(schedule, seed))
    expect(orders.size).toBe(24)
  })

  test('run in orders that have nothing to do with each other from instant to instant, but for priorities', async () => {
    const plan = Array.from({ length: 50 }, (_, i) => lanes(2, i))
    const firsts = async (schedule: Schedule): Promise<number> =>
      (await run(plan.flat(), schedule)).filter(({ lane }, i) => i % 2 === 0 && lane === 1).length
    expect(await firsts('seeded')).toBeGreaterThan(10)
    expect(await firsts('seeded')).toBeLessThan(40)
    expect([0, 50]).toContain(await firsts({ depth: 1 }))
  })
})

describe('a race of two hosts at one instant', () => {
  /** Fails when the last to be added is the first to wake. */
  const race = async (schedule: Schedule, seed: number): Promise<SimulationResult> => {
    await using sim = new Simulation({ seed, schedule })
    let leader = ''
    for (const name of ['ann', 'ben', 'cat']) {
      sim.host(name, async ({ runtime }) => {
        await runtime.sleep(10)
        leader ||= name
      })
    }
    sim.host('check', async ({ runtime }) => {
      await runtime.sleep(20)
      if (leader === 'cat') throw new Error('cat leads')
    })
    return await sim.run()
  }
  const failures = async (schedule: Schedule): Promise<number> => {
    let count = 0
    for (let seed = 0; seed < 40; seed++) await race(schedule, seed).catch(() => count++)
    return count
  }

  test('never shows in the order of scheduling, and shows with the seed and with priorities', async () => {
    expect(await failures('fifo')).toBe(0)
    expect(await failures('seeded')).toBeGreaterThan(5)
    expect(await failures('pct')).toBeGreaterThan(5)
  })

  test('is found by exploration, which says how to see it again', async () => {
    const error: unknown = await explore((schedule) => race(schedule, 1)).catch((reason: unknown) => reason)
    if (!P2PError.is(error, 'program-failed')) throw error
    expect(error).toMatchObject({ host: 'check', seed: 1n, virtualMs: 20 })
    const [, choices = ''] = /new ChosenSchedule\(\[([\d, ]*)\]\): .*cat leads/.exec(error.message) ?? []
    await expect(race(new ChosenSchedule(choices.split(', ').map(Number)), 1)).rejects.toThrow('cat leads')
    await expect(race(new ChosenSchedule(), 1)).resolves.toMatchObject({ ended: 'programs' })
  })
})

describe('exploration', () => {
  const sleepers = (names: readonly string[]) => async (schedule: ChosenSchedule) => {
    await using sim = new Simulation({ seed: 1, schedule })
    for (const name of names) sim.host(name, ({ runtime }) => runtime.sleep(10))
    return await sim.run()
  }

  test('runs every order once, and says when it has', async () => {
    expect(await explore(sleepers(['a']))).toEqual({ histories: 1, distinct: 1, complete: true, choices: 0 })
    expect(await explore(sleepers(['a', 'b']))).toMatchObject({ histories: 4, complete: true, choices: 2 })
    expect(await explore(sleepers(['a', 'b', 'c']))).toEqual({
      histories: 36,
      distinct: 36,
      complete: true,
      choices: 4,
    })
  })

  test('stays within its bounds', async () => {
    const names = ['a', 'b', 'c', 'd']
    expect(await explore(sleepers(names), { maxHistories: 10 })).toMatchObject({ histories: 10, complete: false })
    expect(await explore(sleepers(names), { maxChoices: 2 })).toMatchObject({ histories: 12, complete: true })
    await expect(explore(sleepers(names), { maxHistories: 0 })).rejects.toThrow(/maxHistories/)
    await expect(explore(sleepers(names), { maxChoices: -1 })).rejects.toThrow(/maxChoices/)
  })

  test('refuses a scenario that is another one each time', async () => {
    let runs = 0
    await expect(
      explore((schedule) => sleepers(['a', 'b', 'c', 'd'].slice(0, 4 - (runs++ % 2)))(schedule)),
    ).rejects.toThrow(/fixed seed/)
  })
})

test.each(['seeded', 'pct', 'fifo'] as const)('packets of one link arrive in order: %s', async (schedule) => {
  await using sim = new Simulation({ seed: 3, schedule, config: { ...new Simulation().config, defaultPacketLoss: 0 } })
  const got: unknown[] = []
  const [a, b, c] = ['a', 'b', 'c'].map((name) => sim.host(name))
  if (!a || !b || !c) throw new Error('no hosts')
  const { localAddress } = c.network.bind(5000, ({ payload }) => void got.push(payload))
  const sockets = [a, b].map(({ network }) => network.bind(0, () => {}))
  sim.at(10, () => {
    for (let i = 0; i < 50; i++) {
      for (const [from, socket] of sockets.entries()) socket.send(localAddress, [from, i], 100)
    }
  })
  await sim.run({ forMs: 1000 })
  expect(got.length).toBe(100)
  for (const from of [0, 1]) {
    const numbers = got.map((payload) => payload as [number, number]).filter(([who]) => who === from)
    expect(numbers.map(([, number]) => number)).toEqual(Array.from({ length: 50 }, (_, i) => i))
  }
})

test.each([
  ['sometimes', /schedule/],
  [{ depth: 0 }, /depth/],
  [{ depth: 3, events: 0 }, /events/],
])('refuses the schedule %o', (schedule, why) => {
  expect(() => new Simulation({ schedule: schedule as never })).toThrow(why)
})
