/**
 * The bridge to real work (files, compression, `crypto.subtle`): while any of it is pending virtual time stands still,
 * and results are delivered in the order in which the work was asked for, however long each took.
 *
 * @module
 */

/** One piece of real work, from being asked for to the delivery of its result. */
export interface BridgeJob {
  /** The host that asked, as an index. */
  readonly host: number
  /** What it is, for messages. */
  readonly what: string
  /** Its number within the simulation, from 0. */
  readonly index: number
  /** What came of it; undefined while it is under way. */
  readonly outcome: { readonly value: unknown } | { readonly error: unknown } | undefined
  /** Settles the promise of whoever asked, unless it is gone. */
  deliver(): void
}

class Job<T> implements BridgeJob {
  readonly host: number
  readonly what: string
  readonly index: number
  outcome: { readonly value: T } | { readonly error: unknown } | undefined
  readonly promise: Promise<T>
  readonly #work: () => Promise<T>
  readonly #isWanted: () => boolean
  #resolve!: (value: T) => void
  #reject!: (error: unknown) => void

  constructor(index: number, host: number, what: string, work: () => Promise<T>, isWanted: () => boolean) {
    this.index = index
    this.host = host
    this.what = what
    this.#work = work
    this.#isWanted = isWanted
    this.promise = new Promise<T>((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  async start(): Promise<void> {
    try {
      this.outcome = { value: await this.#work() }
    } catch (error) {
      this.outcome = { error }
    }
  }

  deliver(): void {
    const { outcome } = this
    if (!outcome || !this.#isWanted()) return
    if ('error' in outcome) this.#reject(outcome.error)
    else this.#resolve(outcome.value)
  }
}

/** The queue of real work of one simulation. */
export class Bridge {
  readonly #jobs: Job<unknown>[] = []
  #started = 0
  #nextIndex = 0

  /** Work whose result has not been delivered. */
  get pending(): number {
    return this.#jobs.length
  }

  /** The next job to be delivered, finished or not. */
  get next(): BridgeJob | undefined {
    return this.#jobs[0]
  }

  /**
   * Asks for `work`, which is started by {@link start}. `isWanted` says, when the result is there, whether anyone still
   * waits for it: a crashed host's promises never settle.
   */
  submit<T>(host: number, what: string, work: () => Promise<T>, isWanted: () => boolean): Promise<T> {
    const job = new Job(this.#nextIndex++, host, what, work, isWanted)
    this.#jobs.push(job as Job<unknown>)
    return job.promise
  }

  /** Starts everything that was asked for and calls `onProgress` whenever some of it is finished. */
  start(onProgress: () => void): void {
    for (; this.#started < this.#jobs.length; this.#started++) {
      // Never rejects: the outcome is kept in the job.
      void this.#jobs[this.#started]?.start().then(onProgress)
    }
  }

  /** Takes the next job if it is finished. */
  takeFinished(): BridgeJob | undefined {
    if (!this.#jobs[0]?.outcome) return undefined
    this.#started--
    return this.#jobs.shift()
  }
}
