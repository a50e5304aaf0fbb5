/** Time limits of many things at once. */
import { describe, expect, test } from 'vitest'
import { Deadlines } from '../../src/core/deadlines.ts'
import { ManualRuntime } from '../support/manual-runtime.ts'

describe('deadlines', () => {
  test('come one after the other, unless what they are for is done', async () => {
    const runtime = new ManualRuntime()
    const deadlines = new Deadlines(runtime, 1_000)
    const late: string[] = []
    const add = (key: object, name: string): void => deadlines.add(key, () => late.push(name))
    const keys = [{}, {}, {}] as const
    add(keys[0], 'a')
    await runtime.advance(300)
    add(keys[1], 'b')
    add(keys[2], 'c')
    await runtime.advance(699)
    expect(late).toEqual([])
    await runtime.advance(1)
    expect(late).toEqual(['a'])
    await runtime.advance(200)
    deadlines.done(keys[1])
    add(keys[2], 'c again')
    await runtime.advance(999)
    expect(late).toEqual(['a'])
    await runtime.advance(1)
    expect(late).toEqual(['a', 'c again'])
    expect(runtime.pendingTimers).toBe(0)
  })

  test('use one timer for many, and none for ever', async () => {
    const runtime = new ManualRuntime()
    const deadlines = new Deadlines(runtime, 1_000)
    for (let i = 0; i < 100; i++) {
      const key = {}
      deadlines.add(key, () => expect.unreachable())
      deadlines.done(key)
      await runtime.advance(10)
    }
    expect(runtime.pendingTimers).toBe(0)
    deadlines.add({}, () => expect.unreachable())
    expect(runtime.pendingTimers).toBe(1)
    deadlines.clear()
    expect(runtime.pendingTimers).toBe(0)
    new Deadlines(runtime, Number.POSITIVE_INFINITY).add({}, () => expect.unreachable())
    expect(runtime.pendingTimers).toBe(0)
  })

  test('are forgotten by whoever is told of one, and can be added by them', async () => {
    const runtime = new ManualRuntime()
    const deadlines = new Deadlines(runtime, 1_000)
    const late: string[] = []
    deadlines.add({}, () => {
      late.push('first')
      deadlines.clear()
      deadlines.add({}, () => late.push('later'))
    })
    deadlines.add({}, () => late.push('forgotten'))
    await runtime.advance(1_000)
    expect(late).toEqual(['first'])
    expect(runtime.pendingTimers).toBe(1)
    await runtime.advance(1_000)
    expect(late).toEqual(['first', 'later'])
    expect(runtime.pendingTimers).toBe(0)
  })
})
