/**
 * The node above a carrier: connecting, listening, names, and the graceful end of everything. Backends subclass it.
 *
 * @module
 */
import type { P2PAddress } from '../address.ts'
import type { CarrierConnection, CarrierEndpoint } from '../carrier.ts'
import { invalidConfiguration } from '../config.ts'
import type { P2PLimits } from '../config.ts'
import type { StreamKind } from '../connection.ts'
import { P2PError } from '../errors.ts'
import type { NetworkReport } from '../network-report.ts'
import type { NodeId } from '../node-id.ts'
import type { Runtime } from '../runtime.ts'
import type { WaitOptions } from '../stream.ts'
import { P2P_ALPN } from '../system.ts'
import type {
  ConnectOptions,
  ListenOptions,
  LookUpReport,
  P2PDiscovery,
  P2PSystem,
  RegisterOptions,
} from '../system.ts'
import { Announcer } from './announcing.ts'
import type { AnnouncementState } from './announcing.ts'
import type { EngineConnection } from './connection.ts'
import type { EngineListener } from './listener.ts'
import { checkAlpn, Listeners } from './listening.ts'
import { closedError, describeClose } from './closing.ts'
import { allAnswers, failureOf, firstAnswer } from './look-up.ts'
import type { LookUpOptions } from './look-up.ts'
import { parseId, toAddress } from './peers.ts'
import { Session } from './session.ts'
import { abortable, throwIfAborted, Waiter } from './waiting.ts'
import { MAX_APPLICATION_CODE } from './wire.ts'

const NONE: readonly never[] = Object.freeze([])

/** What a node is made of. */
export interface NodeOptions {
  readonly backend: string
  readonly nodeId: NodeId
  readonly endpoint: CarrierEndpoint
  readonly runtime: Runtime
  readonly limits: P2PLimits
  /** Asked in this order for names and for ids without addresses. */
  readonly discovery: readonly P2PDiscovery[]
  /** Signs with the node's key, for sources that make it known. */
  readonly sign: (message: Uint8Array) => Uint8Array
}

function nodeClosed(): P2PError {
  return P2PError.of('connection-closed', 'this node is closed: create another', {
    closeCode: 0,
    reason: 'node closed',
    by: 'local',
  })
}

/** Has one source make a name known; gives the reason where it cannot. */
async function publishName(
  source: P2PDiscovery,
  name: string,
  address: P2PAddress,
  options: RegisterOptions,
): Promise<P2PError | undefined> {
  try {
    await source.publish?.(name, address, options)
    return undefined
  } catch (error) {
    const cause = error instanceof Error ? `: ${error.message}` : ''
    const message = `making ${JSON.stringify(name)} known through ${source.name} failed${cause}`
    return P2PError.from(error, 'discovery-failed', message, { query: name }) as P2PError
  }
}

/** A node; `Connection` is the backend's own class. */
export abstract class EngineNode<Connection extends EngineConnection> implements P2PSystem<
  NodeId,
  Connection,
  EngineListener<Connection>
> {
  readonly backend: string
  readonly runtime: Runtime
  readonly #options: NodeOptions
  readonly #listeners: Listeners<Connection>
  #sessions: Set<Session> | undefined
  /** Gives up each attempt to connect that is under way. */
  #connecting: Set<() => void> | undefined
  /** Made when there is a source that makes nodes known. */
  #announcer: Announcer | undefined
  /** What its sources keep for this node. */
  readonly #attached: readonly AsyncDisposable[]
  #closing: Promise<void> | undefined

  /** Nodes come from the backend's `create`. */
  constructor(options: NodeOptions) {
    const { discovery: sources, nodeId: id } = options
    this.#options = options
    this.#listeners = new Listeners(options)
    this.backend = options.backend
    this.runtime = options.runtime
    const attaching = sources.filter((source) => source.attach !== undefined)
    const attach = (source: P2PDiscovery): AsyncDisposable | readonly never[] =>
      source.attach?.(this.#announcing().nodeFor(source)) ?? NONE
    this.#attached = attaching.length === 0 ? NONE : attaching.flatMap(attach)
    this.runtime.leaks?.hold(this, `the node ${id.fmtShort()}`, () => this.#closing === undefined)
    const onIncoming = (carrier: CarrierConnection): void =>
      void this.#listeners.handle(carrier, (listeners) => this.#letIn(carrier, listeners))
    // Assigned as it is written it would be made in V8's old generation, and keep all that it sees until that is marked.
    options.endpoint.onIncoming = onIncoming
  }

  /** How the sources fare that make this node known, in the order of the sources. */
  announcements(): readonly AnnouncementState[] {
    return this.#announcer?.states ?? NONE
  }

  /** Whether this backend sends anything before a handshake is complete; where not, `earlyData` is asked for in vain. */
  get hasEarlyData(): boolean {
    return this.#options.endpoint.capabilities.earlyData ?? false
  }

  /** Makes a handle of the backend's own class. */
  protected abstract makeConnection(session: Session, kinds: readonly StreamKind[]): Connection

  localNodeId(): NodeId {
    return this.#options.nodeId
  }

  address(): P2PAddress {
    return this.#options.endpoint.address()
  }

  async connect(peer: NodeId | P2PAddress | string, options: ConnectOptions = {}): Promise<Connection> {
    this.#checkOpen()
    const { limits } = this.#options
    const alpn = checkAlpn(options.alpn ?? P2P_ALPN)
    const timeoutMs = options.timeoutMs ?? limits.connectTimeoutMs
    if (!(timeoutMs > 0)) throw invalidConfiguration('timeoutMs', timeoutMs, 'a time-out is above 0')
    throwIfAborted(options.signal, 'connect')
    const address = toAddress(peer)
    if (address.id.equals(this.#options.nodeId)) {
      throw P2PError.of('self-connect', 'a node cannot connect to itself; call the code directly instead', {})
    }
    const carrier = await this.#connectCarrier(address, alpn, timeoutMs, options)
    const session = this.#session(carrier)
    const connection = this.makeConnection(session, ['stream'])
    session.start()
    return connection
  }

  listen(addr = '', options: ListenOptions = {}): Promise<EngineListener<Connection>> {
    try {
      this.#checkOpen()
      const listener = this.#listeners.listen(addr, options)
      if (this.#options.discovery.some((source) => source.announce !== undefined)) this.#announcing().start()
      return Promise.resolve(listener)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async register(name: string, options: RegisterOptions = {}): Promise<void> {
    this.#checkOpen()
    throwIfAborted(options.signal, 'register')
    if (name === '') throw invalidConfiguration('name', name, 'a name has at least one character')
    const sources = this.#options.discovery.filter((source) => source.publish !== undefined)
    if (sources.length === 0) {
      const message = 'no discovery source of this node can publish a name; hand out address().toTicket() instead'
      throw P2PError.of('unsupported', message, { what: 'register', backend: this.backend })
    }
    const { signal } = options
    const address = this.address()
    const publishing = Promise.all(sources.map((source) => publishName(source, name, address, options)))
    // `aborted` even when a source does not care for signals.
    const failures = await (signal ? abortable(publishing, signal, 'register', () => {}) : publishing)
    const failure = failures.find((error) => error !== undefined)
    if (failure) throw failure
  }

  async discover(name: string, options?: WaitOptions): Promise<NodeId> {
    this.#checkOpen()
    throwIfAborted(options?.signal, 'discover')
    const report = await firstAnswer(this.#lookUp(name, options?.signal), (source, signal) =>
      source.resolveName(name, { signal }),
    )
    if (report.address) return report.address.id
    const failure = failureOf(report)
    const sources =
      this.#options.discovery.map((source) => source.name).join(', ') || 'none: pass `discovery` to create()'
    if (failure) {
      const message = `looking up ${JSON.stringify(name)} failed (sources asked: ${sources}): ${failure.message}`
      throw P2PError.of('discovery-failed', message, { query: name }, { cause: failure })
    }
    throw P2PError.of('node-not-found', `nobody knows the name ${JSON.stringify(name)} (sources asked: ${sources})`, {
      node: name,
    })
  }

  lookUp(query: string | NodeId, options?: WaitOptions): Promise<LookUpReport> {
    const id = typeof query === 'string' ? parseId(query) : query
    const text = id?.toString() ?? String(query)
    return allAnswers(this.#lookUp(text, options?.signal), (source, signal) =>
      id ? source.resolveId(id, { signal }) : source.resolveName(text, { signal }),
    )
  }

  networkReport(options?: WaitOptions): Promise<NetworkReport> {
    try {
      this.#checkOpen()
      throwIfAborted(options?.signal, 'networkReport')
      return this.reportNetwork(options?.signal)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** What is known without asking anybody; backends that know more override it. */
  protected reportNetwork(_signal: AbortSignal | undefined): Promise<NetworkReport> {
    const address = this.address()
    const boundAddresses = this.#options.endpoint.boundAddresses()
    const publicAddresses = address.direct.filter((direct) => !boundAddresses.includes(direct))
    const [homeRelay] = address.relays
    return Promise.resolve({
      backend: this.backend,
      tookMs: 0,
      address,
      boundAddresses,
      publicAddresses,
      nat: 'unknown',
      udp: { ipv4: undefined, ipv6: undefined },
      homeRelay,
      relays: address.relays.map((url, i) => ({
        url,
        home: i === 0,
        state: 'unknown',
        latencyMs: undefined,
        reason: undefined,
      })),
      reflectors: [],
      portMapping: 'off',
      captivePortal: undefined,
    })
  }

  close(): Promise<void> {
    this.runtime.leaks?.forget(this)
    return (this.#closing ??= this.#close())
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #checkOpen(): void {
    if (this.#closing) throw nodeClosed()
  }

  async #close(): Promise<void> {
    for (const giveUp of this.#connecting ?? NONE) giveUp()
    this.#listeners.close()
    // A peer that does not confirm must not keep this node from closing; its own end tells it what happened.
    await Promise.allSettled([
      this.#announcer?.[Symbol.asyncDispose](),
      ...[...(this.#sessions ?? NONE)].map((session) => session.end()),
    ])
    await Promise.allSettled([
      this.#options.endpoint.close(),
      ...this.#attached.map((attachment) => attachment[Symbol.asyncDispose]()),
    ])
  }

  /** Resolves the address where it holds none, then connects, within one time limit and under one signal. */
  async #connectCarrier(
    address: P2PAddress,
    alpn: string,
    timeoutMs: number,
    { signal, earlyData }: ConnectOptions,
  ): Promise<CarrierConnection> {
    const giveUp = new AbortController()
    const waiter = new Waiter<CarrierConnection>().noteIn(this.runtime.waits?.of(address.id), 'connect')
    waiter.abortWith(signal, 'connect', () => giveUp.abort(signal?.reason))
    const timer = this.runtime.setTimer(timeoutMs, () => {
      const remote = address.id.fmtShort()
      const hint = 'is the peer running and reachable, and is its address current?'
      waiter.reject(
        P2PError.of('timeout', `no connection to ${remote} within ${timeoutMs} ms: ${hint}`, { afterMs: timeoutMs }),
      )
      giveUp.abort()
    })
    const abandon = (): void => {
      waiter.reject(nodeClosed())
      giveUp.abort()
    }
    const connecting = (this.#connecting ??= new Set())
    connecting.add(abandon)
    this.#resolve(address, giveUp.signal)
      .then((resolved) => this.#options.endpoint.connect({ address: resolved, alpn, earlyData, signal: giveUp.signal }))
      .then(
        (carrier) => (waiter.settled ? carrier.close(0, 'the caller had given up') : waiter.resolve(carrier)),
        (error: unknown) => waiter.reject(error),
      )
    try {
      return await waiter.promise
    } catch (error) {
      // A peer that refuses very early may do so before the carrier counts the connection as made.
      if (P2PError.is(error, 'connection-closed') && error.closeCode > MAX_APPLICATION_CODE) {
        throw closedError(describeClose(error, alpn === P2P_ALPN), address.id)
      }
      throw P2PError.from(error, 'connection-failed', `connecting to ${address.id.fmtShort()} failed`, {})
    } finally {
      timer.cancel()
      connecting.delete(abandon)
    }
  }

  async #resolve(address: P2PAddress, signal: AbortSignal): Promise<P2PAddress> {
    if (address.direct.length > 0 || address.relays.length > 0) return address
    const { id } = address
    const lookUp = this.#lookUp(id.toString(), signal)
    const known = await firstAnswer(lookUp, (source, ownSignal) => source.resolveId(id, { signal: ownSignal }))
    // The transport may have ways of its own to find an id.
    return known.address ?? address
  }

  #announcing(): Announcer {
    const { discovery: sources, nodeId: id, runtime, sign, endpoint } = this.#options
    return (this.#announcer ??= new Announcer({
      id,
      runtime,
      sources,
      sign,
      address: () => this.address(),
      watch: (listener) => endpoint.watchAddress(listener),
    }))
  }

  #lookUp(query: string, signal: AbortSignal | undefined): LookUpOptions {
    const { discovery: sources, limits, runtime } = this.#options
    return { sources, runtime, timeoutMs: limits.lookUpTimeoutMs, signal, query }
  }

  #session(carrier: CarrierConnection): Session {
    const { limits, runtime, backend, endpoint } = this.#options
    const { abortsBlockedStreams, confirmsDelivery } = endpoint.capabilities
    const ours = carrier.alpn === P2P_ALPN
    const session = new Session({ carrier, runtime, limits, abortsBlockedStreams, confirmsDelivery, ours, backend })
    const sessions = (this.#sessions ??= new Set())
    sessions.add(session)
    void session.closed.then(() => sessions.delete(session))
    return session
  }

  #letIn(carrier: CarrierConnection, listeners: readonly EngineListener<Connection>[]): void {
    const session = this.#session(carrier)
    for (const listener of listeners) listener.push(this.makeConnection(session, listener.options.kinds))
    session.start()
  }
}

Object.defineProperty(EngineNode.prototype, Symbol.for('nodejs.util.inspect.custom'), {
  value(this: EngineNode<EngineConnection>): string {
    return `${this.constructor.name}(${this.backend}, ${this.localNodeId().toString()})`
  },
})
