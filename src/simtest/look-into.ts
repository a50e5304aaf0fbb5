/**
 * Looks into the failures of a sweep: the first of each kind.
 *
 * @module
 */
import { examine, replayPathOf } from './examine.ts'
import type { Examined, ExamineOptions } from './examine.ts'
import { MAX_PATIENCE } from './patience.ts'
import { lookOnWorker } from './pool.ts'
import type { SeedLook, WorkerTask } from './pool.ts'
import { runScenario } from './run.ts'
import type { ResolvedOptions, Scenario } from './scenario.ts'
import type { FailedSeed } from './seed-queue.ts'

/** What was found out about a failure. */
export interface LookedInto {
  /** What is to be told of it. */
  readonly text: string
  readonly failed: FailedSeed
  /** The look; undefined where the seed does not fail in this thread. */
  readonly examined: Examined | undefined
}

/** More kinds of failures than anyone looks at in one go. */
export const MAX_LOOKS = 5

/** Time for what a look does besides making a failure smaller, in runs. */
const RUNS_A_LOOK = 4

function notHere(name: string, { seed, failure }: FailedSeed, why: string): string {
  return `${JSON.stringify(name)} fails with seed ${seed}\n\n  ${failure.message}\n  on a worker thread; ${why}`
}

/** A seed that failed on a worker and does not fail here: a look on a worker that has run nothing before it. */
async function lookElsewhere(
  { name }: Scenario,
  resolved: ResolvedOptions,
  failed: FailedSeed,
  { folder, commands }: ExamineOptions,
  task: WorkerTask | undefined,
): Promise<string> {
  const { seed } = failed
  const look: SeedLook = {
    seed: String(seed),
    folder,
    commands: commands(seed, replayPathOf(folder, name, seed)),
    commandsWithoutFile: commands(seed, undefined),
  }
  const limitMs = resolved.shrinkMs + RUNS_A_LOOK * resolved.runLimitMs * (resolved.isPatient ? MAX_PATIENCE : 1)
  const text = task && (await lookOnWorker(task, look, limitMs))
  if (text !== undefined) {
    return `${text}\n\nThis is how it is on a worker thread; in the main thread the seed does not fail, so something in it depends on where it runs`
  }
  const where = task ? 'it fails neither here nor on a worker that has run no other seed' : 'it does not fail here'
  return notHere(name, failed, `${where}, so something in it does not come from the simulation, or outlives a run`)
}

/**
 * Looks into failures; those of workers are run again in this thread, and where they do not fail here on a worker.
 *
 * @param task what a worker loads, where there are any
 */
export async function* lookInto(
  what: Scenario,
  resolved: ResolvedOptions,
  failures: readonly FailedSeed[],
  options: ExamineOptions,
  task?: WorkerTask,
): AsyncGenerator<LookedInto> {
  const keys = new Set<string>()
  for (const failed of failures) {
    const { seed, failure, outcome } = failed
    if (keys.has(failure.key) || keys.size >= MAX_LOOKS) continue
    keys.add(failure.key)
    if (failure.key === 'worker') {
      const text = notHere(what.name, failed, 'it is not run here, where it might do the same')
      yield { text, failed, examined: undefined }
      continue
    }
    const first = outcome ?? (await runScenario(what, resolved, seed))
    const examined = first.failure && (await examine(what, resolved, first, options))
    yield { text: examined?.text ?? (await lookElsewhere(what, resolved, failed, options, task)), failed, examined }
  }
}
