import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { sharesLoop } from '../../src/iroh/native/loop.ts'

const CHILD = fileURLToPath(new URL('./support/loop-child.mjs', import.meta.url))

function run(program: string, mode: string): unknown {
  const env = { ...process.env, P2P_NATIVE_LOOP: mode }
  const { status, stdout, stderr } = spawnSync(process.execPath, [CHILD, program], {
    encoding: 'utf8',
    env,
    timeout: 25_000,
  })
  expect([status, stderr]).toEqual([0, ''])
  return JSON.parse(stdout)
}

describe.each(['shared', 'own'])('a process whose event loop is %s', (mode) => {
  test('goes on with everything else while requests follow each other', () => {
    const done = run('beside', mode) as Record<string, number>
    const hindered = Object.entries(done).filter(([, count]) => count <= 10)
    expect(Object.keys(done)).toEqual(['echoes', 'newSockets', 'files', 'immediates', 'timers', 'threads'])
    expect(hindered).toEqual([])
  })

  test('keeps its connections while its program does not come back to the loop', () => {
    expect(run('blocked', mode)).toEqual({ answer: [1, 2, 3], isOpen: true })
  })

  test('has exceptions reported as any other', () => {
    expect(run('throws', mode)).toEqual({ error: 'on purpose' })
  })
})

describe('who shares its loop', () => {
  test.each([
    [{}, true, true],
    [{ P2P_NATIVE_LOOP: '' }, true, true],
    [{ P2P_NATIVE_LOOP: 'shared' }, true, true],
    [{ P2P_NATIVE_LOOP: 'own' }, true, false],
    [{ P2P_NATIVE_LOOP: 'shared' }, false, false],
  ])('%j, on a main thread: %s', (env, isMain, shares) => {
    expect(sharesLoop(env, isMain)).toBe(shares)
  })

  test('what makes no sense is told', () => {
    expect(() => sharesLoop({ P2P_NATIVE_LOOP: 'both' })).toThrow(
      expect.objectContaining({
        code: 'invalid-configuration',
        message: expect.stringMatching(/^P2P_NATIVE_LOOP = "both"/) as string,
      }),
    )
  })
})
