/**
 * A simulation: hosts with programs, a scenario of operations, one seed, one history.
 *
 * @module
 */
import { invalidConfiguration, completeSimulatorConfig } from '../core/config.ts'
import type { SimulatorConfig } from '../core/config.ts'
import { P2PError } from '../core/errors.ts'
import { RealFileSystem } from '../runtime/real-files.ts'
import { randomSeed } from '../runtime/seed.ts'
import { installGuards } from '../runtime/ambient/install.ts'
import { checkAmbient, LeakReporter, printing } from './ambient-host.ts'
import type { AmbientSettings } from './ambient-host.ts'
import { BuggifyPoints } from './buggify-points.ts'
import { type Diagram, diagram } from './diagram/index.ts'
import { FaultInjector } from './faults/injector.ts'
import { hostStates } from './host-state.ts'
import type { HostState } from './host-state.ts'
import { HostTurns } from './host-turns.ts'
import type { CrashOptions, HostOptions, HostProgramSource, SimHost } from './host.ts'
import type { P2PAddress } from '../core/address.ts'
import type { Netstat } from './netstat.ts'
import type { Lan, NameService, Topology, TopologyLanOptions } from './network/index.ts'
import type { NameServerHost } from './name-server.ts'
import type { RelayHost, RelayOptions } from './relay-host.ts'
import { Operations } from './operations.ts'
import { NO_HOST } from './scheduler.ts'
import { SimWorld } from './sim-world.ts'
import { loadSimulation, saveSimulation } from './simulation-file.ts'
import type { SimulationFile } from './simulation-file.ts'
import { checkSeed, checkSimulationOptions } from './simulation-options.ts'
import { SimulationRuns } from './simulation-runs.ts'
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
  readonly #runs: SimulationRuns
  readonly #trace: TraceWriter | undefined
  readonly #operations: Operations
  readonly #points: BuggifyPoints
  #faults: FaultInjector | undefined
  #closed = false

  constructor(options: SimulationOptions = {}) {
    checkSimulationOptions(options)
    this.config = completeSimulatorConfig(options.config ?? {}, process.env)
    this.seed = checkSeed(options.seed ?? this.config.seed ?? randomSeed())
    let writer: TraceWriter | undefined
    const trace = resolveTrace(options.trace)
    const isVirtual = checkAmbient(options.ambient)
    const leaks = new LeakReporter(options.leaks ?? 'error', (error) =>
      this.#fail(error, this.#world.scheduler.currentHost),
    )
    // Before the scenario imports anything for its hosts.
    if (!leaks.isOff) installGuards()
    const onLeak: AmbientSettings['onLeak'] = (...leak) => leaks.tell(...leak)
    const onPrint = printing(options.console, (host, text) => this.#world.hostOf(host).log(text))
    const release = (): void => void this.#runs.timers--
    this.#world = new SimWorld({
      seed: this.seed,
      ambient: { isVirtual, onLeak, onPrint },
      schedule: options.schedule ?? 'seeded',
      config: this.config,
      files: options.files ?? new RealFileSystem(),
      onFailure: (error, host) => this.#fail(error, host),
      trace:
        trace &&
        ((nowUs) => {
          const { epochOffsetMs: epochMs } = this.config
          const onFailure = (error: unknown): void => this.#fail(error, NO_HOST)
          return (writer = openTrace(trace, { seed: this.seed, epochMs, nowUs, onFailure }))
        }),
      hold: () => {
        this.#runs.timers++
        return release
      },
    })
    const { scheduler } = this.#world
    this.#points = new BuggifyPoints(scheduler, options.buggify)
    this.#trace = writer
    this.#operations = new Operations(
      scheduler,
      (operation) => writer?.record('operation', { operation, text: '' }),
      (error) => this.#fail(error, NO_HOST),
    )
    scheduler.audit.observer = observers(options.observer, trace?.events === true ? writer : undefined)
    const turns = new HostTurns({
      world: this.#world,
      points: options.buggify ? this.#points : undefined,
      traced: options.traceLeaks === true ? leaks : undefined,
    })
    this.#runs = new SimulationRuns({
      seed: this.seed,
      config: this.config,
      world: this.#world,
      operations: this.#operations,
      trace: writer,
      checkOpen: () => this.#checkOpen(),
      limits: options,
      onTurn: (driving) => turns.turn(driving),
    })
    this.#world.bridge = this.#runs.driver.bridge
  }

  /** Virtual milliseconds since the start. */
  get now(): number {
    return this.#world.scheduler.nowUs() / 1000
  }

  /** Whether a run is under way. */
  get isRunning(): boolean {
    return this.#runs.driver.running
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
    return this.#runs.report()
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
   * Adds the networks, hosts and relays that a file describes, as `sim.toJSON()` has written it. When it throws, what stands
   * before the mistake may have been added: go on with a new simulation.
   *
   * @param file what `JSON.parse` has given; checked
   * @param programs of hosts, by name
   * @throws P2PError `invalid-configuration` that names the place in the file, or a host that is not in it
   */
  load(file: unknown, programs: Readonly<Record<string, HostProgramSource>> = {}): void {
    this.#checkOpen()
    loadSimulation(this.#world, file, programs)
  }

  /**
   * Its networks and machines as plain data, for JSON and for `load`: the topology, and `portMapping`, `clock` and
   * `processingMs` of hosts and the settings of relays. Faults, partitions and mappings are not in it, and neither is `allow`
   * of a relay.
   */
  toJSON(): SimulationFile {
    return saveSimulation(this.#world)
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
    return this.#runs.netstat()
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
    return this.#runs.onSettled(listener)
  }

  /**
   * Runs until all programs have ended, but no longer than `forMs`. Without programs: for `forMs`, or until nothing is
   * left to happen. Without `forMs` a run also ends, as idle, when hosts wait for each other: when nothing has woken any
   * code for ten minutes, and no timer will.
   *
   * @throws P2PError `program-failed` when a program, or an operation of the scenario, fails; it names the host
   */
  run(options: RunOptions = {}): Promise<SimulationResult> {
    return this.#runs.run(options)
  }

  /** @internal Has code of the scenario run in a macrotask of its own, under the watchdog if there is `onScenarioHang`. */
  begin(code: () => void): void {
    this.#runs.driver.begin(code)
  }

  /**
   * @internal For how long nothing has woken any code, in virtual milliseconds; 0 where a timer of a host or an operation
   * of the scenario will.
   */
  get stillMs(): number {
    return this.#runs.stillMs
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
  step(): Promise<SimulationResult> {
    return this.#runs.step()
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
    if (this.isRunning) {
      const why = 'the simulation was closed while it ran: await run() first (`return await` where it is `await using`)'
      this.#fail(P2PError.of('invalid-configuration', why, { setting: 'close', value: 'while running' }), NO_HOST)
    }
    await this.#world.dispose()
    this.#trace?.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #fail(error: unknown, host: number): void {
    this.#runs.driver.fail(error, host)
  }

  #checkOpen(): void {
    if (this.#closed) throw invalidConfiguration('simulation', 'closed', 'this simulation was closed: create another')
  }
}
