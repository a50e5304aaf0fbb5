/**
 * Whether the seeds of a test can run on workers, and what those would load.
 *
 * @module
 */
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { isMainThread } from 'node:worker_threads'
import { findTest, runnerKind } from './environment.ts'
import type { TestFunction } from './environment.ts'
import type { WorkerTask } from './pool.ts'
import type { ResolvedOptions } from './scenario.ts'
import type { SweepWorkers } from './sweep.ts'
import { vitestFile, vitestTask } from './vitest-bridge.ts'

/** Test runners run several files at once, each of which may have a sweep. */
const MAX_UNDER_A_RUNNER = 8

/** How many tests of a name each file has had so far. */
const seen = new Map<string, number>()

/** Which of the tests with this name in this file it is, from 0; counts it. */
export function countTest(file: string | undefined, name: string): number {
  const key = `${file ?? ''}\0${name}`
  const nth = seen.get(key) ?? 0
  seen.set(key, nth + 1)
  return nth
}

/** The file that a worker would load: the one that was started, or that the runner is at. */
export function entryFile(caller: string | undefined): string | undefined {
  const kind = runnerKind(process.env)
  if (kind === 'vitest') return vitestFile() ?? caller
  // Where a runner has all files in one process, the one it was started with is the runner.
  if (kind === 'node' && process.env['NODE_TEST_CONTEXT'] === undefined) return caller
  return process.argv[1] ?? caller
}

function isCommonJs(file: string): boolean {
  return createRequire(file).cache[file] !== undefined
}

/** What is known of a test before it runs. */
export interface TestPlace {
  readonly name: string
  readonly file: string | undefined
  readonly nth: number
  readonly test: TestFunction | undefined
}

/** What workers would load for a test; or why there is nothing that they could, in words. */
function taskFor({ name, file, nth, test }: TestPlace): WorkerTask | string {
  const kind = runnerKind(process.env)
  if (kind === 'script' && test !== undefined) return 'its test runner is not known'
  if (kind !== 'script' && test !== findTest()) return "its test function is not the runner's own"
  if (file === undefined) return 'it is in no file'
  if (kind === 'vitest') {
    const vitest = vitestTask()
    return typeof vitest === 'string' ? vitest : { kind: 'file', module: file, name, nth, isScript: false, vitest }
  }
  if (!isMainThread) return 'it runs in a worker itself'
  if (isCommonJs(file)) return 'its file is a CommonJS module'
  return { kind: 'file', module: file, name, nth, isScript: kind === 'script' }
}

/** The workers for a test's seeds: `SIMULATOR_MAX_PARALLEL`, else as many as there are cores, once that is worth it. */
export function workersFor(place: TestPlace, { config, seeds }: ResolvedOptions): SweepWorkers | undefined {
  const cores = availableParallelism()
  const asked = config.maxParallel
  const count = asked ?? (runnerKind(process.env) === 'script' ? cores : Math.min(cores, MAX_UNDER_A_RUNNER))
  if (count === 0 || seeds.length < 2 || (asked === undefined && count < 2)) return undefined
  const onUnfit = (why: string): void => {
    console.error(`${JSON.stringify(place.name)} runs its seeds in one thread: ${why}`)
  }
  return { task: taskFor(place), count, isAsked: asked !== undefined, onUnfit }
}
