/**
 * Loads a test file as vitest does, in a worker; the other side is `vitest-bridge.ts`.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { group, groupsEntered, hook, ignored } from './runner-stubs.ts'
import type { VitestTask } from './vitest-bridge.ts'

type Fetch = (args: readonly unknown[]) => Promise<{ readonly result?: unknown; readonly error?: string }>

/** Vite's module runner, as far as it is used. */
interface ModuleRunnerModule {
  readonly ESModulesEvaluator: new () => { runExternalModule(url: string): Promise<unknown> }
  readonly ModuleRunner: new (options: object, evaluator: object) => { import(url: string): Promise<unknown> }
}

interface Invoked {
  readonly data: { readonly name: string; readonly data: readonly unknown[] }
}

/** What a test file imports vitest by. */
const NAME = 'vitest'
/** vitest itself. */
const VITEST = /^vitest$|[\\/]vitest[\\/]dist[\\/]index\.js$/

/** What only vitest's own runner could do. */
const STUBS: Readonly<Record<string, unknown>> = {
  test: ignored,
  it: ignored,
  bench: ignored,
  describe: group,
  suite: group,
  beforeAll: hook('beforeAll'),
  beforeEach: hook('beforeEach'),
  aroundAll: hook('aroundAll'),
  aroundEach: hook('aroundEach'),
  afterAll: ignored,
  afterEach: ignored,
  onTestFailed: ignored,
  onTestFinished: ignored,
}

/**
 * Loads a file through vitest, with the stand-ins of `runner-stubs.ts` for whatever runs tests.
 *
 * @throws Error when it cannot be loaded like this
 */
export async function importLikeVitest(file: string, task: VitestTask, fetch: Fetch): Promise<void> {
  const { ModuleRunner, ESModulesEvaluator } = (await import(task.moduleRunner)) as ModuleRunnerModule
  // For `expect` and `vi`, which look for it.
  const state = {
    config: task.config,
    filepath: file,
    environment: { name: 'node', viteEnvironment: 'ssr' },
    ctx: {},
    rpc: {},
    durations: {},
    providedContext: {},
    resolvingModules: new Set(),
    onCancel: ignored,
  }
  Object.defineProperty(globalThis, '__vitest_worker__', { value: state, configurable: true })
  let vitest: Promise<unknown> | undefined
  class Evaluator extends ESModulesEvaluator {
    override runExternalModule(url: string): Promise<unknown> {
      if (!VITEST.test(url)) return super.runExternalModule(url)
      return (vitest ??= import(url).then((real: object) => ({ ...real, ...STUBS })))
    }
  }
  const invoke = async ({ data: { name, data } }: Invoked): Promise<unknown> => {
    if (name !== 'fetchModule') return { result: [] }
    const { result, error } = await fetch(data)
    if (error !== undefined) return { error: { message: error } }
    const fetched = result as { readonly cached?: boolean; readonly tmp?: string }
    const { cached, tmp } = fetched
    return { result: cached === true && tmp !== undefined ? { ...fetched, code: readFileSync(tmp, 'utf8') } : fetched }
  }
  const runner = new ModuleRunner({ hmr: false, sourcemapInterceptor: false, transport: { invoke } }, new Evaluator())
  if (task.hasGlobals) Object.assign(globalThis, await runner.import(NAME))
  for (const setupFile of task.setupFiles) await runner.import(setupFile)
  await runner.import(file)
  await groupsEntered()
}
