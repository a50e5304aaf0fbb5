/**
 * Runs many seeds of a scenario in this thread, and sums up.
 *
 * @module
 */
import { realNowMs } from '../runtime/settle.ts'
import { runScenario } from './run.ts'
import type { Outcome, RunScenarioOptions } from './run.ts'
import type { ResolvedOptions, Scenario } from './scenario.ts'

/** How far a sweep is. */
export interface SweepProgress {
  readonly done: number
  readonly failed: number
  /** Of how many; undefined when only the time ends it. */
  readonly of: number | undefined
  readonly elapsedMs: number
}

/** What a sweep came to. */
export interface SweepResult {
  readonly name: string
  /** Seeds that were run. */
  readonly runs: number
  /** Those that failed, in the order in which they were run. */
  readonly failures: readonly Outcome[]
  /** In how many seeds each condition of `sometimes` was reached, by name. */
  readonly reached: ReadonlyMap<string, number>
  readonly events: number
  readonly virtualMs: number
  readonly elapsedMs: number
}

/** Options of {@link sweepHere}. */
export interface SweepOptions {
  readonly seeds: Iterable<bigint>
  /** Of how many it is, for the progress. */
  readonly of?: number | undefined
  /** Real milliseconds after which no more seeds are begun. */
  readonly forMs?: number | undefined
  readonly onProgress?: ((progress: SweepProgress) => void) | undefined
  /** How the first seed is run. */
  readonly first?: RunScenarioOptions | undefined
  /** Told what the first seed came to. */
  readonly onFirst?: ((outcome: Outcome) => void) | undefined
}

/** Counts in how many runs each condition was reached; those that never were count 0. */
export function countReached(counts: Map<string, number>, reached: Iterable<readonly [string, boolean]>): void {
  for (const [name, isReached] of reached) counts.set(name, (counts.get(name) ?? 0) + (isReached ? 1 : 0))
}

/** Runs seeds one after the other, in this thread. */
export async function sweepHere(
  scenario: Scenario,
  resolved: ResolvedOptions,
  options: SweepOptions,
): Promise<SweepResult> {
  const { seeds, of, forMs = Number.POSITIVE_INFINITY, onProgress } = options
  const startMs = realNowMs()
  const failures: Outcome[] = []
  const reached = new Map<string, number>()
  let runs = 0
  let events = 0
  let virtualUs = 0
  for (const seed of seeds) {
    if (realNowMs() - startMs >= forMs) break
    const outcome = await runScenario(scenario, resolved, seed, runs === 0 ? options.first : undefined)
    if (runs === 0) options.onFirst?.(outcome)
    runs++
    events += outcome.events
    virtualUs += Math.round(outcome.virtualMs * 1000)
    countReached(reached, outcome.reached)
    if (outcome.failure) failures.push(outcome)
    onProgress?.({ done: runs, failed: failures.length, of, elapsedMs: realNowMs() - startMs })
    if (outcome.failure && resolved.stopAt === 'first') break
  }
  const virtualMs = virtualUs / 1000
  return { name: scenario.name, runs, failures, reached, events, virtualMs, elapsedMs: realNowMs() - startMs }
}

/** What a whole sweep has never reached. */
export function neverReached(reached: ReadonlyMap<string, number>): string[] {
  return [...reached].filter(([, count]) => count === 0).map(([name]) => name)
}
