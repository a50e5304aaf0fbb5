/**
 * Whether a seed has the same history a second time in the same process, and where it leaves it if not.
 *
 * @module
 */
import { seconds } from '../simulator/faults/fault.ts'
import type { Failure } from './failure.ts'
import { runScenario } from './run.ts'
import type { Outcome } from './run.ts'
import type { ResolvedOptions, Scenario } from './scenario.ts'
import type { KnownSeed } from './seed-queue.ts'
import { Trail, TrailFollower } from './trail.ts'

/** Whether a seed has another history when it is run once more, with other seeds before it than the first time. */
export async function differsOnceMore(
  scenario: Scenario,
  resolved: ResolvedOptions,
  { seed, hash }: KnownSeed,
): Promise<Failure | undefined> {
  const alone = await runScenario(scenario, resolved, BigInt(seed))
  if (alone.hash === hash) return undefined
  const message = `seed ${seed} has not the same history with other seeds before it. ${SHARED_STATE}`
  return { key: 'isolation', message, virtualMs: 0 }
}

/** What is wrong when a seed has two histories, and what to do about it. */
export const SHARED_STATE: string =
  'Something that outlives a run is used in it: a variable of a module, such as a cache or a counter, which all hosts of ' +
  'all runs share; or something that does not come from the simulation. Make it in the program of each host, or give ' +
  "programs as modules' URLs, which are loaded afresh; leave it out of this check with checkIsolation: false"

/** A run, and the trail that it left. */
export class TrailedRun {
  readonly #trail = new Trail()
  outcome: Outcome | undefined

  /** For `runScenario`. */
  readonly onEvent = (hash: number): void => this.#trail.add(hash)

  /**
   * Runs it again, and says in words where the histories part.
   *
   * @returns undefined when they are the same, to the last event
   */
  async differs(scenario: Scenario, resolved: ResolvedOptions): Promise<string | undefined> {
    const { outcome: first } = this
    if (!first) return undefined
    const follower = new TrailFollower(this.#trail.data())
    let where: string | undefined
    const again = await runScenario(scenario, resolved, first.seed, {
      plan: first.plan,
      onEvent: (hash) => follower.add(hash),
      onHost: (virtualMs, host) => {
        if (follower.partedAt === undefined || where !== undefined) return
        const event = follower.stride > 1 ? `within ${follower.stride} events before` : 'at'
        where = `${event} event ${follower.partedAt} of ${first.events}, where host ${host} is at ${seconds(virtualMs)} of virtual time`
      },
    })
    if (again.hash === first.hash && again.failure?.key === first.failure?.key) return undefined
    where ??= `at the end, after ${Math.min(again.events, first.events)} events`
    const failure = again.failure ? `; the second time it fails: ${again.failure.message}` : ''
    return `the histories part ${where}${failure}`
  }
}
