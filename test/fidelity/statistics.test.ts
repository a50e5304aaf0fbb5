/** What the comparison with measured reality computes with. */
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  bootstrapInterval,
  ksDistance,
  median,
  percentile,
  percentileInterval,
} from '../../bench/fidelity/statistics.mjs'

const samples = fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 1, maxLength: 40 })

/** By its definition, at every value that occurs. */
function slowKsDistance(a: readonly number[], b: readonly number[]): number {
  const share = (values: readonly number[], x: number): number =>
    values.filter((value) => value <= x).length / values.length
  return Math.max(...[...a, ...b].map((x) => Math.abs(share(a, x) - share(b, x))))
}

describe('the Kolmogorov-Smirnov distance', () => {
  test('is the largest gap between the two distribution functions', () => {
    fc.assert(
      fc.property(samples, samples, (a, b) => {
        expect(ksDistance(a, b)).toBeCloseTo(slowKsDistance(a, b), 12)
      }),
    )
  })

  test('is 0 for the same values and 1 for values that do not overlap', () => {
    expect(ksDistance([3, 1, 2], [1, 2, 3])).toBe(0)
    expect(ksDistance([1, 2], [3, 4, 5])).toBe(1)
    expect(ksDistance([1, 2, 3, 4], [3, 4, 5, 6])).toBe(0.5)
  })
})

test('percentiles take the nearest rank, the median the middle', () => {
  const values = [50, 10, 40, 20, 30]
  expect(percentile(values, 0.5)).toBe(30)
  expect(percentile(values, 0.99)).toBe(50)
  expect(percentile([1, 2], 0.1)).toBe(1)
  expect(median(values)).toBe(30)
  expect(median([1, 2, 3, 10])).toBe(2.5)
})

describe('the bootstrap interval', () => {
  test('is around the median, narrows with more values, and is the same each time', () => {
    const few = Array.from({ length: 20 }, (_, i) => (i * 37) % 100)
    const many = Array.from({ length: 400 }, (_, i) => (i * 37) % 100)
    const [low, high] = bootstrapInterval(few)
    const [narrowLow, narrowHigh] = bootstrapInterval(many)
    expect(low).toBeLessThan(median(few))
    expect(high).toBeGreaterThan(median(few))
    expect(narrowHigh - narrowLow).toBeLessThan((high - low) / 2)
    expect(bootstrapInterval(few)).toEqual([low, high])
  })

  test('covers the true median about as often as it says', () => {
    let covered = 0
    let state = 1
    const next = (): number => (state = (state * 48_271) % 2_147_483_647)
    for (let round = 0; round < 200; round++) {
      const [low, high] = bootstrapInterval(
        Array.from({ length: 30 }, () => next() / 2_147_483_647),
        median,
        300,
      )
      if (low <= 0.5 && high >= 0.5) covered++
    }
    expect(covered).toBeGreaterThan(176)
    expect(covered).toBeLessThan(200)
  })
})

test('the interval of a percentile is between the ranks that a binomial law allows', () => {
  // 1000 x 0.99 +- 1.96 x sqrt(1000 x 0.99 x 0.01)
  const values = Array.from({ length: 1000 }, (_, i) => (i * 37) % 1000)
  expect(percentileInterval(values, 0.99)).toEqual([982, 996])
  expect(percentileInterval([5], 0.99)).toEqual([5, 5])
  expect(percentileInterval([], 0.5)).toEqual([Number.NaN, Number.NaN])
})
