import { setTimeout as realSleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { P2PError } from '../../src/core/errors.ts'
import { Driver } from '../../src/simulator/driver.ts'
import type { DriverOptions } from '../../src/simulator/driver.ts'
import { MAX_EVENTS_PER_INSTANT, NO_HOST, Scheduler, SEVERAL_HOSTS } from '../../src/simulator/scheduler.ts'

function world(options: DriverOptions = {}): { scheduler: Scheduler; driver: Driver } {
  const scheduler = new Scheduler(1n)
  return { scheduler, driver: new Driver(scheduler, options) }
}

/** Rejections that nobody handles are what some tests are about: keep the test runner out of it. */
async function withoutTestRunner<T>(work: () => Promise<T>): Promise<T> {
  const listeners = process.listeners('unhandledRejection')
  process.removeAllListeners('unhandledRejection')
  try {
    return await work()
  } finally {
    for (const listener of listeners) process.on('unhandledRejection', listener)
  }
}

describe.each(['tick', 'immediates'] as const)('a run, microtasks by %s', (settle) => {
  test('runs events by time, then in the order of scheduling, each at its own time', async () => {
    const { scheduler, driver } = world({ settle })
    const log: string[] = []
    const at = (delayUs: number, name: string): void => {
      scheduler.schedule(delayUs, () => log.push(`${name} at ${scheduler.nowUs()}`))
    }
    at(20, 'c')
    at(10.2, 'a')
    at(20, 'd')
    at(11, 'b')
    at(-5, 'first')
    expect(await driver.run()).toBe('idle')
    expect(log).toEqual(['first at 0', 'a at 11', 'b at 11', 'c at 20', 'd at 20'])
    expect(scheduler.eventsRun).toBe(5)
  })

  test('finishes all microtasks of an event before the next event', async () => {
    const { scheduler, driver } = world({ settle })
    const log: string[] = []
    const generator = async function* (): AsyncGenerator<number> {
      for (let i = 0; i < 3; i++) yield await Promise.resolve(i)
    }
    for (const name of ['a', 'b']) {
      scheduler.schedule(5, () => {
        scheduler.woke(0)
        void (async (): Promise<void> => {
          for (let i = 0; i < 200; i++) await Promise.resolve()
          for await (const i of generator()) log.push(`${name}${i}`)
          process.nextTick(() => {
            queueMicrotask(() => {
              process.nextTick(() => log.push(`${name} deep`))
            })
          })
          const response = new Response('text')
          log.push(`${name} ${await response.text()}`)
        })()
        log.push(`${name} began`)
      })
      scheduler.schedule(5, () => log.push(`after ${name}`))
    }
    await driver.run()
    const one = (name: string): string[] => ['0', '1', '2', ' text', ' deep'].map((part) => name + part)
    const sorted = (part: string[]): string[] => [...part].sort()
    expect(log.length).toBe(14)
    expect([log[0], log[6], log[7], log[13]]).toEqual(['a began', 'after a', 'b began', 'after b'])
    expect(sorted(log.slice(1, 6))).toEqual(sorted(one('a')))
    expect(sorted(log.slice(8, 13))).toEqual(sorted(one('b')))
  })

  test('knows whose code runs, in the event and in its microtasks', async () => {
    const { scheduler, driver } = world({ settle })
    const seen: number[] = []
    const look = (): void => void seen.push(scheduler.currentHost)
    const event = (hosts: number[]): void => {
      scheduler.schedule(1, () => {
        for (const host of hosts) scheduler.woke(host)
        look()
        void Promise.resolve().then(look)
      })
    }
    event([3])
    scheduler.schedule(1, look)
    event([4, 4])
    event([5, 6])
    event([NO_HOST])
    scheduler.schedule(1, look)
    await driver.run()
    expect(seen).toEqual([3, 3, NO_HOST, 4, 4, SEVERAL_HOSTS, SEVERAL_HOSTS, NO_HOST, NO_HOST, NO_HOST])
    expect(scheduler.currentHost).toBe(NO_HOST)
  })

  test('stops at its time, and goes on from there', async () => {
    const { scheduler, driver } = world({ settle })
    const log: number[] = []
    for (const delay of [10, 20, 30]) scheduler.schedule(delay, () => log.push(scheduler.nowUs()))
    expect(await driver.run({ untilUs: 20 })).toBe('time')
    expect(log).toEqual([10, 20])
    expect(await driver.run({ untilUs: 25 })).toBe('time')
    expect(scheduler.nowUs()).toBe(25)
    scheduler.schedule(1, () => log.push(scheduler.nowUs()))
    expect(await driver.run()).toBe('idle')
    expect(log).toEqual([10, 20, 26, 30])
  })

  test('stops when its condition is met by application code', async () => {
    const { scheduler, driver } = world({ settle })
    let done = false
    const later: number[] = []
    scheduler.schedule(1, () => {
      scheduler.woke(0)
      void Promise.resolve().then(() => {
        done = true
      })
    })
    scheduler.schedule(1, () => later.push(1))
    expect(await driver.run({ stop: () => done })).toBe('stopped')
    expect(later).toEqual([])
  })

  test('ends with the error of an event, and of a nextTick callback, naming the host', async () => {
    const describeError = (error: unknown, host: number): unknown => new Error(`${host}: ${(error as Error).message}`)
    const { scheduler, driver } = world({ settle, onError: describeError })
    scheduler.schedule(1, () => {
      scheduler.woke(7)
      throw new Error('synchronous')
    })
    await expect(driver.run()).rejects.toThrow('7: synchronous')
    expect(scheduler.driving).toBe(false)
    expect(driver.running).toBe(false)
    expect(await driver.run()).toBe('idle')
  })

  test('ends with a rejection that nobody handles, naming the host', async () => {
    const { scheduler, driver } = world({ settle, onError: (error, host) => new Error(`${host}: ${String(error)}`) })
    const later: string[] = []
    scheduler.schedule(1, () => {
      scheduler.woke(8)
      void Promise.reject(new Error('forgotten'))
    })
    scheduler.schedule(1, () => later.push('went on'))
    await withoutTestRunner(async () => {
      await expect(driver.run()).rejects.toThrow('8: Error: forgotten')
    })
    expect(later).toEqual([])
    expect(process.listenerCount('unhandledRejection')).toBeLessThan(5)
  })

  test('refuses a loop that never lets time move', async () => {
    const { scheduler, driver } = world({ settle })
    let runs = 0
    const again = (): void => {
      runs++
      scheduler.schedule(0, again)
    }
    scheduler.schedule(3, again)
    await expect(driver.run()).rejects.toMatchObject({ code: 'limit-exceeded', max: MAX_EVENTS_PER_INSTANT })
    expect(runs).toBe(MAX_EVENTS_PER_INSTANT)
  })

  test('lets the process do its real work meanwhile', async () => {
    const { scheduler, driver } = world({ settle })
    let stop = false
    const forever = (): void => {
      scheduler.woke(0)
      scheduler.schedule(1, forever)
    }
    scheduler.schedule(1, forever)
    const timer = realSleep(50).then(() => {
      stop = true
    })
    await driver.run({ stop: () => stop })
    await timer
    expect(scheduler.eventsRun).toBeGreaterThan(100)
  })

  test('refuses a second run at the same time', async () => {
    const { driver } = world({ settle })
    const run = driver.run({ untilUs: 5 })
    expect(() => driver.run()).toThrow(/await the run under way/)
    expect(await run).toBe('time')
  })
})

describe('a Node without a way to run microtasks', () => {
  test.each([
    ['is gone', undefined],
    ['does nothing', (): void => {}],
    [
      'throws',
      (): never => {
        throw new Error('not here')
      },
    ],
  ])('is driven by immediates when _tickCallback %s', async (_case, replacement) => {
    const node = process as { _tickCallback?: unknown }
    const original = node._tickCallback
    node._tickCallback = replacement
    try {
      const { scheduler, driver } = world()
      const log: string[] = []
      scheduler.schedule(1, () => {
        scheduler.woke(0)
        void (async (): Promise<void> => {
          for (let i = 0; i < 50; i++) await Promise.resolve()
          log.push('first')
        })()
      })
      scheduler.schedule(1, () => log.push('second'))
      expect(await driver.run()).toBe('idle')
      expect(log).toEqual(['first', 'second'])
    } finally {
      node._tickCallback = original
    }
  })
})

describe('the rest of a nextTick queue', () => {
  test('runs after one of its callbacks has thrown', async () => {
    const { scheduler, driver } = world()
    const log: string[] = []
    scheduler.schedule(1, () => {
      scheduler.woke(7)
      process.nextTick(() => {
        throw new Error('in a tick')
      })
      process.nextTick(() => log.push('second'))
    })
    await expect(driver.run()).rejects.toThrow('in a tick')
    expect(log).toEqual(['second'])
  })
})

describe('real work', () => {
  test('stops the clock, and is delivered in the order in which it was asked for', async () => {
    const { scheduler, driver } = world()
    const log: string[] = []
    const ask = (name: string, realMs: number): void => {
      void driver.bridge
        .submit(
          0,
          name,
          () => realSleep(realMs, name),
          () => true,
        )
        .then((value) => log.push(`${value} at ${scheduler.nowUs()}`))
    }
    scheduler.schedule(10, () => {
      scheduler.woke(0)
      ask('slow', 40)
      ask('fast', 1)
    })
    scheduler.schedule(10, () => log.push('event of the same time'))
    scheduler.schedule(11, () => log.push('event after'))
    expect(await driver.run()).toBe('idle')
    expect(log).toEqual(['slow at 10', 'fast at 10', 'event of the same time', 'event after'])
  })

  test('asked for by real work runs at once', async () => {
    const { scheduler, driver } = world()
    let result = ''
    scheduler.schedule(1, () => {
      scheduler.woke(0)
      const inner = (): Promise<string> => Promise.resolve(scheduler.driving ? 'queued' : 'at once')
      void driver.bridge
        .submit(0, 'outer', inner, () => true)
        .then((value) => {
          result = value
        })
    })
    await driver.run()
    expect(result).toBe('at once')
  })

  test('that fails rejects; work of someone who has gone settles nothing', async () => {
    const { scheduler, driver } = world()
    const log: string[] = []
    const note = (name: string): [() => void, () => void] => [
      (): void => void log.push(`${name} resolved`),
      (): void => void log.push(`${name} rejected`),
    ]
    scheduler.schedule(1, () => {
      scheduler.woke(0)
      const fail = (): Promise<void> => Promise.reject(new Error('no'))
      const throws = (): Promise<void> => {
        throw new Error('no')
      }
      void driver.bridge.submit(0, 'a', fail, () => true).then(...note('a'))
      void driver.bridge.submit(0, 'b', throws, () => true).then(...note('b'))
      void driver.bridge
        .submit(
          0,
          'c',
          () => realSleep(1),
          () => false,
        )
        .then(...note('c'))
      void driver.bridge
        .submit(
          0,
          'd',
          () => realSleep(1),
          () => true,
        )
        .then(...note('d'))
    })
    await driver.run()
    expect(log).toEqual(['a rejected', 'b rejected', 'd resolved'])
  })

  test('that never ends fails the run', async () => {
    const { scheduler, driver } = world({ bridgeLimitMs: 30 })
    scheduler.schedule(1, () => {
      scheduler.woke(0)
      void driver.bridge.submit(
        0,
        'waiting for Godot',
        () => new Promise(() => {}),
        () => true,
      )
    })
    const error: unknown = await driver.run().catch((reason: unknown) => reason)
    expect(P2PError.is(error, 'timeout') && error.message).toMatch(/waiting for Godot is not done after 0.03 s/)
  })
})

describe('code that hangs', () => {
  test('in an endless chain of promises is broken off, and the run fails', async () => {
    const { scheduler, driver } = world({ hangLimitMs: 200 })
    scheduler.schedule(1, () => {
      scheduler.woke(0)
      void (async (): Promise<void> => {
        for (;;) await Promise.resolve()
      })()
    })
    await expect(driver.run()).rejects.toMatchObject({ code: 'limit-exceeded', limit: 'hangLimitMs' })
  })

  test('in an endless loop too', async () => {
    const { scheduler, driver } = world({ hangLimitMs: 200 })
    scheduler.schedule(1, () => {
      scheduler.woke(0)
      for (;;) if (scheduler.seed === 2n) break
    })
    await expect(driver.run()).rejects.toThrow(/ran for 0.2 s without a break at 0.001 ms of virtual time/)
  })
})
