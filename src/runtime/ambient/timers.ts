/**
 * Timers that run on the clock of the host whose code sets them: `setTimeout`, `setInterval`, `setImmediate`, as globals
 * and in `node:timers`, and `AbortSignal.timeout`. Without a clock of its own a host that sets one is told.
 *
 * @module
 */
import timers from 'node:timers'
import { promisify } from 'node:util'
import type { AnyFunction, Patches } from './patches.ts'
import { ambientScope } from './scope.ts'
import type { AmbientHost, AmbientTimer } from './scope.ts'
import { promiseTimers } from './timer-promises.ts'

/** What `setTimeout` can count; anything else is 1 ms. */
const MAX_DELAY_MS = 2_147_483_647

const INSTEAD = 'use runtime.sleep or runtime.setTimer'

/** The delay that Node makes of an argument. */
function timerDelay(delay: unknown): number {
  const ms = Number(delay)
  return ms >= 1 && ms <= MAX_DELAY_MS ? Math.trunc(ms) : 1
}

/** A host's timer, with the face of Node's. */
class VirtualTimeout {
  readonly #host: AmbientHost
  readonly #callback: () => void
  readonly #delayMs: number
  readonly #repeats: boolean
  readonly #ids: Map<number, VirtualTimeout>
  #timer: AmbientTimer | undefined
  #hasRef = true
  #id: number | undefined

  constructor(
    host: AmbientHost,
    callback: () => void,
    delayMs: number,
    repeats: boolean,
    ids: Map<number, VirtualTimeout>,
  ) {
    this.#host = host
    this.#callback = callback
    this.#delayMs = delayMs
    this.#repeats = repeats
    this.#ids = ids
    this.#arm()
  }

  #arm(): void {
    const timer = this.#host.setTimer(this.#delayMs, () => {
      this.#timer = undefined
      try {
        this.#callback()
      } finally {
        // Unless it was cleared, or started again, by its own callback.
        if (this.#repeats && !this.#isCleared) {
          if (this.#timer === undefined) this.#arm()
        } else if (this.#timer === undefined) {
          this.#forget()
        }
      }
    })
    this.#timer = timer
    if (!this.#hasRef) timer.ref(false)
  }

  #isCleared = false

  #forget(): void {
    if (this.#id !== undefined) this.#ids.delete(this.#id)
  }

  ref(): this {
    this.#hasRef = true
    this.#timer?.ref(true)
    return this
  }

  unref(): this {
    this.#hasRef = false
    this.#timer?.ref(false)
    return this
  }

  hasRef(): boolean {
    return this.#hasRef
  }

  refresh(): this {
    if (this.#isCleared) return this
    this.#timer?.cancel()
    this.#arm()
    return this
  }

  close(): this {
    this.#isCleared = true
    this.#timer?.cancel()
    this.#timer = undefined
    this.#forget()
    return this
  }

  /** A number that `clearTimeout` knows, as Node's have. */
  [Symbol.toPrimitive](): number {
    // Far above the ids of Node's own timers.
    this.#id ??= 0x4000_0000_0000 + this.#ids.size
    while (this.#ids.has(this.#id) && this.#ids.get(this.#id) !== this) this.#id++
    this.#ids.set(this.#id, this)
    return this.#id
  }

  [Symbol.dispose](): void {
    this.close()
  }
}

/** Replaces this thread's timers. */
export function patchTimers(patches: Patches): void {
  const scope = ambientScope()
  const ids = new Map<number, VirtualTimeout>()

  /** A function that sets a timer on the host's clock, or else a real one. */
  const setter =
    (name: string, delayOf: (args: unknown[]) => number, repeats: boolean) =>
    (real: AnyFunction): AnyFunction =>
      function setTimer(callback: unknown, ...args: unknown[]) {
        const host = scope.host()
        // What is no function Node refuses in its own words.
        if (!host || typeof callback !== 'function') return real(callback, ...args) as unknown
        if (!host.isVirtual) {
          host.leak(`a real timer, ${name}`, INSTEAD)
          return real(callback, ...args) as unknown
        }
        const delayMs = delayOf(args)
        const rest = name === 'setImmediate' ? args : args.slice(1)
        return new VirtualTimeout(host, () => void (callback as AnyFunction)(...rest), delayMs, repeats, ids)
      }

  const clearer = (real: AnyFunction): AnyFunction =>
    function clear(timer: unknown) {
      if (timer instanceof VirtualTimeout) return void timer.close()
      const known =
        ids.size > 0 && (typeof timer === 'number' || typeof timer === 'string') ? ids.get(Number(timer)) : undefined
      if (known) return void known.close()
      return real(timer) as unknown
    }

  const first = (args: unknown[]): number => timerDelay(args[0])
  const replace = (
    name: 'setTimeout' | 'setInterval' | 'setImmediate' | 'clearTimeout' | 'clearInterval' | 'clearImmediate',
    make: (real: AnyFunction) => AnyFunction,
  ): void => {
    patches.wrap(globalThis, name, make)
    // The same function under both names, as it is without this.
    patches.set(timers, name, globalThis[name])
  }
  replace('setTimeout', setter('setTimeout', first, false))
  replace('setInterval', setter('setInterval', first, true))
  replace(
    'setImmediate',
    setter('setImmediate', () => 0, false),
  )
  replace('clearTimeout', clearer)
  replace('clearInterval', clearer)
  replace('clearImmediate', clearer)

  const promises = promiseTimers(patches)
  patches.set(globalThis.setTimeout, promisify.custom, promises.setTimeout)
  patches.set(globalThis.setImmediate, promisify.custom, promises.setImmediate)

  patches.wrap(
    AbortSignal,
    'timeout',
    (real) =>
      function timeout(delayMs: unknown) {
        const host = scope.host()
        if (!host) return real.call(AbortSignal, delayMs)
        if (!host.isVirtual) {
          host.leak('a real timer, AbortSignal.timeout', 'use runtime.setTimer and an AbortController')
          return real.call(AbortSignal, delayMs)
        }
        const controller = new AbortController()
        const reason = new DOMException('The operation was aborted due to timeout', 'TimeoutError')
        host.setTimer(Number(delayMs) || 0, () => controller.abort(reason)).ref(false)
        return controller.signal
      },
  )
}
