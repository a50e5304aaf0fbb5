/**
 * A sweep on worker threads: every worker loads the scenario for itself; seeds go out in small lots and their results
 * come back one by one.
 *
 * @module
 */
import { Worker } from 'node:worker_threads'
import { Alarm } from '../runtime/alarm.ts'
import { ambientScope } from '../runtime/ambient/scope.ts'
import type { Failure } from './failure.ts'
import type { ScenarioOptions } from './scenario.ts'
import type { Job, KnownSeed, SeedQueue } from './seed-queue.ts'
import { fetchForWorker } from './vitest-bridge.ts'
import type { VitestTask } from './vitest-bridge.ts'

/** A scenario that a module exports. */
interface ModuleTask {
  readonly kind: 'module'
  /** The URL of the module. */
  readonly module: string
  /** Which of its scenarios. */
  readonly name: string
  /** In place of the scenario's own. */
  readonly options: ScenarioOptions
}

/** A test in a file, which a worker runs up to there. */
interface FileTask {
  readonly kind: 'file'
  /** The path of the file. */
  readonly module: string
  readonly name: string
  /** Which of those with this name, from 0. */
  readonly nth: number
  /** Whether it runs at once, and what comes after it in the file is of no concern. */
  readonly isScript: boolean
  /** What is needed to load it as vitest does. */
  readonly vitest?: VitestTask | undefined
}

/** Which scenario workers load. */
export type WorkerTask = ModuleTask | FileTask

/** What a worker is started with. */
export interface WorkerStart {
  readonly task: WorkerTask
  /** Whether the globals of hosts are installed. */
  readonly isAmbient: boolean
  /** A seed whose history is known, which must be the same in a worker. */
  readonly known: KnownSeed | undefined
  /** A seed that failed on another worker: to be looked into, and nothing else. */
  readonly look?: SeedLook | undefined
}

/** What is to be looked into, and where files go. */
export interface SeedLook {
  readonly seed: string
  readonly folder: string
  /** The commands to see it again, where there is a replay file, and where not. */
  readonly commands: Readonly<Record<string, string>>
  readonly commandsWithoutFile: Readonly<Record<string, string>>
}

/** What a worker is told to do. */
export type ToWorker =
  | { readonly seeds: readonly string[] }
  | { readonly fetched: number; readonly result?: unknown; readonly error?: string }

/** What a worker says. */
export type FromWorker =
  | {
      readonly seed: string
      readonly failure: Failure | undefined
      readonly reached: readonly (readonly [string, boolean])[]
      readonly events: number
      readonly virtualMs: number
      readonly hash: string
    }
  | { readonly ready: true }
  | { readonly unfit: string }
  | { readonly looked: string | undefined }
  | { readonly fetch: number; readonly args: readonly unknown[] }

/** Options of {@link sweepPool}. */
export interface PoolOptions {
  readonly task: WorkerTask
  readonly workers: number
  readonly known?: KnownSeed | undefined
  /** Ends all of them, wherever they are. */
  readonly signal?: AbortSignal | undefined
  /** Real milliseconds that one seed may take before its worker is given up. */
  readonly seedLimitMs: number
}

/** How it ended. */
export interface PoolEnd {
  /** Why workers cannot run these seeds, where they cannot; those that were not run have been given back. */
  readonly unfit?: string | undefined
  /** A seed that a worker ran after others: the one with the most before it. */
  readonly toRepeat?: KnownSeed | undefined
}

/** Few enough that all workers end at about the same time, enough that none waits for its next lot. */
const LOT = 4
/** The young generation holds a run's garbage, so that it is not moved to the old one. */
const YOUNG_GENERATION_MB = 128

const isSource = import.meta.url.endsWith('.ts')
/** Whether Node runs this library's sources as they are. */
const hasTypeScript = (process.features as { readonly typescript?: unknown }).typescript
const canStart = !isSource || (hasTypeScript !== undefined && hasTypeScript !== false)

class Pool {
  readonly #queue: SeedQueue
  readonly #options: PoolOptions
  /** Ends a worker early, as all that is needed is there. */
  readonly #ends = new Set<() => void>()
  /** Why no worker can do it. */
  #unfit: string | undefined
  /** The most that a worker has run so far, and the last of them. */
  #most = 1
  #toRepeat: KnownSeed | undefined

  constructor(queue: SeedQueue, options: PoolOptions) {
    this.#queue = queue
    this.#options = options
  }

  async run(): Promise<PoolEnd> {
    const { workers, signal } = this.#options
    if (!canStart) return { unfit: 'this library runs from its sources, which Node cannot load' }
    const leave = (): void => this.#leaveAll()
    signal?.addEventListener('abort', leave)
    await Promise.all(Array.from({ length: workers }, () => this.#work()))
    signal?.removeEventListener('abort', leave)
    return { unfit: this.#unfit, toRepeat: this.#toRepeat }
  }

  /** One worker after the other: one that dies is replaced. */
  async #work(): Promise<void> {
    while (await this.#runWorker());
  }

  #runWorker(): Promise<boolean> {
    const { task, known, seedLimitMs } = this.#options
    let lot: Job[] = this.#unfit === undefined ? this.#queue.take(LOT) : []
    if (lot.length === 0) return Promise.resolve(false)
    let isReady = false
    let ran = 0
    const worker = startWorker({ task, known, isAmbient: ambientScope().isInstalled })
    return new Promise((resolve, reject) => {
      const alarm = new Alarm(() => lose(`took more than ${seedLimitMs / 1000} s of real time without a word`))
      alarm.keepAlive = true
      const end = (isDead: boolean): void => {
        alarm.clear()
        this.#ends.delete(leave)
        this.#queue.giveBack(lot)
        lot = []
        worker.removeAllListeners()
        // What a worker that is being ended still has to say is of no interest.
        worker.on('error', () => {})
        void worker.terminate().then(() => resolve(isDead), reject)
      }
      const leave = (): void => end(false)
      this.#ends.add(leave)
      const giveUp = (why: string): void => {
        this.#unfit ??= why
        this.#leaveAll()
      }
      /** The worker is of no use any more; the seed it was at is to blame. */
      const lose = (why: string): void => {
        if (!isReady) return giveUp(`a worker ${why}, before it had loaded the file`)
        const job = lot.shift()
        if (job) {
          const failure = { key: 'worker', message: `its worker ${why}`, virtualMs: 0 }
          this.#queue.settle(job, { failure, reached: [], events: 0, virtualMs: 0 })
        }
        end(true)
        this.#endAll()
      }
      const say = (message: ToWorker): void => {
        // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
        worker.postMessage(message)
      }
      const give = (): void => {
        if (lot.length === 0) lot = this.#queue.take(LOT)
        if (lot.length === 0) return end(false)
        alarm.set(seedLimitMs)
        say({ seeds: lot.map(({ seed }) => String(seed)) })
      }
      worker.on('message', (message: FromWorker) => {
        if ('unfit' in message) return giveUp(message.unfit)
        if ('ready' in message) {
          isReady = true
          return
        }
        if ('fetch' in message) {
          alarm.set(seedLimitMs)
          void fetchForWorker(message.args).then((fetched) => say({ fetched: message.fetch, ...fetched }))
          return
        }
        if ('looked' in message) return
        const { seed, hash, ...result } = message
        if (++ran > this.#most && !result.failure) {
          this.#most = ran
          this.#toRepeat = { seed, hash }
        }
        const job = lot.find((one) => String(one.seed) === seed)
        if (!job) return
        lot = lot.filter((one) => one !== job)
        this.#queue.settle(job, result)
        if (this.#queue.isOver) return this.#endAll()
        if (lot.length === 0) give()
        else alarm.set(seedLimitMs)
      })
      worker.on('error', (error: unknown) => lose(`failed: ${error instanceof Error ? error.message : String(error)}`))
      worker.on('exit', (code) => lose(`ended with code ${code}`))
      give()
    })
  }

  /** Everything that is needed is there: others may be at seeds that nobody wants any more. */
  #endAll(): void {
    if (this.#queue.isOver) this.#leaveAll()
  }

  #leaveAll(): void {
    for (const leave of this.#ends) leave()
  }
}

function startWorker(start: WorkerStart): Worker {
  return new Worker(new URL(isSource ? './pool-worker.ts' : './pool-worker.js', import.meta.url), {
    workerData: start,
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
  })
}

/**
 * Looks into a seed on a worker of its own.
 *
 * @returns what is to be told; undefined when it does not fail there either, or there was not time enough
 */
export async function lookOnWorker(task: WorkerTask, look: SeedLook, limitMs: number): Promise<string | undefined> {
  if (!canStart) return undefined
  const worker = startWorker({ task, known: undefined, isAmbient: ambientScope().isInstalled, look })
  const looked = await new Promise<string | undefined>((resolve) => {
    const alarm = new Alarm(() => resolve(undefined))
    alarm.keepAlive = true
    alarm.set(limitMs)
    worker.once('exit', () => alarm.clear())
    worker.on('error', () => resolve(undefined))
    worker.on('exit', () => resolve(undefined))
    worker.on('message', (message: FromWorker) => {
      if ('looked' in message) resolve(message.looked)
      else if ('unfit' in message) resolve(undefined)
      else if ('fetch' in message) {
        void fetchForWorker(message.args).then((fetched) => {
          const answer: ToWorker = { fetched: message.fetch, ...fetched }
          // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
          worker.postMessage(answer)
        })
      }
    })
  })
  await worker.terminate()
  return looked
}

/** Runs seeds on worker threads, until there are no more. */
export function sweepPool(queue: SeedQueue, options: PoolOptions): Promise<PoolEnd> {
  return new Pool(queue, options).run()
}
