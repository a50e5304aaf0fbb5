/**
 * A token bucket that may go into debt: what has been read cannot be unread, so its reader waits afterwards.
 *
 * @module
 */
import type { RelayRateLimit } from './options.ts'

/** Counts bytes against a rate. */
export class Bucket {
  readonly #perMs: number
  readonly #burst: number
  #level: number
  #atMs: number

  constructor({ bytesPerSecond, burstBytes }: Required<RelayRateLimit>, nowMs: number) {
    this.#perMs = bytesPerSecond / 1000
    this.#burst = burstBytes
    this.#level = burstBytes
    this.#atMs = nowMs
  }

  /** Takes `bytes`; how long to wait before the next are read, in milliseconds. */
  take(bytes: number, nowMs: number): number {
    this.#level = Math.min(this.#burst, this.#level + (nowMs - this.#atMs) * this.#perMs) - bytes
    this.#atMs = nowMs
    return this.#level >= 0 ? 0 : -this.#level / this.#perMs
  }
}
