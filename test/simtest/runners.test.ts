/** The same test under vitest, node:test and as a plain script, on the built package, with its environment variables. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { BuiltFolder, VITEST } from './built-folder.ts'

// Programs that are started take their time where others keep the machine busy.
vi.setConfig({ testTimeout: 240_000 })

let folder: BuiltFolder

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

beforeAll(() => {
  folder = new BuiltFolder({
    'numbers.mjs': SCENARIO,
    'numbers.test.mjs': SCENARIO,
    'vitest.config.mjs': 'export default { test: { include: ["*.test.mjs"] } }\n',
    'settings.mjs': SETTINGS,
  })
})

afterAll(() => folder.remove())

const SETTINGS = `
import { simTest } from '@moosicbox/p2p/simtest'
await simTest('settings', { seeds: 1 }, async (sim) => {
  let epoch
  sim.host('alice', async ({ runtime }) => {
    epoch = runtime.wallClockMs()
    await runtime.sleep(100)
  })
  let steps = 0
  while (sim.now < 100) {
    await sim.step()
    steps++
  }
  console.log('epoch ' + epoch + ', step ' + sim.now / steps + ', ' + steps + ' times')
})
`

describe('a plain script', () => {
  test('says what it does and how it ended', async () => {
    const { code, text } = await folder.run(['numbers.mjs'])
    expect(code).toBe(0)
    expect(text).toMatch(/= START =+\nSimulation "numbers stay \(small\)"\n {2}seed {11}1\n {2}runs {11}10/)
    expect(text).toMatch(/= FINISH =+/)
    expect(text).toContain('result         success')
    expect(text).toContain('SIMULATOR_SEED=1 SIMULATOR_RUNS=10 node numbers.mjs')
  })

  test('tells what is wrong with a corpus, that there is none, and settings that there are not', async () => {
    const simple = (corpus: string): string =>
      `import { simTest } from '@moosicbox/p2p/simtest'\nawait simTest('x', { seeds: 1, corpus: '${corpus}' }, () => {})`
    const files = { 'broken.json': '{', 'a.mjs': simple('broken.json'), 'b.mjs': simple('nowhere.json') }
    const other = new BuiltFolder(files)
    const broken = await other.run(['a.mjs'])
    expect(broken.text).toMatch(/corpus = "broken\.json": cannot be read/)
    expect(broken.code).toBe(1)
    const missing = await other.run(['b.mjs'], { SIMULATOR_RUN: '3' })
    expect(missing.text).toContain('corpus nowhere.json does not exist')
    expect(missing.text).toContain('SIMULATOR_RUN is no setting and changes nothing; known are')
    expect(missing.code).toBe(0)
    other.remove()
  })

  test('fails with the report, a file, and commands that show it again', async () => {
    const { code, text } = await folder.run(['numbers.mjs'], { MOST: '50' })
    expect(code).toBe(1)
    expect(text).toContain('51 is too much')
    expect(text).toContain('number = 51  (52 of 101)')
    const seed = /fails with seed (\d+)/.exec(text)?.[1] ?? ''
    expect(text).toContain(`run it again   SIMULATOR_SEED=${seed} SIMULATOR_RUNS=1 node numbers.mjs`)
    expect(readdirSync(join(folder.path, '.simtest'))).toEqual([
      `numbers-stay-small-${seed}.json`,
      `numbers-stay-small-${seed}.p2ptrace`,
    ])
    const replayFile = /SIMULATOR_REPLAY=(\S+)/.exec(text)?.[1] ?? ''

    const again = await folder.run(['numbers.mjs'], { MOST: '50', SIMULATOR_REPLAY: replayFile })
    expect(again.code).toBe(1)
    expect(again.text).toContain(
      `replay of "numbers stay (small)", seed ${seed}: 51 is too much, at 0 ms of virtual time`,
    )

    const repaired = await folder.run(['numbers.mjs'], { MOST: '500', SIMULATOR_REPLAY: replayFile })
    expect(repaired.code).toBe(1)
    expect(repaired.text).toContain('It does not fail any more')

    const whole = await folder.run(['numbers.mjs'], { MOST: '50', SIMULATOR_SEED: seed })
    expect(whole.text).toContain(`fails with seed ${seed}`)
  })

  test('heeds every setting of the environment, and repeats those in the command that runs it again', async () => {
    const plain = await folder.run(['settings.mjs'])
    expect(plain.text).toMatch(/epoch 1700000000000, step 10, 10 times/)
    const env = { SIMULATOR_DURATION: '30s', SIMULATOR_EPOCH_OFFSET: '5000', SIMULATOR_STEP_SIZE_MS: '25' }
    const set = await folder.run(['settings.mjs'], { ...env, SIMULATOR_RUNS: '2', SIMULATOR_SEED: '7' })
    expect(set.text).toMatch(/epoch 5000, step 25, 4 times/)
    expect(set.text).toContain('epoch offset   5000 ms')
    const again = `${Object.entries(env)
      .map(([name, value]) => `${name}=${value}`)
      .join(' ')} SIMULATOR_SEED=7 SIMULATOR_RUNS=2 node settings.mjs`
    expect(set.text).toContain(`run it again   ${again}`)
    expect(set.text.match(/epoch 5000/g)).toHaveLength(2)
    const short = await folder.run(['settings.mjs'], { SIMULATOR_DURATION: '50ms' })
    expect(short.code).toBe(1)
    expect(short.text).toContain('there is no step after 50 ms of virtual time')
  })

  test('does as many runs as it is told, from the seed it is told', async () => {
    const { text } = await folder.run(['numbers.mjs'], { SIMULATOR_RUNS: '3', SIMULATOR_SEED: '40' })
    expect(text).toMatch(/seed {11}40\n {2}runs {11}3/)
    const { code, text: wrong } = await folder.run(['numbers.mjs'], { SIMULATOR_SEED: 'forty' })
    expect(code).not.toBe(0)
    expect(wrong).toContain('SIMULATOR_SEED = "forty": must be a whole number from 0 to 2^64 - 1')
  })
})

test("twice at once they do not get in each other's way", async () => {
  const both = await Promise.all([1, 2].map(() => folder.run(['numbers.mjs'], { MOST: '50' })))
  const paths = both.map(({ code, text }) => {
    expect(code).toBe(1)
    return /SIMULATOR_REPLAY=(\S+)/.exec(text)?.[1] ?? ''
  })
  const again = await Promise.all(
    paths.map((path) => folder.run(['numbers.mjs'], { MOST: '50', SIMULATOR_REPLAY: path })),
  )
  for (const { text } of again) expect(text).toContain('51 is too much, at 0 ms of virtual time')
  expect(readdirSync(join(folder.path, '.simtest')).filter((name) => !/\.(?:json|p2ptrace)$/.test(name))).toEqual([])
})

test('node:test', async () => {
  const good = await folder.run(['--test', 'numbers.test.mjs'])
  expect(good.text).toMatch(/pass 1\b/)
  expect(good.code).toBe(0)
  const bad = await folder.run(['--test', 'numbers.test.mjs'], { MOST: '50' })
  expect(bad.code).toBe(1)
  expect(bad.text).toContain('51 is too much')
  expect(bad.text).toContain(String.raw`node --test --test-name-pattern 'numbers stay \(small\)' numbers.test.mjs`)
})

test('vitest', async () => {
  const good = await folder.run([VITEST, 'run'])
  expect(good.text).toMatch(/1 passed/)
  const bad = await folder.run([VITEST, 'run'], { MOST: '50' })
  expect(bad.code).toBe(1)
  expect(bad.text).toContain('51 is too much')
  expect(bad.text).toContain(String.raw`npx vitest run numbers.test.mjs -t 'numbers stay \(small\)'`)
})
