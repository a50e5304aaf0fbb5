/**
 * Latencies, and how they are told: by percentiles, as an average hides the waits that people notice.
 *
 * @module
 */

/** A summary of latencies, in milliseconds. */
export interface Percentiles {
  /** How many were measured. */
  readonly count: number
  readonly p50Ms: number
  readonly p90Ms: number
  readonly p99Ms: number
}

/** What is kept; of more, the most recent. */
const MAX_SAMPLES = 10_000

/** Collects latencies. */
export class Latencies {
  readonly #samples: number[] = []
  #count = 0

  /** Adds one, in milliseconds. */
  add(ms: number): void {
    this.#samples[this.#count % MAX_SAMPLES] = ms
    this.#count++
  }

  /** Nearest-rank percentiles; undefined when nothing was measured. */
  percentiles(): Percentiles | undefined {
    const sorted = [...this.#samples].sort((a, b) => a - b)
    const at = (percent: number): number => sorted[Math.ceil((percent / 100) * sorted.length) - 1] ?? 0
    return sorted.length === 0 ? undefined : { count: this.#count, p50Ms: at(50), p90Ms: at(90), p99Ms: at(99) }
  }
}
