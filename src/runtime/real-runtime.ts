/**
 * This machine's clock, timers, randomness and files: the one place of the library that touches them.
 *
 * @module
 */
import { randomFillSync } from 'node:crypto'
import type { Runtime, RuntimeFileSystem, RuntimeTimer, TimerOptions } from '../core/runtime.ts'
import { sleepOn } from '../core/sleep.ts'
import type { LeakWatch } from '../core/leaks.ts'
import { leakWatch } from './leak-watch.ts'
import { RealFileSystem } from './real-files.ts'

/** What `setTimeout` can count; it fires at once for anything longer. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1

/** A timer that never fires early and can wait for longer than 24.8 days. */
class RealTimer implements RuntimeTimer {
  readonly #callback: () => void
  readonly #dueMs: number
  readonly #background: boolean
  #immediate: NodeJS.Immediate | undefined
  #timeout: NodeJS.Timeout | undefined

  constructor(delayMs: number, callback: () => void, background: boolean) {
    this.#callback = callback
    this.#background = background
    this.#dueMs = performance.now() + delayMs
    if (delayMs > 0) this.#arm(delayMs)
    else this.#immediate = setImmediate(callback)
  }

  #arm(delayMs: number): void {
    this.#timeout = setTimeout(this.#fire, Math.min(Math.ceil(delayMs), MAX_TIMEOUT_MS))
    if (this.#background) this.#timeout.unref()
  }

  /** `setTimeout` counts whole milliseconds of the event loop's own clock, and may be up to one early. */
  readonly #fire = (): void => {
    const leftMs = this.#dueMs - performance.now()
    if (leftMs > 0) this.#arm(leftMs)
    else this.#callback()
  }

  cancel(): void {
    if (this.#timeout) clearTimeout(this.#timeout)
    if (this.#immediate) clearImmediate(this.#immediate)
  }

  [Symbol.dispose](): void {
    this.cancel()
  }
}

/**
 * The runtime of nodes outside a simulation. Its timers keep the process alive until they fire or are cancelled, but for
 * those in the background.
 *
 * @example
 * ```ts
 * import { RealRuntime } from '@moosicbox/p2p'
 *
 * const runtime = new RealRuntime()
 * await runtime.sleep(10)
 * ```
 */
export class RealRuntime implements Runtime {
  readonly kind = 'real'
  readonly files: RuntimeFileSystem = new RealFileSystem()
  /** With `P2P_LEAK_WARNINGS=1` in the environment. */
  readonly leaks: LeakWatch | undefined = leakWatch()

  now(): number {
    return performance.now()
  }

  wallClockMs(): number {
    return Date.now()
  }

  setTimer(delayMs: number, callback: () => void, options?: TimerOptions): RuntimeTimer {
    return new RealTimer(delayMs, callback, options?.background ?? false)
  }

  sleep(delayMs: number, options?: { readonly signal?: AbortSignal | undefined }): Promise<void> {
    return sleepOn(this, delayMs, options?.signal)
  }

  randomBytes(length: number): Uint8Array {
    return randomFillSync(new Uint8Array(length))
  }

  random(): number {
    return Math.random()
  }

  async bridge<T>(_what: string, work: () => Promise<T>): Promise<T> {
    return work()
  }
}

/** A runtime on this machine. Nodes may share one. */
export function realRuntime(): Runtime {
  return new RealRuntime()
}
