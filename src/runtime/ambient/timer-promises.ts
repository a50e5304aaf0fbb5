/**
 * `node:timers/promises` on the clock of the host whose code waits.
 *
 * @module
 */
import timersPromises from 'node:timers/promises'
import type { AnyFunction, Patches } from './patches.ts'
import { ambientScope } from './scope.ts'
import type { AmbientHost } from './scope.ts'

interface WaitOptions {
  readonly signal?: AbortSignal | undefined
  readonly ref?: boolean | undefined
}

function abortError(signal: AbortSignal): Error {
  const error = new Error('The operation was aborted', { cause: signal.reason })
  return Object.assign(error, { name: 'AbortError', code: 'ABORT_ERR' })
}

function wait(host: AmbientHost, delayMs: number, value: unknown, options: WaitOptions = {}): Promise<unknown> {
  const { signal, ref } = options
  if (signal?.aborted) return Promise.reject(abortError(signal))
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      timer.cancel()
      if (signal) reject(abortError(signal))
    }
    const timer = host.setTimer(delayMs, () => {
      signal?.removeEventListener('abort', abort)
      resolve(value)
    })
    if (ref === false) timer.ref(false)
    signal?.addEventListener('abort', abort, { once: true })
  })
}

async function* interval(host: AmbientHost, delayMs: number, value: unknown, options: WaitOptions): AsyncGenerator {
  // Ticks that nobody has taken yet are not lost, as they are not with Node's.
  let dueMs = host.monotonicMs() + delayMs
  for (;;) {
    await wait(host, Math.max(0, dueMs - host.monotonicMs()), undefined, options)
    dueMs += delayMs
    yield value
  }
}

/** As `setTimeout` counts. */
function delayOf(delay: unknown): number {
  const ms = Number(delay)
  return ms >= 1 && ms <= 2_147_483_647 ? Math.trunc(ms) : 1
}

/** Replaces the functions of `node:timers/promises`; returns those that `util.promisify` needs. */
export function promiseTimers(patches: Patches): {
  readonly setTimeout: AnyFunction
  readonly setImmediate: AnyFunction
} {
  const scope = ambientScope()
  const replace = (
    target: object,
    name: string,
    label: string,
    virtual: (host: AmbientHost, args: unknown[]) => unknown,
  ): void => {
    patches.wrap(
      target,
      name,
      (real) =>
        function wrapped(...args: unknown[]) {
          const host = scope.host()
          if (host?.isVirtual) return virtual(host, args)
          host?.leak(`a real timer, ${label}`, 'use runtime.sleep')
          return real.apply(this, args)
        },
    )
  }
  const options = (value: unknown): WaitOptions => value ?? {}
  replace(timersPromises, 'setTimeout', 'timers/promises', (host, [delay, value, rest]) =>
    wait(host, delayOf(delay), value, options(rest)),
  )
  replace(timersPromises, 'setImmediate', 'timers/promises', (host, [value, rest]) =>
    wait(host, 0, value, options(rest)),
  )
  replace(timersPromises, 'setInterval', 'timers/promises', (host, [delay, value, rest]) =>
    interval(host, delayOf(delay), value, options(rest)),
  )
  const { scheduler } = timersPromises
  const methods = Object.getPrototypeOf(scheduler) as object
  replace(methods, 'wait', 'scheduler.wait', (host, [delay, rest]) =>
    wait(host, delayOf(delay), undefined, options(rest)),
  )
  replace(methods, 'yield', 'scheduler.yield', (host) => wait(host, 0, undefined))
  return {
    setTimeout: timersPromises.setTimeout as AnyFunction,
    setImmediate: timersPromises.setImmediate as AnyFunction,
  }
}
