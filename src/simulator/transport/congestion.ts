/**
 * Congestion control: what a path asks of a controller, and CUBIC (RFC 9438) with the constants and quirks of noq.
 * Only + - * / on doubles, which are exactly rounded on every machine.
 *
 * @module
 */
import type { RttEstimator } from './rtt.ts'

/** Decides how many bytes a path may have in flight. */
export interface CongestionController {
  /** The limit of bytes in flight. */
  readonly windowBytes: number
  /** Below it the window grows by every acknowledged byte; Infinity before the first loss. */
  readonly slowStartThresholdBytes: number
  /**
   * A packet was acknowledged.
   *
   * @param appLimited whether the last attempt to send found nothing to send, so that the window was not in use
   */
  onAck(nowUs: number, sentUs: number, bytes: number, appLimited: boolean, rtt: RttEstimator): void
  /** Packets were lost, the last of them sent at `sentUs`; `persistent` when nothing got through for long. */
  onCongestion(nowUs: number, sentUs: number, persistent: boolean): void
  /** All packets that were taken for lost have arrived after all. */
  onSpuriousCongestion(): void
  /** The path carries another datagram size. */
  onMtu(mtuBytes: number): void
}

const BETA = 0.7
const C = 0.4
/** Window growth a round trip that is fair to Reno, in packets (RFC 9438, 4.3). */
const ALPHA = (3 * (1 - BETA)) / (1 + BETA)
const NEVER = -1

/**
 * The cube root of a number of at least 0, by Newton's method: an integer start, then doubles until it stands still.
 * `Math.cbrt` may differ in the last bit between engines.
 */
export function cubeRoot(value: number): number {
  if (value <= 0) return 0
  // An integer of at least the root, so that the iteration falls towards it.
  let root = 1
  while (root * root * root < value) root *= 2
  for (let i = 0; i < 64; i++) {
    const next = (2 * root + value / (root * root)) / 3
    if (next >= root) break
    root = next
  }
  return root
}

interface CubicState {
  windowBytes: number
  thresholdBytes: number
  /** The window before the last reduction, in bytes. */
  maxBytes: number
  /** Seconds from the last reduction until the cubic curve is back at `maxBytes`. */
  k: number
  /** Growth that was earned but not yet given, as at most one packet an acknowledgement is. */
  creditBytes: number
  /** When the current recovery period began. */
  recoveryStartUs: number
}

/** CUBIC. */
export class Cubic implements CongestionController {
  #mtuBytes: number
  #state: CubicState
  /** The state before the last reduction, to go back to when that turns out to have been a mistake. */
  #before: CubicState | undefined

  constructor(initialWindowBytes: number, mtuBytes: number) {
    this.#mtuBytes = mtuBytes
    this.#state = {
      windowBytes: initialWindowBytes,
      thresholdBytes: Number.POSITIVE_INFINITY,
      maxBytes: 0,
      k: 0,
      creditBytes: 0,
      recoveryStartUs: NEVER,
    }
  }

  get windowBytes(): number {
    return this.#state.windowBytes
  }

  get slowStartThresholdBytes(): number {
    return this.#state.thresholdBytes
  }

  onAck(nowUs: number, sentUs: number, bytes: number, appLimited: boolean, rtt: RttEstimator): void {
    const state = this.#state
    // What is sent in the very moment of the reduction is sent after it.
    if (appLimited || sentUs < state.recoveryStartUs) return
    if (state.windowBytes < state.thresholdBytes) {
      state.windowBytes += bytes
      return
    }
    if (state.recoveryStartUs === NEVER) {
      state.recoveryStartUs = nowUs
      state.maxBytes = state.windowBytes
      state.k = 0
    }
    const mtu = this.#mtuBytes
    const maxPackets = state.maxBytes / mtu
    // The clock runs on while the application is silent: there is no shift of the epoch.
    const sinceS = (nowUs - state.recoveryStartUs) / 1_000_000
    const rttS = Math.max(rtt.smoothedUs, 1) / 1_000_000
    const fromOrigin = sinceS + rttS - state.k
    const cubicBytes = (C * fromOrigin * fromOrigin * fromOrigin + maxPackets) * mtu
    const renoBytes = (maxPackets * BETA + (ALPHA * sinceS) / rttS) * mtu
    let target = state.windowBytes
    if (cubicBytes < renoBytes) {
      target = Math.max(target, Math.floor(renoBytes))
    } else if (target < Math.floor(cubicBytes)) {
      target += Math.floor(((cubicBytes - target) / target) * mtu)
    }
    state.creditBytes += target - state.windowBytes
    if (state.creditBytes >= mtu) {
      state.windowBytes += mtu
      state.creditBytes -= mtu
    }
  }

  onCongestion(nowUs: number, sentUs: number, persistent: boolean): void {
    const state = this.#state
    if (sentUs < state.recoveryStartUs) return
    this.#before = { ...state }
    const window = state.windowBytes
    state.recoveryStartUs = nowUs
    // Fast convergence: a flow whose window is below its old maximum gives way to others.
    state.maxBytes = window < state.maxBytes ? (window * (1 + BETA)) / 2 : window
    state.thresholdBytes = Math.max(Math.floor(window * BETA), this.#minimumBytes())
    state.windowBytes = state.thresholdBytes
    state.k = cubeRoot(((state.maxBytes / this.#mtuBytes) * (1 - BETA)) / C)
    state.creditBytes = Math.floor(state.creditBytes * BETA)
    if (persistent) {
      state.recoveryStartUs = NEVER
      state.maxBytes = state.windowBytes
      state.thresholdBytes = Math.max(Math.floor(state.windowBytes * BETA), this.#minimumBytes())
      state.creditBytes = 0
      state.windowBytes = this.#minimumBytes()
    }
  }

  onSpuriousCongestion(): void {
    const before = this.#before
    this.#before = undefined
    if (before && this.#state.windowBytes < before.windowBytes) this.#state = before
  }

  onMtu(mtuBytes: number): void {
    this.#mtuBytes = mtuBytes
    this.#state.windowBytes = Math.max(this.#state.windowBytes, this.#minimumBytes())
  }

  #minimumBytes(): number {
    return 2 * this.#mtuBytes
  }
}
