/** Variables of modules that hosts share are found and named, and nothing else is. */
import { afterAll, describe, expect, test } from 'vitest'
import { DefaultP2P } from '../../src/index.ts'
import { checkScenario, resolveOptions, scenario, simTest } from '../../src/simtest/index.ts'
import type { ScenarioBody, ScenarioOptions } from '../../src/simtest/index.ts'
import { BuiltFolder } from './built-folder.ts'
import * as app from './shared/app.ts'
import { check } from './support.ts'

/** Hosts that do something with the application, one after the other. */
const hosts =
  (use: (name: string) => unknown, names = ['alice', 'bobby']): ScenarioBody =>
  async (sim) => {
    for (const name of names) {
      sim.host(name, async ({ runtime }) => {
        await runtime.sleep(name.length)
        use(name)
        await runtime.sleep(5)
      })
    }
    await sim.run()
  }

const shared = async (body: ScenarioBody, options: ScenarioOptions = {}): Promise<string | undefined> =>
  (await check({ seeds: 1, checkSharedState: true, ...options }, body)).shared

describe('what two hosts change', () => {
  test.each([
    ['counter', 'a number', () => app.count()],
    ['cache', 'a map', (name: string) => app.cacheName(name)],
    ['settings', 'an object within an object', (name: string) => app.greetWith(name)],
    ['ledger', 'a list in a private field', (name: string) => app.record(name)],
    ['notes', 'a text in a private field', (name: string) => app.note(name)],
  ])('%s, %s', async (variable, _what, use) => {
    expect(await shared(hosts(use, ['alice', 'robert']))).toBe(
      'variables of modules are shared by hosts that would each have their own:\n' +
        `  ${variable} in test/simtest/shared/app.ts, changed by alice, robert\n` +
        "Make them in the program of each host, or give programs as modules' URLs, which are loaded afresh",
    )
  })

  test('bytes', async () => {
    expect(await shared(hosts(app.fill, ['alice', 'robert']))).toContain('buffer in test/simtest/shared/app.ts')
  })

  test('the same host, before its crash and after it', async () => {
    const body: ScenarioBody = async (sim) => {
      sim.host('alice', async ({ runtime }) => {
        app.count()
        await runtime.sleep(100)
      })
      sim.faults.inject({ kind: 'crash', atMs: 50, forMs: 10, host: 'alice' })
      await sim.run({ forMs: 500 })
    }
    expect(await shared(body)).toContain('changed by alice, alice (its 2. start)')
  })
})

describe('what is not shared', () => {
  test.each([
    ['what one host alone changes', hosts((name) => name === 'alice' && app.rememberLast(name))],
    ['what hosts read', hosts(() => app.look())],
    ['variables of a program', hosts(() => Array.from({ length: 3 }).fill(0))],
  ])('%s', async (_what, body) => {
    expect(await shared(body)).toBeUndefined()
  })

  test('variables of the scenario, with nodes that talk, and those of this library', async () => {
    const body: ScenarioBody = async (sim) => {
      let heard = ''
      const bob = sim.host('bob', async () => {
        const p2p = await DefaultP2P.create()
        for await (const connection of await p2p.listen()) heard += new TextDecoder().decode(await connection.recv())
      })
      for (const name of ['alice', 'carol']) {
        sim.host(name, async ({ runtime }) => {
          const p2p = await DefaultP2P.create()
          await runtime.sleep(1000)
          const connection = await p2p.connect(bob.id)
          heard += name
          await connection.send(new TextEncoder().encode(name))
          await connection.end()
        })
      }
      await sim.until('both', () => heard.length === 20)
    }
    expect(await shared(body)).toBeUndefined()
  })
})

test('is not looked for where it is not asked for', async () => {
  expect(
    await shared(
      hosts(() => app.count()),
      { checkSharedState: false },
    ),
  ).toBeUndefined()
})

test('looking changes no history', async () => {
  const what = scenario('a scenario', { seeds: 2, checkSharedState: true }, hosts(app.record))
  const { difference, runs } = await checkScenario(what, { resolved: resolveOptions(what.options, {}) })
  expect({ difference, runs }).toEqual({ difference: undefined, runs: 2 })
})

test('fails the test', async () => {
  let failure: unknown
  const run = (_name: string, _options: object, body: () => Promise<void>): void => {
    failure = body()
  }
  await simTest('shares', { test: run, seeds: 2, checkSharedState: true }, hosts(app.count))
  await expect(failure).rejects.toThrow(/"shares": variables of modules are shared .*\n {2}counter in/)
})

describe('on plain Node', () => {
  const folder = new BuiltFolder({
    'app.mjs': 'let calls = 0\nexport const call = () => ++calls\n',
    'app.cjs': 'let calls = 0\nexports.call = () => ++calls\n',
    'scenario.mjs': `
      import { scenario } from '@moosicbox/p2p/simtest'
      import { call } from './app.mjs'
      import common from './app.cjs'
      export default scenario('calls', { seeds: 2, checkSharedState: true }, async (sim) => {
        for (const name of ['a', 'b']) sim.host(name, async ({ runtime }) => {
          await runtime.sleep(call() + common.call())
        })
        await sim.run()
      })`,
  })
  afterAll(() => folder.remove())

  test('by p2p-sim, in modules and in CommonJS', async () => {
    const { code, text } = await folder.run(['../../dist/cli/p2p-sim.js', 'sweep', 'scenario.mjs', '--seed', '1'])
    expect(text).toContain('calls in app.mjs, changed by a, b')
    expect(text).toContain('calls in app.cjs, changed by a, b')
    expect(code).toBe(1)
  })
})
