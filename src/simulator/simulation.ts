/**
 * A simulation: hosts with programs, a scenario of operations, one seed, one history.
 *
 * @module
 */
import { setBuggifyHook } from '../core/buggify.ts'
import { invalidConfiguration, completeSimulatorConfig } from '../core/config.ts'
import type { SimulatorConfig } from '../core/config.ts'
import { P2PError } from '../core/errors.ts'
import { inFewWords } from '../core/in-few-words.ts'
import { RealFileSystem } from '../runtime/real-files.ts'
import { randomSeed } from '../runtime/seed.ts'
import { LeakTracer } from '../runtime/ambient/trace-leaks.ts'
import { installGuards } from '../runtime/ambient/install.ts'
import { ambientScope, noHost } from '../runtime/ambient/scope.ts'
import type { AmbientHost } from '../runtime/ambient/scope.ts'
import { ambient } from './ambient.ts'
import { checkAmbient, LeakReporter, printing } from './ambient-host.ts'
import type { AmbientSettings } from './ambient-host.ts'
import { BuggifyPoints } from './buggify-points.ts'
import { type Diagram, diagram } from './diagram/index.ts'
import { answerOf } from './condition.ts'
import { Driver } from './driver.ts'
import type { DriverOptions, RunEnd } from './driver.ts'
import { FaultInjector } from './faults/injector.ts'
import { describeHosts, hostStates } from './host-state.ts'
import type { HostState } from './host-state.ts'
import type { CrashOptions, HostOptions, HostProgramSource, SimHost } from './host.ts'
import type { P2PAddress } from '../core/address.ts'
import type { TraceFields } from '../core/trace.ts'
import { Netstat } from './netstat.ts'
import type { Lan, NameService, Topology, TopologyLanOptions } from './network/index.ts'
import type { NameServerHost } from './name-server.ts'
import type { RelayHost, RelayOptions } from './relay-host.ts'
import { Operations } from './operations.ts'
import { NO_HOST } from './scheduler.ts'
import { SimWorld } from './sim-world.ts'
import { checkSeed } from './simulation-options.ts'
import type {
  PendingOperation,
  RunOptions,
  SimulationOptions,
  SimulationResult,
  VirtualTime,
} from './simulation-options.ts'
import { observers, openTrace, resolveTrace } from './trace/open.ts'
import type { TraceWriter } from './trace/writer.ts'

const NO_OPTIONS: HostOptions = Object.freeze({})

const ENDED: Readonly<Record<RunEnd, SimulationResult['ended']>> = { stopped: 'programs', time: 'time', idle: 'idle' }

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
  readonly #world: SimWorld
  readonly #driver: Driver
  readonly #trace: TraceWriter | undefined
  readonly #leaks: LeakReporter
  readonly #tracer: LeakTracer | undefined
  readonly #operations: Operations
  /** Timers of hosts' code. */
  #timers = 0
  readonly #onSettled = new Set<() => void>()
  readonly #points: BuggifyPoints
  #faults: FaultInjector | undefined
  #closed = false

  constructor(options: SimulationOptions = {}) {
    this.config = completeSimulatorConfig(options.config ?? {}, process.env)
    this.seed = checkSeed(options.seed ?? this.config.seed ?? randomSeed())
    let writer: TraceWriter | undefined
    const trace = resolveTrace(options.trace)
    const isVirtual = checkAmbient(options.ambient)
    this.#leaks = new LeakReporter(options.leaks ?? 'error', (error) =>
      this.#driver.fail(error, this.#world.scheduler.currentHost),
    )
    // Before the scenario imports anything for its hosts.
    if (!this.#leaks.isOff) installGuards()
    const onLeak: AmbientSettings['onLeak'] = (...leak) => this.#leaks.tell(...leak)
    const onPrint = printing(options.console, (host, text) => this.#world.hostOf(host).log(text))
    const release = (): void => void this.#timers--
    this.#world = new SimWorld({
      seed: this.seed,
      ambient: { isVirtual, onLeak, onPrint },
      schedule: options.schedule ?? 'seeded',
      config: this.config,
      files: options.files ?? new RealFileSystem(),
      onFailure: (error, host) => this.#driver.fail(error, host),
      trace:
        trace &&
        ((nowUs) => {
          const { epochOffsetMs: epochMs } = this.config
          const onFailure = (error: unknown): void => this.#driver.fail(error, NO_HOST)
          return (writer = openTrace(trace, { seed: this.seed, epochMs, nowUs, onFailure }))
        }),
      hold: () => {
        this.#timers++
        return release
      },
    })
    const { scheduler } = this.#world
    this.#points = new BuggifyPoints(scheduler, options.buggify)
    this.#trace = writer
    this.#operations = new Operations(
      scheduler,
      (operation) => writer?.record('operation', { operation, text: '' }),
      (error) => this.#driver.fail(error, NO_HOST),
    )
    scheduler.audit.observer = observers(options.observer, trace?.events === true ? writer : undefined)
    const driverOptions: DriverOptions = {
      onTurn: (driving) => {
        const current = (): SimHost | undefined => this.#world.currentHost
        ambient().currentHost = driving ? current : undefined
        ambientScope().host = driving ? (): AmbientHost | undefined => current()?.runtime.ambient : noHost
        if (driving) this.#tracer?.start()
        else this.#tracer?.stop()
        if (options.buggify) setBuggifyHook(driving ? (name) => this.#points.ask(name) : undefined)
      },
      onError: (error, host) => this.#describe(error, host),
      report: () => `${this.report()}\n\n${String(this.netstat())}`,
      ...(options.hangLimitMs !== undefined && { hangLimitMs: options.hangLimitMs }),
      ...(options.bridgeLimitMs !== undefined && { bridgeLimitMs: options.bridgeLimitMs }),
      ...(options.runLimitMs !== undefined && { runLimitMs: options.runLimitMs }),
      onScenarioHang: options.onScenarioHang,
      ...(options.settle !== undefined && { settle: options.settle }),
    }
    this.#driver = new Driver(scheduler, driverOptions)
    if (options.traceLeaks === true) this.#tracer = this.#traceLeaks()
    this.#world.bridge = this.#driver.bridge
  }

  /** Virtual milliseconds since the start. */
  get now(): number {
    return this.#world.scheduler.nowUs() / 1000
  }

  /** Whether a run is under way. */
  get isRunning(): boolean {
    return this.#driver.running
  }

  /** The history's hash so far: 16 hex digits. */
  get hash(): string {
    return this.#world.scheduler.audit.digest()
  }

  /** Events that have run. */
  get eventsRun(): number {
    return this.#world.scheduler.eventsRun
  }

  /** All hosts, in the order they were added. */
  get hosts(): readonly SimHost[] {
    return this.#world.hosts
  }

  /** The host whose code is running; undefined outside of hosts' code. */
  get currentHost(): SimHost | undefined {
    return this.#world.currentHost
  }

  /** What each host is doing: whether it is on, where its program stands, which calls it waits in since when. */
  states(): HostState[] {
    return hostStates(this.#world)
  }

  /** {@link states} in words, a line a host. */
  report(): string {
    return describeHosts(this.states())
  }

  /** The virtual internet: links, LANs, partitions, rules. */
  get topology(): Topology {
    return this.#world.topology
  }

  /** The name service, which can be taken down. */
  get names(): NameService<P2PAddress> {
    return this.#world.names
  }

  /** What goes wrong: faults to inject, and to heal. */
  get faults(): FaultInjector {
    return (this.#faults ??= new FaultInjector(this.#world, (atMs, operation) => {
      const pending = this.at(atMs, operation)
      return () => pending.cancel()
    }))
  }

  /** How often each point marked with `buggify` said yes, in the order of the first time. */
  get buggified(): ReadonlyMap<string, number> {
    return this.#points.counts
  }

  /**
   * Adds a LAN, behind a NAT unless told otherwise, for hosts to be in.
   *
   * @throws P2PError `invalid-configuration`
   */
  lan(options?: TopologyLanOptions): Lan {
    this.#checkOpen()
    return this.#world.topology.lan(options)
  }

  /**
   * Adds a host; its program starts when the simulation runs.
   *
   * @param options where it is plugged in: on the public internet, over the default link, unless it says otherwise
   * @throws P2PError `invalid-configuration` for bad options, and when there is a host of that name, as it would have
   * the same id
   */
  host(name: string, options?: HostOptions, program?: HostProgramSource): SimHost
  host(name: string, program: HostProgramSource): SimHost
  host(name: string, second: HostOptions | HostProgramSource = NO_OPTIONS, third?: HostProgramSource): SimHost {
    this.#checkOpen()
    return typeof second === 'function' || second instanceof URL
      ? this.#world.addHost(name, NO_OPTIONS, second)
      : this.#world.addHost(name, second, third)
  }

  /**
   * Adds a relay of its own, for nodes that are created with its `url` in their option `relay`.
   *
   * @throws P2PError as {@link host}
   */
  relay(name: string, options: RelayOptions = {}): RelayHost {
    this.#checkOpen()
    return this.#world.addRelay(name, options)
  }

  /**
   * Adds a name server: from then on names and ids are looked up by datagrams to it, which partitions, losses and NATs
   * meet as any other. Several are asked in turn. Without one, look-ups take `SIMULATOR_DISCOVERY_DELAY_MS`, and nothing
   * but an outage of the service keeps them from succeeding.
   *
   * @throws P2PError as {@link host}
   */
  nameServer(name: string, options: HostOptions = {}): NameServerHost {
    this.#checkOpen()
    return this.#world.addNameServer(name, options)
  }

  /**
   * Adds the networks, hosts and relays that a file describes, as `sim.topology.toJSON()` has written it.
   *
   * @param file what `JSON.parse` has given; checked
   * @param programs of hosts, by name
   * @throws P2PError `invalid-configuration` that names the place in the file, or a host that is not in it
   */
  load(file: unknown, programs: Readonly<Record<string, HostProgramSource>> = {}): void {
    this.#checkOpen()
    this.#world.load(file, programs)
  }

  /**
   * The state of the network now: hosts, sockets, mappings, queues, drops, partitions. Print it to see where packets go.
   *
   * @example
   * ```ts
   * import { Simulation } from '@moosicbox/p2p/simulator'
   *
   * const sim = new Simulation({ seed: 1 })
   * const phone = sim.topology.host('phone', { lan: sim.lan({ name: 'home', nat: 'home' }) })
   * phone.bind(7000, () => {}).send('198.18.0.9:53', 'anybody there?', 20)
   * sim.topology.host('server')
   * await sim.run({ forMs: 100 })
   * console.log(sim.netstat().network.dropped) // { 'no-host': 1 }
   * console.log(String(sim.netstat()).includes('192.168.1.2:7000  198.18.0.1:7000')) // true
   * ```
   */
  netstat(): Netstat {
    return new Netstat(this.now, this.#world)
  }

  /**
   * Draws the topology as it is now.
   *
   * @example
   * ```ts
   * import { Simulation } from '@moosicbox/p2p/simulator'
   *
   * const sim = new Simulation({ seed: 1 })
   * sim.topology.host('phone', { lan: sim.lan({ name: 'home', nat: 'home' }), link: 'wifi' })
   * const { svg, mermaid } = sim.diagram()
   * console.log(svg.startsWith('<svg'), mermaid.split('\n')[0]) // true flowchart LR
   * ```
   */
  diagram(): Diagram {
    return diagram(this.topology)
  }

  /** The relay that nodes use unless they are told otherwise: public, on the default link. */
  get defaultRelay(): RelayHost {
    return this.#world.defaultRelay
  }

  /**
   * Runs `operation` at a virtual time, on behalf of no host.
   *
   * @throws P2PError `invalid-configuration` when the time has passed
   */
  at(time: VirtualTime, operation: () => void | Promise<void>): PendingOperation {
    this.#checkOpen()
    return this.#operations.at(time, operation)
  }

  /**
   * Runs code on behalf of a host, now: what it creates is the host's, and it can wait for whatever the host's program
   * can. It goes on only while the simulation runs. Of a host that loses its power nobody hears any more.
   *
   * @returns a promise to await once the simulation has run, or in code that runs in it
   */
  perform<T>(host: SimHost, code: (host: SimHost) => Promise<T> | T): Promise<T> {
    this.#checkOpen()
    const { scheduler } = this.#world
    return new Promise((resolve, reject) => {
      scheduler.schedule(0, () => {
        scheduler.woke(host.index)
        new Promise<T>((settle) => settle(code(host))).then(resolve, reject)
      })
    })
  }

  /**
   * Calls `listener` whenever code of the application has run, and all that follows from it at that instant, until the
   * result is called. What it throws ends the run.
   */
  onSettled(listener: () => void): () => void {
    this.#onSettled.add(listener)
    return () => {
      this.#onSettled.delete(listener)
    }
  }

  /**
   * Runs until all programs have ended, but no longer than `forMs`. Without programs: for `forMs`, or until nothing is
   * left to happen. Without `forMs` a run also ends, as idle, when hosts wait for each other: when nothing has woken any
   * code for ten minutes, and no timer will.
   *
   * @throws P2PError `program-failed` when a program, or an operation of the scenario, fails; it names the host
   */
  async run(options: RunOptions = {}): Promise<SimulationResult> {
    const { forMs, until } = options
    if (forMs !== undefined && !(forMs >= 0)) throw invalidConfiguration('forMs', forMs, 'must be 0 or more')
    const limitMs = this.config.durationMs ?? Number.POSITIVE_INFINITY
    const untilMs = Math.min(limitMs, this.now + (forMs ?? Number.POSITIVE_INFINITY))
    return this.#drive(untilMs, until === undefined && this.#world.programsAlive > 0, until)
  }

  /** @internal Has code of the scenario run in a macrotask of its own, under the watchdog if there is `onScenarioHang`. */
  begin(code: () => void): void {
    this.#driver.begin(code)
  }

  /**
   * @internal For how long nothing has woken any code, in virtual milliseconds; 0 where a timer of a host or an operation
   * of the scenario will.
   */
  get stillMs(): number {
    const { scheduler } = this.#world
    return this.#timers + this.#operations.pending > 0 ? 0 : (scheduler.nowUs() - scheduler.lastWokeUs) / 1000
  }

  /** Writes a line of the scenario's own into the trace, if there is one; it changes nothing else. */
  log(text: string): void {
    this.#trace?.record('log', { host: NO_HOST, text })
  }

  /**
   * Runs for `config.stepSizeMs`, whether programs end or not.
   *
   * @throws P2PError `limit-exceeded` when the time of `config.durationMs` is over, and as `run`
   */
  async step(): Promise<SimulationResult> {
    const { durationMs: max = Number.POSITIVE_INFINITY, stepSizeMs } = this.config
    if (this.now >= max) {
      // A loop that waits for something would go on for ever.
      const message = `there is no step after ${max} ms of virtual time, which is all that SIMULATOR_DURATION or durationMs gives`
      throw P2PError.of('limit-exceeded', message, { limit: 'durationMs', max })
    }
    return this.#drive(Math.min(max, this.now + stepSizeMs), false)
  }

  /** As {@link SimHost.crash}. */
  crash(name: string, options?: CrashOptions): void {
    this.#world.hostOf(name).crash(options)
  }

  /** As {@link SimHost.restart}. */
  restart(name: string): void {
    this.#world.hostOf(name).restart()
  }

  /** Ends everything: hosts lose their power, and their real files are closed. A run under way fails. */
  async close(): Promise<void> {
    this.#closed = true
    if (this.#driver.running) {
      const why = 'the simulation was closed while it ran: await run() first (`return await` where it is `await using`)'
      this.#driver.fail(
        P2PError.of('invalid-configuration', why, { setting: 'close', value: 'while running' }),
        NO_HOST,
      )
    }
    await this.#world.dispose()
    this.#trace?.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #drive(untilMs: number, untilPrograms: boolean, until?: () => boolean): Promise<SimulationResult> {
    this.#checkOpen()
    const shared = ambient()
    if (shared.currentHost) {
      throw P2PError.of('invalid-configuration', 'a simulation cannot be run from inside of one', {
        setting: 'run',
        value: 'nested',
      })
    }
    const world = this.#world
    if (world.topology.fabric.isEmpty && this.#operations.pending === 0) {
      throw invalidConfiguration('hosts', 0, 'there is nobody to run: add a host, or an operation with at()')
    }
    // A host that has crashed may be restarted as long as the scenario goes on.
    let isMet = false
    const stop = (): boolean => {
      try {
        for (const listener of this.#onSettled) listener()
        if (until && answerOf('run', until)) return (isMet = true)
      } catch (error) {
        this.#driver.fail(error, NO_HOST)
        return true
      }
      return (
        untilPrograms && world.programsAlive === 0 && (world.programsCrashed === 0 || this.#operations.pending === 0)
      )
    }
    const isQuiet = (): boolean => untilMs === Number.POSITIVE_INFINITY && this.#timers + this.#operations.pending === 0
    shared.running++
    let outcome: TraceFields<'ran'>['outcome'] = 'failed'
    let failure: string | undefined
    try {
      const end = await this.#driver.run({ untilUs: Math.round(untilMs * 1000), stop, isQuiet })
      outcome = isMet ? 'until' : ENDED[end]
      return {
        ended: outcome,
        virtualMs: this.now,
        events: world.scheduler.eventsRun,
        hash: this.hash,
        seed: this.seed,
        waiting: world.hosts.filter(({ program }) => program === 'running').map(({ name }) => name),
        report: end === 'stopped' ? '' : this.report(),
        netstat: end === 'stopped' ? '' : String(this.netstat()),
      }
    } catch (error) {
      failure = error instanceof Error ? error.message : String(error)
      throw error
    } finally {
      shared.running--
      this.#trace?.ran({ outcome, hash: this.hash, events: world.scheduler.eventsRun }, failure)
    }
  }

  #traceLeaks(): LeakTracer {
    const { scheduler } = this.#world
    return new LeakTracer(
      () => scheduler.currentHost >= 0,
      (what, instead, line) => {
        try {
          this.#leaks.tell(this.currentHost?.name ?? '', what, instead, line)
        } catch {
          // What is thrown inside of the hook would end the process; the run has failed already.
        }
      },
    )
  }

  /** Names the culprit, and how to see it again. */
  #describe(error: unknown, index: number): P2PError {
    const host = this.#world.hosts[index]?.name
    const who = host === undefined ? 'the scenario' : `host ${host}`
    const what = error instanceof Error ? error.message : inFewWords(error)
    const netstat = this.#world.isConnectFailure(error) ? `\n\n${String(this.netstat())}` : ''
    return P2PError.of(
      'program-failed',
      `${who} failed at ${this.now} ms of virtual time with seed ${this.seed}: ${what}${netstat}`,
      { host, seed: this.seed, virtualMs: this.now },
      { cause: error },
    )
  }

  #checkOpen(): void {
    if (this.#closed) throw invalidConfiguration('simulation', 'closed', 'this simulation was closed: create another')
  }
}
