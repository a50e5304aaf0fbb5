import { describe, expect, test } from 'vitest'
import { Driver } from '../../src/simulator/driver.ts'
import { Scheduler } from '../../src/simulator/scheduler.ts'

describe('the scheduler', () => {
  test.each([Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53])('refuses a delay of %d', (delay) => {
    expect(() => new Scheduler(0n).schedule(delay, () => {})).toThrow(/cannot be .* microseconds from now/)
  })

  test('gives the same stream for the same name, and hashes what is drawn from it', () => {
    const [a, b] = [new Scheduler(3n), new Scheduler(3n)]
    const stream = a.random('link/a>b')
    expect(a.random('link/a>b')).toBe(stream)
    expect(stream.nextU32()).toBe(b.random('link/a>b').nextU32())
    expect(a.audit.digest()).toBe(b.audit.digest())
    stream.nextU32()
    expect(a.audit.digest()).not.toBe(b.audit.digest())
    b.random('other').nextU32()
    expect(a.audit.digest()).not.toBe(b.audit.digest())
  })

  test('hashes times and the order of events that record something', async () => {
    const hashOf = async (delays: readonly number[]): Promise<string> => {
      const scheduler = new Scheduler(1n)
      for (const [i, delay] of delays.entries()) scheduler.schedule(delay, () => scheduler.audit.record(300, i))
      await new Driver(scheduler).run()
      return scheduler.audit.digest()
    }
    const histories = [[1, 2], [2, 1], [1, 1], [1, 3], [1], [1, 2, 3]]
    const hashes = await Promise.all(histories.map(hashOf))
    expect(new Set(hashes).size).toBe(histories.length)
    expect(await hashOf([1, 2])).toBe(hashes[0])
  })

  test('with a clock of its own, time moves between events but never past one that is due', async () => {
    const scheduler = new Scheduler(1n)
    let realUs = 0
    let scheduled = 0
    scheduler.idleClock = (): number => realUs
    scheduler.onIdleSchedule = (): void => void scheduled++
    realUs = 10.7
    expect(scheduler.nowUs()).toBe(10)
    const ran: number[] = []
    scheduler.schedule(5, () => ran.push(scheduler.nowUs()))
    expect(scheduled).toBe(1)
    realUs = 100
    expect(scheduler.nowUs()).toBe(15)
    await new Driver(scheduler).run({ untilUs: scheduler.nowUs() })
    expect(ran).toEqual([15])
    expect(scheduler.nowUs()).toBe(100)
  })
})
