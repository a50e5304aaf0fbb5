/**
 * The seeds of a sweep, which one thread or many take from, and what came of them, summed up in the order of the seeds:
 * so the result is the same, whoever was faster.
 *
 * @module
 */
import { realNowMs } from '../runtime/settle.ts'
import type { Failure } from './failure.ts'
import type { Outcome } from './run.ts'

/** A seed that is to be run. */
export interface Job {
  /** Its place among the seeds, from 0. */
  readonly index: number
  readonly seed: bigint
}

/** What came of one seed. */
export interface SeedResult {
  readonly failure: Failure | undefined
  readonly reached: Iterable<readonly [string, boolean]>
  readonly events: number
  readonly virtualMs: number
  /** Everything there is to know, where the seed was run in this thread. */
  readonly outcome?: Outcome | undefined
}

/** A seed that failed. */
export interface FailedSeed {
  readonly seed: bigint
  readonly failure: Failure
  /** The run, where it was in this thread. */
  readonly outcome?: Outcome | undefined
}

/** How far a sweep is. */
export interface SweepProgress {
  readonly done: number
  readonly failed: number
  /** Of how many; undefined when only the time ends it. */
  readonly of: number | undefined
  readonly elapsedMs: number
  /** The seed that has just failed, if one has. */
  readonly failing?: FailedSeed | undefined
}

/** What a sweep came to. */
export interface SweepResult {
  readonly name: string
  /** Seeds that were run; where the first failure ends it, up to that one. */
  readonly runs: number
  /** Those that failed, in their order. */
  readonly failures: readonly FailedSeed[]
  /** In how many seeds each condition of `sometimes` was reached, by name. */
  readonly reached: ReadonlyMap<string, number>
  readonly events: number
  readonly virtualMs: number
  readonly elapsedMs: number
  /** How many threads ran seeds besides this one, at most. */
  readonly workers: number
  /** A seed that must have the same history when it is run once more, in this thread. */
  readonly toRepeat: KnownSeed | undefined
}

/** A seed and the hash of its history. */
export interface KnownSeed {
  readonly seed: string
  readonly hash: string
}

/** Options of {@link SeedQueue}. */
export interface SeedQueueOptions {
  readonly seeds: Iterable<bigint>
  /** Of how many it is, for the progress. */
  readonly of?: number | undefined
  /** Real milliseconds after which no more seeds are given out. */
  readonly forMs?: number | undefined
  readonly stopAtFirst: boolean
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: SweepProgress) => void) | undefined
}

/** See the module's comment. */
export class SeedQueue {
  readonly #options: SeedQueueOptions
  readonly #seeds: Iterator<bigint>
  readonly #startMs = realNowMs()
  /** Given back: in order, they come before all others. */
  readonly #returned: Job[] = []
  /** Results that wait for those before them. */
  readonly #waiting = new Map<number, SeedResult & { readonly seed: bigint }>()
  readonly #failures: FailedSeed[] = []
  readonly #reached = new Map<string, number>()
  #nextIndex = 0
  /** Results up to here are summed up. */
  #summed = 0
  #runs = 0
  #events = 0
  /** Whole microseconds, so that the sum is exact. */
  #virtualUs = 0
  #done = 0
  #failed = 0
  #open = 0
  #isExhausted = false
  /** Later ones need not be run: an earlier one has failed. */
  #limit = Number.POSITIVE_INFINITY

  constructor(options: SeedQueueOptions) {
    this.#options = options
    this.#seeds = options.seeds[Symbol.iterator]()
  }

  get elapsedMs(): number {
    return realNowMs() - this.#startMs
  }

  /** Seeds that nobody has taken yet; undefined when only the time ends it. */
  get left(): number | undefined {
    const { of } = this.#options
    return of === undefined ? undefined : of - this.#nextIndex + this.#returned.length
  }

  /** Whether all that is needed is there. */
  get isOver(): boolean {
    return this.#summed > this.#limit || (this.#open === 0 && this.#isAtEnd())
  }

  /** Up to `count` seeds to run; none when there are no more. */
  take(count: number): Job[] {
    const jobs: Job[] = []
    while (jobs.length < count && !this.#isAtEnd()) {
      const job = this.#returned.shift() ?? this.#fresh()
      if (!job) break
      if (job.index <= this.#limit) jobs.push(job)
    }
    this.#open += jobs.length
    return jobs
  }

  /** Seeds that were taken and not run. */
  giveBack(jobs: readonly Job[]): void {
    this.#open -= jobs.length
    this.#returned.push(...jobs)
    this.#returned.sort((a, b) => a.index - b.index)
  }

  /** What came of a seed that was taken. */
  settle({ index, seed }: Job, result: SeedResult): void {
    this.#open--
    this.#done++
    if (result.failure) {
      this.#failed++
      if (this.#options.stopAtFirst) this.#limit = Math.min(this.#limit, index)
    }
    this.#waiting.set(index, { ...result, seed })
    this.#sumUp()
    const { of, onProgress } = this.#options
    const { failure } = result
    const failing = failure && { seed, failure }
    onProgress?.({ done: this.#done, failed: this.#failed, of, elapsedMs: this.elapsedMs, failing })
  }

  /** What it came to; when the time was over, of those that were run. */
  result(name: string, workers: number, toRepeat: KnownSeed | undefined): SweepResult {
    for (const [index, one] of [...this.#waiting].sort(([a], [b]) => a - b)) {
      if (index <= this.#limit) this.#add(one)
    }
    this.#waiting.clear()
    return {
      name,
      runs: this.#runs,
      failures: this.#failures,
      reached: this.#reached,
      events: this.#events,
      virtualMs: this.#virtualUs / 1000,
      elapsedMs: this.elapsedMs,
      workers,
      toRepeat,
    }
  }

  #isAtEnd(): boolean {
    const { forMs = Number.POSITIVE_INFINITY, signal } = this.#options
    if (signal?.aborted === true || this.elapsedMs >= forMs) return true
    return this.#returned.length === 0 && (this.#isExhausted || this.#nextIndex > this.#limit)
  }

  #fresh(): Job | undefined {
    const next = this.#seeds.next()
    if (next.done !== true) return { index: this.#nextIndex++, seed: next.value }
    this.#isExhausted = true
    return undefined
  }

  #sumUp(): void {
    for (;;) {
      const next = this.#waiting.get(this.#summed)
      if (!next || this.#summed > this.#limit) return
      this.#waiting.delete(this.#summed++)
      this.#add(next)
    }
  }

  #add({ seed, failure, reached, events, virtualMs, outcome }: SeedResult & { readonly seed: bigint }): void {
    this.#runs++
    this.#events += events
    this.#virtualUs += Math.round(virtualMs * 1000)
    for (const [condition, isReached] of reached) {
      this.#reached.set(condition, (this.#reached.get(condition) ?? 0) + (isReached ? 1 : 0))
    }
    if (failure) this.#failures.push({ seed, failure, outcome })
  }
}

/** What a whole sweep has never reached. */
export function neverReached(reached: ReadonlyMap<string, number>): string[] {
  return [...reached].filter(([, count]) => count === 0).map(([name]) => name)
}
