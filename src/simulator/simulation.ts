/**
 * A simulation: hosts with programs, a scenario of operations, one seed, one history.
 *
 * @module
 */
import { invalidConfiguration, parseDuration, parseSimulatorConfig } from '../core/config.ts'
import type { SimulatorConfig } from '../core/config.ts'
import { P2PError } from '../core/errors.ts'
import type { RuntimeFileSystem } from '../core/runtime.ts'
import { RealFileSystem } from '../runtime/real-files.ts'
import { randomSeed } from '../runtime/seed.ts'
import { ambient } from './ambient.ts'
import { EventKind } from './audit.ts'
import type { AuditObserver } from './audit.ts'
import { Driver } from './driver.ts'
import type { DriverOptions, RunEnd } from './driver.ts'
import { SimHost } from './host.ts'
import type { HostProgram, ProgramState } from './host.ts'
import { SimRuntime } from './runtime.ts'
import { NO_HOST, Scheduler } from './scheduler.ts'

/** Options of a {@link Simulation}. */
export interface SimulationOptions {
  /** Decides everything random: 0 to 2^64 - 1. @default `config.seed`, and a random one when that is unset too */
  readonly seed?: bigint | number | undefined
  /** @default what the `SIMULATOR_*` variables of the environment say */
  readonly config?: SimulatorConfig | undefined
  /** The files that hosts can read. @default this machine's */
  readonly files?: RuntimeFileSystem | undefined
  /** Real milliseconds that code may run without a break before it counts as hanging. @default 20000 */
  readonly hangLimitMs?: number | undefined
  /** Real milliseconds that one piece of real work may take. @default 60000 */
  readonly bridgeLimitMs?: number | undefined
  /** `immediates` uses only documented functions of Node to run microtasks, at half the speed. @default 'tick' */
  readonly settle?: 'tick' | 'immediates' | undefined
  /** Sees every record of the history. */
  readonly observer?: AuditObserver | undefined
}

/** What a run came to. */
export interface SimulationResult {
  /** All programs ended; the time was over; or nothing was left that could happen, and programs wait for ever. */
  readonly ended: 'programs' | 'time' | 'idle'
  /** Virtual time at the end. */
  readonly virtualMs: number
  /** Events run since the simulation began. */
  readonly events: number
  /** The history's hash: 16 hex digits. The same for the same seed and code. */
  readonly hash: string
  readonly seed: bigint
  /** Hosts whose programs have not ended. */
  readonly waiting: readonly string[]
}

/** A virtual time: milliseconds since the start, or a duration such as `30s`. */
export type VirtualTime = number | string

const ENDED: Readonly<Record<RunEnd, SimulationResult['ended']>> = { stopped: 'programs', time: 'time', idle: 'idle' }

function checkSeed(seed: bigint | number): bigint {
  const value = typeof seed === 'bigint' || Number.isSafeInteger(seed) ? BigInt(seed) : -1n
  if (value < 0n || value >= 1n << 64n) {
    throw invalidConfiguration('seed', seed, 'must be a whole number from 0 to 2^64 - 1')
  }
  return value
}

/**
 * One simulated world. Several can live in a process; they share nothing.
 *
 * @example
 * ```ts
 * import { Simulation } from '@moosicbox/p2p/simulator'
 *
 * const sim = new Simulation({ seed: 7 })
 * sim.host('sleeper', async (host) => {
 *   await host.runtime.sleep(60_000)
 *   console.log('a minute later:', host.runtime.now()) // a minute later: 60000
 * })
 * console.log((await sim.run()).ended) // programs
 * ```
 */
export class Simulation implements AsyncDisposable {
  /** The seed; with the same code it gives the same history. */
  readonly seed: bigint
  readonly config: SimulatorConfig
  /** The scheduler, for the layers below. */
  readonly scheduler: Scheduler
  readonly #driver: Driver
  readonly #files: RuntimeFileSystem
  readonly #hosts = new Map<string, SimHost>()
  readonly #indexed: SimHost[] = []
  #alive = 0
  #crashed = 0
  #operations = 0
  #operationsPending = 0
  #closed = false

  constructor(options: SimulationOptions = {}) {
    this.config = options.config ?? parseSimulatorConfig(process.env)
    this.seed = checkSeed(options.seed ?? this.config.seed ?? randomSeed())
    this.scheduler = new Scheduler(this.seed)
    this.scheduler.audit.observer = options.observer
    this.#files = options.files ?? new RealFileSystem()
    const driverOptions: DriverOptions = {
      onTurn: (driving) => {
        ambient().currentHost = driving ? (): SimHost | undefined => this.currentHost : undefined
      },
      onError: (error, host) => this.#describe(error, host),
      ...(options.hangLimitMs !== undefined && { hangLimitMs: options.hangLimitMs }),
      ...(options.bridgeLimitMs !== undefined && { bridgeLimitMs: options.bridgeLimitMs }),
      ...(options.settle !== undefined && { settle: options.settle }),
    }
    this.#driver = new Driver(this.scheduler, driverOptions)
  }

  /** Virtual milliseconds since the start. */
  get now(): number {
    return this.scheduler.nowUs() / 1000
  }

  /** The history's hash so far: 16 hex digits. */
  get hash(): string {
    return this.scheduler.audit.digest()
  }

  /** All hosts, in the order they were added. */
  get hosts(): readonly SimHost[] {
    return [...this.#indexed]
  }

  /** The host whose code is running; undefined outside of hosts' code. */
  get currentHost(): SimHost | undefined {
    return this.#indexed[this.scheduler.currentHost]
  }

  /**
   * Adds a host; its program starts when the simulation runs.
   *
   * @throws P2PError `invalid-configuration` when there is a host of that name, as it would have the same id
   */
  host(name: string, program?: HostProgram): SimHost {
    this.#checkOpen()
    if (name === '') throw invalidConfiguration('name', name, 'a host needs a name')
    if (this.#hosts.has(name)) {
      throw invalidConfiguration('name', name, 'there is a host of this name, and so of this id, already')
    }
    const index = this.#indexed.length
    const host = new SimHost(
      {
        scheduler: this.scheduler,
        makeRuntime: (): SimRuntime => this.#makeRuntime(name, index),
        onProgram: (before, after) => this.#onProgram(before, after),
        onFailure: (error, failed) => this.#driver.fail(error, failed),
      },
      name,
      index,
      program,
    )
    this.#hosts.set(name, host)
    this.#indexed.push(host)
    return host
  }

  /**
   * Runs `operation` at a virtual time, on behalf of no host.
   *
   * @throws P2PError `invalid-configuration` when the time has passed
   */
  at(time: VirtualTime, operation: () => void | Promise<void>): void {
    this.#checkOpen()
    const atMs = typeof time === 'string' ? parseDuration(time, 'time') : time
    const delayMs = atMs - this.now
    if (!(delayMs >= 0)) throw invalidConfiguration('time', time, `it is ${this.now} ms already`)
    const number = this.#operations++
    this.#operationsPending++
    this.scheduler.schedule(Math.round(delayMs * 1000), () => {
      this.#operationsPending--
      this.scheduler.woke(NO_HOST)
      this.scheduler.audit.record(EventKind.operation, NO_HOST, number)
      Promise.resolve(operation()).catch((error: unknown) => this.#driver.fail(error, NO_HOST))
    })
  }

  /**
   * Runs until all programs have ended, but no longer than `forMs`. Without programs: for `forMs`, or until nothing is
   * left to happen.
   *
   * @param options.forMs default: up to `config.durationMs`, or without limit
   * @throws P2PError `program-failed` when a program, or an operation of the scenario, fails; it names the host
   */
  async run(options: { readonly forMs?: number | undefined } = {}): Promise<SimulationResult> {
    const { forMs } = options
    if (forMs !== undefined && !(forMs >= 0)) throw invalidConfiguration('forMs', forMs, 'must be 0 or more')
    const limitMs = this.config.durationMs ?? Number.POSITIVE_INFINITY
    return this.#drive(Math.min(limitMs, this.now + (forMs ?? Number.POSITIVE_INFINITY)), this.#alive > 0)
  }

  /** Runs for `config.stepSizeMs`, whether programs end or not. Throws as `run`. */
  async step(): Promise<SimulationResult> {
    return this.#drive(this.now + this.config.stepSizeMs, false)
  }

  /** As {@link SimHost.crash}. */
  crash(name: string): void {
    this.#hostOf(name).crash()
  }

  /** As {@link SimHost.restart}. */
  restart(name: string): void {
    this.#hostOf(name).restart()
  }

  /** Ends everything: hosts lose their power, and their real files are closed. A run under way fails. */
  async close(): Promise<void> {
    this.#closed = true
    if (this.#driver.running) {
      const why = 'the simulation was closed while it ran: await run() first (`return await` where it is `await using`)'
      this.#driver.fail(P2PError.of('invalid-configuration', why, { name: 'close', value: 'while running' }), NO_HOST)
    }
    await Promise.all(this.#indexed.map((host) => host.dispose()))
    this.scheduler.clear()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #drive(untilMs: number, untilPrograms: boolean): Promise<SimulationResult> {
    this.#checkOpen()
    const shared = ambient()
    if (shared.currentHost) {
      throw P2PError.of('invalid-configuration', 'a simulation cannot be run from inside of one', {
        name: 'run',
        value: 'nested',
      })
    }
    const stop = (): boolean =>
      untilPrograms && this.#alive === 0 && (this.#crashed === 0 || this.#operationsPending === 0)
    shared.running++
    try {
      const end = await this.#driver.run({ untilUs: Math.round(untilMs * 1000), stop })
      return {
        ended: ENDED[end],
        virtualMs: this.now,
        events: this.scheduler.eventsRun,
        hash: this.hash,
        seed: this.seed,
        waiting: this.#indexed.filter(({ program }) => program === 'running').map(({ name }) => name),
      }
    } finally {
      shared.running--
    }
  }

  #makeRuntime(name: string, index: number): SimRuntime {
    return new SimRuntime({
      scheduler: this.scheduler,
      bridge: this.#driver.bridge,
      files: this.#files,
      name,
      host: index,
      epochOffsetMs: this.config.epochOffsetMs,
    })
  }

  #onProgram(before: ProgramState, after: ProgramState): void {
    const isAlive = (state: ProgramState): number => (state === 'starting' || state === 'running' ? 1 : 0)
    this.#alive += isAlive(after) - isAlive(before)
    this.#crashed += Number(after === 'crashed') - Number(before === 'crashed')
  }

  /** Names the culprit, and how to see it again. */
  #describe(error: unknown, index: number): P2PError {
    const host = this.#indexed[index]?.name
    const who = host === undefined ? 'the scenario' : `host ${host}`
    const what = error instanceof Error ? error.message : String(error)
    return P2PError.of(
      'program-failed',
      `${who} failed at ${this.now} ms of virtual time with seed ${this.seed}: ${what}`,
      { host, seed: this.seed, virtualMs: this.now },
      { cause: error },
    )
  }

  #hostOf(name: string): SimHost {
    const host = this.#hosts.get(name)
    if (!host) throw invalidConfiguration('host', name, 'there is no host of this name')
    return host
  }

  #checkOpen(): void {
    if (this.#closed) throw invalidConfiguration('simulation', 'closed', 'this simulation was closed: create another')
  }
}
