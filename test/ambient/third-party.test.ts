/** Third-party code runs unmodified inside of hosts, and the same each time, on every Node that is at hand. */
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { NODES, runNode } from './support/run-node.ts'

const PROGRAM = join(import.meta.dirname, 'programs/third-party.mjs')

async function result(library: string, seed: number, node?: string): Promise<string> {
  const args = ['--import', '@moosicbox/p2p/ambient', PROGRAM, library, String(seed)]
  const { code, stdout, stderr } = await runNode(args, node === undefined ? {} : { node })
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return stdout
}

describe.concurrent.each(['hono', 'queue', 'retry', 'yjs'])('%s in a simulation', (library) => {
  test('has the same history twice, and on every Node', { timeout: 120_000 }, async () => {
    const first = await result(library, 3)
    expect(first).toMatch(/^[0-9a-f]{16} programs /)
    for (const node of NODES) expect(await result(library, 3, node)).toBe(first)
  })

  test('has another with another seed', { timeout: 120_000 }, async () => {
    expect((await result(library, 4)).split(' ')[0]).not.toBe((await result(library, 5)).split(' ')[0])
  })
})
