import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { P2PError } from '../../src/core/errors.ts'
import type { SimHost } from '../../src/simulator/host.ts'
import { Simulation } from '../../src/simulator/simulation.ts'
import type { SimulationResult } from '../../src/simulator/simulation-options.ts'

let directory = ''
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'p2p-sim-runtime-'))
  writeFileSync(join(directory, 'b.bin'), Buffer.from([1, 2, 3, 4, 5]))
  writeFileSync(join(directory, 'a.txt'), 'text')
})
afterAll(() => {
  rmSync(directory, { recursive: true })
})

/** Runs one program on one host of a new simulation. */
async function on(program: (host: SimHost) => Promise<void>): Promise<SimulationResult> {
  await using sim = new Simulation({ seed: 1 })
  sim.host('alice', program)
  return await sim.run()
}

describe("a simulated host's clock", () => {
  test('moves only by waiting, to the microsecond', async () => {
    const times: number[] = []
    await on(async ({ runtime }) => {
      times.push(runtime.now())
      for (let i = 0; i < 1000; i++) await Promise.resolve()
      times.push(runtime.now())
      for (const delay of [0, -1, 0.001, 1.1, 86_400_000, 0.0004]) {
        await runtime.sleep(delay)
        times.push(runtime.now())
      }
    })
    expect(times).toEqual([0, 0, 0, 0, 0.001, 1.101, 86_400_001.101, 86_400_001.102])
  })

  test('shows the epoch as wall clock', async () => {
    let wall = 0
    await on(async ({ runtime }) => {
      await runtime.sleep(1500.9)
      wall = runtime.wallClockMs()
    })
    expect(wall).toBe(1_700_000_001_500)
  })
})

describe('timers', () => {
  test('fire once, in order, unless they are cancelled', async () => {
    const log: string[] = []
    await on(async ({ runtime }) => {
      runtime.setTimer(20, () => log.push('20'))
      runtime.setTimer(10, () => log.push('10'))
      const cancelled = runtime.setTimer(15, () => log.push('15'))
      using disposed = runtime.setTimer(100, () => log.push('100'))
      runtime.setTimer(12, () => cancelled.cancel())
      await runtime.sleep(50)
      disposed.cancel()
      cancelled.cancel()
    })
    expect(log).toEqual(['10', '20'])
  })

  test('refuse a delay that is no number', async () => {
    await on(async ({ runtime }) => {
      expect(() => runtime.setTimer(Number.NaN, () => {})).toThrow(P2PError)
      await expect(runtime.sleep(Number.NaN)).rejects.toMatchObject({ code: 'invalid-configuration' })
    })
  })

  test('that throw fail the run, naming the host', async () => {
    const run = on(async ({ runtime }) => {
      runtime.setTimer(5, () => {
        throw new Error('broken timer')
      })
      await runtime.sleep(100)
    })
    await expect(run).rejects.toThrow('host alice failed at 5 ms of virtual time with seed 1: broken timer')
  })
})

describe('sleep', () => {
  test('ends early with its signal, and leaves no timer behind', async () => {
    const { virtualMs } = await on(async ({ runtime }) => {
      const controller = new AbortController()
      runtime.setTimer(5, () => controller.abort('enough'))
      const error: unknown = await runtime.sleep(1000, { signal: controller.signal }).catch((e: unknown) => e)
      expect(error).toMatchObject({ code: 'aborted', name: 'AbortError', cause: 'enough' })
      expect(runtime.now()).toBe(5)
      await expect(runtime.sleep(1, { signal: controller.signal })).rejects.toMatchObject({ code: 'aborted' })
      await runtime.sleep(1, { signal: new AbortController().signal })
    })
    expect(virtualMs).toBe(6)
  })
})

describe('randomness', () => {
  test("depends on the seed and the host's name, not on the other hosts", async () => {
    const draw = async (seed: number, names: readonly string[]): Promise<string[]> => {
      await using sim = new Simulation({ seed })
      const drawn: string[] = []
      for (const name of names) {
        sim.host(name, async ({ runtime }) => {
          await runtime.sleep(runtime.random())
          drawn.push(`${name} ${runtime.random()} ${Buffer.from(runtime.randomBytes(7)).toString('hex')}`)
        })
      }
      await sim.run()
      return drawn.sort()
    }
    const [alone] = await draw(1, ['bob'])
    expect(await draw(1, ['alice', 'bob', 'carol'])).toContain(alone)
    expect(await draw(2, ['bob'])).not.toContain(alone)
  })
})

describe('files', () => {
  test('are read over the bridge while the clock stands still', async () => {
    await on(async ({ runtime }) => {
      expect(await runtime.files.list(directory)).toEqual([
        { name: 'a.txt', kind: 'file' },
        { name: 'b.bin', kind: 'file' },
      ])
      await using file = await runtime.files.open(join(directory, 'b.bin'))
      expect(file.sizeBytes).toBe(5)
      expect(file.modifiedMs).toBe(1_700_000_000_000)
      const [tail, head, beyond] = await Promise.all([file.read(3, 10), file.read(0, 2), file.read(9, 1)])
      expect([[...tail], [...head], [...beyond]]).toEqual([[4, 5], [1, 2], []])
      expect(runtime.now()).toBe(0)
    })
  })

  test('that are not there are an io error that names them', async () => {
    await on(async ({ runtime }) => {
      const missing = join(directory, 'missing')
      await expect(runtime.files.open(missing)).rejects.toMatchObject({ code: 'io', path: missing })
    })
  })

  test('of a host that crashes are closed', async () => {
    let closed = 0
    const files = {
      open: async (): Promise<never> =>
        ({
          sizeBytes: 1,
          modifiedMs: 0,
          read: () => Promise.resolve(Uint8Array.of(1)),
          close: async (): Promise<void> => void closed++,
        }) as never,
      list: (): Promise<never[]> => Promise.resolve([]),
    }
    await using sim = new Simulation({ seed: 1, files })
    sim.host('alice', async ({ runtime }) => {
      const first = await runtime.files.open('first')
      await runtime.files.open('second')
      await first.close()
      await runtime.sleep(1000)
    })
    sim.at(10, () => {
      expect(closed).toBe(1)
      sim.crash('alice')
    })
    await sim.run()
    expect(closed).toBe(2)
  })
})

describe('the bridge', () => {
  test('runs real work at once outside of a run', async () => {
    await using sim = new Simulation({ seed: 1 })
    const { runtime } = sim.host('alice')
    expect(await runtime.bridge('adding', () => Promise.resolve(3))).toBe(3)
  })

  test('does not block on work that uses the bridge itself', async () => {
    await on(async ({ runtime }) => {
      const sum = await runtime.bridge('outer', async () => {
        const one = await runtime.bridge('inner', () => Promise.resolve(1))
        await Promise.resolve()
        return one + (await runtime.bridge('inner', () => Promise.resolve(2)))
      })
      expect(sum).toBe(3)
    })
  })

  test('takes what cannot end within an event: crypto.subtle', async () => {
    const { ended } = await on(async ({ runtime }) => {
      const digest = await runtime.bridge('hashing', () => crypto.subtle.digest('SHA-256', new Uint8Array(3)))
      expect(digest.byteLength).toBe(32)
      expect(runtime.now()).toBe(0)
    })
    expect(ended).toBe('programs')
  })
})
