/**
 * Runs a scenario over its seeds, and looks into what fails.
 *
 * @module
 */
import { join } from 'node:path'
import { P2PError } from '../core/errors.ts'
import { corpusSeeds } from './corpus.ts'
import { callerFile, rerunCommand, runnerKind } from './environment.ts'
import type { Examined } from './examine.ts'
import { SHARED_STATE, TrailedRun } from './isolation.ts'
import { lookInto } from './look-into.ts'
import { resolveOptions } from './scenario.ts'
import type { ResolvedOptions, Scenario } from './scenario.ts'
import { neverReached } from './seed-queue.ts'
import type { SweepProgress, SweepResult } from './seed-queue.ts'
import { SharedStateWatch } from './shared-state.ts'
import { sweep } from './sweep.ts'
import type { SweepWorkers } from './sweep.ts'

/** What {@link checkScenario} found. */
export interface CheckResult extends SweepResult {
  /** The failures, looked into: at most the first of each kind, and none that does not fail again. */
  readonly examined: readonly Examined[]
  /** What is to be told of failures. */
  readonly reports: readonly string[]
  /** Conditions of `sometimes` that no seed reached. */
  readonly missing: readonly string[]
  /** Where the history of the first seed parted from its first when it was run a second time; undefined when nowhere. */
  readonly difference: string | undefined
  /** Variables of modules that hosts share, in words; undefined when none were found, or not looked for. */
  readonly shared: string | undefined
  /** Which seed was run first. */
  readonly firstSeed: bigint
}

/** Where replay files go: `SIMULATOR_ARTIFACTS`, else `.simtest` in the current folder. */
export function artifactsFolder(): string {
  return process.env['SIMULATOR_ARTIFACTS'] ?? join(process.cwd(), '.simtest')
}

function commandsFor(name: string, file: string | undefined): (seed: bigint, path?: string) => Record<string, string> {
  const kind = runnerKind(process.env)
  return (seed, path) => ({
    ...(path !== undefined && { 'the smallest run': rerunCommand(kind, file, name, { SIMULATOR_REPLAY: path }) }),
    'the whole seed': rerunCommand(kind, file, name, { SIMULATOR_SEED: String(seed) }),
  })
}

/** Options of {@link checkScenario}. */
export interface CheckOptions {
  /** The file of the test, for commands that run it again. @default the caller's */
  readonly file?: string | undefined
  /** The scenario's options, resolved. @default with the environment's */
  readonly resolved?: ResolvedOptions | undefined
  /** Ends it early: no more seeds are begun, and what has been run is the result. */
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: SweepProgress) => void) | undefined
}

/** The seeds of a test: those that once failed, and its own. */
export function seedsOf({ name }: Scenario, resolved: ResolvedOptions): bigint[] {
  const old = resolved.isWhole ? corpusSeeds(resolved.corpus, name) : []
  return [...new Set([...old, ...resolved.seeds])]
}

/**
 * Runs a scenario over its seeds, in this thread, and looks into what fails. For test runners there is `simTest`.
 *
 * @throws P2PError `invalid-configuration` for options that make no sense, `timeout` when there was not time for all
 */
export function checkScenario(what: Scenario, options: CheckOptions = {}): Promise<CheckResult> {
  const file = options.file ?? callerFile(new Error('from here').stack, import.meta.url)
  return checkWithWorkers(what, { ...options, file }, undefined)
}

/** {@link checkScenario}, on workers too where there are some. */
export async function checkWithWorkers(
  what: Scenario,
  options: CheckOptions,
  workers: SweepWorkers | undefined,
): Promise<CheckResult> {
  const { file, signal, onProgress } = options
  const resolved = options.resolved ?? resolveOptions(what.options, process.env)
  const seeds = seedsOf(what, resolved)
  const trailed = resolved.checkIsolation && resolved.isWhole ? new TrailedRun() : undefined
  const watch = resolved.checkSharedState ? new SharedStateWatch() : undefined
  const result = await sweep(what, resolved, {
    seeds,
    of: seeds.length,
    forMs: resolved.timeoutMs,
    workers,
    signal,
    onProgress,
    first: (trailed ?? watch) && { onEvent: trailed?.onEvent, sharedState: watch },
    onFirst: (outcome) => trailed && (trailed.outcome = outcome),
  })
  const examined: Examined[] = []
  const reports: string[] = []
  const commands = commandsFor(what.name, file)
  const task = typeof workers?.task === 'object' ? workers.task : undefined
  for await (const look of lookInto(what, resolved, result.failures, { folder: artifactsFolder(), commands }, task)) {
    reports.push(look.text)
    if (look.examined) examined.push(look.examined)
  }
  const isComplete = resolved.isWhole && result.failures.length === 0 && result.runs === seeds.length
  if (result.failures.length === 0 && result.runs < seeds.length) {
    const afterMs = resolved.timeoutMs
    throw P2PError.of(
      'timeout',
      `${JSON.stringify(what.name)} ran ${result.runs} of ${seeds.length} seeds in ${afterMs} ms, none of which failed: ` +
        'give it more time (timeoutMs) or fewer seeds',
      { afterMs },
    )
  }
  const difference = result.failures.length === 0 ? await trailed?.differs(what, resolved) : undefined
  const shared = watch?.end()
  return {
    ...result,
    examined,
    reports,
    missing: isComplete ? neverReached(result.reached) : [],
    difference,
    shared,
    firstSeed: seeds[0] ?? 0n,
  }
}

/** @throws P2PError when the seeds did not all pass */
export function throwFailures(name: string, result: CheckResult): void {
  const { examined, reports, missing, runs, failures, difference, shared, firstSeed } = result
  const [worst] = failures
  if (worst) {
    const more = failures.length > 1 ? `\n\n${failures.length} of ${runs} seeds failed` : ''
    const { host, virtualMs } = worst.failure
    const cause = examined.find(({ seed }) => seed === worst.seed)?.outcome.error
    throw P2PError.of(
      'program-failed',
      `${reports.join('\n\n')}${more}`,
      { host, seed: worst.seed, virtualMs },
      { cause },
    )
  }
  if (difference !== undefined) {
    const message = `${JSON.stringify(name)}: seed ${firstSeed} does not have the same history a second time: ${difference}. ${SHARED_STATE}`
    throw P2PError.of('program-failed', message, { host: undefined, seed: firstSeed, virtualMs: 0 })
  }
  if (shared !== undefined) {
    const fields = { host: undefined, seed: firstSeed, virtualMs: 0 }
    throw P2PError.of('program-failed', `${JSON.stringify(name)}: ${shared}`, fields)
  }
  if (missing.length > 0) {
    const what = missing.map((condition) => JSON.stringify(condition)).join(', ')
    const message = `${JSON.stringify(name)}: none of ${runs} seeds reached what sometimes happens: ${what}. Give it more seeds, or a scenario that gets there`
    throw P2PError.of('limit-exceeded', message, { limit: 'seeds', max: runs })
  }
}
