/** Whoever is faster, a sweep comes to the same. */
import { array, assert, boolean, constantFrom, integer, property, record, scheduler, asyncProperty } from 'fast-check'
import { expect, test } from 'vitest'
import { SeedQueue } from '../../src/simtest/seed-queue.ts'
import type { Job, SeedResult } from '../../src/simtest/seed-queue.ts'

const failure = (seed: bigint): SeedResult['failure'] => ({ key: 'bad', message: `seed ${seed}`, virtualMs: 0 })

function resultOf(seed: bigint, bad: ReadonlySet<bigint>): SeedResult {
  return {
    failure: bad.has(seed) ? failure(seed) : undefined,
    reached: [['odd', seed % 2n === 1n]],
    events: Number(seed) * 3,
    virtualMs: Number(seed) / 7,
  }
}

function queueOf(count: number, stopAtFirst: boolean): SeedQueue {
  return new SeedQueue({ seeds: Array.from({ length: count }, (_, i) => BigInt(i)), of: count, stopAtFirst })
}

const world = record({
  count: integer({ min: 0, max: 40 }),
  bad: array(integer({ min: 0, max: 60 }), { maxLength: 4 }).map((list) => new Set(list.map(BigInt))),
  stopAtFirst: boolean(),
})

test('in whatever order results come, and whatever is given back', async () => {
  await assert(
    asyncProperty(
      world,
      integer({ min: 1, max: 4 }),
      integer({ min: 1, max: 5 }),
      array(constantFrom(0, 0, 0, 1), { minLength: 8, maxLength: 8 }),
      scheduler(),
      async ({ count, bad, stopAtFirst }, workers, lot, deaths, schedule) => {
        const alone = queueOf(count, stopAtFirst)
        for (let [job] = alone.take(1); job && !alone.isOver; [job] = alone.take(1)) {
          alone.settle(job, resultOf(job.seed, bad))
        }
        const shared = queueOf(count, stopAtFirst)
        const left = [...deaths]
        const work = async (): Promise<void> => {
          for (let jobs = shared.take(lot); jobs.length > 0; jobs = shared.take(lot)) {
            const todo: Job[] = [...jobs]
            while (todo.length > 0) {
              await schedule.schedule(Promise.resolve())
              if (left.pop() === 1) break
              const job = todo.shift() as Job
              shared.settle(job, resultOf(job.seed, bad))
            }
            shared.giveBack(todo)
          }
        }
        const all = Promise.all(Array.from({ length: workers }, () => work()))
        await schedule.waitFor(all)
        expect(shared.isOver).toBe(true)
        const { elapsedMs: _one, ...there } = shared.result('x', 0, undefined)
        const { elapsedMs: _two, ...here } = alone.result('x', 0, undefined)
        expect(there).toEqual(here)
      },
    ),
    { numRuns: 300 },
  )
})

test('stops giving seeds out behind one that failed, and at the end of the time', () => {
  assert(
    property(integer({ min: 0, max: 9 }), (bad) => {
      const queue = queueOf(10, true)
      const jobs = queue.take(10)
      queue.settle(jobs[bad] as Job, { failure: failure(0n), reached: [], events: 0, virtualMs: 0 })
      queue.giveBack(jobs.filter((_, i) => i !== bad))
      expect(queue.take(10).map(({ index }) => index)).toEqual(Array.from({ length: bad }, (_, i) => i))
    }),
  )
  const late = new SeedQueue({ seeds: [1n, 2n], forMs: 0, stopAtFirst: true })
  expect(late.take(1)).toEqual([])
  expect(late.isOver).toBe(true)
})
