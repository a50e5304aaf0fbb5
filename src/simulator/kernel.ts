/**
 * The seam between the simulator's three layers: what the network and the transport need from the scheduler, and
 * nothing more, so that each layer is tested alone.
 *
 * @module
 */
import type { Trace } from './trace/trace.ts'

/** A pending event. */
export interface KernelEvent {
  /** Cancels the event; does nothing when it has run. */
  cancel(): void
}

/** A time-out: an event that is set anew whenever something else comes before it, which costs little. */
export interface KernelTimer extends KernelEvent {
  /**
   * Runs the callback as an event `delayUs` from now, and not when it was to run before. Set to the time that it has, it
   * keeps its place among the events of that instant.
   *
   * @param lane default: that of the timer
   */
  set(delayUs: number, lane?: number): void
}

/** What the events of a host have to pass; see `host-gate.ts`. */
export interface EventGate {
  /** Whether they come through at once. */
  readonly isOpen: boolean
  /** Runs `callback` when it may come through, unless the result is called before. */
  hold(callback: () => void): () => void
}

/**
 * A named stream of random numbers. Its draws depend on the seed and its name alone, so that adding a host or a link
 * changes no other's.
 */
export interface RandomStream {
  /** A whole number in [0, 2^32). */
  nextU32(): number
  /** A whole number in [0, bound), without bias; `bound` is 1..2^32. */
  nextBelow(bound: number): number
  /** A number in [0, 1) with 32 random bits: exactly `nextU32() / 2^32`. */
  nextFloat(): number
}

/**
 * The history's hash. Everything that happens is recorded as numbers: a kind (see `audit.ts`), the host it happened
 * on (-1 for none), and up to four more. The current virtual time is always mixed in.
 */
export interface Audit {
  record(kind: number, host: number, a?: number, b?: number, c?: number, d?: number): void
}

/** The scheduler as the lower layers see it. */
export interface Kernel {
  /** Virtual time: whole microseconds since the start. */
  nowUs(): number
  /**
   * Runs `callback` as an event `delayUs` from now (rounded up to a whole microsecond; at least 0). Events of one
   * instant keep their order within a `lane` (see `schedule.ts`), and not between lanes.
   *
   * @param lane default: one that all events share which name none
   * @param gate what it has to pass when it is due
   */
  schedule(delayUs: number, callback: () => void, lane?: number, gate?: EventGate): KernelEvent
  /** A time-out that is not set yet. It runs `callback`, as `schedule` says. */
  timer(callback: () => void, lane?: number, gate?: EventGate): KernelTimer
  /**
   * Runs `callback` as an event of its own when the running one is over, application code that it woke included, before
   * all that are pending. It cannot be cancelled.
   */
  soon(callback: () => void): void
  /**
   * Says that the running event has settled a promise, or called a function, that application code waits on: microtasks
   * are run to the end after this event, before the next. `host` is the index of the host whose code was woken.
   */
  woke(host: number): void
  /** The random stream of that name; the same object for the same name. */
  random(name: string): RandomStream
  readonly audit: Audit
  /** Told of what happens, where somebody wants to see it; it changes nothing. */
  readonly trace?: Trace | undefined
}
