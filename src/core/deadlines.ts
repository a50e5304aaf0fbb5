/**
 * Time limits of many things at once, with one timer.
 *
 * @module
 */
import type { Runtime, RuntimeTimer } from './runtime.ts'

interface Deadline {
  readonly dueMs: number
  readonly late: () => void
}

/**
 * Calls back for everything that is not done `delayMs` after it was added (Infinity: never). The timer outlives what it
 * was set for, so that things that come and go one after the other do not each set and cancel one; `clear` ends it.
 */
export class Deadlines {
  readonly #runtime: Runtime
  readonly #delayMs: number
  /** In the order of adding, which is that of their times. Made for the first. */
  #deadlines: Map<object, Deadline> | undefined
  #timer: RuntimeTimer | undefined

  constructor(runtime: Runtime, delayMs: number) {
    this.#runtime = runtime
    this.#delayMs = delayMs
  }

  /** Starts the time of `key` anew. */
  add(key: object, late: () => void): void {
    if (this.#delayMs === Number.POSITIVE_INFINITY) return
    const deadlines = (this.#deadlines ??= new Map())
    deadlines.delete(key)
    deadlines.set(key, { dueMs: this.#runtime.now() + this.#delayMs, late })
    this.#timer ??= this.#runtime.setTimer(this.#delayMs, () => this.#fire())
  }

  /** `key` is in time. Does nothing when it is not there. */
  done(key: object): void {
    this.#deadlines?.delete(key)
  }

  /** Forgets everything. */
  clear(): void {
    this.#deadlines?.clear()
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #fire(): void {
    this.#timer = undefined
    const deadlines = this.#deadlines
    if (!deadlines) return
    const nowMs = this.#runtime.now()
    for (const [key, { dueMs, late }] of deadlines) {
      if (dueMs > nowMs) {
        this.#timer ??= this.#runtime.setTimer(dueMs - nowMs, () => this.#fire())
        return
      }
      deadlines.delete(key)
      late()
    }
  }
}
