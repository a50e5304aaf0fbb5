/**
 * The side of a test file that vitest runs: workers load the file through it, as vitest itself would, with the aliases,
 * plugins and set-up files of its configuration.
 *
 * vitest offers nothing for this, so what is used here is not promised to stay; whatever is not found as expected keeps
 * the seeds in the test's own thread.
 *
 * @module
 */
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

/** What a worker needs to load files as vitest does. */
export interface VitestTask {
  /** The URL of vite's module runner. */
  readonly moduleRunner: string
  /** vitest's settings, as far as they are data. */
  readonly config: Readonly<Record<string, unknown>>
  /** Paths of the set-up files. */
  readonly setupFiles: readonly string[]
  /** Whether `test`, `expect` and so on are globals. */
  readonly hasGlobals: boolean
}

interface Fetched {
  readonly cached?: boolean
  readonly tmp?: string
}

/** The state of vitest's worker, as far as it is needed here. */
interface VitestState {
  readonly filepath?: string
  readonly config: Readonly<Record<string, unknown>> & {
    readonly setupFiles?: readonly string[]
    readonly globals?: boolean
    readonly root?: string
  }
  readonly environment: { readonly name: string; readonly viteEnvironment?: string }
  readonly rpc: {
    fetch(id: string, importer: string | undefined, environment: string, options: unknown): Promise<Fetched>
  }
}

function state(): VitestState | undefined {
  return (globalThis as { readonly __vitest_worker__?: VitestState }).__vitest_worker__
}

/** The test file that vitest runs. */
export function vitestFile(): string | undefined {
  return state()?.filepath
}

/** `value` without what is no data. */
function asData(value: unknown): unknown {
  try {
    return structuredClone(value)
  } catch {
    return JSON.parse(JSON.stringify(value)) as unknown
  }
}

/** What workers need; or why they cannot do it, in words. */
export function vitestTask(): VitestTask | string {
  const now = state()
  const { config, environment, rpc } = now ?? {}
  if (typeof rpc?.fetch !== 'function' || typeof environment?.name !== 'string' || !config) {
    return 'this version of vitest is not known'
  }
  if (environment.name !== 'node') return `the environment of the tests is ${environment.name}`
  for (const from of [process.argv[1], `${config.root ?? process.cwd()}/package.json`]) {
    if (from === undefined) continue
    try {
      const moduleRunner = pathToFileURL(createRequire(from).resolve('vite/module-runner')).href
      return {
        moduleRunner,
        config: asData(config) as VitestTask['config'],
        setupFiles: config.setupFiles ?? [],
        hasGlobals: config.globals === true,
      }
    } catch {
      // Not from there.
    }
  }
  return "vite's module runner is not found"
}

/** Has vitest load, for a worker, what its module runner asks for. */
export async function fetchForWorker(
  args: readonly unknown[],
): Promise<{ readonly result?: unknown; readonly error?: string }> {
  const [id, importer, options] = args
  const now = state()
  if (!now) return { error: 'vitest is over' }
  const { name, viteEnvironment = name } = now.environment
  try {
    return {
      result: asData(await now.rpc.fetch(id as string, importer as string | undefined, viteEnvironment, options)),
    }
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) }
  }
}
