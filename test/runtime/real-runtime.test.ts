import { afterEach, describe, expect, test, vi } from 'vitest'
import { P2PError } from '../../src/core/errors.ts'
import { RealRuntime, realRuntime } from '../../src/runtime/index.ts'

const runtime = new RealRuntime()

describe('clocks', () => {
  test('are monotonic with microseconds, and Unix time in whole milliseconds', () => {
    const times = Array.from({ length: 1000 }, () => runtime.now())
    expect(times.every((time, i) => i === 0 || time >= (times[i - 1] ?? 0))).toBe(true)
    expect(times.some((time) => !Number.isInteger(time))).toBe(true)
    expect(Number.isInteger(runtime.wallClockMs())).toBe(true)
    expect(Math.abs(runtime.wallClockMs() - Date.now())).toBeLessThan(1000)
    expect(realRuntime().kind).toBe('real')
  })
})

describe('timers', () => {
  test.each([0.4, 1, 2.5, 7])('of %d ms never fire early by the same clock', async (delayMs) => {
    const early = await Promise.all(
      Array.from({ length: 50 }, async () => {
        const start = runtime.now()
        await new Promise<void>((resolve) => runtime.setTimer(delayMs, resolve))
        return runtime.now() - start < delayMs
      }),
    )
    expect(early).not.toContain(true)
  })

  test.each([0, -5, Number.NaN])('of %d ms fire as soon as possible, but not within the call', async (delayMs) => {
    const order: string[] = []
    const fired = new Promise<void>((resolve) => {
      runtime.setTimer(delayMs, () => {
        order.push('timer')
        resolve()
      })
    })
    order.push('after')
    await fired
    expect(order).toEqual(['after', 'timer'])
  })

  test.each([0, 1, 2 ** 31])('of %d ms do not fire when cancelled or disposed of', async (delayMs) => {
    const callback = vi.fn<() => void>()
    runtime.setTimer(delayMs, callback).cancel()
    runtime.setTimer(delayMs, callback)[Symbol.dispose]()
    await runtime.sleep(15)
    expect(callback).not.toHaveBeenCalled()
  })

  test('may be cancelled again, and after they fired', async () => {
    const callback = vi.fn<() => void>()
    const timer = runtime.setTimer(1, callback)
    await expect.poll(() => callback.mock.calls.length).toBe(1)
    timer.cancel()
    timer.cancel()
    await runtime.sleep(5)
    expect(callback).toHaveBeenCalledTimes(1)
  })

  describe('beyond 2^31 - 1 ms', () => {
    afterEach(() => {
      vi.useRealTimers()
    })

    test.each([2 ** 31, 2 ** 33])('fire after %d ms and not at once', (delayMs) => {
      vi.useFakeTimers()
      const callback = vi.fn<() => void>()
      runtime.setTimer(delayMs, callback)
      vi.advanceTimersByTime(delayMs - 1)
      expect(callback).not.toHaveBeenCalled()
      vi.advanceTimersByTime(1)
      expect(callback).toHaveBeenCalledTimes(1)
    })

    test('may never fire', () => {
      vi.useFakeTimers()
      const callback = vi.fn<() => void>()
      runtime.setTimer(Number.POSITIVE_INFINITY, callback)
      vi.advanceTimersByTime(2 ** 35)
      expect(callback).not.toHaveBeenCalled()
    })
  })
})

describe('sleep', () => {
  test('rejects as aborted, before and while it waits, and forgets its timer and listener', async () => {
    const reason = new Error('enough')
    const before = runtime.sleep(60_000, { signal: AbortSignal.abort(reason) })
    await expect(before).rejects.toMatchObject({ code: 'aborted', name: 'AbortError', cause: reason })

    const controller = new AbortController()
    const remove = vi.spyOn(controller.signal, 'removeEventListener')
    const during = runtime.sleep(60_000, { signal: controller.signal })
    controller.abort(reason)
    const error: unknown = await during.catch((thrown: unknown) => thrown)
    expect(P2PError.is(error, 'aborted')).toBe(true)

    const unaborted = new AbortController()
    const forget = vi.spyOn(unaborted.signal, 'removeEventListener')
    await runtime.sleep(1, { signal: unaborted.signal })
    expect(forget).toHaveBeenCalledTimes(1)
    expect(remove).not.toHaveBeenCalled()
  })
})

describe('randomness', () => {
  test('differs from call to call', () => {
    expect(runtime.randomBytes(0)).toEqual(new Uint8Array(0))
    expect(runtime.randomBytes(32)).not.toEqual(runtime.randomBytes(32))
    expect(runtime.randomBytes(100_000)).toHaveLength(100_000)
    const draws = Array.from({ length: 1000 }, () => runtime.random())
    expect(draws.every((draw) => draw >= 0 && draw < 1)).toBe(true)
    expect(new Set(draws).size).toBeGreaterThan(990)
  })
})

describe('bridge', () => {
  test('runs the work and hands on what it comes to', async () => {
    expect(await runtime.bridge('a sum', async () => Promise.resolve(3))).toBe(3)
    const failure = new Error('no')
    await expect(runtime.bridge('a failure', async () => Promise.reject(failure))).rejects.toBe(failure)
    const thrown = runtime.bridge('a throw', () => {
      throw failure
    })
    await expect(thrown).rejects.toBe(failure)
  })
})
