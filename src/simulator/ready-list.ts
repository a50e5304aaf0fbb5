/**
 * The events of one instant, for schedules that choose among them: taken from the queue, run when they are chosen.
 *
 * @module
 */
import type { EventGate, KernelEvent } from './kernel.ts'
import type { ChosenSchedule } from './schedule.ts'

class ChosenEvent implements KernelEvent {
  readonly lane: number
  readonly #list: ReadyList
  /** Undefined once it has run or was cancelled. */
  callback: (() => void) | undefined
  queued: KernelEvent | undefined
  readonly #gate: EventGate | undefined
  /** Takes it out of the gate in which it waits. */
  #release: (() => void) | undefined

  constructor(list: ReadyList, lane: number, callback: () => void, gate: EventGate | undefined) {
    this.#list = list
    this.lane = lane
    this.callback = callback
    this.#gate = gate
  }

  cancel(): void {
    this.#release?.()
    if (!this.callback) return
    this.callback = undefined
    this.queued?.cancel()
    this.#list.drop(this)
  }

  /** It was chosen: what to run now, if anything. */
  take(): (() => void) | undefined {
    const { callback } = this
    this.callback = undefined
    if (!callback || !this.#gate || this.#gate.isOpen) return callback
    this.#release = this.#gate.hold(callback)
    return undefined
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
  schedule(
    lane: number,
    callback: () => void,
    gate: EventGate | undefined,
    push: (due: () => void) => KernelEvent,
  ): KernelEvent {
    const event = new ChosenEvent(this, lane, callback, gate)
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
    return chosen.take()
  }

  /** Forgets an event that was cancelled. */
  drop(event: ChosenEvent): void {
    this.#events = this.#events.filter((other) => other !== event)
  }

  clear(): void {
    this.#events = []
  }
}
