/**
 * Exhaustive exploration of small scenarios: every order in which events of one instant could happen, each as a run of
 * its own from the beginning, depth first.
 *
 * @module
 */
import { invalidConfiguration } from '../core/config.ts'
import { P2PError } from '../core/errors.ts'
import { ChosenSchedule } from './schedule.ts'
import type { SimulationResult } from './simulation-options.ts'

/** Options of {@link explore}. */
export interface ExploreOptions {
  /** At most this many histories are run. @default 10000 */
  readonly maxHistories?: number | undefined
  /** Only the first so many choices of a run are explored. @default Infinity */
  readonly maxChoices?: number | undefined
}

/** What an exploration came to. */
export interface Exploration {
  /** Histories that were run. */
  readonly histories: number
  /** How many of them were different: orders of events that do not concern each other still have hashes of their own. */
  readonly distinct: number
  /** Whether these are all there are within the bounds. */
  readonly complete: boolean
  /** The most choices that a run came to. */
  readonly choices: number
}

const MAX_HISTORIES = 10_000

/**
 * Runs `scenario` once for each order of the events that could happen at the same instant. It makes a simulation with
 * the `schedule` it is given, and always the same one otherwise (`seed` included), checks what must hold, and returns
 * the result of the run. The first that throws ends the exploration.
 *
 * @throws P2PError `program-failed` with the failure as cause, and in its message the choices that lead to it: give them
 * to `new ChosenSchedule([…])` to see it again. P2PError `invalid-configuration` for bounds that make no sense, and when
 * the same choices do not lead to the same run
 *
 * @example
 * ```ts
 * import { explore, Simulation } from '@moosicbox/p2p/simulator'
 *
 * const { histories, complete } = await explore(async (schedule) => {
 *   await using sim = new Simulation({ seed: 1, schedule })
 *   for (const name of ['a', 'b', 'c']) sim.host(name, ({ runtime }) => runtime.sleep(10))
 *   return await sim.run()
 * })
 * console.log(histories, complete) // 36 true
 * ```
 */
export async function explore(
  scenario: (schedule: ChosenSchedule) => Promise<SimulationResult>,
  options: ExploreOptions = {},
): Promise<Exploration> {
  const { maxHistories = MAX_HISTORIES, maxChoices = Number.POSITIVE_INFINITY } = options
  if (!(maxHistories >= 1)) throw invalidConfiguration('maxHistories', maxHistories, 'must be 1 or more')
  if (!(maxChoices >= 0)) throw invalidConfiguration('maxChoices', maxChoices, 'must be 0 or more')
  const hashes = new Set<string>()
  let histories = 0
  let choices = 0
  let next: number[] | undefined = []
  let known: readonly number[] = []
  while (next !== undefined && histories < maxHistories) {
    const schedule = new ChosenSchedule(next)
    histories++
    const { hash, seed, virtualMs } = await scenario(schedule).catch((error: unknown) => {
      throw failure(error, schedule, histories)
    })
    hashes.add(hash)
    const { taken } = schedule
    const alternatives = taken.map(({ of }) => of)
    const differs = known.findIndex((of, index) => of !== alternatives[index])
    if (differs >= 0) {
      const why = `the same choices led to another run at choice ${differs}, ${virtualMs} ms, seed ${seed}: give the simulation a fixed seed`
      throw invalidConfiguration('scenario', 'not deterministic', why)
    }
    choices = Math.max(choices, taken.length)
    let last = Math.min(taken.length, maxChoices) - 1
    while (last >= 0 && (taken[last]?.taken ?? 0) + 1 >= (taken[last]?.of ?? 0)) last--
    next = last < 0 ? undefined : [...taken.slice(0, last).map((choice) => choice.taken), (taken[last]?.taken ?? 0) + 1]
    known = alternatives.slice(0, last + 1)
  }
  return { histories, distinct: hashes.size, complete: next === undefined, choices }
}

function failure(error: unknown, { taken }: ChosenSchedule, histories: number): P2PError {
  // What follows the last choice that was not the first is what a schedule does anyway.
  const list = taken.map((choice) => choice.taken)
  while (list.at(-1) === 0) list.pop()
  const what = error instanceof Error ? error.message : String(error)
  const { host, seed, virtualMs } = P2PError.is(error, 'program-failed')
    ? error
    : { host: undefined, seed: 0n, virtualMs: 0 }
  return P2PError.of(
    'program-failed',
    `history ${histories} failed; see it again with schedule: new ChosenSchedule([${list.join(', ')}]): ${what}`,
    { host, seed, virtualMs },
    { cause: error },
  )
}
