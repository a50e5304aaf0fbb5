import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { EventQueue } from '../../src/simulator/event-queue.ts'
import type { KernelEvent } from '../../src/simulator/kernel.ts'

/** An obviously correct queue: sorted anew whenever something is taken. */
class Model {
  entries: { time: number; order: number; name: number }[] = []
  #order = 0

  push(time: number, name: number): void {
    this.entries.push({ time, order: this.#order++, name })
  }

  pop(): number | undefined {
    this.entries.sort((a, b) => a.time - b.time || a.order - b.order)
    return this.entries.shift()?.name
  }

  cancel(name: number): void {
    this.entries = this.entries.filter((entry) => entry.name !== name)
  }
}

const clock = { timeAfter: (delayUs: number) => delayUs, rankOf: () => 0, changed: () => {} }

const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ push: fc.integer({ min: 0, max: 40 }) }) },
  { weight: 3, arbitrary: fc.record({ cancel: fc.nat() }) },
  { weight: 4, arbitrary: fc.record({ timer: fc.integer({ min: 0, max: 7 }), at: fc.integer({ min: 0, max: 40 }) }) },
  { weight: 3, arbitrary: fc.constant({ pop: true }) },
)

describe('the event queue', () => {
  test('equals a sorted list, whatever is pushed, moved, cancelled and popped', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 600 }), (steps) => {
        const queue = new EventQueue(clock)
        const model = new Model()
        const handles: KernelEvent[] = []
        let popped: number | undefined
        const timers = Array.from({ length: 8 }, (_, i) =>
          queue.timer(() => {
            popped = -1 - i
          }, 0),
        )
        const popBoth = (): void => {
          popped = undefined
          const earliest = queue.earliest
          queue.pop()?.()
          const time = model.entries.reduce((least, entry) => Math.min(least, entry.time), Number.POSITIVE_INFINITY)
          expect(earliest).toBe(time)
          expect(popped).toBe(model.pop())
        }
        for (const action of steps) {
          if ('push' in action) {
            const name = handles.length
            model.push(action.push, name)
            handles.push(
              queue.push(action.push, () => {
                popped = name
              }),
            )
          } else if ('cancel' in action) {
            const name = action.cancel % (handles.length || 1)
            handles[name]?.cancel()
            model.cancel(name)
          } else if ('timer' in action) {
            const name = -1 - action.timer
            timers[action.timer]?.set(action.at)
            if (!model.entries.some((entry) => entry.name === name && entry.time === action.at)) {
              model.cancel(name)
              model.push(action.at, name)
            }
          } else {
            popBoth()
          }
          expect(queue.size).toBe(model.entries.length)
        }
        while (model.entries.length > 0) popBoth()
        expect(queue.pop()).toBeUndefined()
        expect(queue.earliest).toBe(Number.POSITIVE_INFINITY)
      }),
      { numRuns: 300 },
    )
  })

  test('keeps its order through many cancellations at once', () => {
    const queue = new EventQueue()
    const ran: number[] = []
    const events = Array.from({ length: 5000 }, (_, i) => queue.push((i * 7919) % 1000, () => ran.push(i)))
    for (const [i, event] of events.entries()) if (i % 5 !== 0) event.cancel()
    expect(queue.size).toBe(1000)
    for (let callback = queue.pop(); callback; callback = queue.pop()) callback()
    const expected = Array.from({ length: 1000 }, (_, i) => i * 5)
    expected.sort((a, b) => ((a * 7919) % 1000) - ((b * 7919) % 1000) || a - b)
    expect(ran).toEqual(expected)
  })

  test('does not grow when events are cancelled as fast as they are made', () => {
    const queue = new EventQueue()
    queue.push(0, () => {})
    for (let i = 0; i < 10_000; i++) queue.push(1_000_000 + i, () => {}).cancel()
    expect(queue.size).toBe(1)
  })

  test('a handle does nothing after its event has run, even when its place is taken again', () => {
    const queue = new EventQueue()
    const ran: string[] = []
    const first = queue.push(1, () => ran.push('first'))
    queue.pop()?.()
    queue.push(1, () => ran.push('second'))
    first.cancel()
    first.cancel()
    expect(queue.size).toBe(1)
    queue.pop()?.()
    expect(ran).toEqual(['first', 'second'])
  })

  test('a time-out runs as often as it is set, and at the last of the times it was set to', () => {
    const queue = new EventQueue(clock)
    const ran: string[] = []
    const timer = queue.timer(() => ran.push('timer'), 0)
    timer.set(10)
    timer.set(30)
    timer.set(20)
    queue.push(25, () => ran.push('between'))
    expect(queue.earliest).toBe(20)
    queue.pop()?.()
    timer.set(40)
    queue.pop()?.()
    queue.pop()?.()
    timer.set(50)
    timer.cancel()
    expect(queue.pop()).toBeUndefined()
    expect(ran).toEqual(['timer', 'between', 'timer'])
  })

  test('clear forgets everything, and old handles stay harmless', () => {
    const queue = new EventQueue()
    const old = queue.push(5, () => {})
    queue.clear()
    expect(queue.pop()).toBeUndefined()
    queue.push(6, () => {})
    old.cancel()
    expect(queue.size).toBe(1)
    expect(queue.earliest).toBe(6)
  })
})
