/**
 * Time limits of many things at once, with one timer.
 *
 * @module
 */
import { LinkedList } from './linked-list.ts'
import type { Linked } from './linked-list.ts'
import type { Runtime, RuntimeTimer } from './runtime.ts'

/** The time limit of one thing. */
export class Deadline<T> implements Linked<Deadline<T>> {
  /** When it was added, on the runtime's clock. */
  readonly sinceMs: number
  readonly whose: T
  older: Deadline<T> | undefined
  newer: Deadline<T> | undefined
  readonly #list: LinkedList<Deadline<T>>

  constructor(list: LinkedList<Deadline<T>>, sinceMs: number, whose: T) {
    this.#list = list
    this.sinceMs = sinceMs
    this.whose = whose
  }

  /** What it was for is in time. Does nothing when that was said before, or it was late. */
  done(): void {
    this.#list.delete(this)
  }
}

/**
 * Calls back for everything that is not done `delayMs` after it was added (Infinity: never). The timer outlives what it
 * was set for, so that things that come and go one after the other do not each set and cancel one; `clear` ends it.
 */
export class Deadlines<T> {
  readonly #runtime: Runtime
  readonly #delayMs: number
  readonly #late: (whose: T) => void
  /** In the order of adding, which is that of their times. */
  readonly #deadlines = new LinkedList<Deadline<T>>()
  #timer: RuntimeTimer | undefined

  /** @param late called with what was added, and is late */
  constructor(runtime: Runtime, delayMs: number, late: (whose: T) => void) {
    this.#runtime = runtime
    this.#delayMs = delayMs
    this.#late = late
  }

  /** Starts the time of something; undefined when there is no limit. */
  add(whose: T): Deadline<T> | undefined {
    if (this.#delayMs === Number.POSITIVE_INFINITY) return undefined
    const deadline = new Deadline(this.#deadlines, this.#runtime.now(), whose)
    this.#deadlines.push(deadline)
    if (!this.#timer) this.#arm(this.#delayMs)
    return deadline
  }

  /** Forgets everything. */
  clear(): void {
    for (const deadline of this.#deadlines.members()) deadline.done()
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #arm(delayMs: number): void {
    this.#timer?.cancel()
    this.#timer = this.#runtime.setTimer(delayMs, () => this.#fire())
  }

  #fire(): void {
    this.#timer = undefined
    const nowMs = this.#runtime.now()
    for (let first = this.#deadlines.oldest; first; first = this.#deadlines.oldest) {
      const leftMs = first.sinceMs + this.#delayMs - nowMs
      if (leftMs > 0) {
        // Whoever was told may have added something, for later.
        this.#arm(leftMs)
        return
      }
      first.done()
      this.#late(first.whose)
    }
  }
}
