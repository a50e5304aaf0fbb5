/**
 * Virtual time: the pending events, the clock they move, whose application code they wake, the random streams and the
 * hash. It runs one event at a time and knows nothing of Node's event loop; `driver.ts` does.
 *
 * @module
 */
import { P2PError } from '../core/errors.ts'
import { EventKind, HashAudit } from './audit.ts'
import { EventQueue } from './event-queue.ts'
import type { QueueClock } from './event-queue.ts'
import type { EventGate, Kernel, KernelEvent, KernelTimer, RandomStream } from './kernel.ts'
import { RecordedStream } from './random.ts'
import { ReadyList } from './ready-list.ts'
import { ChosenSchedule, COMMON_LANE, rankingOf } from './schedule.ts'
import type { Ranking, Schedule } from './schedule.ts'
import type { Trace } from './trace/trace.ts'

/** No host: events of the network between hosts, or of the scenario. */
export const NO_HOST = -1
/** The running event has woken more than one host, which only operations of the scenario do. */
export const SEVERAL_HOSTS = -2

/** Events that may run at one microsecond before it counts as a loop that never ends. */
export const MAX_EVENTS_PER_INSTANT = 1_000_000

/** The scheduler of one simulation. */
export class Scheduler implements Kernel, QueueClock {
  /** Decides everything random. */
  readonly seed: bigint
  readonly audit: HashAudit = new HashAudit()
  /** Told of what happens; none by default. To be set before anything happens. */
  trace: Trace | undefined
  /**
   * The time when no event is running, for worlds paced by a real clock; virtual time stands still between events
   * where there is none.
   */
  idleClock: (() => number) | undefined
  /** Called when an event is scheduled from outside of an event. */
  onIdleSchedule: (() => void) | undefined
  readonly #queue = new EventQueue(this)
  readonly #ranking: Ranking | undefined
  /** Only where events of one instant are chosen. */
  readonly #ready: ReadyList | undefined
  /** What runs before all that is in the queue: from `#soonNext` up to `#soonEnd`. Its places are used again. */
  readonly #soon: ((() => void) | undefined)[] = []
  #soonNext = 0
  #soonEnd = 0
  readonly #streams = new Map<string, RandomStream>()
  #nowUs = 0
  #eventsRun = 0
  #eventsThisInstant = 0
  #driving = false
  #woken = false
  #currentHost = NO_HOST
  #lastWokeUs = 0

  /** @throws P2PError `invalid-configuration` for a schedule that makes no sense */
  constructor(seed: bigint, schedule: Schedule = 'fifo') {
    this.seed = seed
    this.#ranking = rankingOf(schedule, seed)
    if (schedule instanceof ChosenSchedule) this.#ready = new ReadyList(schedule)
  }

  nowUs(): number {
    if (this.#driving || !this.idleClock) return this.#nowUs
    return Math.max(this.#nowUs, Math.min(Math.floor(this.idleClock()), this.earliestUs))
  }

  /** @throws P2PError `invalid-configuration` when the delay is no number, or ends after 2^53 microseconds */
  schedule(delayUs: number, callback: () => void, lane: number = COMMON_LANE, gate?: EventGate): KernelEvent {
    const time = this.timeAfter(delayUs)
    const event = this.#ready
      ? this.#ready.schedule(lane, callback, gate, (due) => this.#queue.push(time, due))
      : this.#queue.push(time, callback, this.rankOf(time, lane), gate)
    this.changed()
    return event
  }

  timer(callback: () => void, lane: number = COMMON_LANE, gate?: EventGate): KernelTimer {
    return this.#ready ? new RescheduledTimer(this, callback, lane, gate) : this.#queue.timer(callback, lane, gate)
  }

  soon(callback: () => void): void {
    if (this.#driving) this.#soon[this.#soonEnd++] = callback
    else this.schedule(0, callback)
  }

  woke(host: number): void {
    // What is called from outside of an event settles like any other code of the process.
    if (!this.#driving) return
    this.#woken = true
    this.#lastWokeUs = this.#nowUs
    if (host === this.#currentHost || host < 0) return
    this.#currentHost = this.#currentHost === NO_HOST ? host : SEVERAL_HOSTS
    this.audit.record(EventKind.wake, host)
    this.trace?.wake(host)
  }

  random(name: string): RandomStream {
    let stream = this.#streams.get(name)
    if (!stream) {
      stream = new RecordedStream(this.audit, this.#streams.size, this.seed, name)
      this.#streams.set(name, stream)
    }
    return stream
  }

  /** Events that have run. */
  get eventsRun(): number {
    return this.#eventsRun
  }

  /** Events that wait. */
  get eventsPending(): number {
    return this.#queue.size + (this.#ready?.size ?? 0) + this.#soonEnd - this.#soonNext
  }

  /** The time of the next event, `Infinity` when there is none. */
  get earliestUs(): number {
    if (this.#soonEnd > 0 || (this.#ready && this.#ready.size > 0)) return this.#nowUs
    return this.#queue.earliest
  }

  /** The host whose code runs: an index, {@link NO_HOST} or {@link SEVERAL_HOSTS}. */
  get currentHost(): number {
    return this.#currentHost
  }

  /** Whether the last event has woken application code, so that microtasks must run before the next. */
  get woken(): boolean {
    return this.#woken
  }

  /** When an event has last woken application code. */
  get lastWokeUs(): number {
    return this.#lastWokeUs
  }

  /** Whether events are being run. Set by the driver around each of its turns. */
  get driving(): boolean {
    return this.#driving
  }

  set driving(driving: boolean) {
    this.#driving = driving
  }

  /** Microtasks have run: the event is over. */
  settled(): void {
    this.#woken = false
    this.#currentHost = NO_HOST
  }

  /**
   * Runs the earliest event, if it is due by `untilUs`.
   *
   * @returns whether there was one
   * @throws whatever the event throws, and P2PError `limit-exceeded` when time does not move any more
   */
  advance(untilUs: number): boolean {
    const time = this.earliestUs
    if (time > untilUs || time === Number.POSITIVE_INFINITY) return false
    if (time > this.#nowUs) {
      this.#nowUs = time
      this.#eventsThisInstant = 0
      this.audit.at(time)
    }
    this.#began()
    this.#next()?.()
    return true
  }

  #next(): (() => void) | undefined {
    if (this.#soonEnd > 0) return this.#takeSoon()
    if (!this.#ready) return this.#queue.pop()
    while (this.#queue.earliest === this.#nowUs) this.#queue.pop()?.()
    return this.#ready.take()
  }

  #takeSoon(): (() => void) | undefined {
    const callback = this.#soon[this.#soonNext]
    this.#soon[this.#soonNext++] = undefined
    if (this.#soonNext === this.#soonEnd) {
      this.#soonNext = 0
      this.#soonEnd = 0
    }
    return callback
  }

  /** Runs `callback` as an event of this very moment, before all that are pending. */
  runNow(callback: () => void): void {
    this.#began()
    callback()
  }

  /** Moves the clock to `timeUs` when nothing happens until then. */
  skipTo(timeUs: number): void {
    if (timeUs <= this.#nowUs) return
    this.#nowUs = timeUs
    this.#eventsThisInstant = 0
    this.audit.at(timeUs)
  }

  /** Whether so many events have run at this instant that time will hardly ever move again. */
  get standsStill(): boolean {
    return this.#eventsThisInstant >= MAX_EVENTS_PER_INSTANT
  }

  /** @internal */
  timeAfter(delayUs: number): number {
    const time = this.nowUs() + (delayUs > 0 ? Math.ceil(delayUs) : 0)
    if (time <= Number.MAX_SAFE_INTEGER && !Number.isNaN(delayUs)) return time
    throw P2PError.of('invalid-configuration', `an event cannot be ${delayUs} microseconds from now`, {
      setting: 'delayUs',
      value: delayUs,
    })
  }

  /** @internal */
  rankOf(time: number, lane: number): number {
    return this.#ranking ? this.#ranking(time, lane) : 0
  }

  /** @internal */
  changed(): void {
    if (!this.#driving) this.onIdleSchedule?.()
  }

  /** Drops all events. */
  clear(): void {
    this.#queue.clear()
    this.#ready?.clear()
    this.#soon.length = 0
    this.#soonNext = 0
    this.#soonEnd = 0
  }

  #began(): void {
    this.#eventsRun++
    this.audit.record(EventKind.event, NO_HOST)
    this.#eventsThisInstant++
  }
}

/** Where events of one instant are chosen each setting is an event of its own. */
class RescheduledTimer implements KernelTimer {
  readonly #scheduler: Scheduler
  readonly #callback: () => void
  readonly #lane: number
  readonly #gate: EventGate | undefined
  #event: KernelEvent | undefined

  constructor(scheduler: Scheduler, callback: () => void, lane: number, gate: EventGate | undefined) {
    this.#scheduler = scheduler
    this.#callback = callback
    this.#lane = lane
    this.#gate = gate
  }

  set(delayUs: number, lane: number = this.#lane): void {
    this.#event?.cancel()
    this.#event = this.#scheduler.schedule(delayUs, this.#callback, lane, this.#gate)
  }

  cancel(): void {
    this.#event?.cancel()
  }
}
