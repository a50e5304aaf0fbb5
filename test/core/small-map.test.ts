import { expect, test } from 'vitest'
import { SmallMap } from '../../src/core/small-map.ts'
import { randomStream } from '../../src/simulator/random.ts'

test('a small map is a map, with few entries and with many', () => {
  const random = randomStream(1n, 'small-map')
  const small = new SmallMap<string>()
  const map = new Map<number, string>()
  let wasLarge = 0
  for (let step = 0; step < 4000; step++) {
    const key = random.nextBelow(12)
    // Now and then it grows, now and then it becomes empty.
    const grows = Math.floor(step / 200) % 2 === 0
    if (random.nextBelow(10) < (grows ? 7 : 3)) {
      small.set(key, `${key} ${step}`)
      map.set(key, `${key} ${step}`)
    } else {
      small.delete(key)
      map.delete(key)
    }
    if (map.size > 4) wasLarge++
    expect([small.size, small.has(key), small.get(key)]).toEqual([map.size, map.has(key), map.get(key)])
    expect(small.keys()).toEqual([...map.keys()])
    expect(small.values()).toEqual([...map.values()])
    expect(small.firstKey).toBe([...map.keys()][0])
  }
  expect(wasLarge).toBeGreaterThan(500)
  expect(wasLarge).toBeLessThan(3500)
})
