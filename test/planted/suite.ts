/**
 * What is asked of bugs that were planted on purpose: each is found within a thousand seeds, made smaller, and replayed to
 * the same end; the repaired version passes. `p2p-sim` sweeps that over three hundred seeds, and over ten thousand at
 * night.
 */
import { describe, expect, test } from 'vitest'
import { checkScenario, readReplay, replay, resolveOptions } from '@moosicbox/p2p/simtest'
import { PLANTED } from './index.ts'

const SEEDS = 30
const MINUTE_MS = 60_000

/** Declares the tests of every second bug, from the first or the second on: two files, which run side by side. */
export function plantedSuite(from: 0 | 1): void {
  const half = PLANTED.filter((_, i) => i % 2 === from)
  for (const { broken, repaired, message, maxFaults, minFaults = 1 } of half) {
    describe(`planted: ${broken.name}`, () => {
      test('is found, made smaller, and replayed', { timeout: 5 * MINUTE_MS }, async () => {
        const resolved = resolveOptions({ ...broken.options, seeds: 1000, shrinkMs: 2 * MINUTE_MS }, {})
        const { runs, examined } = await checkScenario(broken, { resolved })
        const [found] = examined
        expect(runs).toBeLessThanOrEqual(1000)
        expect(found?.text).toMatch(message)
        expect(found?.isRepeatable).toBe(true)
        expect(found?.shrunk?.isMinimal).toBe(true)
        expect(found?.outcome.plan.faults.length).toBeLessThanOrEqual(maxFaults)
        expect(found?.outcome.plan.faults.length).toBeGreaterThanOrEqual(minFaults)
        const file = readReplay(found?.replayPath ?? '')
        for (let i = 0; i < 3; i++) expect((await replay(broken, resolved, file)).difference).toBeUndefined()
      })

      test(`repaired, it passes ${SEEDS} seeds`, { timeout: MINUTE_MS }, async () => {
        const options = { ...repaired.options, seeds: SEEDS }
        const { runs, examined } = await checkScenario(repaired, { resolved: resolveOptions(options, {}) })
        expect(examined.map(({ text }) => text)).toEqual([])
        expect(runs).toBe(SEEDS)
      })
    })
  }
}
