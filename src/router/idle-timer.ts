/**
 * Notices that a wait on the other side makes no progress, with one timer for many waits.
 *
 * @module
 */
import type { Runtime, RuntimeTimer } from '../core/runtime.ts'

/** Calls back once when a single wait takes longer than `timeoutMs` (Infinity: never). */
export class IdleTimer {
  readonly #runtime: Runtime
  readonly #timeoutMs: number
  readonly #onIdle: () => void
  #sinceMs: number | undefined
  #timer: RuntimeTimer | undefined

  constructor(runtime: Runtime, timeoutMs: number, onIdle: () => void) {
    this.#runtime = runtime
    this.#timeoutMs = timeoutMs
    this.#onIdle = onIdle
  }

  /** A wait begins. */
  begin(): void {
    if (this.#timeoutMs === Number.POSITIVE_INFINITY) return
    this.#sinceMs = this.#runtime.now()
    this.#timer ??= this.#runtime.setTimer(this.#timeoutMs, () => this.#fire())
  }

  /** The wait is over; the timer stays for the next one. */
  end(): void {
    this.#sinceMs = undefined
  }

  /** There will be no more waits. */
  dispose(): void {
    this.#sinceMs = undefined
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #fire(): void {
    this.#timer = undefined
    if (this.#sinceMs === undefined) return
    const leftMs = this.#sinceMs + this.#timeoutMs - this.#runtime.now()
    if (leftMs > 0) this.#timer = this.#runtime.setTimer(leftMs, () => this.#fire())
    else this.#onIdle()
  }
}
