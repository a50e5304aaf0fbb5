/**
 * A node on iroh: the connection engine over a door to its QUIC.
 *
 * @module
 */
import { checkOptions, CREATE_OPTIONS, invalidConfiguration, resolveLimits } from '../core/config.ts'
import type { StreamKind } from '../core/connection.ts'
import { checkSigningKey } from '../core/keys.ts'
import { EngineConnection } from '../core/engine/connection.ts'
import type { EngineListener } from '../core/engine/listener.ts'
import { EngineNode } from '../core/engine/node.ts'
import type { NodeOptions } from '../core/engine/node.ts'
import type { Session } from '../core/engine/session.ts'
import type { NetworkReport } from '../core/network-report.ts'
import type { ListenOptions, P2PRelay } from '../core/system.ts'
import { realRuntime, SecretKey } from '../runtime/index.ts'
import { isLoopback } from './addresses.ts'
import type { IrohAccess, IrohBinding, IrohEndpoint } from './binding.ts'
import { resolveIrohSettings } from './config.ts'
import type { IrohOptions } from './config.ts'
import { reportNetwork } from './network.ts'
import { NodeRelays } from './node-relays.ts'
import type { RelayEvent, RelayState } from './node-relays.ts'
import { ReflexiveAddresses } from './reflexive-addresses.ts'
import type { ReflectorState } from './reflexive-addresses.ts'
import { openBinding } from './select.ts'
import type { BindingSetting } from './select.ts'

/** Options of {@link IrohP2P.create}. */
export interface IrohCreateOptions extends IrohOptions {
  /**
   * The way to iroh: our own addon (`native`), the package `@number0/iroh` (`official`), or another. `P2P_IROH_BINDING`
   * names one too. Which one it is, `backend` tells. @default 'native' where it is built or installed, else 'official'
   */
  readonly binding?: BindingSetting | undefined
}

const OPTIONS: readonly string[] = [
  ...CREATE_OPTIONS,
  'relayRoots',
  'relayTimeoutMs',
  'reflectors',
  'allow',
  'deny',
  'admission',
  'binding',
]

function checkBinding(binding: BindingSetting | undefined): BindingSetting | undefined {
  if (binding === undefined || binding === 'native' || binding === 'official') return binding
  if (typeof (binding as Partial<IrohBinding> | null)?.open === 'function') return binding
  throw invalidConfiguration('binding', binding, "must be 'native', 'official', or a binding with `open`")
}

/** A connection over iroh. */
export class IrohConnection extends EngineConnection {}

/** What a node on iroh is made of. */
interface IrohNodeOptions extends NodeOptions {
  readonly endpoint: IrohEndpoint
  /** Undefined when no reflectors are asked. */
  readonly reflexive: ReflexiveAddresses | undefined
  readonly relays: NodeRelays
  /** Whether strangers on other machines could connect, as far as this node decides. */
  readonly open: boolean
}

const OPEN_TO_EVERYONE =
  "this node serves everybody who knows its id: pass authorize to serve, or allow to create; authorize: 'everyone' says " +
  'that it is meant'

/** Whether the process has been told; a warning a process is what `process.emitWarning` is for. */
let warned = false

/** A listener on iroh. */
export type IrohListener = EngineListener<IrohConnection>

/**
 * A node on iroh. Through the official door it keeps the process alive until it is closed; through the native one while
 * it listens, is connected, or something is in flight.
 *
 * With `relay: 'disabled'` and loopback addresses in `bind`, not one packet leaves the machine. Through the official
 * door one does: once for each node it asks the local network, by multicast, for a router that forwards ports, and
 * speaks to one that answers.
 *
 * @example
 * ```ts
 * import { IrohP2P } from '@moosicbox/p2p/iroh'
 *
 * const local = { relay: 'disabled', bind: ['127.0.0.1:0', '[::1]:0'] } as const
 * await using server = await IrohP2P.create(local)
 * await using client = await IrohP2P.create(local)
 * const listener = await server.listen()
 * const [connection, accepted] = await Promise.all([client.connect(server.address()), listener.accept()])
 * await connection.send(new TextEncoder().encode('hello'))
 * console.log(new TextDecoder().decode(await accepted.recv())) // hello
 * ```
 */
export class IrohP2P extends EngineNode<IrohConnection> {
  /** What its nodes are on. */
  static readonly network = 'real'
  readonly #endpoint: IrohEndpoint
  readonly #reflexive: ReflexiveAddresses | undefined
  readonly #relays: NodeRelays
  #open: boolean

  /** Nodes come from {@link IrohP2P.create}. */
  constructor(init: IrohNodeOptions) {
    super(init)
    this.#endpoint = init.endpoint
    this.#reflexive = init.reflexive
    this.#open = init.open
    this.#relays = init.relays
  }

  /**
   * Creates a node of this class, or of the subclass it is called on, and binds its sockets. What the options leave
   * open, `P2P_LISTEN_PORT`, `P2P_RELAY_MODE` and `P2P_IROH_BINDING` decide.
   *
   * @throws P2PError `unsupported` when there is no binding for this platform, or not what it is asked for, `network` when an address cannot be
   * bound, `invalid-configuration`
   */
  static async create<T>(this: new (init: never) => T, options: IrohCreateOptions = {}): Promise<T> {
    checkOptions('IrohP2P.create', options, OPTIONS)
    const limits = resolveLimits(options.limits)
    const settings = resolveIrohSettings(options, process.env)
    if (options.secretKey !== undefined) checkSigningKey(options.secretKey)
    const secretKey = options.secretKey ?? SecretKey.generate()
    const runtime = realRuntime()
    const { name, endpoint } = await openBinding(checkBinding(options.binding) ?? settings.binding, {
      ...settings,
      secretKey,
      idleTimeoutMs: limits.idleTimeoutMs,
      runtime,
    })
    const { relay, relayRoots: roots, relayTimeoutMs, reflectors, bind } = settings
    const relays = new NodeRelays({ endpoint, runtime, relays: relay, roots })
    const loopbackOnly = bind?.every(isLoopback) ?? false
    const reflexive = reflectors && new ReflexiveAddresses({ endpoint, runtime, loopbackOnly, roots })
    reflexive?.addReflectors(reflectors ?? [])
    // Not iroh's own, which are known to offer none.
    for (const url of relays.urls) reflexive?.addRelay(url)
    const [isOnline] = await Promise.all([
      relay === 'disabled' || endpoint.online(relayTimeoutMs),
      reflexive?.settled(relayTimeoutMs),
    ])
    // What iroh does not say of relays that it cannot use, a probe does.
    if (!isOnline && relayTimeoutMs > 0 && relays.urls.length > 0) void relays.probe()
    const init: IrohNodeOptions = {
      backend: `iroh (${name})`,
      nodeId: secretKey.nodeId,
      endpoint,
      reflexive,
      relays,
      runtime,
      limits,
      discovery: options.discovery ?? [],
      sign: (message) => secretKey.sign(message),
      open: settings.access.allow === undefined && !(settings.relay === 'disabled' && settings.bind?.every(isLoopback)),
    }
    return new this(init as never)
  }

  /** Who may connect from now on, in place of `allow` and `deny` of `create`; those who are connected stay. */
  setAccess(access: IrohAccess): void {
    this.#endpoint.setAccess(access)
    if (access.allow) this.#open = false
  }

  override listen(addr = '', options: ListenOptions = {}): Promise<IrohListener> {
    if (this.#open && !warned && options.authorize === undefined && options.kinds?.includes('request')) {
      warned = true
      process.emitWarning(OPEN_TO_EVERYONE, { code: 'P2P_OPEN_TO_EVERYONE' })
    }
    return super.listen(addr, options)
  }

  /**
   * Every relay that this node knows, and whether it can be reached through it. Of iroh's own ones (`default`) only the
   * home relay is listed.
   */
  relays(): readonly RelayState[] {
    return this.#relays.states
  }

  /** Calls `listener` with what happens to relays from now on; dispose of the result to stop. */
  onRelayChange(listener: (event: RelayEvent) => void): Disposable {
    return this.#relays.onChange(listener)
  }

  /**
   * Adds a relay to those that this node may use, or gives one another token.
   *
   * @throws P2PError `invalid-configuration` when it is none, or the node was created with `relay: 'disabled'`
   */
  addRelay(relay: string | P2PRelay): void {
    const url = this.#relays.add(relay)
    this.#reflexive?.addRelay(url)
  }

  /**
   * Removes a relay, by its URL; false when it was not among those that were named.
   *
   * @throws P2PError `invalid-configuration` when it is no URL
   */
  removeRelay(url: string): boolean {
    const removed = this.#relays.remove(url)
    if (removed !== undefined) this.#reflexive?.removeRelay(removed)
    return removed !== undefined
  }

  /** Every reflector that this node knows, and the addresses that it is seen at from there. */
  reflectors(): readonly ReflectorState[] {
    return this.#reflexive?.states ?? []
  }

  protected override reportNetwork(signal: AbortSignal | undefined): Promise<NetworkReport> {
    const { backend, runtime } = this
    const parts = { backend, runtime, endpoint: this.#endpoint, relays: this.#relays, reflexive: this.#reflexive }
    return reportNetwork(parts, signal)
  }

  override close(): Promise<void> {
    this.#reflexive?.close()
    this.#relays.close()
    return super.close()
  }

  protected override makeConnection(session: Session, kinds: readonly StreamKind[]): IrohConnection {
    return new IrohConnection(session, kinds)
  }
}
