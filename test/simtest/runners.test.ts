/** The same test under vitest, node:test and as a plain script, on the built package, with its environment variables. */
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '../..')
let folder = ''

const SCENARIO = `
import { simTest } from '@moosicbox/p2p/simtest'
const most = Number(process.env.MOST ?? 1000)
await simTest('numbers stay (small)', { seeds: 10, faults: 'calm' }, async (sim) => {
  const number = sim.integer(0, 100, 'number')
  sim.host('alice', ({ runtime }) => runtime.sleep(1000))
  await sim.run()
  if (number > most) throw new Error(number + ' is too much')
})
`

interface Ended {
  readonly code: number
  readonly text: string
}

function run(args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  const { VITEST: _vitest, NODE_TEST_CONTEXT: _node, ...inherited } = process.env
  const clean = Object.fromEntries(
    Object.entries(inherited).filter(([name]) => !/^(VITEST|SIMULATOR_|NODE_TEST)/.test(name)),
  )
  return new Promise((resolve) => {
    const options = { cwd: folder, env: { ...clean, ...env }, timeout: 60_000 }
    execFile(process.execPath, args, options, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, text: `${stdout}\n${stderr}` })
    })
  })
}

beforeAll(() => {
  mkdirSync(join(ROOT, 'build'), { recursive: true })
  // Inside the package, so that it finds the package by its name.
  folder = mkdtempSync(join(ROOT, 'build/simtest-'))
  writeFileSync(join(folder, 'numbers.mjs'), SCENARIO)
  writeFileSync(join(folder, 'numbers.test.mjs'), SCENARIO)
  writeFileSync(join(folder, 'vitest.config.mjs'), 'export default { test: { include: ["*.test.mjs"] } }\n')
})

afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

describe('a plain script', () => {
  test('says what it does and how it ended', async () => {
    const { code, text } = await run(['numbers.mjs'])
    expect(code).toBe(0)
    expect(text).toMatch(/= START =+\nSimulation "numbers stay \(small\)"\n {2}seed {11}1\n {2}runs {11}10/)
    expect(text).toMatch(/= FINISH =+/)
    expect(text).toContain('result         success')
    expect(text).toContain('SIMULATOR_SEED=1 SIMULATOR_RUNS=10 node numbers.mjs')
  })

  test('fails with the report, a file, and commands that show it again', async () => {
    const { code, text } = await run(['numbers.mjs'], { MOST: '50' })
    expect(code).toBe(1)
    expect(text).toContain('51 is too much')
    expect(text).toContain('number = 51  (52 of 101)')
    const seed = /fails with seed (\d+)/.exec(text)?.[1] ?? ''
    expect(text).toContain(`run it again   SIMULATOR_SEED=${seed} SIMULATOR_RUNS=1 node numbers.mjs`)
    expect(readdirSync(join(folder, '.simtest'))).toEqual([
      `numbers-stay-small-${seed}.json`,
      `numbers-stay-small-${seed}.p2ptrace`,
    ])
    const replayFile = /SIMULATOR_REPLAY=(\S+)/.exec(text)?.[1] ?? ''

    const again = await run(['numbers.mjs'], { MOST: '50', SIMULATOR_REPLAY: replayFile })
    expect(again.code).toBe(1)
    expect(again.text).toContain(
      `replay of "numbers stay (small)", seed ${seed}: 51 is too much, at 0 ms of virtual time`,
    )

    const repaired = await run(['numbers.mjs'], { MOST: '500', SIMULATOR_REPLAY: replayFile })
    expect(repaired.code).toBe(1)
    expect(repaired.text).toContain('It does not fail any more')

    const whole = await run(['numbers.mjs'], { MOST: '50', SIMULATOR_SEED: seed })
    expect(whole.text).toContain(`fails with seed ${seed}`)
  })

  test('does as many runs as it is told, from the seed it is told', async () => {
    const { text } = await run(['numbers.mjs'], { SIMULATOR_RUNS: '3', SIMULATOR_SEED: '40' })
    expect(text).toMatch(/seed {11}40\n {2}runs {11}3/)
    const { code, text: wrong } = await run(['numbers.mjs'], { SIMULATOR_SEED: 'forty' })
    expect(code).not.toBe(0)
    expect(wrong).toContain('SIMULATOR_SEED = "forty": must be a whole number from 0 to 2^64 - 1')
  })
})

test('node:test', async () => {
  const good = await run(['--test', 'numbers.test.mjs'])
  expect(good.text).toMatch(/pass 1\b/)
  expect(good.code).toBe(0)
  const bad = await run(['--test', 'numbers.test.mjs'], { MOST: '50' })
  expect(bad.code).toBe(1)
  expect(bad.text).toContain('51 is too much')
  expect(bad.text).toContain(String.raw`node --test --test-name-pattern 'numbers stay \(small\)' numbers.test.mjs`)
})

test('vitest', async () => {
  const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs')
  const good = await run([vitest, 'run', '--root', folder])
  expect(good.text).toMatch(/1 passed/)
  const bad = await run([vitest, 'run', '--root', folder], { MOST: '50' })
  expect(bad.code).toBe(1)
  expect(bad.text).toContain('51 is too much')
  expect(bad.text).toContain(String.raw`npx vitest run numbers.test.mjs -t 'numbers stay \(small\)'`)
}, 60_000)
