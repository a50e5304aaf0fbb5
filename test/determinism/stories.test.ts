/**
 * One seed, one history: every example and every scenario, twice; in the same process and in another, in a worker, while
 * the machine is busy with the other tests, and on every Node that is at hand.
 */
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { NODES, ROOT, runNode } from '../ambient/support/run-node.ts'

const SCENARIOS = join(import.meta.dirname, 'programs/scenarios.mjs')

/** The examples' stories, and how to find the hash in what they print. */
const EXAMPLES: readonly (readonly [string, RegExp])[] = [
  ['music', /Trace hash\s+([0-9a-f]{16})/],
  ['chat', /hash ([0-9a-f]{16})/],
  ['file-transfer', /hash ([0-9a-f]{16})/],
]

describe.each(EXAMPLES)('the story of %s', (example, pattern) => {
  test('is the same on every run and every Node, and another with another seed', { timeout: 120_000 }, async () => {
    const hash = async (seed: number, node?: string): Promise<string | undefined> => {
      const main = join(ROOT, 'build/examples', example, 'main.js')
      const { code, stdout, stderr } = await runNode([main, '--seed', String(seed)], node === undefined ? {} : { node })
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      return pattern.exec(stdout)?.[1]
    }
    const first = await hash(7)
    expect(first).toMatch(/^[0-9a-f]{16}$/)
    for (const node of NODES) expect(await hash(7, node)).toBe(first)
    expect(await hash(8)).not.toBe(first)
  })
})

test(
  'every scenario is the same again, after others, in a worker, and on every Node',
  { timeout: 240_000 },
  async () => {
    const lines = async (node?: string): Promise<string> => {
      const { code, stdout, stderr } = await runNode([SCENARIOS, 'twice'], node === undefined ? {} : { node })
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      return stdout
    }
    const first = await lines()
    expect(first.trim().split('\n').length).toBe(12)
    expect(first).not.toMatch(/ idle /)
    for (const node of NODES) expect(await lines(node)).toBe(first)
  },
)
