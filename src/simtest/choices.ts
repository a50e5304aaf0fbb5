/**
 * What a scenario has chosen, by the seed or by the plan of an earlier run.
 *
 * @module
 */
import type { RandomStream } from '../simulator/index.ts'

/** A choice that a scenario made. */
export interface Choice {
  /** What it is about; `choice 1` and so on when the scenario did not say. */
  readonly name: string
  /** From 0. */
  readonly index: number
  /** How many there were. */
  readonly of: number
  /** What it came to, for people. */
  readonly text: string
}

/** The choices of one run. */
export class Choices {
  readonly #draws: RandomStream
  readonly #planned: readonly number[]
  readonly #made: Choice[] = []

  /** `planned` says what to choose instead of what `draws` would say, for as many choices as it has. */
  constructor(draws: RandomStream, planned: readonly number[]) {
    this.#draws = draws
    this.#planned = planned
  }

  /** The choices so far. */
  get made(): readonly Choice[] {
    return this.#made
  }

  /** Makes a choice among `of`: its index. `describe` says what it comes to. */
  make(name: string | undefined, of: number, describe: (index: number) => string): number {
    const planned = this.#planned[this.#made.length]
    // Drawn all the same, so that later choices that are not planned stay what they were.
    const drawn = this.#draws.nextBelow(of)
    const index = planned === undefined ? drawn : Math.min(planned, of - 1)
    this.#made.push({ name: name ?? `choice ${this.#made.length + 1}`, index, of, text: describe(index) })
    return index
  }
}
