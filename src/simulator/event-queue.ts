/**
 * The pending events, earliest first: a binary heap on typed arrays ordered by (time, order of scheduling). Cancelled
 * events stay where they are until they come up, or until they are the majority and the heap is rebuilt.
 *
 * @module
 */
import type { EventGate, KernelEvent } from './kernel.ts'

/** Events of one run, at most, before ranks and orders mix: 2^33. */
const RANK = 8_589_934_592

/** Rebuilding a small heap costs more than it saves. */
const MIN_DEAD_TO_COMPACT = 64

class QueuedEvent implements KernelEvent {
  readonly #queue: EventQueue
  /** Undefined once it has run or was cancelled. */
  callback: (() => void) | undefined
  readonly #gate: EventGate | undefined
  /** Takes it out of the gate in which it waits. */
  #release: (() => void) | undefined

  constructor(queue: EventQueue, callback: () => void, gate: EventGate | undefined) {
    this.#queue = queue
    this.callback = callback
    this.#gate = gate
  }

  cancel(): void {
    if (this.callback) {
      this.callback = undefined
      this.#queue.buried()
    } else if (this.#release) {
      this.#release()
    }
  }

  /** It is due: what to run now, if anything. */
  take(): (() => void) | undefined {
    const { callback } = this
    this.callback = undefined
    if (callback && this.#gate && !this.#gate.isOpen) {
      this.#release = this.#gate.hold(callback)
      return undefined
    }
    return callback
  }
}

/** A queue of callbacks by time. */
export class EventQueue {
  // The heap: parallel arrays, so that a comparison touches no object.
  #times = new Float64Array(64)
  #orders = new Float64Array(64)
  #slots = new Int32Array(64)
  #length = 0
  #events: (QueuedEvent | undefined)[] = []
  #freeSlots: number[] = []
  #nextOrder = 0
  #dead = 0

  /** Events that are neither run nor cancelled. */
  get size(): number {
    return this.#length - this.#dead
  }

  /** The time of the earliest event, `Infinity` when there is none. */
  get earliest(): number {
    this.#dropDead()
    return this.#length === 0 ? Number.POSITIVE_INFINITY : (this.#times[0] as number)
  }

  /**
   * Adds an event; among events of one time that of the lowest rank (0 to 2^20 - 1) is the first to be popped, and among
   * those of one rank the first to be pushed.
   */
  push(time: number, callback: () => void, rank: number = 0, gate?: EventGate): KernelEvent {
    const event = new QueuedEvent(this, callback, gate)
    const slot = this.#freeSlots.pop() ?? this.#events.length
    this.#events[slot] = event
    if (this.#length === this.#times.length) this.#grow()
    this.#siftUp(this.#length++, time, rank * RANK + this.#nextOrder++, slot)
    return event
  }

  /**
   * Takes the earliest event; undefined when there is none, or a gate holds it. Read `earliest` first for its time.
   */
  pop(): (() => void) | undefined {
    this.#dropDead()
    return this.#length === 0 ? undefined : this.#take()?.take()
  }

  /** An event was cancelled. Called by the event itself. */
  buried(): void {
    this.#dead++
    if (this.#dead >= MIN_DEAD_TO_COMPACT && this.#dead * 2 > this.#length) this.#compact()
  }

  /** Forgets everything. */
  clear(): void {
    for (const event of this.#events) if (event) event.callback = undefined
    this.#events = []
    this.#freeSlots = []
    this.#length = 0
    this.#dead = 0
  }

  #dropDead(): void {
    while (this.#dead > 0 && this.#length > 0 && !this.#events[this.#slots[0] as number]?.callback) {
      this.#take()
      this.#dead--
    }
  }

  #take(): QueuedEvent | undefined {
    const slot = this.#slots[0] as number
    const event = this.#events[slot]
    this.#events[slot] = undefined
    this.#freeSlots.push(slot)
    const last = --this.#length
    if (last > 0)
      this.#siftDown(0, this.#times[last] as number, this.#orders[last] as number, this.#slots[last] as number)
    return event
  }

  /** Puts an entry into the hole at `index`, moving parents down while they are later. */
  #siftUp(index: number, time: number, order: number, slot: number): void {
    const times = this.#times
    const orders = this.#orders
    const slots = this.#slots
    let hole = index
    while (hole > 0) {
      const parent = (hole - 1) >> 1
      const parentTime = times[parent] as number
      if (parentTime < time || (parentTime === time && (orders[parent] as number) < order)) break
      times[hole] = parentTime
      orders[hole] = orders[parent] as number
      slots[hole] = slots[parent] as number
      hole = parent
    }
    times[hole] = time
    orders[hole] = order
    slots[hole] = slot
  }

  /** Puts an entry into the hole at `index`, moving the earlier child up while it is earlier. */
  #siftDown(index: number, time: number, order: number, slot: number): void {
    const times = this.#times
    const orders = this.#orders
    const slots = this.#slots
    const length = this.#length
    let hole = index
    for (;;) {
      let child = 2 * hole + 1
      if (child >= length) break
      let childTime = times[child] as number
      const right = child + 1
      if (right < length) {
        const rightTime = times[right] as number
        if (
          rightTime < childTime ||
          (rightTime === childTime && (orders[right] as number) < (orders[child] as number))
        ) {
          child = right
          childTime = rightTime
        }
      }
      if (time < childTime || (time === childTime && order < (orders[child] as number))) break
      times[hole] = childTime
      orders[hole] = orders[child] as number
      slots[hole] = slots[child] as number
      hole = child
    }
    times[hole] = time
    orders[hole] = order
    slots[hole] = slot
  }

  #compact(): void {
    let kept = 0
    for (let i = 0; i < this.#length; i++) {
      const slot = this.#slots[i] as number
      if (this.#events[slot]?.callback) {
        this.#times[kept] = this.#times[i] as number
        this.#orders[kept] = this.#orders[i] as number
        this.#slots[kept++] = slot
      } else {
        this.#events[slot] = undefined
        this.#freeSlots.push(slot)
      }
    }
    this.#length = kept
    this.#dead = 0
    for (let i = (kept >> 1) - 1; i >= 0; i--) {
      this.#siftDown(i, this.#times[i] as number, this.#orders[i] as number, this.#slots[i] as number)
    }
  }

  #grow(): void {
    const capacity = this.#times.length * 2
    const times = new Float64Array(capacity)
    times.set(this.#times)
    this.#times = times
    const orders = new Float64Array(capacity)
    orders.set(this.#orders)
    this.#orders = orders
    const slots = new Int32Array(capacity)
    slots.set(this.#slots)
    this.#slots = slots
  }
}
