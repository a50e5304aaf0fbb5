/**
 * What a scenario does at virtual times, on behalf of no host: changes of the network, crashes, checks.
 *
 * @module
 */
import { invalidConfiguration, parseDuration } from '../core/config.ts'
import { EventKind } from './audit.ts'
import { NO_HOST } from './scheduler.ts'
import type { Scheduler } from './scheduler.ts'
import type { PendingOperation, VirtualTime } from './simulation-options.ts'

/** The operations of one simulation. */
export class Operations {
  readonly #scheduler: Scheduler
  readonly #onStart: (operation: number) => void
  readonly #onFailure: (error: unknown) => void
  #count = 0
  #pending = 0

  /**
   * @param onStart told of each by its number, as it begins
   * @param onFailure told of what operations throw
   */
  constructor(scheduler: Scheduler, onStart: (operation: number) => void, onFailure: (error: unknown) => void) {
    this.#scheduler = scheduler
    this.#onStart = onStart
    this.#onFailure = onFailure
  }

  /** Those whose time has not come. */
  get pending(): number {
    return this.#pending
  }

  /** As `Simulation.at`. */
  at(time: VirtualTime, operation: () => void | Promise<void>): PendingOperation {
    if (typeof operation !== 'function') throw invalidConfiguration('operation', operation, 'must be a function')
    if (typeof time !== 'string' && !Number.isFinite(time)) {
      throw invalidConfiguration('time', time, 'must be milliseconds, or a duration such as 10s')
    }
    const scheduler = this.#scheduler
    const nowMs = scheduler.nowUs() / 1000
    const atMs = typeof time === 'string' ? parseDuration(time, 'time') : time
    const delayMs = atMs - nowMs
    if (!(delayMs >= 0)) throw invalidConfiguration('time', time, `it is ${nowMs} ms already`)
    const number = this.#count++
    this.#pending++
    let pending = true
    const event = scheduler.schedule(Math.round(delayMs * 1000), () => {
      pending = false
      this.#pending--
      scheduler.woke(NO_HOST)
      scheduler.audit.record(EventKind.operation, NO_HOST, number)
      this.#onStart(number)
      Promise.resolve(operation()).catch(this.#onFailure)
    })
    const cancel = (): void => {
      if (!pending) return
      pending = false
      this.#pending--
      event.cancel()
    }
    return { cancel, [Symbol.dispose]: cancel }
  }
}
