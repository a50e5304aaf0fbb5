/** The contract, on the simulator: over a perfect network, and over one that loses packets. */
import { describe, expect, test } from 'vitest'
import { contractSuite, runContractCase } from '../../src/testing/index.ts'
import { simulatorBackend } from './support/simulator-backend.ts'

contractSuite({ describe, test }, simulatorBackend())

/** Cases in which much happens at once. */
const BUSY = [
  'messages of any sizes arrive in order, exactly once, in both directions at once',
  'many streams, opened by both sides and written in turns, do not mix',
  'end by both sides at once loses nothing in either direction',
  'what is closed at any moment settles everything on both sides',
]
const scale = { runs: 3, many: 12 }

describe('one seed, one history', () => {
  test.each(BUSY)('%s', async (name) => {
    const hashes: string[] = []
    const run = (seed: number): Promise<void> =>
      runContractCase(simulatorBackend({ seed, loss: 0.02, scale, onHash: (hash) => hashes.push(hash) }), name)
    await run(1)
    await run(1)
    await run(2)
    const [first, again, other] = hashes
    expect(again).toBe(first)
    expect(other).not.toBe(first)
  })
})

describe.each([1, 2, 3])('with loss, seed %i', (seed) => {
  contractSuite({ describe, test }, simulatorBackend({ seed, loss: 0.02, scale }))
})

describe.each(['home', 'symmetric'] as const)('behind NATs', (nat) => {
  contractSuite({ describe, test }, simulatorBackend({ nat, scale }))
})
