/**
 * The simulation that a scenario is given: hosts as in any other, and besides them choices, invariants, and faults that
 * are drawn from the seed.
 *
 * @module
 */
import { invalidConfiguration, parseDuration } from '../core/config.ts'
import type { SimulatorConfig } from '../core/config.ts'
import { P2PError } from '../core/errors.ts'
import { answerOf } from '../simulator/condition.ts'
import { describeFault } from '../simulator/faults/fault.ts'
import { drawFaults, Simulation } from '../simulator/index.ts'
import type {
  AuditObserver,
  Fault,
  FaultProfile,
  FaultProfileName,
  HostOptions,
  HostProgram,
  HostProgramSource,
  PendingOperation,
  RelayHost,
  RunOptions,
  SimHost,
  SimulationResult,
  VirtualTime,
} from '../simulator/index.ts'
import type { Schedule } from '../simulator/schedule.ts'
import { randomStream } from '../simulator/random.ts'
import { Choices } from './choices.ts'
import type { Choice } from './choices.ts'
import { Conditions } from './conditions.ts'
import { inFewWords } from '../core/in-few-words.ts'
import type { Plan } from './plan.ts'

/** A line of a run's story. */
export interface StoryLine {
  readonly atMs: number
  readonly text: string
}

/** What a {@link SimTest} is made of; `simTest` makes it. */
export interface SimTestInit {
  readonly seed: bigint
  readonly config: SimulatorConfig
  readonly faults: FaultProfileName | FaultProfile | readonly Fault[] | 'none'
  readonly faultsForMs: number
  readonly buggify: boolean
  readonly schedule?: Schedule | undefined
  /** What is to happen instead of what the seed would draw. */
  readonly plan?: Plan | undefined
  /** Real milliseconds that the run may take. */
  readonly runLimitMs?: number | undefined
  /** Real milliseconds that code may run without a break. */
  readonly hangLimitMs?: number | undefined
  /** Told when the scenario's own code did not keep to that. */
  readonly onScenarioHang?: ((error: P2PError) => void) | undefined
  readonly observer?: AuditObserver | undefined
  /** Where the trace of the run goes, and with it what hosts print. */
  readonly trace?: string | undefined
  readonly traceLeaks?: boolean | undefined
  /** Told of programs that are functions. */
  readonly onProgram?: ((program: HostProgram) => void) | undefined
}

const MAX_STORY_LINES = 2_000
/** Who has heard nothing for so long hears nothing more: twice as long as a connection may be idle, and any packet is late. */
const DEADLOCK_MS = 60_000

/** The simulation of one run; see the module's comment. */
export class SimTest extends Simulation {
  readonly #init: SimTestInit
  readonly #choices: Choices
  readonly #story: StoryLine[] = []
  readonly #conditions: Conditions
  readonly #relays = new Set<string>()
  #plan: Plan | undefined
  #hasRun = false

  constructor(init: SimTestInit) {
    const { seed, plan, config, observer, runLimitMs } = init
    const calm = plan?.calm ?? []
    super({
      seed,
      config: plan?.packetLoss === undefined ? config : { ...config, defaultPacketLoss: plan.packetLoss },
      buggify: init.buggify && calm !== 'all' && { without: calm },
      observer,
      runLimitMs,
      hangLimitMs: init.hangLimitMs,
      onScenarioHang: init.onScenarioHang,
      trace: init.trace,
      console: init.trace === undefined ? 'print' : 'trace',
      traceLeaks: init.traceLeaks,
      schedule: init.schedule,
    })
    this.#init = init
    // Not the scheduler's stream: what is chosen here is in the plan, and a plan that chooses otherwise shifts nothing.
    this.#choices = new Choices(randomStream(seed, 'simtest/choices'), plan?.picks ?? [])
    this.#conditions = new Conditions((what, cause) => this.#violated(what, '', cause))
    this.onSettled(() => this.#conditions.check(this.now))
    this.faults.onChange((fault, began) => {
      if (began || ('forMs' in fault && fault.kind !== 'link-flap')) {
        this.log(`${began ? '' : 'over: '}${describeFault(fault)}`)
      }
    })
  }

  /** The choices so far. */
  get choices(): readonly Choice[] {
    return this.#choices.made
  }

  /** What has happened, in words, oldest first. */
  get story(): readonly StoryLine[] {
    return this.#story
  }

  /** Conditions of {@link sometimes}, and whether each was met. */
  get reached(): ReadonlyMap<string, boolean> {
    return this.#conditions.reached
  }

  /** What is needed, besides the seed, to do this again. */
  get plan(): Plan {
    const { plan } = this.#init
    return {
      faults: this.#plan?.faults ?? plan?.faults ?? [],
      picks: this.#choices.made.map(({ index }) => index),
      without: plan?.without ?? [],
      calm: plan?.calm ?? [],
      ...(plan?.packetLoss !== undefined && { packetLoss: plan.packetLoss }),
    }
  }

  override host(name: string, options?: HostOptions, program?: HostProgramSource): SimHost
  override host(name: string, program: HostProgramSource): SimHost
  override host(name: string, second: HostOptions | HostProgramSource = {}, third?: HostProgramSource): SimHost {
    const hasOptions = !(typeof second === 'function' || second instanceof URL)
    const options = hasOptions ? second : {}
    const program = hasOptions ? third : second
    if (typeof program === 'function') this.#init.onProgram?.(program)
    // It is there, and nobody is at home.
    const isLeftOut = this.#init.plan?.without.includes(name) === true
    return super.host(name, options, isLeftOut && program ? (): void => {} : program)
  }

  override relay(name: string, options: HostOptions = {}): RelayHost {
    this.#relays.add(name)
    return super.relay(name, options)
  }

  /**
   * One of `list`, chosen by the seed. When a failure is made smaller it becomes the first that still fails: put the
   * simplest first.
   *
   * @param name what it is about, for reports
   * @throws P2PError `invalid-configuration` for an empty list
   */
  pick<T>(list: readonly T[], name?: string): T {
    if (list.length === 0) throw invalidConfiguration('pick', '[]', 'there must be something to pick from')
    return list[this.#choices.make(name, list.length, (index) => inFewWords(list[index]))] as T
  }

  /** A whole number from `min` to `max`, chosen by the seed; the smallest that still fails when it is made smaller. */
  integer(min: number, max: number, name?: string): number {
    if (!Number.isSafeInteger(min) || !Number.isSafeInteger(max) || max < min || max - min >= 4_294_967_296) {
      throw invalidConfiguration(
        'integer',
        `${min}..${max}`,
        'must be two whole numbers, the second not below the first',
      )
    }
    return min + this.#choices.make(name, max - min + 1, (index) => String(min + index))
  }

  /** Runs `operation` every so often from now on, until the result is cancelled. */
  every(interval: VirtualTime, operation: () => void | Promise<void>): PendingOperation {
    const everyMs = typeof interval === 'string' ? parseDuration(interval, 'interval') : interval
    if (!(everyMs >= 0.001)) throw invalidConfiguration('interval', interval, 'time must pass in between: above 0')
    let next: PendingOperation | undefined
    let isCancelled = false
    const schedule = (): void => {
      next = this.at(this.now + everyMs, async () => {
        await operation()
        if (!isCancelled) schedule()
      })
    }
    schedule()
    const cancel = (): void => {
      isCancelled = true
      next?.cancel()
    }
    return { cancel, [Symbol.dispose]: cancel }
  }

  /**
   * What must hold whenever code of the application has run. A check that returns false, or throws, fails the run.
   *
   * @param options.everyMs at most so often, where checking is much work
   */
  always(name: string, check: () => boolean | void, options: { readonly everyMs?: number | undefined } = {}): void {
    this.#conditions.always(name, check, options.everyMs ?? 0)
  }

  /**
   * What must hold in the end: when the scenario is over all faults are healed, and the run goes on until every such
   * condition is met.
   *
   * @param options.withinMs how long that may take. @default 60000
   */
  eventually(name: string, condition: () => boolean, options: { readonly withinMs?: number | undefined } = {}): void {
    this.#conditions.eventually(name, condition, options.withinMs ?? 60_000)
  }

  /**
   * What must be reached in at least one seed of a sweep, so that a test cannot pass because nothing interesting ever
   * happened. A function is asked whenever code of the application has run, until it says yes.
   */
  sometimes(name: string, condition: boolean | (() => boolean)): void {
    this.#conditions.sometimes(name, condition)
  }

  /** A line for the story that is told when the run fails, and for the trace. */
  override log(text: string): void {
    super.log(text)
    if (this.#story.length >= MAX_STORY_LINES) this.#story.shift()
    this.#story.push({ atMs: this.now, text })
  }

  /**
   * Runs until `condition` holds.
   *
   * @param options.forMs how long that may take, in virtual milliseconds. @default 60000
   * @throws P2PError `program-failed` when it does not come true in time, and as `run`
   */
  async until(
    what: string,
    condition: () => boolean,
    options: { readonly forMs?: number | undefined } = {},
  ): Promise<void> {
    const forMs = options.forMs ?? 60_000
    // When it is over, the line that asked for it is out of the stack's sight.
    const asked = new Error('asked for here')
    const holds = (): boolean => answerOf(`until ${JSON.stringify(what)}`, condition)
    if (holds()) return
    const { ended, report } = await this.run({ forMs, until: holds })
    if (ended === 'until' || holds()) return
    throw this.#violated(`${what}: not within ${forMs} ms`, report, asked)
  }

  /**
   * Heals everything, has nothing go wrong any more, and runs until `condition` holds: the system must recover.
   *
   * @param options.withinMs how long that may take, in virtual milliseconds. @default 60000
   * @throws P2PError `program-failed` when it does not recover
   */
  async converge(
    what: string,
    condition: () => boolean,
    options: { readonly withinMs?: number | undefined } = {},
  ): Promise<void> {
    this.#begin()
    this.faults.healAll()
    this.log('all is healed')
    await this.until(what, condition, { forMs: options.withinMs })
  }

  /**
   * Runs code on behalf of a host, and the simulation until it is done: for scenarios that go step by step, as
   * model-based tests do.
   *
   * @param options.forMs how long it may take, in virtual milliseconds. @default 60000
   * @throws P2PError `program-failed` when it takes longer, and whatever the code throws
   */
  async act<T>(
    host: SimHost,
    code: (host: SimHost) => Promise<T> | T,
    options: { readonly forMs?: number | undefined } = {},
  ): Promise<T> {
    let outcome: { readonly value: T } | { readonly error: unknown } | undefined
    const settled = this.perform(host, code).then(
      (value) => (outcome = { value }),
      (error: unknown) => (outcome = { error }),
    )
    await this.until(`what was to be done on ${host.name}`, () => outcome !== undefined, options)
    const result = await settled
    if ('error' in result) throw result.error
    return result.value
  }

  /**
   * As in any simulation. A run without `forMs` and `until` is to end with its programs: it fails when some are left that
   * nothing can wake, unless a host waits in `accept`, as a server does for ever by design.
   *
   * @throws P2PError `program-failed`, with what each host waits for, and as `Simulation.run`
   */
  override async run(options: RunOptions = {}): Promise<SimulationResult> {
    this.#begin()
    if (options.forMs !== undefined || options.until !== undefined) return super.run(options)
    const asked = new Error('asked for here')
    const result = await super.run(options)
    this.#checkDeadlock(result, asked)
    return result
  }

  override async step(): Promise<SimulationResult> {
    this.#begin()
    return super.step()
  }

  /** @internal What is left to do when the scenario is over. */
  async finish(): Promise<void> {
    if (!this.#hasRun && this.hosts.length > 0) await this.run()
    const unmet = this.#conditions.unmet()
    if (unmet.length > 0) {
      this.faults.healAll()
      this.log('all is healed')
      for (const { name, condition, withinMs } of unmet) {
        await this.until(`eventually ${JSON.stringify(name)}`, condition, { forMs: withinMs })
      }
    }
    this.#conditions.checkAll(this.now)
  }

  #begin(): void {
    if (this.#hasRun) return
    this.#hasRun = true
    const { plan, faults } = this.#init
    // Whether its relay crashes or not, the world is the same.
    if (faults !== 'none') this.#relays.add(this.defaultRelay.host.name)
    const drawn = plan?.faults ?? (typeof faults === 'object' && isList(faults) ? faults : this.#drawFaults())
    this.#plan = { ...this.plan, faults: drawn }
    for (const fault of drawn) this.faults.inject(fault)
  }

  #drawFaults(): Fault[] {
    const { faults, faultsForMs } = this.#init
    const relays = new Set(this.#relays)
    const isRelay = ({ name }: SimHost): boolean => relays.has(name) || name.startsWith('relay:')
    const hosts = this.hosts.filter((host) => host.program !== 'none' && !isRelay(host)).map(({ name }) => name)
    const lans = this.topology.fabric.lans().filter(({ nat }) => nat)
    const random = randomStream(this.seed, 'simtest/faults')
    if (faults === 'none' || isList(faults)) return []
    const targets = { hosts, lans: lans.map(({ name }) => name), relays: [...relays] }
    return drawFaults(random, faults, targets, faultsForMs)
  }

  #checkDeadlock({ waiting, report }: SimulationResult, asked: Error): void {
    if (waiting.length === 0 || this.stillMs < DEADLOCK_MS) return
    if (this.states().some(({ waits }) => waits.some(({ what }) => what === 'accept'))) return
    const since = `since ${Math.round((this.now - this.stillMs) * 1000) / 1000} ms of virtual time`
    const why = `nothing can wake what is left: ${waiting.join(', ')} ${waiting.length > 1 ? 'wait' : 'waits'} ${since}, no timer is set, and nobody serves`
    throw this.#violated(`${why}. Where that is meant, give the run an end (forMs or until)`, report, asked)
  }

  #violated(what: string, report: string, cause?: unknown): P2PError {
    const message = report === '' ? what : `${what}\n${report}`
    const fields = { host: undefined, seed: this.seed, virtualMs: this.now }
    return P2PError.of('program-failed', message, fields, { cause: new Error(message, { cause }) })
  }
}

function isList(faults: SimTestInit['faults']): faults is readonly Fault[] {
  return Array.isArray(faults)
}
