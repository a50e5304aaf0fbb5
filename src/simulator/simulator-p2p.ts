/**
 * A node of a simulated internet: the connection engine over the simulator's transport.
 *
 * @module
 */
import { isSameAddress, P2PAddress } from '../core/address.ts'
import type { CarrierEndpoint } from '../core/carrier.ts'
import { checkBind, checkOptions, CREATE_OPTIONS, resolveLimits } from '../core/config.ts'
import type { P2PLimits } from '../core/config.ts'
import type { StreamKind } from '../core/connection.ts'
import { EngineConnection } from '../core/engine/connection.ts'
import { EngineNode } from '../core/engine/node.ts'
import { toAddress } from '../core/engine/peers.ts'
import type { Session } from '../core/engine/session.ts'
import { abortable } from '../core/engine/waiting.ts'
import { P2PError } from '../core/errors.ts'
import { checkSigningKey, SigningKey } from '../core/keys.ts'
import type { NetworkReport } from '../core/network-report.ts'
import type { NodeId } from '../core/node-id.ts'
import type { ConnectOptions, CreateOptions, P2PDiscovery } from '../core/system.ts'
import { ambient } from './ambient.ts'
import { DefaultWorld } from './default-world.ts'
import { whyNoRoute } from './diagnosis.ts'
import { SimulatorDiscovery } from './discovery.ts'
import { SimEndpoint } from './endpoint.ts'
import { HeldEndpoint } from './held-endpoint.ts'
import type { HostListener, SimHost } from './host.ts'
import { reportOf } from './network-report.ts'
import { mapPort } from './port-mapping.ts'
import { drawBytes } from './random.ts'
import { relayLocation } from './relay-wire.ts'
import type { SimulatorPath } from './sim-paths.ts'
import { configuredLimits } from './sim-world.ts'
import type { WorldNode } from './sim-world.ts'

const KEEP_ALIVE_US = 5_000_000

const NO_RELAYS: readonly string[] = Object.freeze([])
const OPTIONS: readonly string[] = [...CREATE_OPTIONS, 'host']

/** Options of {@link SimulatorP2P.create}. */
export interface SimulatorCreateOptions extends CreateOptions {
  /** The host it runs on. @default the one whose code is running; outside of a simulation, one of its own */
  readonly host?: SimHost | undefined
}

/** What a node is made of; made by {@link SimulatorP2P.create}. */
export interface SimulatorInit {
  readonly host: SimHost
  readonly key: SigningKey
  readonly limits: P2PLimits
  /** The URLs of its relays. */
  readonly relays: readonly string[]
  readonly discovery: readonly P2PDiscovery[]
  readonly hold: (() => () => void) | undefined
}

/** A connection of the simulator. */
export class SimulatorConnection extends EngineConnection {
  /** Every open path, with its congestion window and what is in flight. */
  override paths(): readonly SimulatorPath[] {
    // They are those of the simulator's carrier.
    return super.paths() as readonly SimulatorPath[]
  }
}

/**
 * A node of a simulated internet.
 *
 * Created by a host's program it runs on that host, with the host's id; created outside of any simulation it joins the
 * process's default world, which keeps real time.
 *
 * @example
 * ```ts
 * import { Simulation, SimulatorP2P } from '@moosicbox/p2p/simulator'
 *
 * const sim = new Simulation({ seed: 1 })
 * const server = sim.host('server', async () => {
 *   const p2p = await SimulatorP2P.create()
 *   for await (const connection of await p2p.listen()) await connection.send(await connection.recv())
 * })
 * sim.host('client', async () => {
 *   await using p2p = await SimulatorP2P.create()
 *   const connection = await p2p.connect(server.id)
 *   await connection.send(new Uint8Array(3))
 *   console.log((await connection.recv()).length) // 3
 * })
 * await sim.run({ forMs: 60_000 })
 * ```
 */
export class SimulatorP2P extends EngineNode<SimulatorConnection> {
  /** What its nodes are on. */
  static readonly network = 'simulated'
  /** The host it runs on. */
  readonly host: SimHost
  readonly #endpoint: SimEndpoint
  readonly #hold: (() => () => void) | undefined
  readonly #node: WorldNode
  readonly #listener: HostListener
  #outside: string | undefined
  /** What was published last. */
  #known: P2PAddress | undefined
  #closing: Promise<void> | undefined

  /** Nodes come from {@link SimulatorP2P.create}. */
  constructor(init: SimulatorInit) {
    const { host, key, limits, relays, discovery, hold } = init
    const { world } = host
    const node: WorldNode = { id: key.nodeId, host, endpoint: undefined }
    world.claimId(node)
    const endpoint = new SimEndpoint({
      port: freePort(host, key),
      kernel: host.kernel,
      host: host.index,
      name: host.name,
      key,
      network: host.sockets,
      relays,
      transport: {
        idleTimeoutUs: limits.idleTimeoutMs * 1000,
        keepAliveUs: Math.min(KEEP_ALIVE_US, Math.ceil((limits.idleTimeoutMs * 1000) / 3)),
        ...(host.processingUs !== undefined && { processingUs: host.processingUs }),
      },
    })
    node.endpoint = endpoint
    const carrier: CarrierEndpoint = hold ? new HeldEndpoint(endpoint, hold) : endpoint
    super({
      backend: 'simulator',
      nodeId: key.nodeId,
      endpoint: carrier,
      runtime: host.runtime,
      limits,
      discovery,
      sign: (message) => key.sign(message),
    })
    this.host = host
    this.#endpoint = endpoint
    this.#hold = hold
    this.#node = node
    this.#listener = {
      powerOff: () => {
        world.releaseId(node)
        endpoint.destroy()
      },
      moved: () => {
        endpoint.onNetworkChange()
        this.#announce()
        endpoint.addressChanged()
      },
    }
    host.listen(this.#listener)
    endpoint.watchAddress(() => this.#publish())
    this.#announce()
  }

  /**
   * Creates a node of this class, or of the subclass it is called on.
   *
   * @throws P2PError `invalid-configuration` for options that make no sense, when a node with this key is alive
   * already, or when it cannot be told which host the code that calls this belongs to
   */
  static async create<T>(this: new (init: never) => T, options: SimulatorCreateOptions = {}): Promise<T> {
    return new this(prepare(options) as never)
  }

  /**
   * As every node's, and says why where there is no way: what a NAT drops, which relay is off, who is cut off from whom.
   *
   * @throws P2PError as `P2PSystem.connect`; `no-route` also when an attempt has timed out for want of any way
   */
  override async connect(
    peer: NodeId | P2PAddress | string,
    options: ConnectOptions = {},
  ): Promise<SimulatorConnection> {
    try {
      return await super.connect(peer, options)
    } catch (error) {
      throw this.#explain(error, peer)
    }
  }

  #explain(error: unknown, peer: NodeId | P2PAddress | string): unknown {
    const { world } = this.host
    world.noteConnectFailure(error)
    const isUnknown = P2PError.is(error, 'no-route')
    if (!isUnknown && !P2PError.is(error, 'timeout')) return error
    const { id } = toAddress(peer)
    const self = world.nodeOf(this.localNodeId())
    const why = self && whyNoRoute(world, self, id, isUnknown)
    const owner = (): string | undefined => world.hosts.find((host) => host.id.equals(id))?.name
    const name = world.hostNameOf(id.toString()) ?? owner() ?? id.fmtShort()
    const explained =
      why === undefined
        ? error
        : P2PError.of('no-route', `no route to ${name}: ${why}`, { node: id.toString() }, { cause: error })
    world.noteConnectFailure(explained)
    return explained
  }

  protected override makeConnection(session: Session, kinds: readonly StreamKind[]): SimulatorConnection {
    return new SimulatorConnection(session, kinds)
  }

  /** Its relays are asked over the simulated network: two of them are needed to tell the kind of a NAT. */
  protected override async reportNetwork(signal: AbortSignal | undefined): Promise<NetworkReport> {
    const startMs = this.runtime.now()
    const release = this.#hold?.()
    try {
      const asking = this.#endpoint.askRelays()
      const answers = await (signal ? abortable(asking, signal, 'networkReport', () => {}) : asking)
      const boundAddresses = this.#endpoint.boundAddresses()
      return {
        ...reportOf(answers, boundAddresses, this.#endpoint.homeRelay, this.#endpoint.relays()),
        backend: this.backend,
        tookMs: this.runtime.now() - startMs,
        address: this.address(),
        boundAddresses,
        reflectors: [],
        portMapping: this.#outside === undefined ? 'none' : 'mapped',
        captivePortal: undefined,
      }
    } finally {
      release?.()
    }
  }

  /** Its id, its address, and the one that its router forwards to it. */
  override address(): P2PAddress {
    const { id, direct, relays } = this.#endpoint.address()
    return this.#outside === undefined
      ? this.#endpoint.address()
      : new P2PAddress(id, [...direct, this.#outside], relays)
  }

  override close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  async #close(): Promise<void> {
    await super.close()
    const { host } = this
    host.unlisten(this.#listener)
    host.world.releaseId(this.#node)
    host.world.ids.unregister(this.localNodeId().toString())
  }

  /** Makes it known where this node can be reached now. */
  #announce(): void {
    const { host } = this
    const id = this.localNodeId().toString()
    const [bound = ''] = this.#endpoint.boundAddresses()
    const port = Number(bound.slice(bound.lastIndexOf(':') + 1))
    host.ports.set(id, port)
    this.#outside = mapPort(host, port)
    this.#publish()
  }

  /** Tells those who know only the id, when there is anything new. */
  #publish(): void {
    const address = this.#published()
    if (this.#known && isSameAddress(address, this.#known)) return
    this.#known = address
    this.host.world.ids.register(this.localNodeId().toString(), address)
  }

  /**
   * What whoever knows only the id is told. A private address would lead strangers to somebody of their own network, so
   * it stays unsaid where a relay can make the introduction, over which both sides then tell each other all they have.
   */
  #published(): P2PAddress {
    const address = this.address()
    const isPrivate = this.host.network.attachment.realm.router !== undefined
    if (!isPrivate || !this.#endpoint.usesRelays) return address
    return new P2PAddress(address.id, this.#outside === undefined ? [] : [this.#outside], address.relays)
  }
}

function prepare(options: SimulatorCreateOptions): SimulatorInit {
  checkOptions('SimulatorP2P.create', options, OPTIONS)
  // Unused here; but what iroh would refuse is found out in the simulation.
  if (options.bind !== undefined) checkBind(options.bind)
  const found = options.host ?? hostOfCaller()
  const world = found ? undefined : DefaultWorld.join()
  const host = found ?? (world as DefaultWorld).addHost()
  if (options.secretKey !== undefined) checkSigningKey(options.secretKey)
  const key = options.secretKey ?? (world ? drawKey(host) : host.secretKey)
  const own = new SimulatorDiscovery(host)
  return {
    host,
    key,
    limits: options.limits
      ? resolveLimits({ ...configuredLimits(host.world.config), ...options.limits })
      : host.world.limits,
    relays: relaysOf(options.relay, host),
    discovery: options.discovery ? [...options.discovery, own] : [own],
    hold: world && ((): (() => void) => world.hold()),
  }
}

/** The relays of which a node chooses the nearest. */
function relaysOf(relay: CreateOptions['relay'], host: SimHost): readonly string[] {
  if (relay === 'disabled') return NO_RELAYS
  if (relay === undefined || relay === 'default') return [host.world.defaultRelay.url]
  const urls = relay.map((one) => (typeof one === 'string' ? one : one.url))
  for (const url of urls) {
    if (relayLocation(url)) continue
    const why = 'a relay of a simulation is given by its address, as `sim.relay(name).url` is: https://198.18.0.1/'
    throw P2PError.of('invalid-configuration', `relay ${url}: ${why}`, { setting: 'relay', value: url })
  }
  return [...new Set(urls)]
}

/** The port that the node had when it was last up, if nobody else has it now; else any. */
function freePort(host: SimHost, key: SigningKey): number {
  const port = host.ports.get(key.nodeId.toString())
  return port === undefined || host.network.socketAt('udp', port) ? 0 : port
}

/** The host whose code is running; undefined when no simulation is. */
function hostOfCaller(): SimHost | undefined {
  const { currentHost, running } = ambient()
  const host = currentHost?.()
  if (host || running === 0) return host
  const why = currentHost
    ? 'this code runs on behalf of no host (an operation of the scenario): pass `host`'
    : 'a simulation is running, but this code is not part of it: it waited for something real, such as a timer, a file ' +
      'or an import, for which a host has its `runtime`; or it belongs to no host and has to pass `host`'
  throw P2PError.of('invalid-configuration', `it cannot be told which host the node is for: ${why}`, {
    setting: 'host',
    value: undefined,
  })
}

function drawKey(host: SimHost): SigningKey {
  return new SigningKey(drawBytes(host.world.scheduler.random(`host/${host.name}/key`), 32))
}
