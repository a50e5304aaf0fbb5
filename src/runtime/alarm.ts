/**
 * One real timer that can be set again and that decides whether it keeps the process alive.
 *
 * @module
 */

/** `setTimeout` takes at most this many milliseconds. */
const MAX_DELAY_MS = 2_147_483_647

/** A timer that calls the same function whenever it goes off. */
export class Alarm {
  readonly #callback: () => void
  #timer: NodeJS.Timeout | undefined
  #keepAlive = false

  constructor(callback: () => void) {
    this.#callback = callback
  }

  /** Whether a set alarm keeps the process alive. @default false */
  set keepAlive(keep: boolean) {
    this.#keepAlive = keep
    if (keep) this.#timer?.ref()
    else this.#timer?.unref()
  }

  /** Goes off once, `delayMs` from now, instead of when it was set to before. May go off early for very long delays. */
  set(delayMs: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(this.#callback, Math.min(Math.max(delayMs, 0), MAX_DELAY_MS))
    if (!this.#keepAlive) this.#timer.unref()
  }

  /** Does not go off any more until it is set again. */
  clear(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}
