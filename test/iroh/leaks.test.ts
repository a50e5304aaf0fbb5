/**
 * Handles that are lost instead of closed: warned of when that is asked for, and never closed for it.
 *
 * @module
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { leakWatch } from '../../src/runtime/leak-watch.ts'
import { DOORS } from './doors.ts'

const CHILD = fileURLToPath(new URL('./support/leak-child.mjs', import.meta.url))

interface Report {
  readonly afterGood: number
  readonly warnings: readonly string[]
  readonly stillConnected: number
}

async function lose(door: string, asked: string): Promise<Report> {
  const child = fork(CHILD, [door], {
    execArgv: ['--expose-gc', '--no-warnings'],
    env: { ...process.env, P2P_LEAK_WARNINGS: asked },
  })
  const [report] = (await once(child, 'message')) as [Report]
  child.send('end')
  const [code] = (await once(child, 'exit')) as [number]
  expect(code).toBe(0)
  return report
}

describe.each(DOORS)('through the $name door', ({ name }) => {
  test('a connection and a stream that are lost warn once each, with the place they were opened at', async () => {
    const { afterGood, warnings, stillConnected } = await lose(name, '1')
    expect(afterGood).toBe(0)
    const sorted = [...warnings].sort()
    expect(sorted).toEqual([
      expect.stringMatching(/^a connection to [0-9a-f]{10} was lost[^]*loseConnection/),
      expect.stringMatching(/^a stream with [0-9a-f]{10} was lost[^]*loseStream/),
    ])
    // The one that is kept, and the one that was lost.
    expect(stillConnected).toBe(2)
  })
})

test('without being asked nothing is watched', async () => {
  expect(leakWatch({})).toBeUndefined()
  expect(leakWatch({ P2P_LEAK_WARNINGS: '0' })).toBeUndefined()
  expect((await lose('official', '')).warnings).toEqual([])
})
