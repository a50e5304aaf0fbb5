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
  test('connections and streams that are lost warn once each, with the place they were opened at', async () => {
    const { afterGood, warnings, stillConnected } = await lose(name, '1')
    expect(afterGood).toBe(0)
    const sorted = [...warnings].sort()
    expect(sorted).toEqual([
      expect.stringMatching(/^a connection to [0-9a-f]{10} was lost[^]*loseConnection/),
      expect.stringMatching(/^a one-way stream from [0-9a-f]{10} was lost[^]*loseReceiveStream/),
      expect.stringMatching(/^a one-way stream to [0-9a-f]{10} was lost[^]*loseSendStream/),
      expect.stringMatching(/^a stream with [0-9a-f]{10} was lost[^]*loseStream/),
    ])
    // The one that is kept, and the one that was lost.
    expect(stillConnected).toBe(2)
  })
})

describe.each(DOORS)('at the end of a process, through the $name door', ({ name }) => {
  async function endOf(how: string, asked = '1'): Promise<string> {
    const child = fork(CHILD, [name, how], {
      execArgv: ['--no-warnings'],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      env: { ...process.env, P2P_LEAK_WARNINGS: asked },
    })
    let text = ''
    child.stderr?.setEncoding('utf8').on('data', (more: string) => (text += more))
    await once(child, 'close')
    return text
  }

  test('nodes and listeners that are open are named, with the place they were opened at', async () => {
    const lines = (await endOf('exit')).split('\n')
    const told = lines.filter((line) => line.startsWith('[P2P_LEAK]'))
    expect(told).toEqual([
      expect.stringMatching(/the node [0-9a-f]{10} was not closed/),
      expect.stringMatching(/the node [0-9a-f]{10} was not closed/),
      expect.stringMatching(/a listener for moosicbox\/p2p\/1 was not closed/),
    ])
    expect(lines.filter((line) => line.includes('leak-child.mjs'))).toHaveLength(3)
  })

  test('what was closed is not, nor anything that nobody asked for', async () => {
    expect(await endOf('close')).not.toContain('P2P_LEAK')
    expect(await endOf('exit', '')).not.toContain('P2P_LEAK')
  })
})

test('without being asked nothing is watched', async () => {
  expect(leakWatch({})).toBeUndefined()
  expect(leakWatch({ P2P_LEAK_WARNINGS: '0' })).toBeUndefined()
  expect((await lose('official', '')).warnings).toEqual([])
})
