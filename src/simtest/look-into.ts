/**
 * Looks into the failures of a sweep: the first of each kind.
 *
 * @module
 */
import { examine } from './examine.ts'
import type { Examined, ExamineOptions } from './examine.ts'
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

function notHere(name: string, { seed, failure }: FailedSeed): string {
  const why =
    failure.key === 'worker'
      ? 'it is not run here, where it might do the same'
      : 'it does not fail here, so something in it does not come from the simulation, or outlives a run'
  return `${JSON.stringify(name)} fails with seed ${seed}\n\n  ${failure.message}\n  on a worker thread; ${why}`
}

/** Looks into failures; those of workers are run again in this thread. */
export async function* lookInto(
  what: Scenario,
  resolved: ResolvedOptions,
  failures: readonly FailedSeed[],
  options: ExamineOptions,
): AsyncGenerator<LookedInto> {
  const keys = new Set<string>()
  for (const failed of failures) {
    const { seed, failure, outcome } = failed
    if (keys.has(failure.key) || keys.size >= MAX_LOOKS) continue
    keys.add(failure.key)
    const first = outcome ?? (failure.key === 'worker' ? undefined : await runScenario(what, resolved, seed))
    const examined = first?.failure && (await examine(what, resolved, first, options))
    yield { text: examined?.text ?? notHere(what.name, failed), failed, examined }
  }
}
