/**
 * The synchronous driver: a loop in a macrotask that runs the earliest event and, when application code was woken, all
 * microtasks to their end before the next. It works in turns of some 100 ms, between which the process does its
 * real work, and stops the clock while a simulation's real work is pending. See `docs/decisions/0006-synchronous-driver.md`.
 *
 * @module
 */
import { P2PError } from '../core/errors.ts'
import { Alarm } from '../runtime/alarm.ts'
import {
  abandonStack,
  findSettle,
  macrotask,
  macrotasks,
  onUnhandledRejection,
  realNowMs,
  Watchdog,
} from '../runtime/settle.ts'
import type { Settle } from '../runtime/settle.ts'
import { digestBytes, EventKind } from './audit.ts'
import { Bridge } from './bridge.ts'
import type { BridgeJob } from './bridge.ts'
import { MAX_EVENTS_PER_INSTANT, NO_HOST } from './scheduler.ts'
import type { Scheduler } from './scheduler.ts'

/** Why a run ended: its condition was met, its time was over, or nothing is left that could ever happen. */
export type RunEnd = 'stopped' | 'time' | 'idle'

/** What to run. */
export interface DriveOptions {
  /** Events after this time stay pending. @default Infinity */
  readonly untilUs?: number
  /** Asked whenever application code has run; true ends the run. */
  readonly stop?: () => boolean
  /**
   * Asked when nothing has woken application code for {@link QUIET_US}; true ends the run as idle. Without it a run goes
   * on as long as there are events, and transports that keep their connections alive never run out of them.
   */
  readonly isQuiet?: () => boolean
}

/** Ten minutes: longer than any time-out of the transport. */
const QUIET_US = 600_000_000

/** How to run. */
export interface DriverOptions {
  /** Told when events begin and cease to run in this thread, so that code can find out whose it is. */
  readonly onTurn?: (driving: boolean) => void
  /** Turns an error thrown by an event, or by code of `host`, into the one that ends the run. */
  readonly onError?: (error: unknown, host: number) => unknown
  /** What everybody is doing, for the message when a run hangs. */
  readonly report?: () => string
  /** Whether unhandled rejections end the run. @default true */
  readonly catchRejections?: boolean
  /** Real time that one turn may take before the code in it counts as hanging. @default 20000 */
  readonly hangLimitMs?: number | undefined
  /** Real time that one piece of real work may take. @default 60000 */
  readonly bridgeLimitMs?: number | undefined
  /** Real time that a run may take. @default Infinity */
  readonly runLimitMs?: number | undefined
  /**
   * Told when code of the scenario, which goes on when a run is over, was broken off because it hung. Without it nothing
   * watches that.
   */
  readonly onScenarioHang?: ((error: P2PError) => void) | undefined
  /** `immediates` uses documented functions of Node only and is about twice as slow. @default 'tick' when it works */
  readonly settle?: 'tick' | 'immediates' | undefined
}

/**
 * The watchdog's thread, which a turn starts and joins, takes 30 microseconds of an idle machine and up to 4 ms of a
 * busy one: one part in 25 of a turn at worst, and usually nothing.
 */
const TURN_MS = 100
/** Real time is looked at after this many events; one that ran application code counts as several. */
const EVENTS_PER_LOOK = 256
const SETTLE_WEIGHT = 8
const IMMEDIATES_PER_TURN = 1024

type Active = Required<DriveOptions> & {
  /** Real time at which the run counts as hanging. */
  readonly deadlineMs: number
  readonly sinceUs: number
  readonly resolve: (end: RunEnd) => void
  readonly reject: (error: unknown) => void
}
/** What a turn came to: more to do, real work to wait for, or the end. */
type Turn = 'more' | 'wait' | RunEnd

/** Runs one scheduler. */
export class Driver {
  readonly bridge: Bridge = new Bridge()
  readonly #scheduler: Scheduler
  readonly #options: DriverOptions
  readonly #watchdog: Watchdog
  readonly #bridgeAlarm: Alarm
  #settle: Settle | undefined
  #active: Active | undefined
  #failure: { readonly error: unknown } | undefined
  #resuming = false
  /** Whether code was left in the middle, so that Node's account of asynchronous contexts does not add up. */
  #stackBroken = false
  #stopListening: (() => void) | undefined

  constructor(scheduler: Scheduler, options: DriverOptions = {}) {
    this.#scheduler = scheduler
    this.#options = options
    this.#watchdog = new Watchdog(options.hangLimitMs ?? 20_000)
    this.#bridgeAlarm = new Alarm(() => this.#bridgeIsLate())
    this.#bridgeAlarm.keepAlive = true
  }

  /** Whether a run is under way. */
  get running(): boolean {
    return this.#active !== undefined
  }

  /**
   * Runs events until there is a reason to end.
   *
   * @throws P2PError `invalid-configuration` when a run is under way already, and whatever `onError` makes of errors
   */
  run(options: DriveOptions = {}): Promise<RunEnd> {
    if (this.#active) {
      throw P2PError.of('invalid-configuration', 'the simulation is running already: await the run under way first', {
        setting: 'run',
        value: 'under way',
      })
    }
    const never = (): boolean => false
    const { untilUs = Number.POSITIVE_INFINITY, stop = never, isQuiet = never } = options
    const sinceUs = this.#scheduler.nowUs()
    const deadlineMs = realNowMs() + (this.#options.runLimitMs ?? Number.POSITIVE_INFINITY)
    return new Promise((resolve, reject) => {
      this.#active = { untilUs, stop, isQuiet, sinceUs, deadlineMs, resolve, reject }
      macrotask(() => {
        if (this.#options.settle !== 'immediates') this.#settle ??= findSettle()
        this.#turn()
      })
    })
  }

  /** Ends the run with an error of `host`'s code, the first one if there are several. */
  fail(error: unknown, host: number): void {
    this.#failure ??= { error: this.#options.onError ? this.#options.onError(error, host) : error }
  }

  /** Has code of the scenario run in a macrotask of its own, watched as what follows on a run is. */
  begin(code: () => void): void {
    macrotask(() => {
      if (this.#options.settle !== 'immediates') this.#settle ??= findSettle()
      this.#outside(code)
    })
  }

  /**
   * Calls what has the scenario go on, and runs all that follows from it at once: were that left to Node, nothing could
   * end a loop in it. Must be the last thing of a macrotask.
   */
  #outside(goOn: () => void): void {
    const { onScenarioHang } = this.#options
    const settle = this.#settle
    if (!onScenarioHang || !settle) {
      goOn()
      return
    }
    const finished = this.#watchdog.run(() => {
      goOn()
      settle()
    })
    if (!finished) abandonStack(() => onScenarioHang(this.#hangError('code of the scenario')))
  }

  #turn(): void {
    if (!this.#active) return
    if (!this.#settle) {
      this.#turnOfImmediates()
      return
    }
    let turn: Turn = 'stopped'
    this.#enter()
    try {
      const finished = this.#watchdog.run(() => {
        turn = this.#runEvents(this.#settle, realNowMs() + TURN_MS)
      })
      if (!finished) {
        this.fail(this.#hangError('code'), this.#scheduler.currentHost)
        this.#stackBroken = true
      }
    } catch (error) {
      this.fail(error, this.#scheduler.currentHost)
    } finally {
      this.#leave()
    }
    if (!this.#stackBroken) {
      this.#conclude(turn)
      return
    }
    this.#stackBroken = false
    abandonStack(() => this.#conclude('stopped'))
  }

  /** Without a way to run microtasks from here: let Node do it, after each of a row of macrotasks. */
  #turnOfImmediates(): void {
    let turn: Turn = 'more'
    const deadline = realNowMs() + TURN_MS
    this.#enter()
    const step = (): void => {
      this.#scheduler.settled()
      if (turn !== 'more' || realNowMs() >= deadline) return
      try {
        turn = this.#runEvents(undefined, deadline)
      } catch (error) {
        this.fail(error, this.#scheduler.currentHost)
      }
    }
    macrotasks(IMMEDIATES_PER_TURN, step, () => {
      this.#leave()
      this.#conclude(turn)
    })
  }

  #enter(): void {
    this.#scheduler.driving = true
    this.#options.onTurn?.(true)
    if (this.#options.catchRejections !== false) {
      this.#stopListening = onUnhandledRejection((reason) => this.fail(reason, this.#scheduler.currentHost))
    }
  }

  #leave(): void {
    this.#stopListening?.()
    this.#options.onTurn?.(false)
    this.#scheduler.driving = false
    this.#scheduler.settled()
  }

  #conclude(turn: Turn): void {
    const active = this.#active
    if (!active) return
    if (this.#failure) {
      const { error } = this.#failure
      this.#failure = undefined
      this.#end()
      this.#outside(() => active.reject(error))
    } else if (turn === 'more' && realNowMs() > active.deadlineMs) {
      this.fail(this.#runIsLate(), NO_HOST)
      this.#conclude('stopped')
    } else if (turn === 'more') {
      this.#resume()
    } else if (turn === 'wait') {
      this.#wait()
    } else {
      this.#end()
      this.#outside(() => active.resolve(turn))
    }
  }

  #end(): void {
    this.#active = undefined
    this.#bridgeAlarm.clear()
  }

  #resume(): void {
    if (this.#resuming) return
    this.#resuming = true
    macrotask(() => {
      this.#resuming = false
      this.#turn()
    })
  }

  /**
   * Runs events and, with `settle`, microtasks, until the turn is over. Without it, until an event has woken application
   * code.
   */
  #runEvents(settle: Settle | undefined, deadline: number): Turn {
    const scheduler = this.#scheduler
    const { untilUs, stop, isQuiet, sinceUs } = this.#active as Active
    let budget = EVENTS_PER_LOOK
    if (stop()) return 'stopped'
    for (;;) {
      if (this.#failure) return 'stopped'
      if (scheduler.standsStill) throw this.#instantError()
      if (this.bridge.pending > 0) {
        const job = this.bridge.takeFinished()
        if (!job) return 'wait'
        scheduler.runNow(() => this.#deliver(job))
      } else if (!scheduler.advance(untilUs)) {
        if (untilUs === Number.POSITIVE_INFINITY) return 'idle'
        scheduler.skipTo(untilUs)
        return 'time'
      }
      if (scheduler.woken) {
        if (!settle) return 'more'
        this.#settleAll(settle)
        scheduler.settled()
        if (stop()) return 'stopped'
        budget -= SETTLE_WEIGHT
      } else if (scheduler.nowUs() - Math.max(scheduler.lastWokeUs, sinceUs) > QUIET_US && isQuiet()) {
        return 'idle'
      }
      if (--budget <= 0) {
        if (realNowMs() >= deadline) return 'more'
        budget = EVENTS_PER_LOOK
      }
    }
  }

  #settleAll(settle: Settle): void {
    for (;;) {
      try {
        settle()
        return
      } catch (error) {
        // A `nextTick` callback threw. The rest of its queue has still to run, and then the run is over.
        this.#stackBroken = true
        this.fail(error, this.#scheduler.currentHost)
      }
    }
  }

  #deliver(job: BridgeJob): void {
    const { outcome } = job
    const value = outcome && 'value' in outcome ? outcome.value : undefined
    const failed = outcome && 'error' in outcome ? 1 : 0
    const digest = value instanceof Uint8Array ? digestBytes(value) : 0
    this.#scheduler.woke(job.host)
    this.#scheduler.audit.record(EventKind.bridge, job.host, job.index, failed, digest)
    job.deliver()
  }

  /** Real work runs outside of turns, so that what it asks of the bridge itself is not queued behind it. */
  #wait(): void {
    this.#bridgeAlarm.set(this.#options.bridgeLimitMs ?? 60_000)
    this.bridge.start(() => {
      if (this.#active && this.bridge.next?.outcome) {
        this.#bridgeAlarm.clear()
        this.#resume()
      }
    })
  }

  #bridgeIsLate(): void {
    const job = this.bridge.next
    if (!this.#active || !job || job.outcome) return
    const afterMs = this.#options.bridgeLimitMs ?? 60_000
    const message = `${job.what} is not done after ${afterMs / 1000} s of real time, and virtual time stands still${this.#report()}`
    this.fail(P2PError.of('timeout', message, { afterMs }), job.host)
    this.#conclude('stopped')
  }

  #hangError(whose: string): P2PError {
    const max = this.#options.hangLimitMs ?? 20_000
    return P2PError.of(
      'limit-exceeded',
      `${whose} ran for ${max / 1000} s without a break at ${this.#scheduler.nowUs() / 1000} ms of virtual time: an ` +
        'endless loop, or promises that wake each other for ever. It was broken off; end this process, as its state ' +
        `cannot be trusted any more${this.#report()}`,
      { limit: 'hangLimitMs', max },
    )
  }

  #runIsLate(): P2PError {
    const max = this.#options.runLimitMs ?? 0
    const message =
      `the run is not over after ${max / 1000} s of real time, at ${this.#scheduler.nowUs() / 1000} ms of virtual ` +
      `time${this.#report()}`
    return P2PError.of('limit-exceeded', message, { limit: 'runLimitMs', max })
  }

  #instantError(): P2PError {
    return P2PError.of(
      'limit-exceeded',
      `more than ${MAX_EVENTS_PER_INSTANT} events at ${this.#scheduler.nowUs() / 1000} ms of virtual time, which no ` +
        `longer moves: something schedules itself, or reads, in a loop without ever waiting${this.#report()}`,
      { limit: 'events at one instant', max: MAX_EVENTS_PER_INSTANT },
    )
  }

  /** The state of everybody, on lines of their own. */
  #report(): string {
    const text = this.#options.report?.()
    return text === undefined ? '' : `\n${text}`
  }
}
