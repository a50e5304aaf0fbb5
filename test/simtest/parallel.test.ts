/** Seeds on worker threads, under every runner: the same result as in one thread, and a plain line where it cannot be. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { BuiltFolder, VITEST } from './built-folder.ts'
import type { Ended } from './built-folder.ts'

// Programs that are started take their time where others keep the machine busy.
vi.setConfig({ testTimeout: 240_000 })

const BODY = `
import { isMainThread, threadId } from 'node:worker_threads'
export const where = new Set()
export const body = async (sim) => {
  where.add(threadId)
  const number = sim.integer(0, 1000, 'number')
  sim.host('alice', async ({ runtime }) => {
    for (let i = 0; i < 20; i++) await runtime.sleep(1 + runtime.random() * number)
  })
  await sim.run()
  sim.sometimes('a large one', number > 900)
  if (process.env.BAD?.split(' ').includes(String(sim.seed))) throw new Error('seed ' + sim.seed + ' is bad')
  if (!isMainThread && process.env.THERE === String(sim.seed) && number > 3) throw new Error('only there')
  if (!isMainThread && process.env.LATER === 'yes' && (globalThis.ran = (globalThis.ran ?? 0) + 1) > 5) throw new Error('later')
  if (!isMainThread && process.env.DEADLY === String(sim.seed)) process.exit(3)
  if (!isMainThread && process.env.DIFFERENT === 'yes') sim.integer(0, 1000), sim.host('b', async ({ runtime }) => runtime.random()), await sim.run()
}
`

const inScript = `
import { simTest } from '@moosicbox/p2p/simtest'
import { body } from './body.mjs'
await simTest('another', { seeds: 1 }, () => {})
await simTest('many (of them)', { seeds: 60 }, body)
console.log('the end of the script')
`

const inNodeTest = `
import test, { describe, after } from 'node:test'
import assert from 'node:assert/strict'
import { simTest } from '@moosicbox/p2p/simtest'
import { body } from './body.mjs'
test('another', () => console.log('another test runs'))
after(() => {})
describe('in a group', () => {
  simTest('many (of them)', { seeds: 60 }, async (sim) => {
    await body(sim)
    assert.ok(sim.now > 0)
  })
})
`

// With what vitest alone understands: TypeScript that is not erased, an alias, a module of vite's.
const inVitest = `
import { describe, expect, test, vi } from 'vitest'
import { simTest } from '@moosicbox/p2p/simtest'
import { body } from 'the-body'
enum Least { Now = 0 }
const spy = vi.fn()
test('another', () => console.log('another test runs'))
describe.each([1])('in group %i', () => {
  simTest('many (of them)', { seeds: 60 }, async (sim) => {
    await body(sim)
    spy()
    expect(sim.now).toBeGreaterThan(Least.Now)
    expect(spy).toHaveBeenCalled()
  })
})
`

const vitestConfig = `
export default {
  resolve: { alias: { 'the-body': new URL('./body.mjs', import.meta.url).pathname } },
  test: { include: ['*.check.ts'] },
}
`

const UNFIT: Readonly<Record<string, string>> = {
  'before.test.mjs': `
    import { before } from 'node:test'
    import { simTest } from '@moosicbox/p2p/simtest'
    let isPrepared = false
    before(() => { isPrepared = true })
    simTest('prepared', { seeds: 5 }, () => { if (!isPrepared) throw new Error('not prepared') })`,
  'nested.test.mjs': `
    import test from 'node:test'
    import { simTest } from '@moosicbox/p2p/simtest'
    test('outer', async (t) => { await simTest('inner', { seeds: 5, test: (name, options, body) => body() }, () => {}) })`,
  'mocked.check.ts': `
    import { expect, vi } from 'vitest'
    import { simTest } from '@moosicbox/p2p/simtest'
    import { body } from './body.mjs'
    vi.mock('./body.mjs', () => ({ body: 'mocked' }))
    simTest('mocked', { seeds: 5 }, () => expect(body).toBe('mocked'))`,
  'before-all.check.ts': `
    import { beforeAll } from 'vitest'
    import { simTest } from '@moosicbox/p2p/simtest'
    let isPrepared = false
    beforeAll(() => { isPrepared = true })
    simTest('prepared', { seeds: 5 }, () => { if (!isPrepared) throw new Error('not prepared') })`,
  'common.cjs': `
    import('@moosicbox/p2p/simtest').then(({ simTest }) => simTest('common', { seeds: 5 }, () => {}))`,
}

let folder: BuiltFolder

beforeAll(() => {
  folder = new BuiltFolder({
    'body.mjs': BODY,
    'many.mjs': inScript,
    'few.mjs': inScript.replace('60', '8'),
    'many.test.mjs': inNodeTest,
    'many.check.ts': inVitest,
    'vitest.config.mjs': vitestConfig,
    ...UNFIT,
  })
})

afterAll(() => folder.remove())

const RUNNERS: readonly (readonly [string, readonly string[]])[] = [
  ['a plain script', ['many.mjs']],
  ['node:test', ['--test', 'many.test.mjs']],
  ['vitest', [VITEST, 'run', 'many.check.ts']],
]

/** What the banner at the end of the long test says, without real time. */
function sums({ text }: Ended): string {
  const end = text.slice(text.lastIndexOf('FINISH'))
  const rows = ['runs', 'steps', 'simulated', 'result'].map((row) => new RegExp(`  ${row} +([^,\\n]+)`).exec(end)?.[1])
  return rows.join(' | ')
}

const onWorkers = { SIMULATOR_MAX_PARALLEL: '2' }
const here = { SIMULATOR_MAX_PARALLEL: '0' }

describe.each(RUNNERS)('%s', (_name, args) => {
  test('comes to the same on workers and without', async () => {
    const [there, alone] = await Promise.all([folder.run(args, onWorkers), folder.run(args, here)])
    expect(there.code).toBe(0)
    expect(there.text).toMatch(/took .*, on 2 workers/)
    expect(alone.code).toBe(0)
    expect(alone.text).toContain('none, on the main thread')
    expect(alone.text).not.toContain('on 2 workers')
    expect(sums(there)).toMatch(/^60 \| \d{4,} \| .* \| success$/)
    expect(sums(there)).toBe(sums(alone))
    // Workers load the file, and leave what else is in it alone.
    for (const { text } of [there, alone]) {
      expect(text.match(/another test runs|the end of the script/g)).toHaveLength(1)
    }
  })

  test('reports the first seed that fails, whoever finds another one sooner', async () => {
    const BAD = '41 42 43 44 45 38'
    const [there, alone] = await Promise.all([
      folder.run(args, { ...onWorkers, BAD }),
      folder.run(args, { ...here, BAD }),
    ])
    for (const { code, text } of [there, alone]) {
      expect(code).toBe(1)
      expect(text).toContain('"many (of them)" fails with seed 38')
      expect(text).toMatch(/failure of 1: seed 38/)
    }
    expect(sums(there)).toBe(sums(alone))
  })
})

describe('a failure that only workers have', () => {
  test.each(RUNNERS)('is made smaller on a worker: %s', async (_name, args) => {
    const { code, text } = await folder.run(args, { ...onWorkers, THERE: '33' })
    expect(code).toBe(1)
    expect(text).toMatch(/"many \(of them\)" fails with seed 33\s+only there/)
    expect(text).toMatch(/The smallest run that still fails(?:.*\n)* +number = 4 {2}\(5 of 1001\)/)
    expect(text).toContain('This is how it is on a worker thread; in the main thread the seed does not fail')
    expect(text).toMatch(/the smallest run: SIMULATOR_REPLAY=\S+-33\.json /)
  })

  test('and those that have run others before is told', async () => {
    const { code, text } = await folder.run(['many.mjs'], { ...onWorkers, LATER: 'yes' })
    expect(code).toBe(1)
    expect(text).toContain(
      'later\n  on a worker thread; it fails neither here nor on a worker that has run no other seed',
    )
  })
})

test('a worker that dies costs its seed, and the others are run', async () => {
  const { code, text } = await folder.run(['many.mjs'], { ...onWorkers, DEADLY: '33' })
  expect(code).toBe(1)
  expect(text).toContain('"many (of them)" fails with seed 33\n\n  its worker ended with code 3')
  expect(sums({ code, text })).toMatch(/^33 \| /)
})

test('without being asked, workers are started where that is worth it alone', async () => {
  const { text } = await folder.run(['few.mjs'])
  expect(text).toMatch(/runs +8\n/)
  expect(text).not.toMatch(/took .*on \d+ workers/)
})

describe('where workers cannot be had, the seeds run in one thread, and a line says why', () => {
  test.each<[readonly string[], string]>([
    [['--test', 'before.test.mjs'], 'the file prepares its tests with before, which only the test runner calls'],
    [['--test', 'nested.test.mjs'], "its test function is not the runner's own"],
    [[VITEST, 'run', 'mocked.check.ts'], 'Vitest mocker was not initialized'],
    [[VITEST, 'run', 'before-all.check.ts'], 'the file prepares its tests with beforeAll'],
    [['common.cjs'], 'its file is a CommonJS module'],
  ])(
    '%j',
    async (args, why) => {
      const { code, text } = await folder.run(args, onWorkers)
      expect(text).toContain(`runs its seeds in one thread: ${why}`)
      expect(text).toMatch(/runs +5\n/)
      expect(code).toBe(0)
    },
    120_000,
  )

  test('as histories there are not the same', async () => {
    const { code, text } = await folder.run(['many.mjs'], { ...onWorkers, DIFFERENT: 'yes' })
    expect(text).toContain('runs its seeds in one thread: seed 1 has another history in a worker than here')
    expect(code).toBe(0)
  })
})
