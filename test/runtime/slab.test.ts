import { describe, expect, test } from 'vitest'
import { Slab } from '../../src/runtime/slab.ts'

const source = Uint8Array.from({ length: 2000 }, (_, i) => i % 251)

function outcomeOf(work: () => unknown): string {
  try {
    work()
    return 'done'
  } catch (error) {
    return (error as Error).name
  }
}

describe('small copies', () => {
  test('are what they were made of, whatever their length, and stay so', () => {
    const slab = new Slab()
    const made: { copy: Uint8Array; start: number; end: number }[] = []
    for (let length = 0; length <= Slab.MAX_BYTES; length++) {
      const start = (length * 7) % (source.length - Slab.MAX_BYTES)
      made.push({ copy: slab.copy(source, start, start + length), start, end: start + length })
    }
    for (const { copy, start, end } of made) expect(copy).toEqual(source.slice(start, end))
  })

  test('share no byte, so that each can be written to', () => {
    const slab = new Slab()
    const [first, second] = [slab.copy(source, 0, 100), slab.copy(source, 100, 200)]
    first.fill(255)
    expect(second).toEqual(source.slice(100, 200))
    expect(source[0]).toBe(0)
  })

  test('cannot be transferred, which would take the others along', () => {
    const slab = new Slab()
    const [first, second] = [slab.copy(source, 0, 100), slab.copy(source, 100, 200)]
    const transfer = (): unknown => structuredClone(first, { transfer: [first.buffer as ArrayBuffer] })
    // Node 20 leaves it where it is, later ones refuse.
    expect(outcomeOf(transfer)).toMatch(/^(?:done|DataCloneError)$/)
    expect(first).toEqual(source.slice(0, 100))
    expect(second).toEqual(source.slice(100, 200))
  })
})
