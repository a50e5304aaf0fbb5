/** A program given as a module's URL has modules of its own: for each host, each start, and each run. */
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { NODES, runNode } from './support/run-node.ts'

const PROGRAM = join(import.meta.dirname, 'programs/graph/run.mjs')

describe.concurrent.each(NODES)('on %s', (node) => {
  test('its state is neither shared between hosts nor survives a restart', { timeout: 120_000 }, async () => {
    const { stdout, stderr } = await runNode([PROGRAM], { node })
    expect(stderr).toContain('another history')
    expect(
      stdout
        .split(' ')
        .slice(1, -1)
        .filter((word) => word.length === 3),
    ).toEqual(['a12', 'a12', 'b12'])
  })

  test(
    'what a module does when it is loaded it does on its host, where there is a preload',
    { timeout: 120_000 },
    async () => {
      const { code, stdout, stderr } = await runNode(['--import', '@moosicbox/p2p/ambient', PROGRAM], { node })
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      expect(stdout).toMatch(/ a12 a12 a:1700000000000:0\.\d+ a:1700000000005:0\.\d+ b12 b:1700000000000:0\.\d+ shared/)
    },
  )
})
