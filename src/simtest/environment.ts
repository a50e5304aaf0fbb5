/**
 * Where a test runs: under which runner, from which file, and with which command it is run again.
 *
 * @module
 */
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'

/** A test runner's `test` function, as far as it is needed: those of vitest, node:test and jest fit. */
export type TestFunction = (name: string, options: { timeout: number }, body: () => Promise<void>) => unknown

/** What runs this process. */
export type RunnerKind = 'vitest' | 'node' | 'script'

/** Which runner this process is of. */
export function runnerKind(environment: Readonly<Record<string, string | undefined>>): RunnerKind {
  // The variable alone is inherited by whatever a test starts.
  if (environment['VITEST'] !== undefined && '__vitest_worker__' in globalThis) return 'vitest'
  return environment['NODE_TEST_CONTEXT'] === undefined ? 'script' : 'node'
}

// Under vitest it is there, and nowhere else is it needed; the name in a variable keeps bundlers from looking for it.
const VITEST = 'vitest'
const vitest: { readonly test?: TestFunction } | undefined =
  runnerKind(process.env) === 'vitest' ? await import(VITEST).catch(() => undefined) : undefined
const nodeTest: { readonly test?: TestFunction } | undefined =
  runnerKind(process.env) === 'node' ? await import('node:test') : undefined

/** The `test` function of the runner; undefined in a plain script. */
export function findTest(): TestFunction | undefined {
  const { test } = globalThis as { readonly test?: TestFunction }
  return vitest?.test ?? nodeTest?.test ?? (typeof test === 'function' ? test : undefined)
}

/** The file that called into this library, from the stack; undefined when it cannot be told. */
export function callerFile(stack: string | undefined, own: string): string | undefined {
  const folder = own.slice(0, own.lastIndexOf('/') + 1)
  for (const line of (stack ?? '').split('\n').slice(1)) {
    const match = /\(?((?:file:\/\/)?\/[^\s()]+?):\d+:\d+\)?$/.exec(line.trim())
    const found = match?.[1]
    if (found === undefined || found.includes('/node_modules/') || found.startsWith('node:')) continue
    const path = found.startsWith('file:') ? fileURLToPath(found) : found
    if (!path.startsWith(folder.startsWith('file:') ? fileURLToPath(folder) : folder)) return path
  }
  return undefined
}

function quote(text: string): string {
  return /^[\w./:@=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}

/** A regular expression that matches `text` alone. */
function literally(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
}

/** The command that runs one test of a file again, with variables of the environment. */
export function rerunCommand(
  kind: RunnerKind,
  file: string | undefined,
  name: string,
  variables: Readonly<Record<string, string>>,
): string {
  const set = Object.entries(variables).map(([key, value]) => `${key}=${quote(value)}`)
  const path = file === undefined ? [] : [quote(relative(process.cwd(), file) || file)]
  const parts = {
    vitest: ['npx vitest run', ...path, '-t', quote(literally(name))],
    node: ['node --test', '--test-name-pattern', quote(literally(name)), ...path],
    script: ['node', ...path],
  }
  return [...set, ...parts[kind]].join(' ')
}
