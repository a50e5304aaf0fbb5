/**
 * Many waits on one `AbortSignal` with one listener: Node takes more than ten for a leak and says so.
 *
 * @module
 */

/** Calls back those who wait on a signal. */
export class AbortHub {
  readonly #signals = new Map<AbortSignal, { readonly waiting: Set<() => void>; readonly listener: () => void }>()

  /** Calls `callback` when `signal`, which has not fired, fires. */
  add(signal: AbortSignal, callback: () => void): void {
    const known = this.#signals.get(signal)
    if (known) {
      known.waiting.add(callback)
      return
    }
    const waiting = new Set([callback])
    const listener = (): void => {
      this.#signals.delete(signal)
      for (const call of waiting) call()
    }
    this.#signals.set(signal, { waiting, listener })
    signal.addEventListener('abort', listener, { once: true })
  }

  /** `callback` waits no longer. */
  delete(signal: AbortSignal, callback: () => void): void {
    const known = this.#signals.get(signal)
    if (!known?.waiting.delete(callback) || known.waiting.size > 0) return
    this.#signals.delete(signal)
    signal.removeEventListener('abort', known.listener)
  }
}
