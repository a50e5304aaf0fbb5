/** The command `p2p-sim`, on the built package: workers, shards, time, results that merge, failures that replay. */
import { execFile, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { mergeSweeps, problemsOf } from '../../src/simtest/sweep-file.ts'
import type { SweepFile } from '../../src/simtest/sweep-file.ts'

// Programs that are started take their time where others keep the machine busy.
vi.setConfig({ testTimeout: 240_000 })

const ROOT = join(import.meta.dirname, '../..')
let folder = ''

const MODULE = `
import { scenario } from '@moosicbox/p2p/simtest'
const most = Number(process.env.MOST ?? 1000)
export const numbers = scenario('numbers', { seeds: 40, faults: 'calm' }, async (sim) => {
  const number = sim.integer(0, 100, 'number')
  sim.host('alice', async ({ runtime }) => {
    for (let i = 0; i < number; i++) await runtime.sleep(1 + runtime.random())
  })
  await sim.run()
  sim.sometimes('a large one', number > 90)
  sim.sometimes('one that there is not', () => process.env.NEVER === 'yes' ? false : true)
  if (number > most) throw new Error(number + ' is too much')
})
export const others = [scenario('others', { seeds: 3 }, () => {})]
`

interface Ended {
  readonly code: number
  readonly out: string
  readonly err: string
}

function run(
  args: readonly string[],
  env: Record<string, string> = {},
  program = 'dist/cli/p2p-sim.js',
): Promise<Ended> {
  const clean = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(VITEST|SIMULATOR_|NODE_TEST|NODE_OPTIONS)/.test(name)),
  )
  return new Promise((resolve) => {
    const options = { cwd: folder, env: { ...clean, ...env }, timeout: 230_000 }
    execFile(process.execPath, [join(ROOT, program), ...args], options, (error, out, err) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, out, err })
    })
  })
}

function result(name: string): SweepFile {
  const [first] = JSON.parse(readFileSync(join(folder, name), 'utf8')) as SweepFile[]
  return first as SweepFile
}

beforeAll(() => {
  mkdirSync(join(ROOT, 'build'), { recursive: true })
  folder = mkdtempSync(join(ROOT, 'build/sweep-'))
  writeFileSync(join(folder, 'numbers.mjs'), MODULE)
})

afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

const NUMBERS = ['sweep', 'numbers.mjs', '--scenario', 'numbers']

describe('a sweep', () => {
  test('comes to the same on workers and without', async () => {
    for (const workers of ['0', '1', '3']) {
      const { code, err } = await run([
        ...NUMBERS,
        '--seed',
        '5',
        '--max-parallel',
        workers,
        '--json',
        `${workers}.json`,
      ])
      expect(err).toMatch(/seed {11}5\n {2}runs {11}40/)
      expect(err).toContain(workers === '0' ? 'none, on the main thread' : `workers        ${workers}`)
      expect(err).toContain('result         success')
      expect(code).toBe(0)
    }
    const { elapsedMs: _0, ...here } = result('0.json')
    for (const name of ['1.json', '3.json']) {
      const { elapsedMs, ...there } = result(name)
      expect(there).toEqual(here)
      expect(elapsedMs).toBeGreaterThan(0)
    }
    expect(here).toMatchObject({ runs: 40, failed: [], firstSeed: '5' })
    expect(here.reached['a large one']).toBeGreaterThan(0)
  })

  test('of all scenarios of a module', async () => {
    const { code, err } = await run(['sweep', 'numbers.mjs', '--seed', '5', '--max-parallel', '1'])
    expect(code).toBe(0)
    expect(err.match(/START/g)).toHaveLength(2)
  })

  test('draws its first seed, and tells it', async () => {
    const first = await run([...NUMBERS, '--seeds', '1', '--max-parallel', '0'])
    const second = await run([...NUMBERS, '--seeds', '1', '--max-parallel', '0'])
    const seed = (text: string): string => /seed {11}(\d+)/.exec(text)?.[1] ?? ''
    expect(seed(first.err)).toMatch(/^\d{10,}$/)
    expect(seed(first.err)).not.toBe(seed(second.err))
  })

  test('ends with the time', async () => {
    const { code, err } = await run([...NUMBERS, '--seed', '1', '--for', '3s', '--json', 'time.json'])
    expect(code).toBe(0)
    expect(err).toContain('as many as there is time for')
    expect(result('time.json').runs).toBeGreaterThan(20)
    expect(result('time.json').elapsedMs).toBeLessThan(15_000)
  })

  test('in shards comes to the same as in one', async () => {
    await run([...NUMBERS, '--seed', '5', '--all', '--max-parallel', '1', '--json', 'whole.json'], { MOST: '80' })
    for (const shard of ['1/3', '2/3', '3/3']) {
      const name = `${shard[0]}-of-3.json`
      await run([...NUMBERS, '--seed', '5', '--all', '--shard', shard, '--max-parallel', '1', '--json', name], {
        MOST: '80',
      })
    }
    const { code, out } = await run(['merge', '1-of-3.json', '3-of-3.json', '2-of-3.json', '--json', 'merged.json'])
    expect(code).toBe(1)
    const { elapsedMs: _one, shards, of, ...merged } = result('merged.json')
    const { elapsedMs: _two, shards: _shards, of: _of, ...whole } = result('whole.json')
    expect(merged).toEqual(whole)
    expect([shards, of]).toEqual([[1, 2, 3], 3])
    expect(whole.failed.length).toBeGreaterThan(3)
    expect(out).toContain(`"numbers": 40 runs, ${whole.failed.length} failed`)
    const partly = await run(['merge', '1-of-3.json', '3-of-3.json'])
    expect(partly.out).toContain('shard 2 of 3 is missing')
    const twice = await run(['merge', '1-of-3.json', '1-of-3.json'])
    expect(twice.code).toBe(2)
    expect(twice.err).toContain('is there twice')
  })

  test('is ended by Ctrl-C, and tells how far it came', async () => {
    writeFileSync(
      join(folder, 'slow.mjs'),
      `import { scenario } from '@moosicbox/p2p/simtest'
      export default scenario('slow', { seeds: 1000000 }, async (sim) => {
        sim.host('alice', async ({ runtime }) => { for (let i = 0; i < 2000; i++) await runtime.sleep(1) })
        await sim.run()
        if (sim.seed === 2n) throw new Error('the second fails')
      })`,
    )
    for (const workers of ['0', '2']) {
      const args = [
        join(ROOT, 'dist/cli/p2p-sim.js'),
        'sweep',
        'slow.mjs',
        '--seed',
        '1',
        '--all',
        '--json',
        'cut.json',
      ]
      const child = spawn(process.execPath, [...args, '--shrink', '0', '--max-parallel', workers], { cwd: folder })
      let err = ''
      const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
      child.stderr.on('data', (chunk: Buffer) => {
        err += String(chunk)
        // It has begun: that seed is told at once.
        if (/seed 2 fails: the second fails/.test(err) && !child.killed) child.kill('SIGINT')
      })
      expect(await ended).toBe(130)
      expect(err).toMatch(
        /FINISH[\s\S]*interrupted: seeds that were under way do not count\n[\s\S]*cut\.json is not written/,
      )
      expect(Number(/runs +(\d+)\n {2}steps/.exec(err)?.[1])).toBeGreaterThan(0)
      expect(existsSync(join(folder, 'cut.json'))).toBe(false)
    }
  })

  test('fails when something was never reached', async () => {
    const { code, err } = await run([...NUMBERS, '--seed', '5', '--max-parallel', '2'], { NEVER: 'yes' })
    expect(code).toBe(1)
    expect(err).toContain('never reached: "one that there is not"')
  })
})

describe('a failure', () => {
  test('is told, replayed by command, kept in the corpus, and tried first from then on', async () => {
    const { code, out, err } = await run([...NUMBERS, '--seed', '5', '--corpus', 'seeds.json'], { MOST: '50' })
    expect(code).toBe(1)
    expect(out).toContain('51 is too much')
    expect(out).toContain('number = 51  (52 of 101)')
    expect(err).toContain('result         failure of')
    const command = /npx p2p-sim (replay \S+ numbers\.mjs)/.exec(out)?.[1] ?? ''
    const again = await run(command.split(' '), { MOST: '50' })
    expect(again.out).toContain('the same history as before')
    expect(again.code).toBe(0)
    const repaired = await run(command.split(' '))
    expect(repaired.code).toBe(1)
    expect(repaired.out).toContain('It does not fail any more')
    const bisect = async (most: string, ...more: string[]): Promise<number> =>
      (await run([...command.split(' '), ...more], { MOST: most })).code
    expect(await bisect('50', '--expect', 'fail')).toBe(0)
    expect(await bisect('50', '--expect', 'pass')).toBe(1)
    expect(await bisect('1000', '--expect', 'fail')).toBe(1)
    expect(await bisect('1000', '--expect', 'pass')).toBe(0)
    const unknown = await run([...command.split(' ').slice(0, -1), 'nowhere.mjs', '--expect', 'pass'])
    expect([unknown.code, unknown.err]).toEqual([125, expect.stringContaining('cannot be loaded')])
    const whole = /sweep numbers\.mjs --scenario numbers --seed (\d+) --seeds 1$/m.exec(out)
    expect((await run((whole?.[0] ?? '').split(' '), { MOST: '50' })).out).toContain('is too much')
    const corpus = JSON.parse(readFileSync(join(folder, 'seeds.json'), 'utf8')) as { tests: Record<string, string[]> }
    expect(corpus.tests['numbers']?.length).toBeGreaterThan(0)
    const first = await run([...NUMBERS, '--seed', '999', '--corpus', 'seeds.json', '--max-parallel', '0'], {
      MOST: '50',
    })
    expect(first.err).toContain(`seed ${corpus.tests['numbers']?.[0]}`)
    expect(existsSync(join(folder, '.simtest'))).toBe(true)
  })

  test('of a worker that dies costs its seed, not the sweep', async () => {
    writeFileSync(
      join(folder, 'deadly.mjs'),
      `import { scenario } from '@moosicbox/p2p/simtest'
      export default scenario('deadly', { seeds: 12 }, (sim) => { if (sim.seed === 7n) process.exit(3) })`,
    )
    const args = ['sweep', 'deadly.mjs', '--seed', '1', '--all', '--max-parallel', '2', '--json', 'deadly.json']
    const { code, out } = await run(args)
    expect(code).toBe(1)
    expect(out).toContain('its worker ended with code 3')
    expect(result('deadly.json')).toMatchObject({ runs: 12, failed: [{ seed: '7', key: 'worker' }] })
  })
})

test('state that outlives a run is noticed, on workers and without', async () => {
  writeFileSync(
    join(folder, 'sticky.mjs'),
    `import { scenario } from '@moosicbox/p2p/simtest'
    let runs = 0
    export const sticky = scenario('sticky', { seeds: 12 }, async (sim) => {
      sim.host('alice', async ({ runtime }) => { await runtime.sleep(10 + (process.env.STICKY ? runs++ : 0)) })
      await sim.run()
    })
    export const knows = scenario('knows', { seeds: 12, checkIsolation: false }, sticky.body)`,
  )
  const args = (workers: string): string[] => ['sweep', 'sticky.mjs', '--seed', '1', '--max-parallel', workers]
  for (const workers of ['0', '1', '2']) {
    const { code, out } = await run([...args(workers), '--scenario', 'sticky'], { STICKY: 'yes' })
    expect(out).toMatch(
      /"sticky": seed \d+ has not the same history with other seeds before it. Something that outlives/,
    )
    expect(code).toBe(1)
    expect((await run([...args(workers), '--scenario', 'knows'], { STICKY: 'yes' })).code).toBe(0)
    expect((await run([...args(workers), '--scenario', 'sticky'])).code).toBe(0)
  }
})

describe('nonsense', () => {
  test.each<[string[], string]>([
    [['sweep', 'nowhere.mjs'], 'cannot be loaded'],
    [['sweep', 'numbers.mjs', '--scenario', 'letters'], 'has no scenario of this name; it has "numbers", "others"'],
    [['sweep', 'numbers.mjs', '--seeds', 'many'], '--seeds = "many": must be a whole number'],
    [['sweep', 'numbers.mjs', '--seed', '-1'], '--seed = "-1": must be a whole number'],
    [['sweep', 'numbers.mjs', '--for', '-5s'], '--for = "-5s": must be a duration'],
    [['sweep', 'numbers.mjs', '--for', 'ever'], 'must be a duration'],
    [['sweep', 'numbers.mjs', '--shard', '3'], 'must be i/n'],
    [['sweep', 'numbers.mjs', '--seed', '1', '--shard', '3/2'], 'with i from 1 to n'],
    [['sweep', 'numbers.mjs', '--shard', '1/2'], 'all shards need the same first seed'],
    [['sweep', 'numbers.mjs', '--speed', '1'], 'usage: p2p-sim'],
    [['dance'], 'there is no command "dance"'],
    [['sweep'], 'sweep needs a MODULE'],
    [['replay', 'nowhere.json'], 'replay needs a FILE and a MODULE'],
    [['merge'], 'merge needs a FILE'],
    [['replay', 'nowhere.json', 'numbers.mjs'], 'FILE = "nowhere.json": cannot be read as a replay file'],
    [['replay', 'nowhere.json', 'numbers.mjs', '--expect', 'luck'], 'it is pass or fail'],
    [[...NUMBERS, '--json', 'nowhere/x.json'], '--json = "nowhere/x.json": cannot be written'],
    [[...NUMBERS, '--json', '.'], '--json = ".": cannot be written'],
    [[...NUMBERS, '--corpus', 'nowhere/x.json'], '--corpus = "nowhere/x.json": cannot be written'],
    [['merge', 'numbers.mjs'], 'cannot be read'],
  ])('%j', async (args, message) => {
    const { code, err } = await run(args)
    expect(err).toContain(message)
    expect(code).toBe(2)
    expect(err).not.toContain('START')
  })

  test('a setting that there is not, and a corpus that there is not, are told in a line, once', async () => {
    const args = ['sweep', 'numbers.mjs', '--seed', '5', '--seeds', '1', '--corpus', 'new.json', '--max-parallel', '0']
    const { code, err } = await run(args, { SIMULATOR_SEEED: '7', SIMULATOR_EPOCH_OFFSET: '5' })
    expect(code).toBe(0)
    expect(err.match(/SIMULATOR_SEEED is no setting and changes nothing; known are .*SIMULATOR_SEED/g)).toHaveLength(1)
    expect(err).toContain('corpus new.json does not exist')
  })

  test('stops what runs at night, before anything is swept', async () => {
    const { code, err } = await run(['--bogus'], {}, 'scripts/nightly.mjs')
    expect(code).toBe(2)
    expect(err.match(/Unknown option '--bogus'/g)).toHaveLength(1)
  })

  test('parts of different sweeps do not merge', () => {
    const part = { format: 'moosicbox-p2p-sweep', version: 1, name: 'x', firstSeed: '1', shards: [1], of: 2 } as const
    const one: SweepFile = { ...part, runs: 3, failed: [], reached: { a: 0 }, events: 1, virtualMs: 1, elapsedMs: 1 }
    const other = { ...one, shards: [2], firstSeed: '2' }
    expect(() => mergeSweeps([one, other])).toThrow('parts of different sweeps')
    const [both] = mergeSweeps([one, { ...other, firstSeed: '1', reached: { a: 0, b: 2 } }])
    expect(both).toMatchObject({ runs: 6, reached: { a: 0, b: 2 } })
    expect(problemsOf(both as SweepFile)).toEqual(['never reached: "a"'])
  })
})
