/**
 * A runtime whose clock moves only when a test says so.
 *
 * @module
 */
import { setImmediate } from 'node:timers/promises'
import { P2PError } from '../../src/core/errors.ts'
import type { Runtime, RuntimeFileSystem, RuntimeTimer } from '../../src/core/runtime.ts'

/** Lets everything that can go on without time passing go on. */
export async function settle(): Promise<void> {
  // Twice, because a WHATWG stream may hop through a macrotask of its own.
  await setImmediate()
  await setImmediate()
}

interface Timer {
  readonly dueMs: number
  readonly callback: () => void
}

/** The runtime; see the module's comment. */
export class ManualRuntime implements Runtime {
  readonly kind = 'simulated'
  readonly #timers = new Set<Timer>()
  #nowMs = 0
  #randomState = 1

  /** Timers that are set and have not fired. */
  get pendingTimers(): number {
    return this.#timers.size
  }

  now(): number {
    return this.#nowMs
  }

  wallClockMs(): number {
    return 1_700_000_000_000 + Math.floor(this.#nowMs)
  }

  setTimer(delayMs: number, callback: () => void): RuntimeTimer {
    const timer: Timer = { dueMs: this.#nowMs + Math.max(0, delayMs), callback }
    this.#timers.add(timer)
    const cancel = (): void => void this.#timers.delete(timer)
    return { cancel, [Symbol.dispose]: cancel }
  }

  sleep(delayMs: number, options?: { readonly signal?: AbortSignal | undefined }): Promise<void> {
    const { signal } = options ?? {}
    if (signal?.aborted) return Promise.reject(P2PError.aborted(signal, 'sleep'))
    return new Promise((resolve, reject) => {
      const timer = this.setTimer(delayMs, resolve)
      signal?.addEventListener('abort', () => {
        timer.cancel()
        reject(P2PError.aborted(signal, 'sleep'))
      })
    })
  }

  randomBytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => Math.floor(this.random() * 256))
  }

  random(): number {
    this.#randomState = (Math.imul(this.#randomState, 1_664_525) + 1_013_904_223) >>> 0
    return this.#randomState / 4_294_967_296
  }

  async bridge<T>(_what: string, work: () => Promise<T>): Promise<T> {
    return await work()
  }

  get files(): RuntimeFileSystem {
    throw new Error('these tests have no files')
  }

  /** Lets `durationMs` pass: timers fire in order, and everything settles after each. */
  async advance(durationMs: number): Promise<void> {
    const untilMs = this.#nowMs + durationMs
    await settle()
    for (let next = this.#next(untilMs); next; next = this.#next(untilMs)) {
      this.#timers.delete(next)
      this.#nowMs = Math.max(this.#nowMs, next.dueMs)
      next.callback()
      await settle()
    }
    this.#nowMs = untilMs
  }

  #next(untilMs: number): Timer | undefined {
    let earliest: Timer | undefined
    for (const timer of this.#timers) {
      if (timer.dueMs <= untilMs && (!earliest || timer.dueMs < earliest.dueMs)) earliest = timer
    }
    return earliest
  }
}
