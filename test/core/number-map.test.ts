import { expect, test } from 'vitest'
import { NumberMap } from '../../src/core/number-map.ts'
import { randomStream } from '../../src/simulator/random.ts'

test('a map from numbers is a map, with few entries and with many', () => {
  const random = randomStream(1n, 'number-map')
  const numbers = new NumberMap<string>()
  const map = new Map<number, string>()
  let wasLarge = 0
  for (let step = 0; step < 4000; step++) {
    const key = random.nextBelow(150)
    // Now and then it grows, now and then it becomes empty.
    const grows = Math.floor(step / 500) % 2 === 0
    if (random.nextBelow(10) < (grows ? 9 : 1)) {
      numbers.set(key, `${key} ${step}`)
      map.set(key, `${key} ${step}`)
    } else {
      numbers.delete(key)
      map.delete(key)
    }
    if (map.size > 64) wasLarge++
    expect([numbers.size, numbers.has(key), numbers.get(key)]).toEqual([map.size, map.has(key), map.get(key)])
    expect(numbers.keys()).toEqual([...map.keys()])
    expect(numbers.values()).toEqual([...map.values()])
  }
  expect(wasLarge).toBeGreaterThan(500)
  expect(wasLarge).toBeLessThan(3500)
})
