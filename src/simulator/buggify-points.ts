/**
 * The points of one run at which code asks whether to do what is unlikely.
 *
 * @module
 */
import type { Scheduler } from './scheduler.ts'

/** A point is active in one seed of so many, and then says yes to one call of so many. */
const ONE_IN = 4

/** See the module's comment. */
export class BuggifyPoints {
  /** How often each point said yes, in the order of the first time. */
  readonly counts: Map<string, number> = new Map()
  readonly #active = new Map<string, boolean>()
  readonly #scheduler: Scheduler
  readonly #without: readonly string[]

  constructor(scheduler: Scheduler, options: boolean | { readonly without: readonly string[] } | undefined) {
    this.#scheduler = scheduler
    this.#without = typeof options === 'object' ? options.without : []
  }

  /** Whether the point is to do it now. */
  ask(name: string): boolean {
    if (this.#without.includes(name)) return false
    // Whether a point is active is drawn from a stream of its own: the calls of one point do not change another's.
    let active = this.#active.get(name)
    const random = this.#scheduler.random(`buggify/${name}`)
    if (active === undefined) {
      active = random.nextBelow(ONE_IN) === 0
      this.#active.set(name, active)
    }
    if (!active || random.nextBelow(ONE_IN) !== 0) return false
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1)
    return true
  }
}
