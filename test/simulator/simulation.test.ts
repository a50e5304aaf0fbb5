import { setTimeout as realSleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { parseSimulatorConfig } from '../../src/core/config.ts'
import { testNodeId } from '../../src/core/keys.ts'
import { ambient } from '../../src/simulator/ambient.ts'
import type { SimHost } from '../../src/simulator/host.ts'
import { Simulation } from '../../src/simulator/simulation.ts'

const forever = (): Promise<void> => new Promise(() => {})

describe('a run', () => {
  test('ends with the programs, and reports itself', async () => {
    await using sim = new Simulation({ seed: 42n })
    sim.host('a', ({ runtime }) => runtime.sleep(10))
    sim.host('b', ({ runtime }) => runtime.sleep(25.5))
    sim.host('idle')
    const result = await sim.run()
    expect(result).toMatchObject({ ended: 'programs', virtualMs: 25.5, seed: 42n, waiting: [] })
    expect(result.hash).toBe(sim.hash)
    expect(result.events).toBe(4)
    expect(sim.now).toBe(25.5)
  })

  test('ends when its time is over, and can be continued', async () => {
    await using sim = new Simulation({ seed: 1 })
    sim.host('a', ({ runtime }) => runtime.sleep(100))
    expect(await sim.run({ forMs: 30 })).toMatchObject({ ended: 'time', virtualMs: 30, waiting: ['a'] })
    expect(await sim.run({ forMs: 30 })).toMatchObject({ ended: 'time', virtualMs: 60, waiting: ['a'] })
    expect(await sim.run({ forMs: 1000 })).toMatchObject({ ended: 'programs', virtualMs: 100, waiting: [] })
    // Nobody is left to wait for: time itself is what was asked for.
    expect(await sim.run({ forMs: 1000 })).toMatchObject({ ended: 'time', virtualMs: 1100 })
  })

  test('in parts has the same history as one in one piece', async () => {
    const hashAfter = async (parts: readonly number[]): Promise<string> => {
      await using sim = new Simulation({ seed: 1 })
      sim.host('a', async ({ runtime }) => {
        for (let i = 0; i < 20; i++) await runtime.sleep(runtime.random() * 10)
      })
      for (const forMs of parts) await sim.run({ forMs })
      return (await sim.run()).hash
    }
    const whole = await hashAfter([])
    // A pause at 5.5 ms is no event: it must not be seen.
    expect(await hashAfter([5.5, 20])).toBe(whole)
  })

  test('ends when nothing can happen any more, and says who waits', async () => {
    await using sim = new Simulation({ seed: 1 })
    sim.host('stuck', forever)
    sim.host('done', ({ runtime }) => runtime.sleep(5))
    expect(await sim.run()).toMatchObject({ ended: 'idle', virtualMs: 5, waiting: ['stuck'] })
  })

  test('keeps to SIMULATOR_DURATION', async () => {
    const config = parseSimulatorConfig({ SIMULATOR_DURATION: '2s', SIMULATOR_SEED: '9' })
    await using sim = new Simulation({ config })
    sim.host('a', ({ runtime }) => runtime.sleep(100_000))
    expect(await sim.run()).toMatchObject({ ended: 'time', virtualMs: 2000, seed: 9n })
  })

  test('a step is ten milliseconds, whatever the programs do', async () => {
    await using sim = new Simulation({ seed: 1 })
    sim.host('a', ({ runtime }) => runtime.sleep(3))
    expect((await sim.step()).virtualMs).toBe(10)
    expect((await sim.step()).virtualMs).toBe(20)
  })

  test.each([-1, 1.5, 2n ** 64n, Number.NaN])('refuses the seed %s', (seed) => {
    expect(() => new Simulation({ seed })).toThrow(/whole number from 0 to 2\^64 - 1/)
  })

  test('without a seed draws one, which repeats the run', async () => {
    const program = async ({ runtime }: SimHost): Promise<void> => runtime.sleep(runtime.random() * 1000)
    const config = parseSimulatorConfig({})
    await using first = new Simulation({ config })
    await using other = new Simulation({ config })
    await using again = new Simulation({ config, seed: first.seed })
    for (const sim of [first, other, again]) sim.host('a', program)
    const [a, b, c] = [await first.run(), await other.run(), await again.run()]
    expect(b.seed).not.toBe(a.seed)
    expect(b.hash).not.toBe(a.hash)
    expect(c).toEqual(a)
  })

  test('is refused inside of another, and twice at a time', async () => {
    await using outer = new Simulation({ seed: 1 })
    await using inner = new Simulation({ seed: 2 })
    outer.host('a', async () => void (await inner.run()))
    await expect(outer.run()).rejects.toThrow(/cannot be run from inside of one/)
    inner.host('b')
    const run = inner.run({ forMs: 5 })
    await expect(inner.run()).rejects.toThrow(/await the run under way/)
    await run
  })

  test('is refused without anybody in it', async () => {
    await using sim = new Simulation({ seed: 1 })
    await expect(sim.run({ forMs: 5 })).rejects.toMatchObject({ code: 'invalid-configuration', setting: 'hosts' })
    let ran = false
    sim.at(1, () => void (ran = true))
    await sim.run()
    expect(ran).toBe(true)
  })

  test('is refused after close', async () => {
    const sim = new Simulation({ seed: 1 })
    await sim.close()
    await expect(sim.run()).rejects.toThrow(/closed/)
    expect(() => sim.host('a')).toThrow(/closed/)
    expect(ambient().running).toBe(0)
  })

  test('fails when the simulation is closed meanwhile', async () => {
    const unfinished = async (): Promise<unknown> => {
      await using sim = new Simulation({ seed: 1 })
      sim.host('a', ({ runtime }) => runtime.sleep(1))
      // oxlint-disable-next-line typescript/return-await -- the mistake that this is about
      return sim.run()
    }
    await expect(unfinished()).rejects.toThrow(/closed while it ran/)
  })
})

describe('two simulations of one process', () => {
  test('share nothing, even when they run at the same time', async () => {
    const make = (seed: number): Simulation => {
      const sim = new Simulation({ seed })
      for (const name of ['a', 'b']) {
        sim.host(name, async ({ runtime }) => {
          for (let i = 0; i < 3000; i++) await runtime.sleep(runtime.random())
        })
      }
      return sim
    }
    const alone = [await make(1).run(), await make(2).run()]
    const together = await Promise.all([make(1).run(), make(2).run()])
    expect(together).toEqual(alone)
  })
})

describe('the current host', () => {
  test('is known in its own code after every await, and nowhere else', async () => {
    await using sim = new Simulation({ seed: 1 })
    const wrong: string[] = []
    const check = (name: string | undefined, where: string): void => {
      const seen = ambient().currentHost?.()?.name
      if (seen !== name) wrong.push(`${where}: ${seen} instead of ${name}`)
    }
    for (const name of ['a', 'b', 'c']) {
      sim.host(name, async ({ runtime }) => {
        check(name, 'first')
        for (let i = 0; i < 20; i++) {
          await runtime.sleep(i % 2)
          check(name, 'after a sleep')
          await Promise.all([Promise.resolve(), runtime.sleep(1)])
          check(name, 'after all')
          await runtime.bridge('work', () => realSleep(1))
          check(name, 'after real work')
        }
      })
    }
    sim.at(5, () => check(undefined, 'operation'))
    await sim.run()
    check(undefined, 'outside')
    expect(wrong).toEqual([])
    expect(ambient().currentHost).toBeUndefined()
  })
})

describe('hosts', () => {
  test('have the id of their name', () => {
    const sim = new Simulation({ seed: 1 })
    expect(sim.host('alice').id.equals(testNodeId('alice'))).toBe(true)
    expect(sim.hosts.map(({ name, index }) => [name, index])).toEqual([['alice', 0]])
  })

  test('of one name are refused, as are hosts without a name', () => {
    const sim = new Simulation({ seed: 1 })
    sim.host('alice')
    expect(() => sim.host('alice')).toThrow(/a host of this name, and so of this id, already/)
    expect(() => sim.host('')).toThrow(/must be a name/)
  })

  test('can be added by other hosts', async () => {
    await using sim = new Simulation({ seed: 1 })
    const log: string[] = []
    sim.host('parent', async ({ runtime }) => {
      await runtime.sleep(5)
      sim.host('child', async (child) => {
        log.push(`child at ${child.runtime.now()}`)
        await child.runtime.sleep(7)
      })
    })
    expect(await sim.run()).toMatchObject({ ended: 'programs', virtualMs: 12 })
    expect(log).toEqual(['child at 5'])
  })

  test('enter the hash with their names', async () => {
    const hashOf = (names: readonly string[]): string => {
      const sim = new Simulation({ seed: 1 })
      for (const name of names) sim.host(name)
      return sim.hash
    }
    expect(hashOf(['a'])).not.toBe(hashOf(['b']))
    expect(hashOf(['a', 'b'])).not.toBe(hashOf(['b', 'a']))
  })
})

describe('a failing program', () => {
  test('fails the run with its host, time, seed and error', async () => {
    await using sim = new Simulation({ seed: 77 })
    const cause = new RangeError('out of tracks')
    sim.host('player', async ({ runtime }) => {
      await runtime.sleep(12)
      throw cause
    })
    sim.host('server', forever)
    await expect(sim.run()).rejects.toMatchObject({
      code: 'program-failed',
      message: 'host player failed at 12 ms of virtual time with seed 77: out of tracks',
      host: 'player',
      seed: 77n,
      virtualMs: 12,
      cause,
    })
  })

  test('is the first to fail, when several do', async () => {
    await using sim = new Simulation({ seed: 1 })
    for (const name of ['a', 'b']) sim.host(name, () => Promise.reject(new Error(name)))
    await expect(sim.run()).rejects.toMatchObject({ host: 'a' })
  })

  test('can be an operation of the scenario', async () => {
    await using sim = new Simulation({ seed: 1 })
    sim.at('1s', () => sim.crash('nobody'))
    await expect(sim.run()).rejects.toThrow(/the scenario failed at 1000 ms .* no host of this name/)
    sim.at('2s', () => Promise.reject(new Error('asynchronous')))
    await expect(sim.run()).rejects.toThrow(/the scenario failed at 2000 ms .* asynchronous/)
  })
})

describe('operations', () => {
  test('run at their time, in the order they were given', async () => {
    await using sim = new Simulation({ seed: 1 })
    const log: string[] = []
    for (const time of ['20ms', 10, '1s', 10]) sim.at(time, () => void log.push(`${time} at ${sim.now}`))
    await sim.run()
    expect(log).toEqual(['10 at 10', '10 at 10', '20ms at 20', '1s at 1000'])
    expect(() => sim.at(999, () => {})).toThrow(/it is 1000 ms already/)
    expect(() => sim.at('soon', () => {})).toThrow(/duration/)
  })
})

describe('a module as program', () => {
  test('is loaded afresh for each host and each start', async () => {
    const url = new URL('./support/counting-program.mjs', import.meta.url)
    const run = async (): Promise<[string, string]> => {
      await using sim = new Simulation({ seed: 1 })
      const log: string[] = []
      for (const name of ['a', 'b']) Object.assign(sim.host(name, url), { log })
      sim.at(5, () => {
        sim.crash('a')
        sim.restart('a')
      })
      const { hash } = await sim.run()
      return [log.join(' '), hash]
    }
    const first = await run()
    expect(first[0]).toBe('a:1@0 b:1@0 a:1@5 b:2@10 a:2@15')
    expect(await run()).toEqual(first)
  })

  test('must have a program', async () => {
    await using sim = new Simulation({ seed: 1 })
    sim.host('a', new URL('data:text/javascript,export const nothing = 1'))
    await expect(sim.run()).rejects.toThrow(/host a failed .* has no program/)
  })
})

describe('a crash', () => {
  test('stops everything a host waits for, and a restart begins anew', async () => {
    await using sim = new Simulation({ seed: 1 })
    const log: string[] = []
    const host = sim.host('server', async ({ runtime }) => {
      log.push(`start at ${runtime.now()}`)
      runtime.setTimer(50, () => log.push(`timer at ${runtime.now()}`))
      try {
        await runtime.sleep(100)
        log.push(`end at ${runtime.now()}`)
      } finally {
        log.push('finally')
      }
    })
    const seen: string[] = []
    const stopWatching = host.onPowerOff(() => seen.push('not called'))
    host.onPowerOff(() => seen.push(`off at ${sim.now}`))
    stopWatching()
    sim.at(40, () => {
      sim.crash('server')
      sim.crash('server')
      expect(host.program).toBe('crashed')
      expect(host.isOn).toBe(false)
    })
    sim.at(200, () => sim.restart('server'))
    expect(await sim.run()).toMatchObject({ ended: 'programs', virtualMs: 300, waiting: [] })
    expect(log).toEqual(['start at 0', 'start at 200', 'timer at 250', 'end at 300', 'finally'])
    expect(seen).toEqual(['off at 40'])
    expect(() => sim.restart('server')).toThrow(/is on/)
  })

  test('for good does not keep the run from ending', async () => {
    await using sim = new Simulation({ seed: 1 })
    sim.host('server', forever)
    sim.host('player', ({ runtime }) => runtime.sleep(10))
    sim.at(5, () => sim.crash('server'))
    expect(await sim.run()).toMatchObject({ ended: 'programs', virtualMs: 10, waiting: [] })
  })

  test('is the last that is heard of a program, even when it fails', async () => {
    await using sim = new Simulation({ seed: 1 })
    sim.host('a', async (host) => {
      await host.runtime.sleep(1)
      host.crash()
      throw new Error('from beyond')
    })
    sim.host('b', ({ runtime }) => runtime.sleep(10))
    expect(await sim.run()).toMatchObject({ ended: 'programs', virtualMs: 10 })
    expect(sim.hosts[0]?.program).toBe('crashed')
  })

  test('in the middle of real work drops its result', async () => {
    await using sim = new Simulation({ seed: 1 })
    const log: string[] = []
    sim.host('a', async (host) => {
      const work = host.runtime.bridge('work', () => realSleep(5))
      host.crash()
      await work
      log.push('still here')
    })
    sim.host('b', ({ runtime }) => runtime.sleep(1))
    expect((await sim.run()).virtualMs).toBe(1)
    expect(log).toEqual([])
  })
})
