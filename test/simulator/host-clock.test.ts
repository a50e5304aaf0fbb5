import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { HashAudit } from '../../src/simulator/audit.ts'
import { HostClock } from '../../src/simulator/host-clock.ts'
import type { HostOptions, SimHost } from '../../src/simulator/host.ts'
import { Simulation } from '../../src/simulator/simulation.ts'

const EPOCH = 1_700_000_000_000
const audit = new HashAudit()

async function on(options: HostOptions, program: (host: SimHost) => Promise<void>, seed = 1): Promise<string> {
  await using sim = new Simulation({ seed })
  sim.host('alice', options, program)
  return (await sim.run()).hash
}

describe('a clock', () => {
  test('that is not told otherwise shows virtual time', () => {
    let nowUs = 0
    const clock = new HostClock({ nowUs: () => nowUs, audit }, 0, EPOCH)
    expect([clock.nowUs(), clock.wallMs(), clock.offsetMs, clock.driftPpm]).toEqual([0, EPOCH, 0, 0])
    nowUs = 1_500_999
    expect([clock.nowUs(), clock.wallMs(), clock.trueDelayUs(7)]).toEqual([1_500_999, EPOCH + 1500, 7])
  })

  test('never fires a timer before its time, nor more than 2 us late, and never runs backwards', () => {
    const delay = fc.integer({ min: 1, max: 100_000_000_000 })
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({ min: -500_000, max: 500_000 }), delay)), (steps) => {
        let nowUs = 0
        const clock = new HostClock({ nowUs: () => nowUs, audit }, 0, EPOCH)
        for (const [driftPpm, ownUs] of steps) {
          const before = clock.nowUs()
          clock.driftPpm = driftPpm
          expect(clock.nowUs()).toBe(before)
          nowUs += clock.trueDelayUs(ownUs)
          expect(Number.isSafeInteger(nowUs)).toBe(true)
          expect(clock.nowUs() - before).toBeGreaterThanOrEqual(ownUs)
          expect(clock.nowUs() - before).toBeLessThanOrEqual(ownUs + 2)
        }
      }),
    )
  })

  test.each([
    [{ offsetMs: Number.NaN }],
    [{ offsetMs: Number.POSITIVE_INFINITY }],
    [{ driftPpm: 500_001 }],
    [{ driftPpm: Number.NaN }],
  ])('refuses %o', (options) => {
    expect(() => new HostClock({ nowUs: () => 0, audit }, 0, EPOCH, options)).toThrow(/offsetMs|driftPpm/)
  })
})

describe("a host's clock", () => {
  test('may be wrong from the beginning', async () => {
    await on({ clock: { offsetMs: -86_400_000 } }, async ({ runtime }) => {
      expect(runtime.wallClockMs()).toBe(EPOCH - 86_400_000)
      expect(runtime.now()).toBe(0)
    })
  })

  test('that runs fast sees time pass sooner, and its timers fire sooner', async () => {
    await using sim = new Simulation({ seed: 1 })
    const seen: Record<string, number[]> = {}
    for (const [name, driftPpm] of [
      ['slow', -200_000],
      ['true', 0],
      ['fast', 250_000],
    ] as const) {
      sim.host(name, { clock: { driftPpm } }, async ({ runtime }) => {
        await runtime.sleep(1000)
        seen[name] = [runtime.now(), runtime.wallClockMs() - EPOCH, sim.now]
      })
    }
    await sim.run()
    expect(seen).toEqual({ slow: [1000, 1000, 1250], true: [1000, 1000, 1000], fast: [1000, 1000, 800] })
  })

  test('jumps on the wall alone, and timers notice nothing', async () => {
    await using sim = new Simulation({ seed: 1 })
    const log: number[][] = []
    const alice = sim.host('alice', async ({ runtime }) => {
      for (let i = 0; i < 3; i++) {
        await runtime.sleep(100)
        log.push([runtime.now(), runtime.wallClockMs() - EPOCH])
      }
    })
    sim.at(150, () => alice.clock.jump(3_600_000))
    sim.at(250, () => alice.clock.jump(-7_200_000))
    await sim.run()
    expect(log).toEqual([
      [100, 100],
      [200, 3_600_200],
      [300, 300 - 3_600_000],
    ])
  })

  test('goes on through a crash', async () => {
    await using sim = new Simulation({ seed: 1 })
    const log: number[] = []
    sim.host('alice', { clock: { driftPpm: 100_000 } }, async ({ runtime }) => {
      log.push(runtime.now())
      await runtime.sleep(5000)
    })
    sim.at(1000, () => sim.crash('alice'))
    sim.at(2000, () => sim.restart('alice'))
    await sim.run()
    expect(log).toEqual([0, 2200])
  })

  test('is part of the history', async () => {
    const program = ({ runtime }: SimHost): Promise<void> => runtime.sleep(10)
    const hashes = await Promise.all([
      on({}, program),
      on({ clock: { offsetMs: 1 } }, program),
      on({ clock: { offsetMs: 2 } }, program),
      on({ clock: { driftPpm: 1 } }, program),
      on({}, async (host) => {
        host.clock.jump(1)
        await host.runtime.sleep(10)
      }),
    ])
    expect(new Set(hashes).size).toBe(5)
  })
})
