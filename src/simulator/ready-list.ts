/**
 * The events of one instant, for schedules that choose among them: taken from the queue, run when they are chosen.
 *
 * @module
 */
import type { KernelEvent } from './kernel.ts'
import type { ChosenSchedule } from './schedule.ts'

class ChosenEvent implements KernelEvent {
  readonly lane: number
  readonly #list: ReadyList
  /** Undefined once it has run or was cancelled. */
  callback: (() => void) | undefined
  queued: KernelEvent | undefined

  constructor(list: ReadyList, lane: number, callback: () => void) {
    this.#list = list
    this.lane = lane
    this.callback = callback
  }

  cancel(): void {
    if (!this.callback) return
    this.callback = undefined
    this.queued?.cancel()
    this.#list.drop(this)
  }
}

/** Events that are due, in the order in which they were scheduled. */
export class ReadyList {
  readonly #schedule: ChosenSchedule
  #events: ChosenEvent[] = []

  constructor(schedule: ChosenSchedule) {
    this.#schedule = schedule
  }

  /** Events that are due. */
  get size(): number {
    return this.#events.length
  }

  /** An event; `push` puts what it is given into the queue, which makes the event due when it runs that. */
  schedule(lane: number, callback: () => void, push: (due: () => void) => KernelEvent): KernelEvent {
    const event = new ChosenEvent(this, lane, callback)
    event.queued = push(() => {
      event.queued = undefined
      this.#events.push(event)
    })
    return event
  }

  /** Takes the event that the schedule chooses: the first of one of the lanes. */
  take(): (() => void) | undefined {
    const first = new Map<number, ChosenEvent>()
    for (const event of this.#events) if (!first.has(event.lane)) first.set(event.lane, event)
    const candidates = [...first.values()]
    const chosen = candidates[candidates.length > 1 ? this.#schedule.choose(candidates.length) : 0]
    if (!chosen) return undefined
    this.drop(chosen)
    const { callback } = chosen
    chosen.callback = undefined
    return callback
  }

  /** Forgets an event that was cancelled. */
  drop(event: ChosenEvent): void {
    this.#events = this.#events.filter((other) => other !== event)
  }

  clear(): void {
    this.#events = []
  }
}
