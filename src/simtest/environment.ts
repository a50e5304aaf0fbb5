/**
 * Where a test runs: under which runner, from which file, and with which command it is run again.
 *
 * @module
 */
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SIMULATOR_VARIABLES } from '../core/config.ts'

/** A test runner's `test` function, as far as it is needed: those of vitest, node:test and jest fit. */
export type TestFunction = (
  name: string,
  options: { timeout: number },
  body: (context?: { readonly signal?: AbortSignal }) => Promise<void>,
) => unknown

/** What runs this process. */
export type RunnerKind = 'vitest' | 'node' | 'script'

/** Which runner this process is of. */
export function runnerKind(environment: Readonly<Record<string, string | undefined>>): RunnerKind {
  // The variable alone is inherited by whatever a test starts.
  if (environment['VITEST'] !== undefined && '__vitest_worker__' in globalThis) return 'vitest'
  // Without a process for each file there is no variable.
  const isNodeTest = environment['NODE_TEST_CONTEXT'] !== undefined || process.execArgv.includes('--test')
  return isNodeTest ? 'node' : 'script'
}

interface Runner {
  readonly test?: TestFunction
}

// Under vitest it is there, and nowhere else is it needed; the name in a variable keeps bundlers from looking for it.
// This package does not depend on it, so it may be out of reach where it lies: then what vitest leaves here must do.
const VITEST = 'vitest'
const vitest: Runner | undefined =
  runnerKind(process.env) === 'vitest'
    ? await import(VITEST).catch(() => (globalThis as { readonly __vitest_index__?: Runner }).__vitest_index__)
    : undefined
const nodeTest: Runner | undefined = runnerKind(process.env) === 'node' ? await import('node:test') : undefined

/** The `test` function of the runner; undefined in a plain script. */
export function findTest(): TestFunction | undefined {
  const { test } = globalThis as Runner
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

/** Variables that say how seeds are run, and not how their histories go. */
const HOW = new Set([
  'SIMULATOR_SEED',
  'SIMULATOR_RUNS',
  'SIMULATOR_REPLAY',
  'SIMULATOR_MAX_PARALLEL',
  'SIMULATOR_ARTIFACTS',
])

const KNOWN = new Set([...HOW, ...SIMULATOR_VARIABLES])
let hasWarned = false

/** Variables that look like settings and are none, in a line: the first time that it is asked; undefined without any. */
export function unknownVariables(environment: Readonly<Record<string, string | undefined>>): string | undefined {
  const unknown = Object.keys(environment).filter((name) => name.startsWith('SIMULATOR_') && !KNOWN.has(name))
  if (hasWarned || unknown.length === 0) return undefined
  hasWarned = true
  const what = unknown.length > 1 ? 'are no settings and change nothing' : 'is no setting and changes nothing'
  return `${unknown.sort().join(', ')} ${what}; known are ${[...KNOWN].sort().join(', ')}`
}

/** Settings of the environment that decide about histories, and so belong to a command that shows one again. */
function settings(): [string, string][] {
  const all = Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined)
  return all
    .filter(([name, value]) => name.startsWith('SIMULATOR_') && !HOW.has(name) && value !== '')
    .sort(([a], [b]) => (a < b ? -1 : 1))
}

/** The folder that vitest runs in. */
function vitestRoot(): string {
  type State = { readonly config?: { readonly root?: string } }
  return (globalThis as { readonly __vitest_worker__?: State }).__vitest_worker__?.config?.root ?? process.cwd()
}

function pathFrom(folder: string, file: string): string {
  return quote(relative(folder, file) || file)
}

/** The command that runs one test of a file again, with variables of the environment. */
export function rerunCommand(
  kind: RunnerKind,
  file: string | undefined,
  name: string,
  variables: Readonly<Record<string, string>>,
): string {
  const set = [...settings(), ...Object.entries(variables)].map(([key, value]) => `${key}=${quote(value)}`)
  const cwd = process.cwd()
  const root = kind === 'vitest' ? vitestRoot() : cwd
  const path = file === undefined ? [] : [pathFrom(root, file)]
  const node = ['node', ...process.execArgv.filter((option) => !option.startsWith('--test')).map(quote)]
  const parts = {
    vitest: [
      'npx vitest run',
      ...(root === cwd ? [] : ['--root', pathFrom(cwd, root)]),
      ...path,
      '-t',
      quote(literally(name)),
    ],
    node: [...node, '--test', '--test-name-pattern', quote(literally(name)), ...path],
    script: [...node, ...path],
  }
  return [...set, ...parts[kind]].join(' ')
}
