/** Time limits of many things at once. */
import { describe, expect, test } from 'vitest'
import { Deadlines } from '../../src/core/deadlines.ts'
import { ManualRuntime } from '../support/manual-runtime.ts'

describe('deadlines', () => {
  test('come one after the other, unless what they are for is done', async () => {
    const runtime = new ManualRuntime()
    const late: string[] = []
    const deadlines = new Deadlines<string>(runtime, 1_000, (name) => late.push(name))
    deadlines.add('a')
    await runtime.advance(300)
    const second = deadlines.add('b')
    const third = deadlines.add('c')
    await runtime.advance(699)
    expect(late).toEqual([])
    await runtime.advance(1)
    expect(late).toEqual(['a'])
    await runtime.advance(200)
    second?.done()
    third?.done()
    third?.done()
    deadlines.add('c again')
    await runtime.advance(999)
    expect(late).toEqual(['a'])
    await runtime.advance(1)
    expect(late).toEqual(['a', 'c again'])
    expect(runtime.pendingTimers).toBe(0)
  })

  test('use one timer for many, and none for ever', async () => {
    const runtime = new ManualRuntime()
    const deadlines = new Deadlines<number>(runtime, 1_000, () => expect.unreachable())
    for (let i = 0; i < 100; i++) {
      deadlines.add(i)?.done()
      await runtime.advance(10)
    }
    expect(runtime.pendingTimers).toBe(0)
    deadlines.add(100)
    expect(runtime.pendingTimers).toBe(1)
    deadlines.clear()
    expect(runtime.pendingTimers).toBe(0)
    new Deadlines(runtime, Number.POSITIVE_INFINITY, () => expect.unreachable()).add(1)
    expect(runtime.pendingTimers).toBe(0)
  })

  test('are forgotten by whoever is told of one, and can be added by them', async () => {
    const runtime = new ManualRuntime()
    const late: string[] = []
    const deadlines = new Deadlines<string>(runtime, 1_000, (name) => {
      late.push(name)
      if (name !== 'first') return
      deadlines.clear()
      deadlines.add('later')
    })
    deadlines.add('first')
    deadlines.add('forgotten')
    await runtime.advance(1_000)
    expect(late).toEqual(['first'])
    expect(runtime.pendingTimers).toBe(1)
    await runtime.advance(1_000)
    expect(late).toEqual(['first', 'later'])
    expect(runtime.pendingTimers).toBe(0)
  })
  test('that somebody adds who is told of one leave the others their times', async () => {
    const runtime = new ManualRuntime()
    const late: string[] = []
    const deadlines = new Deadlines<string>(runtime, 1_000, (name) => {
      late.push(name)
      if (name === 'first') deadlines.add('first again')
    })
    deadlines.add('first')
    await runtime.advance(400)
    deadlines.add('second')
    await runtime.advance(600)
    expect(late).toEqual(['first'])
    await runtime.advance(400)
    expect(late).toEqual(['first', 'second'])
    await runtime.advance(600)
    expect(late).toEqual(['first', 'second', 'first again'])
    expect(runtime.pendingTimers).toBe(0)
  })
})
