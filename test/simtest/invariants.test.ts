/** What a scenario can ask for, and what happens when it does not get it. */
import { describe, expect, test } from 'vitest'
import { DefaultP2P } from '../../src/index.ts'
import { buggify } from '../../src/simtest/index.ts'
import type { SimTest } from '../../src/simtest/index.ts'
import { check } from './support.ts'

/** A host that counts up every second, for a minute. */
function counter(sim: SimTest): { value: number } {
  const count = { value: 0 }
  sim.host('counter', async ({ runtime }) => {
    for (let i = 0; i < 60; i++) {
      await runtime.sleep(1000)
      count.value++
    }
  })
  return count
}

const brief = { seeds: 1, shrinkMs: 0 }

test('faults happen to a scenario that goes step by step too', async () => {
  const faults = [{ kind: 'crash', atMs: 15, forMs: 20, host: 'counter' }] as const
  const { runs, failures } = await check({ ...brief, faults }, async (sim) => {
    counter(sim)
    for (let i = 0; i < 5; i++) await sim.step()
    if (!sim.story.some(({ text }) => text.startsWith('crash counter'))) throw new Error('no crash')
    sim.crash('counter')
  })
  expect([runs, failures]).toEqual([1, []])
})

describe('always', () => {
  test('is checked whenever code has run, and tells when it broke', async () => {
    const { failures } = await check(brief, (sim) => {
      const count = counter(sim)
      sim.always('it stays below five', () => count.value < 5)
    })
    expect(failures[0]?.failure).toMatchObject({
      message: 'always "it stays below five" does not hold',
      virtualMs: 5000,
      key: 'Error: always "it stays below five" does not hold',
    })
  })

  test('may throw instead, and its error says why', async () => {
    const { failures } = await check(brief, (sim) => {
      const count = counter(sim)
      sim.always('it stays below five', () => {
        if (count.value === 5) throw new RangeError('it is five')
      })
    })
    expect(failures[0]?.failure?.message).toBe('always "it stays below five" does not hold: it is five')
  })

  test('is checked at intervals when that is asked for, and at the end', async () => {
    const seen: number[] = []
    await check(brief, (sim) => {
      counter(sim)
      sim.always('x', () => void seen.push(sim.now), { everyMs: 10_000 })
    })
    expect(seen).toEqual([0, 10_000, 20_000, 30_000, 40_000, 50_000, 60_000, 60_000])
  })

  test('does not change the history', async () => {
    const hashes = await Promise.all(
      [false, true].map(async (isChecked) => {
        let hash = ''
        await check(brief, async (sim) => {
          counter(sim)
          if (isChecked) sim.always('x', () => true, { everyMs: 1 })
          if (isChecked) sim.sometimes('y', () => sim.now > 3000)
          hash = (await sim.run()).hash
        })
        return hash
      }),
    )
    expect(hashes[0]).toBe(hashes[1])
  })
})

describe('eventually', () => {
  test('has until the end, and some time after everything is healed', async () => {
    let metAt = 0
    const { failures } = await check(
      { ...brief, faults: [{ kind: 'pause', atMs: 500, forMs: 86_000_000, host: 'counter' }] },
      async (sim) => {
        const count = counter(sim)
        sim.eventually('it gets to ten', () => {
          metAt = sim.now
          return count.value >= 10
        })
        await sim.run({ forMs: 30_000 })
        expect(count.value).toBe(0)
      },
    )
    expect(failures).toEqual([])
    expect(metAt).toBe(39_000)
  })

  test('fails when it does not come true', async () => {
    const { failures } = await check(brief, (sim) => {
      counter(sim)
      sim.eventually('it gets to a hundred', () => false, { withinMs: 5000 })
    })
    expect(failures[0]?.failure?.message).toMatch('eventually "it gets to a hundred": not within 5000 ms')
  })
})

describe('sometimes', () => {
  test('is reported over all seeds', async () => {
    const { reached, missing } = await check({ seeds: 20 }, (sim) => {
      const even = sim.integer(1, 100) % 2 === 0
      sim.sometimes('an even number', even)
      sim.sometimes('a second passes', () => sim.now >= 1000)
      counter(sim)
    })
    expect(reached.get('a second passes')).toBe(20)
    expect(reached.get('an even number')).toBeGreaterThan(3)
    expect(reached.get('an even number')).toBeLessThan(17)
    expect(missing).toEqual([])
  })

  test('is missed when no seed gets there', async () => {
    const { missing, failures } = await check({ seeds: 3 }, (sim) => {
      sim.sometimes('the moon', false)
      sim.sometimes('the stars', () => false)
    })
    expect(failures).toEqual([])
    expect(missing).toEqual(['the moon', 'the stars'])
  })
})

describe('a scenario', () => {
  test('chooses by its seed, and says what', async () => {
    const chosen = new Set<string>()
    const numbers = new Set<number>()
    await check({ seeds: 60 }, (sim) => {
      chosen.add(sim.pick(['a', 'b', 'c'], 'letter'))
      numbers.add(sim.integer(3, 5))
      expect(sim.choices[0]).toMatchObject({ name: 'letter', of: 3 })
      expect(sim.choices[1]?.name).toBe('choice 2')
    })
    expect([...chosen].sort()).toEqual(['a', 'b', 'c'])
    expect(numbers).toEqual(new Set([3, 4, 5]))
  })

  test('does something every so often, until it is told not to', async () => {
    const times: number[] = []
    await check(brief, async (sim) => {
      const every = sim.every('2s', () => void times.push(sim.now))
      sim.at(7000, () => every.cancel())
      await sim.run({ forMs: 20_000 })
    })
    expect(times).toEqual([2000, 4000, 6000])
  })

  test('acts on hosts step by step', async () => {
    const { failures } = await check(brief, async (sim) => {
      const alice = sim.host('alice')
      const bob = sim.host('bob')
      const listener = await sim.act(bob, async () => (await DefaultP2P.create()).listen())
      const connection = await sim.act(alice, async () => (await DefaultP2P.create()).connect(bob.id))
      const far = await sim.act(bob, () => listener.accept())
      await sim.act(alice, () => connection.send(Uint8Array.of(7)))
      expect(await sim.act(bob, () => far.recv())).toEqual(Uint8Array.of(7))
      expect(sim.now).toBeGreaterThan(100)
      await expect(sim.act(alice, () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    })
    expect(failures).toEqual([])
  })

  test('converges once everything is healed, or fails', async () => {
    const faults = [{ kind: 'pause', atMs: 0, forMs: 86_000_000, host: 'counter' }] as const
    const run = (least: number) =>
      check({ ...brief, faults }, async (sim) => {
        const count = counter(sim)
        await sim.run({ forMs: 1000 })
        await sim.converge('it counts', () => count.value >= least, { withinMs: 10_000 })
      })
    expect((await run(5)).failures).toEqual([])
    expect((await run(50)).failures[0]?.failure?.message).toMatch('it counts: not within 10000 ms')
  })

  test('that fails names the host', async () => {
    const { failures } = await check(brief, (sim) => {
      sim.host('alice', () => Promise.reject(new TypeError('oh no')))
    })
    expect(failures[0]?.failure).toMatchObject({ host: 'alice', message: 'oh no', key: 'TypeError: oh no' })
  })

  test('that fails tells the line, of a host, a check, and what it waited for', async () => {
    const here = String.raw`test/simtest/invariants\.test\.ts:\d+:\d+`
    const bodies: readonly ((sim: SimTest) => unknown)[] = [
      (sim) => sim.host('alice', () => Promise.reject(new TypeError('oh no'))),
      (sim) => {
        sim.host('alice', ({ runtime }) => runtime.sleep(1000))
        sim.always('x', () => {
          throw new Error('no')
        })
      },
      async (sim) => {
        sim.host('alice', ({ runtime }) => runtime.sleep(1000))
        await sim.until('x', () => false)
      },
      () => {
        throw new Error('of the scenario')
      },
    ]
    for (const body of bodies) {
      const { examined } = await check(brief, async (sim) => void (await body(sim)))
      expect(examined[0]?.text).toMatch(new RegExp(`\\n  at ${here}\\n  at .* of virtual time`))
    }
    // The library's own frames come first where it was asked for nonsense; they say nothing.
    const { failures } = await check(brief, (sim) => void sim.pick([]))
    expect(failures[0]?.failure?.place).toMatch(new RegExp(`^${here}$`))
  })

  test('draws other faults with other seeds, and ends with none', async () => {
    const drawn = new Set<string>()
    const { failures } = await check({ seeds: 30, faults: 'hostile', durationMs: 70_000 }, async (sim) => {
      const count = counter(sim)
      sim.host('other', async ({ runtime }) => runtime.sleep(100_000))
      sim.lan({ name: 'home' })
      await sim.run()
      drawn.add(JSON.stringify(sim.plan.faults))
      expect(sim.faults.active.filter((fault) => fault.kind !== 'crash')).toEqual([])
      expect(count.value).toBeGreaterThan(0)
    })
    expect(failures.map((failure) => failure.failure?.message)).toEqual([])
    expect(drawn.size).toBeGreaterThan(20)
  })

  test('has buggify points that fire in some seeds and not in others', async () => {
    const counts: number[] = []
    const run = (options: { seeds: number; buggify: boolean }) =>
      check(options, async (sim) => {
        let fired = 0
        sim.host('alice', async ({ runtime }) => {
          for (let i = 0; i < 40; i++) {
            if (buggify('a short wait')) fired++
            await runtime.sleep(10)
          }
        })
        await sim.run()
        counts.push(fired)
        expect(sim.buggified.get('a short wait') ?? 0).toBe(fired)
      })
    await run({ seeds: 80, buggify: true })
    const active = counts.filter((count) => count > 0)
    expect(active.length).toBeGreaterThan(8)
    expect(active.length).toBeLessThan(40)
    const mean = active.reduce((sum, count) => sum + count, 0) / active.length
    expect(mean).toBeGreaterThan(6)
    expect(mean).toBeLessThan(14)
    counts.length = 0
    await run({ seeds: 20, buggify: false })
    expect(counts.every((count) => count === 0)).toBe(true)
    expect(buggify('a short wait')).toBe(false)
  })
})
