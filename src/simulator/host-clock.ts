/**
 * A host's own clock: one oscillator that may run fast or slow, and a wall clock set from it that may be wrong and may
 * jump. The monotonic clock never jumps.
 *
 * @module
 */
import { invalidConfiguration } from '../core/config.ts'
import { EventKind } from './audit.ts'
import type { Kernel } from './kernel.ts'
import { checkFields, fieldsOf } from './check-fields.ts'

/** How a host's clock differs from true (virtual) time. */
export interface HostClockOptions {
  /** How far the wall clock is ahead (behind, when negative) at virtual time 0, in milliseconds. @default 0 */
  readonly offsetMs?: number | undefined
  /**
   * How much too fast its oscillator runs (too slow, when negative), in parts per million: both clocks and all timers
   * of the host follow it. Quartz is within 100 ppm, a bad virtual machine within 500. -500000 to 500000. @default 0
   */
  readonly driftPpm?: number | undefined
}

const FIELDS = fieldsOf<HostClockOptions>({ offsetMs: true, driftPpm: true })
/** A factor between a half and one and a half; anything beyond is no clock any more. */
const MAX_DRIFT_PPM = 500_000
/** Some 285 years, so that microseconds stay whole numbers. */
const MAX_OFFSET_MS = 9_000_000_000_000
const MILLION = 1_000_000

function checkOffset(name: string, value: number): number {
  if (typeof value === 'number' && Math.abs(value) <= MAX_OFFSET_MS) return value
  throw invalidConfiguration(name, value, `must be milliseconds between -${MAX_OFFSET_MS} and ${MAX_OFFSET_MS}`)
}

function checkDrift(value: number): number {
  if (typeof value === 'number' && Math.abs(value) <= MAX_DRIFT_PPM) return value
  throw invalidConfiguration(
    'driftPpm',
    value,
    `must be parts per million between -${MAX_DRIFT_PPM} and ${MAX_DRIFT_PPM}`,
  )
}

/** The clock of one host. It goes on through crashes and restarts, as a battery keeps it going. */
export class HostClock {
  readonly #kernel: Pick<Kernel, 'nowUs' | 'audit'>
  readonly #host: number
  readonly #epochMs: number
  #offsetMs: number
  #driftPpm: number
  /** True and own time at the last change of the drift, in microseconds. */
  #sinceTrueUs = 0
  #sinceOwnUs = 0

  /**
   * @param kernel virtual time, and the history's hash, into which every jump and change of drift goes
   * @param host its index
   * @param epochMs Unix milliseconds at virtual time 0
   * @throws P2PError `invalid-configuration`
   */
  constructor(kernel: Pick<Kernel, 'nowUs' | 'audit'>, host: number, epochMs: number, options: HostClockOptions = {}) {
    checkFields('a clock', options, FIELDS)
    this.#kernel = kernel
    this.#host = host
    this.#epochMs = epochMs
    this.#offsetMs = checkOffset('offsetMs', options.offsetMs ?? 0)
    this.#driftPpm = checkDrift(options.driftPpm ?? 0)
  }

  /** How far the wall clock has been set ahead of the oscillator's time, in milliseconds: the offset and all jumps. */
  get offsetMs(): number {
    return this.#offsetMs
  }

  /** How much too fast its oscillator runs, in parts per million. */
  get driftPpm(): number {
    return this.#driftPpm
  }

  /**
   * From now on the oscillator runs at another rate, as when it gets warm. Timers that are set keep the true time for
   * which they were set.
   *
   * @throws P2PError `invalid-configuration`
   */
  set driftPpm(driftPpm: number) {
    checkDrift(driftPpm)
    const ownUs = this.nowUs()
    this.#sinceTrueUs = this.#kernel.nowUs()
    this.#sinceOwnUs = ownUs
    this.#driftPpm = driftPpm
    this.record()
  }

  /**
   * Sets the wall clock forward (back, when negative) by `byMs`, as a correction by a time server or a user does. The
   * monotonic clock, and all timers, notice nothing.
   *
   * @throws P2PError `invalid-configuration`
   */
  jump(byMs: number): void {
    this.#offsetMs = checkOffset('jump', this.#offsetMs + byMs)
    this.record()
  }

  /** @internal Puts how it differs from true time into the history's hash. */
  record(): void {
    this.#kernel.audit.record(EventKind.clockChanged, this.#host, this.#offsetMs, this.#driftPpm)
  }

  /** Monotonic: whole microseconds of the oscillator since virtual time 0. */
  nowUs(): number {
    const trueUs = this.#kernel.nowUs()
    if (this.#driftPpm === 0) return this.#sinceOwnUs + (trueUs - this.#sinceTrueUs)
    return this.#sinceOwnUs + this.#own(trueUs - this.#sinceTrueUs)
  }

  /** What it shows: Unix milliseconds, a whole number. */
  wallMs(): number {
    return Math.floor(this.#epochMs + this.#offsetMs + this.nowUs() / 1000)
  }

  /** How many true microseconds pass while the oscillator counts `ownUs`. */
  trueDelayUs(ownUs: number): number {
    if (this.#driftPpm === 0 || !(ownUs > 0)) return ownUs
    const trueUs = Math.ceil((ownUs * MILLION) / (MILLION + this.#driftPpm))
    // Rounding must not make a timer fire before its time.
    return this.#own(trueUs) < ownUs ? trueUs + 1 : trueUs
  }

  #own(trueUs: number): number {
    return trueUs + Math.floor((trueUs * this.#driftPpm) / MILLION)
  }
}
