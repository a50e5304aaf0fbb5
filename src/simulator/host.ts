/**
 * A simulated host: a name, the id that follows from it, a runtime, a program, and power that can fail.
 *
 * @module
 */
import { invalidConfiguration } from '../core/config.ts'
import { P2PError } from '../core/errors.ts'
import { testSigningKey } from '../core/keys.ts'
import type { SigningKey } from '../core/keys.ts'
import type { NodeId } from '../core/node-id.ts'
import { appended } from '../core/small-list.ts'
import { importFresh } from '../runtime/fresh-modules.ts'
import type { TraceFields } from '../core/trace.ts'
import { digestText, EventKind } from './audit.ts'
import { checkFields, fieldsOf } from './check-fields.ts'
import { DiskState } from './disk.ts'
import type { SimDisk } from './disk.ts'
import { HostClock } from './host-clock.ts'
import type { HostClockOptions } from './host-clock.ts'
import { HostGate, HostKernel } from './host-gate.ts'
import { HostPorts } from './host-ports.ts'
import type { Kernel, RandomStream } from './kernel.ts'
import type { NetworkInterface, TopologyHostOptions } from './network/index.ts'
import { HostNetwork } from './network/index.ts'
import { delayUs } from './network/link-options.ts'
import { PLUG_FIELDS } from './network/topology.ts'
import type { SimRuntime } from './runtime.ts'
import { laneOf } from './schedule.ts'
import type { SimWorld } from './sim-world.ts'

/** What a host does from the moment it is switched on. It is given the host it runs on. */
export type HostProgram = (host: SimHost) => Promise<void> | void

/**
 * A program, or the URL of a module whose default export is one. A module is loaded afresh for each host and each start,
 * together with all modules of the application that it imports, so that their variables are neither shared nor survive a
 * crash. Packages in `node_modules`, and CommonJS, are loaded once, as ever.
 */
export type HostProgramSource = HostProgram | URL

/** Where a host's program stands. */
export type ProgramState = 'none' | 'starting' | 'running' | 'ended' | 'crashed'

/** Where a host is plugged in, and over what line. */
export interface HostOptions extends Omit<TopologyHostOptions, 'host'> {
  /**
   * Whether the router at the edge of its LAN forwards a port to each of its nodes when they ask for it (UPnP, NAT-PMP,
   * PCP), so that anybody can reach them. @default false
   */
  readonly portMapping?: boolean | undefined
  /** How its clock differs from true time. @default it does not */
  readonly clock?: HostClockOptions | undefined
  /**
   * What a node on it takes, while it is awake, from a packet's arrival until its answers leave and its application hears
   * of it, in ms: more for a slow machine or a busy one. Packets that arrive meanwhile are handled together.
   * @default 0.04, as measured
   */
  readonly processingMs?: number | undefined
}

/** The names of all {@link HostOptions}. */
export const HOST_FIELDS: readonly string[] = fieldsOf<HostOptions>({
  ...PLUG_FIELDS,
  kind: true,
  portMapping: true,
  clock: true,
  processingMs: true,
})

/**
 * @internal
 * @throws P2PError `invalid-configuration` for options and programs that are none
 */
export function checkHost(options: HostOptions, program: HostProgramSource | undefined): void {
  checkFields('a host', options, HOST_FIELDS)
  const { portMapping, processingMs } = options
  if (processingMs !== undefined) delayUs(processingMs, 'processingMs')
  if (portMapping !== undefined && typeof portMapping !== 'boolean') {
    throw invalidConfiguration('portMapping', portMapping, 'must be true or false')
  }
  if (program !== undefined && typeof program !== 'function' && !(program instanceof URL)) {
    throw invalidConfiguration('program', program, 'must be a function, or the URL of a module')
  }
}

/** @internal Where a host is plugged in: without what is its own, and not of the topology. */
export function plugOf(options: HostOptions): TopologyHostOptions {
  const { portMapping: _portMapping, clock: _clock, processingMs: _processingMs, ...plug } = options
  return plug
}

/** Options of {@link SimHost.crash}. */
export interface CrashOptions {
  /** `kept`: what was not synced may be lost; `lost`: it comes back with an empty one. @default 'kept' */
  readonly disk?: 'kept' | 'lost' | undefined
}

/** What a world gives to all of its hosts. */
export interface HostContext {
  readonly world: SimWorld
  makeRuntime(host: SimHost): SimRuntime
  /** The program's state has changed. */
  onProgram(before: ProgramState, after: ProgramState): void
  /** Code of the host has failed outside of anything that could report it. */
  onFailure(error: unknown, host: number): void
}

/** @internal What wants to hear of its host's power and moves. */
export interface HostListener {
  /** The host has lost its power. */
  readonly powerOff?: (() => void) | undefined
  /** The host is in another network. */
  readonly moved?: (() => void) | undefined
}

const NO_LISTENERS: readonly HostListener[] = Object.freeze([])
const NO_INTERFACES: readonly NetworkInterface[] = Object.freeze([])

/** One host of a simulation. */
export class SimHost {
  readonly name: string
  /** Its number in its world, from 0 in the order in which hosts were added. */
  readonly index: number
  /** Its network interface: address, sockets, and whether it is up. The first, where it has several. */
  readonly network: NetworkInterface
  /** @internal Where its nodes bind their sockets: on all interfaces that it has then. */
  readonly sockets: HostNetwork = new HostNetwork(this)
  /** Its clock: what it shows and how fast it runs. Set it, to see how its programs take it. */
  readonly clock: HostClock
  /** @internal What its nodes take for a packet; undefined for the default. Stays as it is when the host moves. */
  readonly processingUs: number | undefined
  /** @internal The lane of all its events, see `schedule.ts`. */
  readonly lane: number
  /** @internal */
  readonly world: SimWorld
  /** @internal The port that each of its nodes had, by id. */
  readonly ports: HostPorts = new HostPorts()
  /** @internal What its events have to pass. */
  readonly gate: HostGate
  /** @internal The scheduler, behind the gate: for its nodes. */
  readonly kernel: Kernel
  readonly #context: HostContext
  readonly #program: HostProgramSource | undefined
  #disk: DiskState | undefined
  #listeners = NO_LISTENERS
  #others = NO_INTERFACES
  #options: HostOptions
  #runtime: SimRuntime
  #state: ProgramState = 'none'
  #starts = 0
  #on = true

  /** @internal Hosts come from `Simulation.host`. */
  constructor(
    context: HostContext,
    name: string,
    index: number,
    network: NetworkInterface,
    options: HostOptions,
    program: HostProgramSource | undefined,
  ) {
    this.#context = context
    this.name = name
    this.index = index
    this.network = network
    this.world = context.world
    this.#options = options
    this.#program = program
    const { scheduler, config } = context.world
    this.clock = new HostClock(scheduler, index, config.epochOffsetMs, options.clock)
    this.processingUs = options.processingMs === undefined ? undefined : delayUs(options.processingMs, 'processingMs')
    this.gate = new HostGate(scheduler)
    this.lane = laneOf(`host/${name}`)
    this.kernel = new HostKernel(scheduler, this.gate, this.lane)
    this.network.gate = this.gate
    this.#runtime = context.makeRuntime(this)
    scheduler.audit.record(EventKind.hostAdded, index, digestText(name))
    if (options.clock) this.clock.record()
    // A key takes a while to make.
    const { trace } = scheduler
    if (trace) trace.record('host', { host: index, node: this.network.node.index, name, id: this.id.toString() })
  }

  /** The key that its nodes use unless they are given another: `testSigningKey(name)`. */
  get secretKey(): SigningKey {
    return testSigningKey(this.name)
  }

  /** The id of that key: `testNodeId(name)`. */
  get id(): NodeId {
    return this.secretKey.nodeId
  }

  /** Its clock, timers, randomness and files, since it was last switched on. */
  get runtime(): SimRuntime {
    return this.#runtime
  }

  /**
   * Random numbers of a stream of its own: they depend on the seed, on the host's name and on `name`, and on nothing
   * else. The same stream for the same name.
   */
  random(name: string): RandomStream {
    return this.world.scheduler.random(`host/${this.name}/stream/${name}`)
  }

  /** Its disk, which survives a crash but for what was not synced. */
  get disk(): SimDisk {
    return this.#runtime.disk
  }

  /** @internal What is on its disk. */
  get diskState(): DiskState {
    return (this.#disk ??= new DiskState(this.world.scheduler, this.index, this.name))
  }

  /** Whether it is paused. */
  get isPaused(): boolean {
    return this.gate.isPaused
  }

  /**
   * Stops it, as a suspended laptop: its clock goes on, packets wait in its sockets as far as there is room, timers fire
   * late. Goes on when the result is called.
   */
  pause(): () => void {
    return this.gate.pause()
  }

  /** Makes every timer and packet take `eventMs` of its processor, one after the other, until the result is called. */
  slow(eventMs: number): () => void {
    return this.gate.slow(eventMs)
  }

  /** Where its program stands. */
  get program(): ProgramState {
    return this.#state
  }

  /** Whether it has power. */
  get isOn(): boolean {
    return this.#on
  }

  /** Calls `listener` when the host loses its power, unless the result was called before. */
  onPowerOff(listener: () => void): () => void {
    const entry: HostListener = { powerOff: listener, moved: undefined }
    this.listen(entry)
    return () => this.unlisten(entry)
  }

  /** @internal Tells `listener` from now on. */
  listen(listener: HostListener): void {
    this.#listeners = appended(this.#listeners, listener)
  }

  /** @internal Tells it no more. */
  unlisten(listener: HostListener): void {
    this.#listeners = this.#listeners.filter((other) => other !== listener)
  }

  /** Writes a line into the trace, if there is one; it changes nothing else. */
  log(text: string): void {
    this.world.scheduler.trace?.record('log', { host: this.index, text })
  }

  /** Its network interfaces, in the order they were added; `network` is the first. */
  get interfaces(): readonly NetworkInterface[] {
    return [this.network, ...this.#others]
  }

  /**
   * Gives it another network interface, such as a phone's mobile one besides Wi-Fi: its node is called `host/name`.
   * Nodes created afterwards use it too: packets leave by the first interface that is up, in the order of adding.
   *
   * @throws P2PError `invalid-configuration` as `Topology.host` does
   */
  addInterface(name: string, options: Omit<TopologyHostOptions, 'host' | 'kind'> = {}): NetworkInterface {
    if (typeof name !== 'string' || name === '') throw invalidConfiguration('name', name, 'an interface needs a name')
    checkFields('an interface', options, HOST_FIELDS)
    const iface = this.world.topology.host(`${this.name}/${name}`, { ...options, host: this.index })
    iface.gate = this.gate
    iface.isUp = this.#on
    this.#others = this.#others.concat(iface)
    return iface
  }

  /** Where it is plugged in. */
  get options(): HostOptions {
    return this.#options
  }

  /** Calls `listener` whenever the host has moved to another network, unless the result was called before. */
  onMoved(listener: () => void): () => void {
    const entry: HostListener = { powerOff: undefined, moved: listener }
    this.listen(entry)
    return () => this.unlisten(entry)
  }

  /**
   * Moves to another network or line, as a phone that leaves the house: it gets another address and keeps its sockets.
   *
   * @throws P2PError `invalid-configuration`
   */
  move(options: HostOptions): void {
    checkHost(options, undefined)
    this.world.topology.move(this.network, plugOf(options))
    this.#options = options
    for (const { moved } of this.#listeners) moved?.()
  }

  /**
   * The power fails: nothing that the host's code waits for ever happens, its sockets are gone, and no peer is told.
   * Does nothing when it is off.
   */
  crash(options: CrashOptions = {}): void {
    const { disk = 'kept' } = options
    if (disk !== 'kept' && disk !== 'lost') throw invalidConfiguration('disk', disk, 'must be kept or lost')
    if (!this.#on) return
    this.world.scheduler.audit.record(EventKind.hostCrashed, this.index)
    this.#trace('crashed')
    this.#switchOff()
    if (disk === 'lost') this.diskState.wipe()
    else this.#disk?.crash()
    if (this.#state === 'starting' || this.#state === 'running') this.#become('crashed')
  }

  /**
   * Switches it on again: the same name, id and files, and its program from the beginning.
   *
   * @throws P2PError `invalid-configuration` when it is on
   */
  restart(): void {
    if (this.#on) {
      throw P2PError.of('invalid-configuration', `host ${this.name} is on: crash it before it can restart`, {
        setting: 'restart',
        value: this.name,
      })
    }
    this.#on = true
    for (const iface of this.interfaces) iface.isUp = true
    this.world.names.flushCache(this.index)
    this.world.ids.flushCache(this.index)
    this.#runtime = this.#context.makeRuntime(this)
    this.start()
  }

  /** As a crash, at the end of the simulation. */
  async dispose(): Promise<void> {
    const runtime = this.#runtime
    if (this.#on) this.#switchOff()
    await runtime.powerOff()
  }

  #switchOff(): void {
    this.#on = false
    // Real files are closed behind the scenes, which nothing in the simulation can see.
    void this.#runtime.powerOff()
    const listeners = this.#listeners
    // What had power is gone. Who hears of moves alone stays: it is the same host after a restart.
    this.#listeners = listeners.filter(({ powerOff }) => powerOff === undefined)
    for (const { powerOff } of listeners) powerOff?.()
    for (const iface of this.interfaces) {
      iface.closeSockets()
      iface.isUp = false
    }
    this.gate.reset()
  }

  #trace(state: TraceFields<'program'>['state']): void {
    this.world.scheduler.trace?.record('program', { host: this.index, state })
  }

  #become(state: ProgramState): void {
    const before = this.#state
    this.#state = state
    this.#context.onProgram(before, state)
  }

  /** @internal Schedules the start of the program, if there is one. */
  start(): void {
    const program = this.#program
    if (!program) return
    const { scheduler } = this.world
    const start = ++this.#starts
    this.#become('starting')
    const run = (): void => {
      if (!this.#on || this.#starts !== start) return
      scheduler.woke(this.index)
      scheduler.audit.record(EventKind.programStarted, this.index, start)
      this.#trace('started')
      this.#become('running')
      if (program instanceof URL) void this.#runModule(program, start)
      else this.#run(program, start)
    }
    scheduler.schedule(0, run, this.lane)
  }

  #run(program: HostProgram, start: number): void {
    let running: Promise<void> | void
    try {
      running = program(this)
    } catch (error) {
      this.#end(start, { error })
      return
    }
    // An async function would hold twice as much for as long as the program runs.
    Promise.resolve(running).then(
      () => this.#end(start, undefined),
      (error: unknown) => this.#end(start, { error }),
    )
  }

  async #runModule(url: URL, start: number): Promise<void> {
    let failure: { readonly error: unknown } | undefined
    try {
      const program = await this.#load(url)
      await program(this)
    } catch (error) {
      failure = { error }
    }
    this.#end(start, failure)
  }

  #end(start: number, failure: { readonly error: unknown } | undefined): void {
    // Of a host that has crashed in the meantime nobody hears any more.
    if (!this.#on || this.#starts !== start) return
    this.world.scheduler.audit.record(EventKind.programEnded, this.index, failure ? 1 : 0)
    this.#trace(failure ? 'failed' : 'ended')
    this.#become('ended')
    if (failure) this.#context.onFailure(failure.error, this.index)
  }

  async #load(source: URL): Promise<HostProgram> {
    const { ambient } = this.#runtime
    const module = await this.#runtime.bridge(`loading ${source.href}`, () => importFresh(source, ambient))
    if (typeof module.default === 'function') return module.default as HostProgram
    throw P2PError.of('invalid-configuration', `${source.href} has no program: a function as its default export`, {
      setting: 'program',
      value: source.href,
    })
  }
}
