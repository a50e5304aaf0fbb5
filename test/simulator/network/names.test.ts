import { describe, expect, test } from 'vitest'
import type { P2PError } from '../../../src/core/errors.ts'
import { NameService, type NameServiceOptions } from '../../../src/simulator/network/index.ts'
import { TestKernel } from '../support/test-kernel.ts'
import { failure } from './support.ts'

function world(options: NameServiceOptions = {}) {
  const kernel = new TestKernel()
  const names = new NameService<string>(kernel, options)
  /** Looks up and says after how many milliseconds what came. */
  const ask = (client: number, name: string): string => {
    const start = kernel.nowUs()
    const answers: string[] = []
    names.lookup(client, name, (error: P2PError | undefined, value) => {
      answers.push(`${value ?? error?.code} after ${(kernel.nowUs() - start) / 1000}`)
    })
    expect(answers).toEqual([])
    kernel.run()
    expect(answers).toHaveLength(1)
    return answers.join()
  }
  return { kernel, names, ask }
}

describe('names', () => {
  test('are found after the delay, then at once until their time is over', () => {
    const { kernel, names, ask } = world()
    names.register('home.example', 'alice')
    expect(ask(0, 'home.example')).toBe('alice after 100')
    expect(ask(0, 'HOME.example')).toBe('alice after 0')
    expect(ask(1, 'home.example')).toBe('alice after 100')
    kernel.runFor(299_800_000)
    expect(ask(0, 'home.example')).toBe('alice after 0')
    kernel.runFor(200_000)
    expect(ask(0, 'home.example')).toBe('alice after 100')
  })

  test('answers get stale: a client keeps what it knows, others get the new', () => {
    const { kernel, names, ask } = world({ ttlSeconds: 60 })
    names.register('home', 'old')
    ask(0, 'home')
    names.register('home', 'new')
    expect(ask(0, 'home')).toBe('old after 0')
    expect(ask(1, 'home')).toBe('new after 100')
    names.unregister('home')
    names.unregister('home')
    expect(ask(0, 'home')).toBe('old after 0')
    kernel.runFor(60_000_000)
    expect(ask(0, 'home')).toBe('node-not-found after 100')
    expect(names.names()).toEqual([])
  })

  test('a name has a time to live of its own, 0 for none', () => {
    const { kernel, names, ask } = world({ delayMs: 5 })
    names.register('quick', 'x', 0)
    names.register('slow', 'y', 1000)
    ask(0, 'quick')
    ask(0, 'slow')
    expect(ask(0, 'quick')).toBe('x after 5')
    kernel.runFor(999_000_000)
    expect(ask(0, 'slow')).toBe('y after 0')
  })

  test('an unknown name is an error that is not remembered', () => {
    const { names, ask } = world()
    expect(ask(0, 'nobody')).toBe('node-not-found after 100')
    names.register('nobody', 'somebody')
    expect(ask(0, 'nobody')).toBe('somebody after 100')
  })

  test('the answer is the state when it is made', () => {
    const { kernel, names } = world()
    const answers: (string | undefined)[] = []
    names.lookup(0, 'late', (_, value) => answers.push(value))
    kernel.runFor(99_999)
    names.register('late', 'in time')
    kernel.run()
    expect(answers).toEqual(['in time'])
  })

  test('in an outage caches answer and the service does not', () => {
    const { names, ask } = world()
    names.register('known', 'x')
    names.register('unknown', 'y')
    ask(0, 'known')
    names.isDown = true
    expect(ask(0, 'known')).toBe('x after 0')
    expect(ask(0, 'unknown')).toBe('discovery-failed after 100')
    expect(ask(0, 'nobody')).toBe('discovery-failed after 100')
    names.isDown = false
    expect(ask(0, 'unknown')).toBe('y after 100')
  })

  test('a cache is flushed by itself or with all', () => {
    const { names, ask } = world()
    names.register('name', 'x')
    for (const client of [0, 1]) ask(client, 'name')
    names.flushCache(0)
    expect(ask(0, 'name')).toBe('x after 100')
    expect(ask(1, 'name')).toBe('x after 0')
    names.flushCache()
    expect(ask(1, 'name')).toBe('x after 100')
  })

  test('a cache is bounded; the oldest answer goes first', () => {
    const { names, ask } = world({ maxCachedNames: 2 })
    for (const name of ['a', 'b', 'c']) {
      names.register(name, name)
      ask(0, name)
    }
    expect([ask(0, 'c'), ask(0, 'b'), ask(0, 'a')]).toEqual(['c after 0', 'b after 0', 'a after 100'])
  })

  test('a look-up that was given up calls nobody', () => {
    const { kernel, names } = world()
    names.register('name', 'x')
    names.lookup(0, 'name', () => expect.unreachable()).cancel()
    kernel.run()
  })

  test('the history knows it', () => {
    const hash = (value: string): number => {
      const { kernel, names, ask } = world()
      names.register(value, 'x')
      ask(0, 'a')
      return kernel.audit.hash
    }
    expect(hash('a')).toBe(hash('a'))
    expect(hash('a')).not.toBe(hash('b'))
  })

  test('mistakes', () => {
    const { names } = world()
    expect(failure(() => names.register('', 'x'))).toBe('invalid-configuration: name')
    expect(failure(() => names.register('x'.repeat(254), 'x'))).toBe('invalid-configuration: name')
    expect(failure(() => names.register('x', 'x', -1))).toBe('invalid-configuration: ttlSeconds')
    expect(failure(() => names.lookup(0, '', () => {}))).toBe('invalid-configuration: name')
    expect(failure(() => world({ delayMs: Number.NaN }))).toBe('invalid-configuration: delayMs')
    expect(failure(() => world({ ttlSeconds: -5 }))).toBe('invalid-configuration: ttlSeconds')
  })
})
