/**
 * A node on iroh: the connection engine over a door to its QUIC.
 *
 * @module
 */
import { checkOptions, CREATE_OPTIONS, resolveLimits } from '../core/config.ts'
import type { StreamKind } from '../core/connection.ts'
import { EngineConnection } from '../core/engine/connection.ts'
import type { EngineListener } from '../core/engine/listener.ts'
import { EngineNode } from '../core/engine/node.ts'
import type { NodeOptions } from '../core/engine/node.ts'
import type { Session } from '../core/engine/session.ts'
import { realRuntime, SecretKey } from '../runtime/index.ts'
import type { IrohBinding } from './binding.ts'
import { resolveIrohSettings } from './config.ts'
import type { IrohOptions } from './config.ts'
import { officialBinding } from './official/binding.ts'

/** Options of {@link IrohP2P.create}. */
export interface IrohCreateOptions extends IrohOptions {
  /** The way to iroh. @default the package `@number0/iroh` */
  readonly binding?: IrohBinding | undefined
}

const OPTIONS: readonly string[] = [...CREATE_OPTIONS, 'relayTimeoutMs', 'binding']

/** A connection over iroh. */
export class IrohConnection extends EngineConnection {}

/** A listener on iroh. */
export type IrohListener = EngineListener<IrohConnection>

/**
 * A node on iroh. It keeps the process alive until it is closed.
 *
 * With `relay: 'disabled'` and loopback addresses in `bind`, everything this library and its peers say to each other
 * stays on the machine. The official binding alone does not: once for each node it asks the local network, by one
 * multicast packet, for a router that forwards ports.
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
  /**
   * Creates a node of this class, or of the subclass it is called on, and binds its sockets. What the options leave
   * open, `P2P_LISTEN_PORT` and `P2P_RELAY_MODE` decide.
   *
   * @throws P2PError `unsupported` when there is no binding for this platform, `network` when an address cannot be
   * bound, `invalid-configuration`
   */
  static async create<T>(this: new (init: never) => T, options: IrohCreateOptions = {}): Promise<T> {
    checkOptions('IrohP2P.create', options, OPTIONS)
    const limits = resolveLimits(options.limits)
    const settings = resolveIrohSettings(options, process.env)
    const secretKey = options.secretKey ?? SecretKey.generate()
    const runtime = realRuntime()
    const binding = options.binding ?? officialBinding()
    const endpoint = await binding.open({ ...settings, secretKey, idleTimeoutMs: limits.idleTimeoutMs, runtime })
    if (settings.relay !== 'disabled') await endpoint.online(settings.relayTimeoutMs)
    const init: NodeOptions = {
      backend: `iroh (${binding.name})`,
      nodeId: secretKey.nodeId,
      endpoint,
      runtime,
      limits,
      discovery: options.discovery ?? [],
      sign: (message) => secretKey.sign(message),
    }
    return new this(init as never)
  }

  protected override makeConnection(session: Session, kinds: readonly StreamKind[]): IrohConnection {
    return new IrohConnection(session, kinds)
  }
}
