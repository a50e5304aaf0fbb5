/**
 * The engine over the memory carrier: nodes, and pairs of them that are connected.
 *
 * @module
 */
import type { P2PLimits } from '../../src/core/config.ts'
import { resolveLimits } from '../../src/core/config.ts'
import type { StreamKind } from '../../src/core/connection.ts'
import { EngineConnection } from '../../src/core/engine/connection.ts'
import { EngineNode } from '../../src/core/engine/node.ts'
import type { Session } from '../../src/core/engine/session.ts'
import { testNodeId, testSigningKey } from '../../src/core/keys.ts'
import type { Runtime } from '../../src/core/runtime.ts'
import type { ListenOptions, P2PDiscovery } from '../../src/core/system.ts'
import { ManualRuntime } from './manual-runtime.ts'
import { MemoryNetwork } from './memory-carrier.ts'
import type { MemoryConnectionCarrier, MemoryEndpoint, MemoryNetworkOptions } from './memory-carrier.ts'

/** A connection of a {@link MemoryNode}. */
export class MemoryConnection extends EngineConnection {
  /** The carrier below. */
  get carrier(): MemoryConnectionCarrier {
    return this.session.carrier as MemoryConnectionCarrier
  }
}

/** Options of a {@link MemoryNode}. */
export interface MemoryNodeOptions {
  readonly limits?: Partial<P2PLimits>
  readonly runtime?: Runtime
  readonly discovery?: readonly P2PDiscovery[]
}

/** A node on a memory network. */
export class MemoryNode extends EngineNode<MemoryConnection> {
  readonly endpoint: MemoryEndpoint

  private constructor(endpoint: MemoryEndpoint, name: string, options: MemoryNodeOptions) {
    super({
      backend: 'memory',
      nodeId: endpoint.id,
      endpoint,
      runtime: options.runtime ?? new ManualRuntime(),
      limits: resolveLimits(options.limits),
      discovery: options.discovery ?? [],
      sign: (message) => testSigningKey(name).sign(message),
    })
    this.endpoint = endpoint
  }

  static create(network: MemoryNetwork, name: string, options: MemoryNodeOptions = {}): MemoryNode {
    return new MemoryNode(network.endpoint(testNodeId(name)), name, options)
  }

  protected makeConnection(session: Session, kinds: readonly StreamKind[]): MemoryConnection {
    return new MemoryConnection(session, kinds)
  }
}

/** What {@link connectedPair} takes. */
export interface PairOptions extends MemoryNetworkOptions {
  readonly limits?: Partial<P2PLimits>
  /** Limits of the accepting side, where they differ. */
  readonly serverLimits?: Partial<P2PLimits>
  readonly alpn?: string
  readonly listen?: ListenOptions
}

/** Two nodes and a connection between them: `client` connected, `server` accepted. */
export interface Pair {
  readonly network: MemoryNetwork
  readonly runtime: ManualRuntime
  readonly a: MemoryNode
  readonly b: MemoryNode
  readonly client: MemoryConnection
  readonly server: MemoryConnection
}

/** Makes a {@link Pair}. */
export async function connectedPair(options: PairOptions = {}): Promise<Pair> {
  const network = new MemoryNetwork(options)
  const runtime = new ManualRuntime()
  const { limits = {}, serverLimits = limits, alpn } = options
  const a = MemoryNode.create(network, 'a', { runtime, limits })
  const b = MemoryNode.create(network, 'b', { runtime, limits: serverLimits })
  const listener = await b.listen('', { ...(alpn === undefined ? {} : { alpns: [alpn] }), ...options.listen })
  const [client, server] = await Promise.all([a.connect(b.localNodeId(), { alpn }), listener.accept()])
  return { network, runtime, a, b, client, server }
}
