/**
 * A sweep on worker threads: the scenario lives in a module, which every worker loads for itself; seeds go out in small
 * lots and their results come back one by one.
 *
 * @module
 */
import { Worker } from 'node:worker_threads'
import { P2PError } from '../core/errors.ts'
import { Alarm } from '../runtime/alarm.ts'
import { realNowMs } from '../runtime/settle.ts'
import type { Failure } from './failure.ts'
import type { ScenarioOptions } from './scenario.ts'
import { countReached } from './sweep.ts'
import type { SweepProgress } from './sweep.ts'

/** What a worker is started with. */
export interface WorkerTask {
  /** The URL of the module. */
  readonly module: string
  /** Which of its scenarios. */
  readonly name: string
  /** In place of the scenario's own. */
  readonly options: ScenarioOptions
}

/** What a worker says about one seed. */
export interface SeedResult {
  readonly seed: string
  readonly failure: Failure | undefined
  readonly reached: readonly (readonly [string, boolean])[]
  readonly events: number
  readonly virtualMs: number
}

/** A seed that failed. */
interface FailedSeed {
  readonly seed: bigint
  readonly failure: Failure
}

/** What a sweep on workers came to. */
export interface PoolResult {
  readonly runs: number
  readonly failed: readonly FailedSeed[]
  readonly reached: ReadonlyMap<string, number>
  readonly events: number
  readonly virtualMs: number
  readonly elapsedMs: number
}

/** Options of {@link sweepPool}. */
export interface PoolOptions {
  readonly task: WorkerTask
  readonly workers: number
  readonly seeds: Iterable<bigint>
  readonly of?: number | undefined
  /** Real milliseconds after which no more seeds are given out. */
  readonly forMs?: number | undefined
  readonly stopAtFirst: boolean
  /** Real milliseconds that one seed may take before its worker is given up. */
  readonly seedLimitMs: number
  readonly onProgress?: ((progress: SweepProgress) => void) | undefined
}

/** Few enough that all workers end at about the same time, enough that none waits for its next lot. */
const LOT = 4
/** The young generation holds a run's garbage, so that it is not moved to the old one. */
const YOUNG_GENERATION_MB = 128

const isSource = import.meta.url.endsWith('.ts')

class Pool {
  readonly #options: PoolOptions
  readonly #seeds: Iterator<bigint>
  readonly #startMs = realNowMs()
  readonly #failed: FailedSeed[] = []
  readonly #reached = new Map<string, number>()
  #runs = 0
  #events = 0
  /** Whole microseconds, so that the sum does not depend on the order. */
  #virtualUs = 0
  #stopped = false

  constructor(options: PoolOptions) {
    this.#options = options
    this.#seeds = options.seeds[Symbol.iterator]()
  }

  async run(): Promise<PoolResult> {
    await Promise.all(Array.from({ length: this.#options.workers }, () => this.#work()))
    return {
      runs: this.#runs,
      // Workers overtake each other; seeds are told in order.
      failed: this.#failed.sort((a, b) => (a.seed < b.seed ? -1 : 1)),
      reached: this.#reached,
      events: this.#events,
      virtualMs: this.#virtualUs / 1000,
      elapsedMs: realNowMs() - this.#startMs,
    }
  }

  /** One worker after the other: one that dies is replaced. */
  async #work(): Promise<void> {
    while (await this.#runWorker());
  }

  #runWorker(): Promise<boolean> {
    const { task, seedLimitMs } = this.#options
    let lot = this.#nextLot()
    if (lot.length === 0) return Promise.resolve(false)
    const worker = new Worker(new URL(isSource ? './pool-worker.ts' : './pool-worker.js', import.meta.url), {
      workerData: task,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
    })
    return new Promise((resolve, reject) => {
      const alarm = new Alarm(() => lose(`took more than ${seedLimitMs / 1000} s of real time without a word`))
      alarm.keepAlive = true
      const end = (isDead: boolean): void => {
        alarm.clear()
        worker.removeAllListeners()
        void worker.terminate().then(() => resolve(isDead), reject)
      }
      /** The worker is of no use any more; the seed it was at is to blame. */
      const lose = (why: string): void => {
        const [seed, ...rest] = lot
        if (seed !== undefined) {
          const message = `its worker ${why}`
          this.#take({
            seed: String(seed),
            failure: { key: 'worker', message, virtualMs: 0 },
            reached: [],
            events: 0,
            virtualMs: 0,
          })
        }
        this.#returned.push(...rest)
        end(true)
      }
      const give = (): void => {
        if (lot.length === 0) lot = this.#nextLot()
        if (lot.length === 0 || this.#stopped) return end(false)
        alarm.set(seedLimitMs)
        // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
        worker.postMessage(lot.map(String))
      }
      worker.on('message', (message: SeedResult | { readonly error: string }) => {
        if ('error' in message) {
          end(false)
          reject(P2PError.of('invalid-configuration', message.error, { setting: 'module', value: task.module }))
          return
        }
        lot = lot.filter((seed) => String(seed) !== message.seed)
        this.#take(message)
        if (this.#stopped) end(false)
        else if (lot.length === 0) give()
        else alarm.set(seedLimitMs)
      })
      worker.on('error', (error) => lose(`failed: ${error.message}`))
      worker.on('exit', (code) => lose(`ended with code ${code}`))
      give()
    })
  }

  /** Seeds that a worker did not come to. */
  readonly #returned: bigint[] = []

  #nextLot(): bigint[] {
    const { forMs = Number.POSITIVE_INFINITY } = this.#options
    if (this.#stopped || realNowMs() - this.#startMs >= forMs) return []
    const lot = this.#returned.splice(0, LOT)
    while (lot.length < LOT) {
      const next = this.#seeds.next()
      if (next.done === true) break
      lot.push(next.value)
    }
    return lot
  }

  #take(result: SeedResult): void {
    this.#runs++
    this.#events += result.events
    this.#virtualUs += Math.round(result.virtualMs * 1000)
    countReached(this.#reached, result.reached)
    if (result.failure) {
      this.#failed.push({ seed: BigInt(result.seed), failure: result.failure })
      if (this.#options.stopAtFirst) this.#stopped = true
    }
    const elapsedMs = realNowMs() - this.#startMs
    this.#options.onProgress?.({ done: this.#runs, failed: this.#failed.length, of: this.#options.of, elapsedMs })
  }
}

/**
 * Runs seeds on worker threads.
 *
 * @throws P2PError `invalid-configuration` when the module cannot be loaded or has no such scenario
 */
export function sweepPool(options: PoolOptions): Promise<PoolResult> {
  return new Pool(options).run()
}
