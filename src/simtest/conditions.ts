/**
 * What a scenario wants to hold: always, in the end, or in at least one seed of a sweep.
 *
 * @module
 */
import { inFewWords } from '../core/in-few-words.ts'
import type { P2PError } from '../core/errors.ts'
import { answerOf } from '../simulator/condition.ts'

interface Invariant {
  readonly name: string
  readonly check: () => boolean | void
  readonly everyMs: number
  checkedMs: number
}

/** What must hold in the end. */
interface Promised {
  readonly name: string
  readonly condition: () => boolean
  readonly withinMs: number
}

/** The conditions of one run. */
export class Conditions {
  readonly #violated: (what: string, cause?: unknown) => P2PError
  readonly #invariants: Invariant[] = []
  readonly #promised: Promised[] = []
  readonly #sometimes = new Map<string, (() => boolean) | boolean>()

  /** @param violated makes the error of an invariant that does not hold */
  constructor(violated: (what: string, cause?: unknown) => P2PError) {
    this.#violated = violated
  }

  always(name: string, check: () => boolean | void, everyMs: number): void {
    this.#invariants.push({ name, check, everyMs, checkedMs: Number.NEGATIVE_INFINITY })
  }

  eventually(name: string, condition: () => boolean, withinMs: number): void {
    const holds = (): boolean => answerOf(`eventually ${JSON.stringify(name)}`, condition)
    this.#promised.push({ name, condition: holds, withinMs })
  }

  sometimes(name: string, condition: boolean | (() => boolean)): void {
    if (this.#sometimes.get(name) === true) return
    const ask = typeof condition === 'function' ? condition : (): boolean => condition
    const isSo = (): boolean => answerOf(`sometimes ${JSON.stringify(name)}`, ask)
    this.#sometimes.set(name, typeof condition === 'function' ? isSo : isSo())
  }

  /** Conditions of {@link sometimes}, and whether each was met. */
  get reached(): ReadonlyMap<string, boolean> {
    return new Map([...this.#sometimes].map(([name, state]) => [name, state === true]))
  }

  /** Those of {@link eventually} that do not hold now. */
  unmet(): Promised[] {
    return this.#promised.filter(({ condition }) => !condition())
  }

  /**
   * Looks at all that is to be looked at when code of the application has run.
   *
   * @throws P2PError that `violated` has made
   */
  check(nowMs: number): void {
    for (const invariant of this.#invariants) {
      if (nowMs - invariant.checkedMs >= invariant.everyMs) this.#checkOne(invariant, nowMs)
    }
    this.#askSometimes()
  }

  /** Looks at everything, for the last time. */
  checkAll(nowMs: number): void {
    for (const invariant of this.#invariants) this.#checkOne(invariant, nowMs)
    this.#askSometimes()
  }

  #askSometimes(): void {
    for (const [name, state] of this.#sometimes) {
      if (typeof state === 'function' && state()) this.#sometimes.set(name, true)
    }
  }

  #checkOne(invariant: Invariant, nowMs: number): void {
    invariant.checkedMs = nowMs
    const whose = `always ${JSON.stringify(invariant.name)}`
    let answer: boolean | void
    try {
      answer = invariant.check()
    } catch (error) {
      const why = error instanceof Error ? error.message : inFewWords(error)
      throw this.#violated(`${whose} does not hold: ${why}`, error)
    }
    if (answerOf(whose, () => answer) === false) throw this.#violated(`${whose} does not hold`)
  }
}
