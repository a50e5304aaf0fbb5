/**
 * How a host keeps time: what it takes to get round to something, and when its coarse timers fire.
 *
 * @module
 */
import type { RandomStream } from '../kernel.ts'
import type { TransportConfig } from './config.ts'

/** A host that has done nothing for so long takes longer to wake up. */
const SLEEP_US = 3_000
/** How late a coarse timer wakes a process: Linux's timer slack of 50 us, and a turn of the scheduler. */
const TIMER_LATENCY_US = 60
/** What a process is busy each time it wakes up. */
const TURN_US = 60
/** What it is busy for a datagram that it sends; 1 MiB costs 6 to 7 ms on both sides together without a network. */
const DATAGRAM_US = 5

/** The pace of the host of one connection. */
export class HostPace {
  readonly #config: TransportConfig
  readonly #granularityUs: number
  /** How far the host's own millisecond is from the world's. */
  readonly #phaseUs: number
  /** How far into a millisecond of the host's it was last active. */
  #parkedUs = 0
  /** When it was last awake. */
  #activeUs = 0
  /** Datagrams sent since it went to sleep last. */
  #burst = 0
  /** Whether something has arrived since then. */
  #heard = false
  /** What it takes because the clock has woken it, and no packet. */
  #wakeUs = 0
  /** Until when it is busy in any case. */
  #busyUntilUs = 0

  constructor(config: TransportConfig, random: RandomStream) {
    this.#config = config
    this.#granularityUs = config.timerGranularityUs
    this.#phaseUs = config.timerGranularityUs === 1 ? 0 : random.nextBelow(config.timerGranularityUs)
  }

  /** How long after the arrival of a datagram it gets round to answering it. */
  processingUs(nowUs: number): number {
    const { processingUs, wakeUs } = this.#config
    return nowUs - this.#activeUs >= SLEEP_US ? processingUs + wakeUs : processingUs
  }

  /** Something has arrived. */
  hear(): void {
    this.#heard = true
  }

  /** It is awake until then, whatever else it does. */
  keepBusy(untilUs: number): void {
    this.#busyUntilUs = untilUs
  }

  /** It has looked for something to send: after the last such look it goes to sleep. */
  look(nowUs: number, hasSent: boolean): void {
    // After a packet it is in `processingUs`.
    if (!this.#heard && nowUs - this.#activeUs >= SLEEP_US) this.#wakeUs = this.#config.wakeUs
    this.#activeUs = nowUs
    if (this.#granularityUs === 1) return
    if (hasSent) {
      this.#burst++
      return
    }
    const idleUs = Math.max(nowUs + this.#wakeUs + TURN_US + this.#burst * DATAGRAM_US, this.#busyUntilUs)
    this.#parkedUs = TIMER_LATENCY_US + remainder(idleUs + this.#phaseUs, this.#granularityUs)
    this.#burst = 0
    this.#heard = false
    this.#wakeUs = 0
  }

  /** When a timer that is set to `deadlineUs` fires. */
  firesUs(deadlineUs: number): number {
    const unitUs = this.#granularityUs
    if (unitUs === 1 || deadlineUs === Number.POSITIVE_INFINITY) return deadlineUs
    return Math.ceil((deadlineUs + this.#phaseUs) / unitUs) * unitUs - this.#phaseUs + this.#parkedUs
  }
}

/** `value % unit` of whole numbers, several times as fast. */
function remainder(value: number, unit: number): number {
  return value - Math.floor(value / unit) * unit
}
