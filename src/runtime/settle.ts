/**
 * What the simulator's driver needs from Node's event loop: a macrotask to run in, a way to run microtasks to the end
 * from inside it, and a watchdog. Everything here is about *when* code runs; none of it reaches a simulation's history.
 *
 * @module
 */
import { Script } from 'node:vm'

/** Runs every pending microtask and `process.nextTick` callback to the end. Throws what a `nextTick` callback throws. */
export type Settle = () => void

/** Runs `task` in a macrotask of its own: no microtask is under way there. */
export function macrotask(task: () => void): void {
  setImmediate(task)
}

/** Runs `step` in `count` macrotasks in a row, with microtasks run to the end after each, and then `last`. */
export function macrotasks(count: number, step: () => void, last: () => void): void {
  for (let i = 0; i < count; i++) setImmediate(step)
  setImmediate(last)
}

/** Real milliseconds, monotonic. */
export function realNowMs(): number {
  return performance.now()
}

/**
 * Finds a {@link Settle}, or undefined when this runtime has none. `process._tickCallback` is not documented, but it is
 * on every Node from 20 to 26; so it is tried, with a chain of promise, tick and promise, before it is trusted. Must be
 * called from a macrotask: inside a microtask it does nothing.
 */
export function findSettle(): Settle | undefined {
  const settle: unknown = (process as { _tickCallback?: unknown })._tickCallback
  if (typeof settle !== 'function') return undefined
  let reached = false
  void Promise.resolve().then(() => {
    process.nextTick(() => {
      void Promise.resolve().then(() => {
        reached = true
      })
    })
  })
  try {
    settle.call(process)
  } catch {
    return undefined
  }
  return reached ? (settle.bind(process) as Settle) : undefined
}

/**
 * Calls `listener` for every promise that is rejected and has no handler when microtasks have run, until the result is
 * called. While it listens such a rejection does not end the process.
 */
export function onUnhandledRejection(listener: (reason: unknown) => void): () => void {
  process.on('unhandledRejection', listener)
  return () => {
    process.off('unhandledRejection', listener)
  }
}

/**
 * Throws away what Node remembers of code that was left in the middle (by a {@link Watchdog}, or by a {@link Settle} that
 * threw), and goes on with `next` in a macrotask. Node does that for errors that nobody catches, and only for them;
 * otherwise its account of asynchronous contexts does not add up and it ends the process. Must be the last thing that a
 * macrotask does: it never returns.
 */
export function abandonStack(next: () => void): never {
  if (!process.hasUncaughtExceptionCaptureCallback()) {
    process.setUncaughtExceptionCaptureCallback(() => {
      process.setUncaughtExceptionCaptureCallback(null)
      setImmediate(next)
    })
  }
  throw new Error('code was left in the middle')
}

/** Where a watched function waits to be called by the script: `vm` can only time a script, which sees only globals. */
const WATCHED = Symbol.for('@moosicbox/p2p/watched')
type Watched = { [WATCHED]?: (() => void) | undefined }

const script = new Script(`globalThis[Symbol.for('@moosicbox/p2p/watched')]()`)

/** Runs functions that may hang, and breaks them when they do. */
export class Watchdog {
  readonly #limitMs: number

  /** `limitMs`: the longest that a watched function may run; `Infinity` watches nothing. */
  constructor(limitMs: number) {
    this.#limitMs = limitMs
  }

  /**
   * Runs `work` and says whether it came to its end. When it did not, it was broken off in the middle of whatever it
   * did, endless chains of microtasks included, and this thread's state can no longer be trusted.
   */
  run(work: () => void): boolean {
    if (this.#limitMs === Number.POSITIVE_INFINITY) {
      work()
      return true
    }
    let thrown: { readonly error: unknown } | undefined
    const scope = globalThis as Watched
    const outer = scope[WATCHED]
    // A function that is written where it is assigned to a property is made in V8's old generation, and keeps all that it
    // sees, here a whole simulation, until that is marked: so it gets a name first, here and wherever there are many.
    const watched = (): void => {
      try {
        work()
      } catch (error) {
        thrown = { error }
      }
    }
    scope[WATCHED] = watched
    try {
      script.runInThisContext({ timeout: this.#limitMs })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') return false
      throw error
    } finally {
      scope[WATCHED] = outer
    }
    if (thrown) throw thrown.error
    return true
  }
}
