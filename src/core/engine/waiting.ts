/**
 * Waiting: a promise that is settled from outside and can be given up through an `AbortSignal`, and queues of them.
 *
 * @module
 */
import { P2PError } from '../errors.ts'
import type { Wait, WaitScope } from '../wait-log.ts'

/** One wait. Settling it twice does nothing. */
export class Waiter<T> {
  readonly promise: Promise<T>
  #resolve!: (value: T) => void
  #reject!: (error: unknown) => void
  #settled = false
  #forget: (() => void) | undefined
  #wait: Wait | undefined

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  get settled(): boolean {
    return this.#settled
  }

  /** Notes in `waits` that a caller waits for this in `what`. */
  noteIn(waits: WaitScope | undefined, what: string): this {
    if (waits && !this.#settled) this.#wait ??= waits.begin(what)
    return this
  }

  /** Rejects with `aborted` when `signal` fires; `onAbort` then cleans up. */
  abortWith(signal: AbortSignal | undefined, what: string, onAbort?: () => void): this {
    if (!signal) return this
    const abort = (): void => {
      if (this.#settled) return
      // First, because cleaning up may settle everything that waits, this among it.
      this.reject(P2PError.aborted(signal, what))
      onAbort?.()
    }
    if (signal.aborted) {
      abort()
    } else {
      signal.addEventListener('abort', abort, { once: true })
      const forget = (): void => signal.removeEventListener('abort', abort)
      this.#forget = forget
    }
    return this
  }

  resolve(value: T): void {
    if (this.#settled) return
    this.#settled = true
    this.#forget?.()
    this.#wait?.end()
    this.#resolve(value)
  }

  reject(error: unknown): void {
    if (this.#settled) return
    this.#settled = true
    this.#forget?.()
    this.#wait?.end()
    this.#reject(error)
  }
}

/** Throws `aborted` when `signal` has fired. */
export function throwIfAborted(signal: AbortSignal | undefined, what: string): void {
  if (signal?.aborted) throw P2PError.aborted(signal, what)
}

/** `promise`, or `aborted` when `signal` fires first; what `promise` brings too late goes to `late`. */
export function abortable<T>(
  promise: Promise<T>,
  signal: AbortSignal,
  what: string,
  late: (value: T) => void,
): Promise<T> {
  const waiter = new Waiter<T>().abortWith(signal, what)
  promise.then(
    (value) => (waiter.settled ? late(value) : waiter.resolve(value)),
    (error: unknown) => waiter.reject(error),
  )
  return waiter.promise
}

/** Values that arrive and callers that wait for them, first come first served. */
export class AsyncQueue<T> {
  /** Made for the first value; `#head` of them have been taken. */
  #values: (T | undefined)[] | undefined
  #head = 0
  /** Made for the first who waits, with one place: pushing would make room for many. */
  #waiters: Waiter<T>[] | undefined
  readonly #waits: WaitScope | undefined
  #error: P2PError | undefined

  /** @param waits where to note who waits */
  constructor(waits?: WaitScope) {
    this.#waits = waits
  }

  /** Values that wait to be taken. */
  get length(): number {
    return this.#values ? this.#values.length - this.#head : 0
  }

  /** Whether {@link close} was called. */
  get closed(): boolean {
    return this.#error !== undefined
  }

  /** The values that wait to be taken, oldest first. */
  [Symbol.iterator](): Iterator<T> {
    return ((this.#values?.slice(this.#head) ?? []) as T[]).values()
  }

  /** Hands `value` to the first who waits, or keeps it. */
  push(value: T): void {
    const waiters = this.#waiters
    for (let waiter = waiters?.shift(); waiter; waiter = waiters?.shift()) {
      if (waiter.settled) continue
      waiter.resolve(value)
      return
    }
    if (this.#values) this.#values.push(value)
    else this.#values = [value]
  }

  /** The oldest value, without waiting. */
  shift(): T | undefined {
    const values = this.#values
    if (!values || this.#head === values.length) return undefined
    const value = values[this.#head]
    values[this.#head++] = undefined
    if (this.#head > 64 && this.#head * 2 > values.length) {
      values.splice(0, this.#head)
      this.#head = 0
    }
    return value
  }

  /** The next value; rejects with the error of {@link close} when there are none left, or `aborted`. */
  next(signal: AbortSignal | undefined, what: string): Promise<T> {
    if (signal?.aborted) return Promise.reject(P2PError.aborted(signal, what))
    if (this.length > 0) return Promise.resolve(this.shift() as T)
    if (this.#error) return Promise.reject(this.#error)
    const waiter = new Waiter<T>().noteIn(this.#waits, what)
    const waiters = this.#waiters
    if (waiters && waiters.length > 0) waiters.push(waiter)
    else this.#waiters = [waiter]
    return waiter.abortWith(signal, what, () => this.#forget(waiter)).promise
  }

  /** Rejects those who wait, and those to come once the values that are left have been taken. */
  close(error: P2PError): void {
    if (this.#error) return
    this.#error = error
    const waiters = this.#waiters
    this.#waiters = undefined
    for (const waiter of waiters ?? []) waiter.reject(error)
  }

  #forget(waiter: Waiter<T>): void {
    const place = this.#waiters?.indexOf(waiter) ?? -1
    if (place >= 0) this.#waiters?.splice(place, 1)
  }
}
