/**
 * The round-trip time of a path, estimated as RFC 9002, 5 says, in whole microseconds.
 *
 * @module
 */
import { GRANULARITY_US } from './config.ts'

/** Latest, smoothed, variance and minimum. */
export class RttEstimator {
  #latestUs: number
  #smoothedUs: number
  #varianceUs: number
  #minUs: number
  #hasSample = false

  constructor(initialRttUs: number) {
    this.#latestUs = initialRttUs
    this.#smoothedUs = initialRttUs
    this.#varianceUs = Math.floor(initialRttUs / 2)
    this.#minUs = initialRttUs
  }

  /** Whether anything was measured yet. */
  get hasSample(): boolean {
    return this.#hasSample
  }

  /** The smoothed time; the initial assumption before the first sample. */
  get smoothedUs(): number {
    return this.#smoothedUs
  }

  /** The mean deviation from the smoothed time. */
  get varianceUs(): number {
    return this.#varianceUs
  }

  /** The last sample. */
  get latestUs(): number {
    return this.#latestUs
  }

  /** The smallest sample. */
  get minUs(): number {
    return this.#minUs
  }

  /** The larger of smoothed and latest: what the time threshold of loss detection is a multiple of. */
  get conservativeUs(): number {
    return Math.max(this.#smoothedUs, this.#latestUs)
  }

  /** The probe time-out without the peer's acknowledgement delay (RFC 9002, 6.2.1). */
  get probeBaseUs(): number {
    return this.#smoothedUs + Math.max(4 * this.#varianceUs, GRANULARITY_US)
  }

  /** Takes a sample, of which the peer says that it held the acknowledgement back for `ackDelayUs`. */
  update(rttUs: number, ackDelayUs: number): void {
    this.#latestUs = rttUs
    if (!this.#hasSample) {
      this.#hasSample = true
      this.#smoothedUs = rttUs
      this.#varianceUs = Math.floor(rttUs / 2)
      this.#minUs = rttUs
      return
    }
    this.#minUs = Math.min(this.#minUs, rttUs)
    const adjustedUs = this.#minUs + ackDelayUs <= rttUs ? rttUs - ackDelayUs : rttUs
    const deviationUs = Math.abs(this.#smoothedUs - adjustedUs)
    this.#varianceUs = Math.floor((3 * this.#varianceUs + deviationUs) / 4)
    this.#smoothedUs = Math.floor((7 * this.#smoothedUs + adjustedUs) / 8)
  }
}
