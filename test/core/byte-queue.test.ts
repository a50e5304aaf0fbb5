import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { ByteQueue } from '../../src/core/byte-queue.ts'

test('a queue of bytes gives them back in order, in no larger pieces than are asked for', () => {
  const step = fc.oneof(fc.uint8Array({ maxLength: 20 }), fc.integer({ min: 1, max: 25 }), fc.constant('all' as const))
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const queue = new ByteQueue()
      let model: number[] = []
      for (const one of steps) {
        let taken: Uint8Array | undefined
        let most = 0
        if (one instanceof Uint8Array) {
          queue.push(one)
          model.push(...one)
        } else {
          most = one === 'all' ? model.length : Math.min(one, model.length)
          taken = one === 'all' ? queue.takeAll() : queue.shift(one)
        }
        const bytes = [...(taken ?? [])]
        expect(bytes.length).toBeLessThanOrEqual(most)
        expect(bytes.length > 0).toBe(most > 0)
        expect(bytes).toEqual(model.slice(0, bytes.length))
        model = model.slice(bytes.length)
        expect(queue.length).toBe(model.length)
        expect(one === 'all' && model.length > 0).toBe(false)
      }
      queue.clear()
      expect([queue.length, queue.shift(1), queue.takeAll().length]).toEqual([0, undefined, 0])
    }),
  )
})
