/**
 * The runs of a simulation: how long each goes on, what ends it, and what is told of it, be it a result or a failure.
 *
 * @module
 */
import { invalidConfiguration } from '../core/config.ts'
import type { SimulatorConfig } from '../core/config.ts'
import { P2PError } from '../core/errors.ts'
import { inFewWords } from '../core/in-few-words.ts'
import type { TraceFields } from '../core/trace.ts'
import { ambient } from './ambient.ts'
import { answerOf } from './condition.ts'
import { Driver } from './driver.ts'
import type { DriverOptions, RunEnd } from './driver.ts'
import { describeHosts, hostStates } from './host-state.ts'
import { Netstat } from './netstat.ts'
import type { Operations } from './operations.ts'
import { NO_HOST } from './scheduler.ts'
import type { SimWorld } from './sim-world.ts'
import { checkRunOptions } from './simulation-options.ts'
import type { RunOptions, SimulationResult } from './simulation-options.ts'
import type { TraceWriter } from './trace/writer.ts'

const ENDED: Readonly<Record<RunEnd, SimulationResult['ended']>> = { stopped: 'programs', time: 'time', idle: 'idle' }

/** What runs. */
export interface SimulationRunsOptions {
  readonly seed: bigint
  readonly config: SimulatorConfig
  readonly world: SimWorld
  readonly operations: Operations
  readonly trace: TraceWriter | undefined
  readonly limits: Pick<DriverOptions, 'hangLimitMs' | 'bridgeLimitMs' | 'runLimitMs' | 'onScenarioHang' | 'settle'>
  readonly onTurn: (driving: boolean) => void
  /** Throws when the simulation was closed. */
  readonly checkOpen: () => void
}

/** The runs of one simulation, one at a time. */
export class SimulationRuns {
  readonly driver: Driver
  /** Timers of hosts' code that are set. */
  timers = 0
  readonly #options: SimulationRunsOptions
  readonly #world: SimWorld
  readonly #onSettled = new Set<() => void>()

  constructor(options: SimulationRunsOptions) {
    this.#options = options
    this.#world = options.world
    const { hangLimitMs, bridgeLimitMs, runLimitMs, onScenarioHang, settle } = options.limits
    this.driver = new Driver(options.world.scheduler, {
      hangLimitMs,
      bridgeLimitMs,
      runLimitMs,
      onScenarioHang,
      settle,
      onTurn: options.onTurn,
      onError: (error, host) => this.#describe(error, host),
      report: () => `${this.report()}\n\n${String(this.netstat())}`,
    })
  }

  get #nowMs(): number {
    return this.#world.scheduler.nowUs() / 1000
  }

  /** As `Simulation.report`. */
  report(): string {
    return describeHosts(hostStates(this.#world))
  }

  /** As `Simulation.netstat`. */
  netstat(): Netstat {
    return new Netstat(this.#nowMs, this.#world)
  }

  /** As `Simulation.stillMs`. */
  get stillMs(): number {
    const { scheduler } = this.#world
    return this.#isAwaited ? 0 : (scheduler.nowUs() - scheduler.lastWokeUs) / 1000
  }

  /** Whether a timer of a host, or an operation of the scenario, will wake some code. */
  get #isAwaited(): boolean {
    return this.timers + this.#options.operations.pending > 0
  }

  /** As `Simulation.onSettled`. */
  onSettled(listener: () => void): () => void {
    this.#onSettled.add(listener)
    return () => {
      this.#onSettled.delete(listener)
    }
  }

  /** As `Simulation.run`. */
  async run(options: RunOptions): Promise<SimulationResult> {
    checkRunOptions(options)
    const { forMs, until } = options
    const limitMs = this.#options.config.durationMs ?? Number.POSITIVE_INFINITY
    const untilMs = Math.min(limitMs, this.#nowMs + (forMs ?? Number.POSITIVE_INFINITY))
    return this.#drive(untilMs, until === undefined && this.#world.programsAlive > 0, until)
  }

  /** As `Simulation.step`. */
  async step(): Promise<SimulationResult> {
    const { durationMs: max = Number.POSITIVE_INFINITY, stepSizeMs } = this.#options.config
    if (this.#nowMs >= max) {
      // A loop that waits for something would go on for ever.
      const message = `there is no step after ${max} ms of virtual time, which is all that SIMULATOR_DURATION or durationMs gives`
      throw P2PError.of('limit-exceeded', message, { limit: 'durationMs', max })
    }
    return this.#drive(Math.min(max, this.#nowMs + stepSizeMs), false)
  }

  async #drive(untilMs: number, untilPrograms: boolean, until?: () => boolean): Promise<SimulationResult> {
    const { operations, seed, trace, checkOpen } = this.#options
    checkOpen()
    const shared = ambient()
    if (shared.currentHost) {
      throw P2PError.of('invalid-configuration', 'a simulation cannot be run from inside of one', {
        setting: 'run',
        value: 'nested',
      })
    }
    const world = this.#world
    if (world.topology.fabric.isEmpty && operations.pending === 0) {
      throw invalidConfiguration('hosts', 0, 'there is nobody to run: add a host, or an operation with at()')
    }
    // A host that has crashed may be restarted as long as the scenario goes on.
    let isMet = false
    const stop = (): boolean => {
      try {
        for (const listener of this.#onSettled) listener()
        if (until && answerOf('run', until)) return (isMet = true)
      } catch (error) {
        this.driver.fail(error, NO_HOST)
        return true
      }
      return untilPrograms && world.programsAlive === 0 && (world.programsCrashed === 0 || operations.pending === 0)
    }
    const isQuiet = (): boolean => untilMs === Number.POSITIVE_INFINITY && !this.#isAwaited
    shared.running++
    let outcome: TraceFields<'ran'>['outcome'] = 'failed'
    let failure: string | undefined
    const { audit } = world.scheduler
    try {
      const end = await this.driver.run({ untilUs: Math.round(untilMs * 1000), stop, isQuiet })
      outcome = isMet ? 'until' : ENDED[end]
      return {
        ended: outcome,
        virtualMs: this.#nowMs,
        events: world.scheduler.eventsRun,
        hash: audit.digest(),
        seed,
        waiting: world.hosts.filter(({ program }) => program === 'running').map(({ name }) => name),
        report: end === 'stopped' ? '' : this.report(),
        netstat: end === 'stopped' ? '' : String(this.netstat()),
      }
    } catch (error) {
      failure = error instanceof Error ? error.message : String(error)
      throw error
    } finally {
      shared.running--
      trace?.ran({ outcome, hash: audit.digest(), events: world.scheduler.eventsRun }, failure)
    }
  }

  /** Names the culprit, and how to see it again. */
  #describe(error: unknown, index: number): P2PError {
    const host = this.#world.hosts[index]?.name
    const who = host === undefined ? 'the scenario' : `host ${host}`
    const what = error instanceof Error ? error.message : inFewWords(error)
    const netstat = this.#world.isConnectFailure(error) ? `\n\n${String(this.netstat())}` : ''
    const { seed } = this.#options
    const virtualMs = this.#nowMs
    return P2PError.of(
      'program-failed',
      `${who} failed at ${virtualMs} ms of virtual time with seed ${seed}: ${what}${netstat}`,
      { host, seed, virtualMs },
      { cause: error },
    )
  }
}
