/**
 * What a simulation and the default world have in common: hosts on a virtual internet, over one scheduler.
 *
 * @module
 */
import type { P2PAddress } from '../core/address.ts'
import { invalidConfiguration, resolveLimits } from '../core/config.ts'
import type { P2PLimits, SimulatorConfig } from '../core/config.ts'
import type { NodeId } from '../core/node-id.ts'
import type { RuntimeFileSystem } from '../core/runtime.ts'
import type { AmbientSettings } from './ambient-host.ts'
import type { Bridge } from './bridge.ts'
import { checkFields } from './check-fields.ts'
import type { SimEndpoint } from './endpoint.ts'
import { checkHost, HOST_FIELDS, plugOf, SimHost } from './host.ts'
import type { HostContext, HostOptions, HostProgramSource, ProgramState } from './host.ts'
import { askNameServers, NameServerHost } from './name-server.ts'
import type { NameClient } from './name-server.ts'
import { NameService, RandomPartitions, Topology } from './network/index.ts'
import { checkRelaySettings, RELAY_SETTINGS } from './relay.ts'
import { DEFAULT_RELAY, RelayHost } from './relay-host.ts'
import type { RelayOptions } from './relay-host.ts'
import { SimRuntime } from './runtime.ts'
import type { RuntimeSettings } from './runtime.ts'
import type { Schedule } from './schedule.ts'
import { Scheduler } from './scheduler.ts'
import type { Trace } from './trace/trace.ts'

/** How long addresses of ids are cached: what iroh's own DNS servers say. */
const ID_TTL_SECONDS = 30

const RELAY_FIELDS: readonly string[] = [...HOST_FIELDS, ...RELAY_SETTINGS]

/** Of the default world, whose time is real. */
const REAL: AmbientSettings = { isVirtual: false, onLeak: () => {} }

/** The limits that a configuration says something of. */
export function configuredLimits(config: SimulatorConfig): Partial<P2PLimits> {
  return {
    connectTimeoutMs: Math.round(config.connectionTimeoutSeconds * 1000),
    maxMessageBytes: config.maxMessageBytes,
  }
}

/** What a world is made of. */
export interface SimWorldOptions {
  readonly seed: bigint
  readonly config: SimulatorConfig
  /** The files that hosts can read. */
  readonly files: RuntimeFileSystem
  /** Code of a host (an index) has failed outside of anything that could report it. */
  readonly onFailure: (error: unknown, host: number) => void
  /** Makes the trace, where one is wanted. */
  readonly trace?: ((nowUs: () => number) => Trace) | undefined
  /** Which of the events of one instant comes first. @default 'fifo' */
  readonly schedule?: Schedule | undefined
  /** How uses of this machine's globals by hosts' code are taken. @default as they are */
  readonly ambient?: AmbientSettings | undefined
  /** As `RuntimeSettings.hold`. */
  readonly hold?: (() => () => void) | undefined
}

/** A node that is alive. */
export interface WorldNode {
  readonly id: NodeId
  readonly host: SimHost
  /** Its place on the network; undefined while it is being made. */
  endpoint: SimEndpoint | undefined
}

/** The hosts, the network and the names of one virtual internet. */
export class SimWorld {
  readonly scheduler: Scheduler
  readonly config: SimulatorConfig
  /** The virtual internet: links, LANs, partitions, rules. */
  readonly topology: Topology
  /** The names that nodes register for others to find. */
  readonly names: NameService<P2PAddress>
  /** Where the nodes of the hosts that are on can be reached, by id: what a relay's look-up service knows. */
  readonly ids: NameService<P2PAddress>
  /** Where real work waits; undefined while time does not stand still for it. */
  bridge: Bridge | undefined
  readonly #options: SimWorldOptions
  /** What all hosts are given. */
  readonly #context: HostContext = {
    world: this,
    makeRuntime: (host) => new SimRuntime(this.#runtimeSettings, host),
    onProgram: (before, after) => this.#onProgram(before, after),
    onFailure: (error, host) => this.#options.onFailure(error, host),
  }
  #limits: P2PLimits | undefined
  #settings: RuntimeSettings | undefined
  readonly #hosts: SimHost[] = []
  readonly #byName = new Map<string, SimHost>()
  readonly #nodes = new Map<string, WorldNode>()
  readonly #relays: RelayHost[] = []
  readonly #nameServers: NameServerHost[] = []
  readonly #nameClients = new Map<number, NameClient>()
  readonly #connectFailures = new WeakSet<object>()
  #defaultRelay: RelayHost | undefined
  readonly #partitions: RandomPartitions | undefined
  #alive = 0
  #crashed = 0

  constructor(options: SimWorldOptions) {
    const { config } = options
    this.#options = options
    this.config = config
    this.scheduler = new Scheduler(options.seed, options.schedule)
    this.scheduler.trace = options.trace?.(() => this.scheduler.nowUs())
    this.topology = new Topology(this.scheduler, {
      defaultLatencyMs: config.defaultLatencyMs,
      defaultPacketLoss: config.defaultPacketLoss,
    })
    if (config.partitionProbability > 0) {
      this.#partitions = new RandomPartitions(this.scheduler, this.topology.fabric.graph, {
        probability: config.partitionProbability,
        stepMs: config.stepSizeMs,
      })
    }
    const { discoveryDelayMs: delayMs, dnsTtlSeconds: ttlSeconds } = config
    this.names = new NameService(this.scheduler, { delayMs, ttlSeconds })
    this.ids = new NameService(this.scheduler, { delayMs, ttlSeconds: Math.min(ttlSeconds, ID_TTL_SECONDS) })
  }

  /** The limits of nodes that are given none. */
  get limits(): P2PLimits {
    return (this.#limits ??= Object.freeze(resolveLimits(configuredLimits(this.config))))
  }

  /** All hosts, in the order they were added. */
  get hosts(): readonly SimHost[] {
    return [...this.#hosts]
  }

  /** The host whose code is running. */
  get currentHost(): SimHost | undefined {
    return this.#hosts[this.scheduler.currentHost]
  }

  /** Programs that have been started and have not ended. */
  get programsAlive(): number {
    return this.#alive
  }

  /** Programs whose host has crashed and was not restarted. */
  get programsCrashed(): number {
    return this.#crashed
  }

  /** @throws P2PError `invalid-configuration` for a name that is taken or no name, or bad options */
  addHost(name: string, options: HostOptions, program: HostProgramSource | undefined): SimHost {
    checkHost(options, program)
    if (this.#byName.has(name)) {
      throw invalidConfiguration('name', name, 'there is a host of this name, and so of this id, already')
    }
    const index = this.#hosts.length
    const network = this.topology.host(name, { ...plugOf(options), host: index })
    const host = new SimHost(this.#context, name, index, network, options, program)
    this.#hosts.push(host)
    this.#byName.set(name, host)
    host.start()
    return host
  }

  /** @throws P2PError as `addHost` */
  addRelay(name: string, options: RelayOptions): RelayHost {
    checkFields('a relay', options, RELAY_FIELDS)
    const { scheme, port, rateLimit, allow, ...plug } = options
    checkRelaySettings(options)
    const settings = { scheme, port, rateLimit, allow }
    const relay = new RelayHost((program) => this.addHost(name, { ...plug, kind: 'relay' }, program), settings)
    this.#relays.push(relay)
    if (name === DEFAULT_RELAY) this.#defaultRelay = relay
    return relay
  }

  /** @throws P2PError as `addHost` */
  addNameServer(name: string, options: HostOptions): NameServerHost {
    const server = new NameServerHost((program) => this.addHost(name, { ...options, kind: 'name-server' }, program))
    this.#nameServers.push(server)
    const ask: NonNullable<NameService<P2PAddress>['carrier']> = (client, question, done) =>
      askNameServers(this.#nameClient(client), this.#nameServers, question, done)
    for (const service of [this.names, this.ids]) service.carrier = ask
    return server
  }

  #nameClient(index: number): NameClient {
    let client = this.#nameClients.get(index)
    if (!client) {
      const host = this.#hosts[index] as SimHost
      const random = this.scheduler.random(`names/${host.name}`)
      client = { kernel: this.scheduler, network: host.sockets, random, isOn: () => host.isOn }
      this.#nameClients.set(index, client)
    }
    return client
  }

  /** All name servers, in the order they were added. */
  get nameServers(): readonly NameServerHost[] {
    return this.#nameServers
  }

  /** All relays, in the order they were added. */
  get relays(): readonly RelayHost[] {
    return this.#relays
  }

  /** The relay that nodes use unless they are told otherwise: public, on the default link, made at the first call. */
  get defaultRelay(): RelayHost {
    return (this.#defaultRelay ??= this.addRelay(DEFAULT_RELAY, {}))
  }

  /** @throws P2PError `invalid-configuration` when there is none */
  hostOf(name: string): SimHost {
    const host = this.#byName.get(name)
    if (!host) throw invalidConfiguration('host', name, 'there is no host of this name')
    return host
  }

  /**
   * Takes its id for a node, until {@link releaseId}.
   *
   * @throws P2PError `invalid-configuration` when a node of that id is alive: messages would reach either of them
   */
  claimId(node: WorldNode): void {
    const { id } = node
    const key = id.toString()
    if (this.#nodes.has(key)) {
      throw invalidConfiguration(
        'secretKey',
        `of ${id.fmtShort()}`,
        'a node of this id is alive already: close it first',
      )
    }
    this.#nodes.set(key, node)
  }

  /** Its id is free again, if it was this node's. */
  releaseId(node: WorldNode): void {
    const key = node.id.toString()
    if (this.#nodes.get(key) === node) this.#nodes.delete(key)
  }

  /** The host of the node of that id; undefined when none is alive. */
  hostNameOf(id: string): string | undefined {
    return this.#nodes.get(id)?.host.name
  }

  /** The node of an id, if it is alive. */
  nodeOf(id: NodeId): WorldNode | undefined {
    return this.#nodes.get(id.toString())
  }

  /** A connection could not be made: should that be the end of a program, the state of the network is told with it. */
  noteConnectFailure(error: unknown): void {
    if (typeof error === 'object' && error !== null) this.#connectFailures.add(error)
  }

  /** Whether it was noted, or one that it was caused by. */
  isConnectFailure(error: unknown): boolean {
    // An error may be its own cause.
    for (let at = error, depth = 0; typeof at === 'object' && at !== null && depth < 10; depth++) {
      if (this.#connectFailures.has(at)) return true
      at = 'cause' in at ? at.cause : undefined
    }
    return false
  }

  /** All nodes that are alive, oldest first. */
  get nodes(): readonly WorldNode[] {
    return [...this.#nodes.values()]
  }

  /** Everything ends: hosts lose their power, and their real files are closed. */
  async dispose(): Promise<void> {
    this.#partitions?.stop()
    await Promise.all(this.#hosts.map((host) => host.dispose()))
    this.scheduler.clear()
  }

  get #runtimeSettings(): RuntimeSettings {
    const { scheduler } = this
    const { files, ambient = REAL, hold } = this.#options
    return (this.#settings ??= {
      scheduler,
      bridge: this.bridge,
      files,
      trueMs: () => scheduler.nowUs() / 1000,
      epochOffsetMs: this.config.epochOffsetMs,
      ambient,
      hold,
    })
  }

  #onProgram(before: ProgramState, after: ProgramState): void {
    const isAlive = (state: ProgramState): number => (state === 'starting' || state === 'running' ? 1 : 0)
    this.#alive += isAlive(after) - isAlive(before)
    this.#crashed += Number(after === 'crashed') - Number(before === 'crashed')
  }
}
