/**
 * The pending events, earliest first: a heap on typed arrays ordered by (time, order of scheduling). Each node has four
 * children, which lie side by side: half as many steps as with two, and as many places in memory.
 *
 * Most events are time-outs that something else comes before, again and again. So an event can be moved: to an earlier
 * time at once, to a later one not before it comes up, which costs next to nothing.
 *
 * @module
 */
import type { EventGate, KernelEvent, KernelTimer } from './kernel.ts'

/** Events of one run, at most, before ranks and orders mix: 2^33. */
const RANK = 8_589_934_592

/** The slot of an event that is not in the queue, and the time of one that has not been moved. */
const NONE = -1

/** Whose time the queue keeps. */
export interface QueueClock {
  /** The time `delayUs` from now. @throws P2PError `invalid-configuration` */
  timeAfter(delayUs: number): number
  /** The rank of an event of `lane` among those of its time. */
  rankOf(time: number, lane: number): number
  /** An event was put into the queue, or moved. */
  changed(): void
}

/** An event that runs once, or a time-out that is set again and again. */
class QueuedEvent implements KernelTimer {
  readonly #queue: EventQueue
  /** Undefined once it has run for good. */
  #callback: (() => void) | undefined
  readonly #gate: EventGate | undefined
  /** That of a time-out; undefined for what runs once. */
  readonly #lane: number | undefined
  /** Its number in the queue, -1 when it is not in there. */
  slot: number = NONE
  /** Takes it out of the gate in which it waits. */
  #release: (() => void) | undefined

  constructor(queue: EventQueue, callback: () => void, gate: EventGate | undefined, lane: number | undefined) {
    this.#queue = queue
    this.#callback = callback
    this.#gate = gate
    this.#lane = lane
  }

  set(delayUs: number, lane: number = this.#lane ?? 0): void {
    if (this.#release) this.#leaveGate(this.#release)
    this.#queue.set(this, delayUs, lane)
  }

  cancel(): void {
    if (this.slot !== NONE) this.#queue.remove(this)
    else if (this.#release) this.#leaveGate(this.#release)
  }

  /** It is due: what to run now, if anything. */
  take(): (() => void) | undefined {
    const callback = this.#callback
    if (this.#lane === undefined) this.#callback = undefined
    if (callback && this.#gate && !this.#gate.isOpen) {
      this.#release = this.#gate.hold(callback)
      return undefined
    }
    return callback
  }

  #leaveGate(release: () => void): void {
    this.#release = undefined
    release()
  }
}

/** A queue of callbacks by time. */
export class EventQueue {
  // The heap: parallel arrays, so that a comparison touches no object. The time of an entry may lie before that of its
  // event, which has been moved meanwhile.
  #times = new Float64Array(64)
  #orders = new Float64Array(64)
  #slots = new Int32Array(64)
  #length = 0
  // By slot: the event, where in the heap its entry is, and the later time to which it was moved, if it was.
  readonly #events: (QueuedEvent | undefined)[] = []
  #places = new Int32Array(64)
  #laterTimes = new Float64Array(64).fill(NONE)
  #laterOrders = new Float64Array(64)
  readonly #freeSlots: number[] = []
  #nextOrder = 0
  /** How many entries stand for events that were moved. */
  #moved = 0
  readonly #clock: QueueClock | undefined

  /** @param clock for time-outs */
  constructor(clock?: QueueClock) {
    this.#clock = clock
  }

  /** Events that are neither run nor cancelled. */
  get size(): number {
    return this.#length
  }

  /** The time of the earliest event, `Infinity` when there is none. */
  get earliest(): number {
    if (this.#moved > 0) this.#settleTop()
    return this.#length === 0 ? Number.POSITIVE_INFINITY : (this.#times[0] as number)
  }

  /**
   * Adds an event; among events of one time that of the lowest rank (0 to 2^20 - 1) is the first to be popped, and among
   * those of one rank the first to be pushed.
   */
  push(time: number, callback: () => void, rank: number = 0, gate?: EventGate): KernelEvent {
    const event = new QueuedEvent(this, callback, gate, undefined)
    this.#insert(event, time, rank * RANK + this.#nextOrder++)
    return event
  }

  /** A time-out, which is not in the queue before it is set. */
  timer(callback: () => void, lane: number, gate?: EventGate): KernelTimer {
    return new QueuedEvent(this, callback, gate, lane)
  }

  /** Puts a time-out into the queue, or moves it there. Moved to the time that it has, it keeps its place. */
  set(event: QueuedEvent, delayUs: number, lane: number): void {
    const clock = this.#clock as QueueClock
    const time = clock.timeAfter(delayUs)
    const order = clock.rankOf(time, lane) * RANK + this.#nextOrder++
    const { slot } = event
    if (slot === NONE) this.#insert(event, time, order)
    else this.#move(slot, time, order)
    clock.changed()
  }

  /**
   * Takes the earliest event; undefined when there is none, or a gate holds it. Read `earliest` first for its time.
   */
  pop(): (() => void) | undefined {
    if (this.#moved > 0) this.#settleTop()
    if (this.#length === 0) return undefined
    const slot = this.#slots[0] as number
    const event = this.#events[slot] as QueuedEvent
    this.#free(event, slot)
    const last = --this.#length
    if (last > 0) {
      this.#siftDown(0, this.#times[last] as number, this.#orders[last] as number, this.#slots[last] as number)
    }
    return event.take()
  }

  /** Takes out an event that is in the queue. */
  remove(event: QueuedEvent): void {
    const { slot } = event
    const place = this.#places[slot] as number
    if ((this.#laterTimes[slot] as number) !== NONE) {
      this.#laterTimes[slot] = NONE
      this.#moved--
    }
    this.#free(event, slot)
    const last = --this.#length
    if (place === last) return
    // The last one fills the hole: it may belong further up as well as further down.
    const time = this.#times[last] as number
    const order = this.#orders[last] as number
    const moved = this.#slots[last] as number
    const parent = (place - 1) >> 2
    const parentTime = place === 0 ? NONE : (this.#times[parent] as number)
    if (time < parentTime || (time === parentTime && order < (this.#orders[parent] as number))) {
      this.#siftUp(place, time, order, moved)
    } else {
      this.#siftDown(place, time, order, moved)
    }
  }

  /** Forgets everything. */
  clear(): void {
    for (const event of this.#events) if (event) event.slot = NONE
    this.#events.length = 0
    this.#freeSlots.length = 0
    this.#length = 0
    this.#laterTimes.fill(NONE)
    this.#moved = 0
  }

  /** Moves what comes up first to where it belongs by now, until the first entry has not been moved. */
  #settleTop(): void {
    while (this.#length > 0) {
      const slot = this.#slots[0] as number
      const time = this.#laterTimes[slot] as number
      if (time === NONE) return
      this.#laterTimes[slot] = NONE
      this.#moved--
      this.#siftDown(0, time, this.#laterOrders[slot] as number, slot)
    }
  }

  #insert(event: QueuedEvent, time: number, order: number): void {
    const slot = this.#freeSlots.length > 0 ? (this.#freeSlots.pop() as number) : this.#events.length
    if (this.#length === this.#times.length) this.#grow()
    event.slot = slot
    this.#events[slot] = event
    this.#siftUp(this.#length++, time, order, slot)
  }

  #move(slot: number, time: number, order: number): void {
    const place = this.#places[slot] as number
    const entryTime = this.#times[place] as number
    const laterTime = this.#laterTimes[slot] as number
    if ((laterTime === NONE ? entryTime : laterTime) === time) return
    if (time >= entryTime) {
      this.#laterTimes[slot] = time
      this.#laterOrders[slot] = order
      if (laterTime === NONE) this.#moved++
      return
    }
    if (laterTime !== NONE) {
      this.#laterTimes[slot] = NONE
      this.#moved--
    }
    this.#siftUp(place, time, order, slot)
  }

  #free(event: QueuedEvent, slot: number): void {
    this.#events[slot] = undefined
    this.#freeSlots.push(slot)
    event.slot = NONE
  }

  /** Puts an entry into the hole at `index`, moving parents down while they are later. */
  #siftUp(index: number, time: number, order: number, slot: number): void {
    const times = this.#times
    const orders = this.#orders
    const slots = this.#slots
    const places = this.#places
    let hole = index
    while (hole > 0) {
      const parent = (hole - 1) >> 2
      const parentTime = times[parent] as number
      if (parentTime < time || (parentTime === time && (orders[parent] as number) < order)) break
      const moved = slots[parent] as number
      times[hole] = parentTime
      orders[hole] = orders[parent] as number
      slots[hole] = moved
      places[moved] = hole
      hole = parent
    }
    times[hole] = time
    orders[hole] = order
    slots[hole] = slot
    places[slot] = hole
  }

  /** Puts an entry into the hole at `index`, moving the earliest child up while it is earlier. */
  #siftDown(index: number, time: number, order: number, slot: number): void {
    const times = this.#times
    const orders = this.#orders
    const slots = this.#slots
    const places = this.#places
    const length = this.#length
    let hole = index
    for (;;) {
      let child = 4 * hole + 1
      if (child >= length) break
      let childTime = times[child] as number
      const end = Math.min(child + 4, length)
      for (let other = child + 1; other < end; other++) {
        const otherTime = times[other] as number
        if (otherTime > childTime) continue
        if (otherTime === childTime && (orders[other] as number) > (orders[child] as number)) continue
        child = other
        childTime = otherTime
      }
      if (time < childTime || (time === childTime && order < (orders[child] as number))) break
      const moved = slots[child] as number
      times[hole] = childTime
      orders[hole] = orders[child] as number
      slots[hole] = moved
      places[moved] = hole
      hole = child
    }
    times[hole] = time
    orders[hole] = order
    slots[hole] = slot
    places[slot] = hole
  }

  #grow(): void {
    const capacity = this.#times.length * 2
    this.#times = enlarged(this.#times, new Float64Array(capacity))
    this.#orders = enlarged(this.#orders, new Float64Array(capacity))
    this.#slots = enlarged(this.#slots, new Int32Array(capacity))
    this.#places = enlarged(this.#places, new Int32Array(capacity))
    this.#laterTimes = enlarged(this.#laterTimes, new Float64Array(capacity).fill(NONE))
    this.#laterOrders = enlarged(this.#laterOrders, new Float64Array(capacity))
  }
}

function enlarged<T extends Float64Array | Int32Array>(from: T, to: T): T {
  to.set(from)
  return to
}
