/**
 * Whether a seed has the same history a second time in the same process, and where it leaves it if not.
 *
 * @module
 */
import { seconds } from '../simulator/faults/fault.ts'
import { runScenario } from './run.ts'
import type { Outcome } from './run.ts'
import type { ResolvedOptions, Scenario } from './scenario.ts'
import { Trail, TrailFollower } from './trail.ts'

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
