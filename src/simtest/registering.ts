/**
 * How a worker gets at a scenario that is written into a test file: it loads the file once more, and each `simTest` in
 * it, instead of being a test, offers its scenario.
 *
 * It lives on `globalThis` under a registered symbol, so that a copy of this library which the file has loaded in its own
 * way offers to the worker as well; and with the scenario comes how that copy runs it.
 *
 * @module
 */
import { examine } from './examine.ts'
import type { ExamineOptions } from './examine.ts'
import { runScenario } from './run.ts'
import type { Outcome } from './run.ts'
import { resolveOptions } from './scenario.ts'
import type { ResolvedOptions, Scenario } from './scenario.ts'

/** Runs a seed of the scenario that was offered. */
export type RunSeed = (seed: bigint) => Promise<Outcome>
/** Looks into a seed; what is to be told, or undefined when it does not fail. */
type LookAtSeed = (seed: bigint, options: ExamineOptions) => Promise<string | undefined>

/** What a worker needs of a scenario. */
export interface Seeds {
  readonly run: RunSeed
  readonly look: LookAtSeed
}

interface Register {
  /** Takes a scenario, or not; true when nothing of the file after it is to be run. */
  offer(name: string, seeds: Seeds): boolean
}

/** How seeds of a scenario are run and looked into. */
export function seedsOfScenario(what: Scenario, resolved: ResolvedOptions): Seeds {
  const run: RunSeed = (seed) => runScenario(what, resolved, seed)
  return {
    run,
    look: async (seed, options) => {
      const first = await run(seed)
      return first.failure && (await examine(what, resolved, first, options)).text
    },
  }
}

const REGISTER = Symbol.for('@moosicbox/p2p/simtest/register/2')

type WithRegister = { [REGISTER]?: Register }

/** Has every `simTest` of this thread offer its scenario from now on. */
export function register(to: Register): void {
  ;(globalThis as WithRegister)[REGISTER] = to
}

/**
 * In a worker that looks for a scenario, offers this one.
 *
 * @returns undefined elsewhere. In a worker what `simTest` is to return: in a plain script, for the scenario that was
 * looked for, a promise that stays open, so that what comes after it is left to the script itself
 */
export function offer(what: Scenario): Promise<void> | undefined {
  const to = (globalThis as WithRegister)[REGISTER]
  if (!to) return undefined
  const isLast = to.offer(what.name, seedsOfScenario(what, resolveOptions(what.options, process.env)))
  return isLast ? new Promise(() => {}) : Promise.resolve()
}
