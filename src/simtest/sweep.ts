/**
 * Runs many seeds of a scenario: in this thread, and on workers where that is worth their start.
 *
 * @module
 */
import { invalidConfiguration } from '../core/config.ts'
import { MAX_PATIENCE } from './patience.ts'
import { sweepPool } from './pool.ts'
import type { WorkerTask } from './pool.ts'
import { runScenario } from './run.ts'
import type { Outcome, RunScenarioOptions } from './run.ts'
import type { ResolvedOptions, Scenario } from './scenario.ts'
import { SeedQueue } from './seed-queue.ts'
import type { KnownSeed, SeedQueueOptions, SweepResult } from './seed-queue.ts'

/** Workers that could be had. */
export interface SweepWorkers {
  /** What they load; or why there is nothing that they could, in words. */
  readonly task: WorkerTask | string
  /** How many at most. */
  readonly count: number
  /** Whether they are started at once; if not, when what is left would take longer than they take to start. */
  readonly isAsked: boolean
  /** Told why they cannot run these seeds, which then run in this thread. @default an error */
  readonly onUnfit?: ((why: string) => void) | undefined
}

/** Options of {@link sweep}. */
export interface SweepOptions extends Omit<SeedQueueOptions, 'stopAtFirst'> {
  readonly workers?: SweepWorkers | undefined
  /** How the first seed is run, which is in this thread where this is given. */
  readonly first?: RunScenarioOptions | undefined
  /** Told what the first seed came to. */
  readonly onFirst?: ((outcome: Outcome) => void) | undefined
}

/** Workers load the file of the test, which takes about as long. */
const WORTH_WORKERS_MS = 1500
/** For so long at least it is looked how fast seeds are. */
const MEASURE_MS = 200

/** Seeds that were run in this thread since some time. */
interface Measured {
  readonly seeds: number
  readonly sinceMs: number
}
/** A worker that says nothing for so much longer than a seed may take is dead. */
const GRACE_MS = 15_000

/**
 * Runs seeds.
 *
 * @throws P2PError `invalid-configuration` when workers cannot load the scenario and nobody wants to know why
 */
export async function sweep(what: Scenario, resolved: ResolvedOptions, options: SweepOptions): Promise<SweepResult> {
  const { first, onFirst, workers, ...rest } = options
  const queue = new SeedQueue({ ...rest, stopAtFirst: resolved.stopAt === 'first' })
  let most = 0
  let toRepeat: KnownSeed | undefined
  let known: KnownSeed | undefined
  let hasWorkers = workers !== undefined && workers.count > 0
  if (workers?.isAsked === true && hasWorkers && !first) most = await onWorkers(workers)
  let done = 0
  let sinceMs = 0
  while (!queue.isOver) {
    const [job] = queue.take(1)
    if (!job) break
    const outcome = await runScenario(what, resolved, job.seed, done++ === 0 ? first : undefined)
    if (done === 1) {
      sinceMs = queue.elapsedMs
      onFirst?.(outcome)
      if (!outcome.failure) known = { seed: String(job.seed), hash: outcome.hash }
    }
    queue.settle(job, { ...outcome, outcome })
    if (hasWorkers && workers && isWorthWorkers(queue, { seeds: done - 1, sinceMs }, workers))
      most = await onWorkers(workers)
  }
  // Here it was the first, and others came after it; on a worker it came after others, which this thread has not run.
  return queue.result(what.name, most, toRepeat ?? (done > 1 ? known : undefined))

  async function onWorkers({ task, count, onUnfit }: SweepWorkers): Promise<number> {
    hasWorkers = false
    const number = Math.min(count, queue.left ?? count)
    if (number === 0) return 0
    const seedLimitMs = resolved.runLimitMs * (resolved.isPatient ? MAX_PATIENCE : 1) + GRACE_MS
    const isTask = typeof task !== 'string'
    const { signal } = options
    const end = isTask ? await sweepPool(queue, { task, known, workers: number, seedLimitMs, signal }) : undefined
    const unfit = isTask ? end?.unfit : task
    toRepeat = end?.toRepeat
    if (unfit === undefined) return number
    if (!onUnfit) throw invalidConfiguration('module', isTask ? task.module : '', unfit)
    onUnfit(unfit)
    return 0
  }
}

/** Whether workers would be done sooner. The first seed, for which everything is still cold, says little about others. */
function isWorthWorkers(queue: SeedQueue, measured: Measured, { count, isAsked }: SweepWorkers): boolean {
  const { left } = queue
  if (isAsked || left === undefined) return true
  const { seeds, sinceMs } = measured
  const spentMs = queue.elapsedMs - sinceMs
  return left > 1 && count > 1 && seeds > 0 && spentMs > MEASURE_MS && (left * spentMs) / seeds > WORTH_WORKERS_MS
}
