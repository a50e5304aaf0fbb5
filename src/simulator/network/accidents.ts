/**
 * Rare accidents on a link: damage, doubles, packets held back. Each has a random stream of its own, so that switching
 * one on changes nothing about the others.
 *
 * @module
 */
import type { Kernel, RandomStream } from '../kernel.ts'

/** Draws whether accidents happen; see the module's comment. */
export class Accidents {
  readonly #kernel: Kernel
  readonly #link: string
  #corruption: RandomStream | undefined
  #duplication: RandomStream | undefined
  #reordering: RandomStream | undefined

  constructor(kernel: Kernel, link: string) {
    this.#kernel = kernel
    this.#link = link
  }

  corrupts(probability: number): boolean {
    this.#corruption ??= this.#kernel.random(`link/${this.#link}/corruption`)
    return this.#corruption.nextFloat() < probability
  }

  duplicates(probability: number): boolean {
    this.#duplication ??= this.#kernel.random(`link/${this.#link}/duplication`)
    return this.#duplication.nextFloat() < probability
  }

  reorders(probability: number): boolean {
    this.#reordering ??= this.#kernel.random(`link/${this.#link}/reordering`)
    return this.#reordering.nextFloat() < probability
  }
}
