/**
 * The node of this backend: the engine over the carrier.
 *
 * @module
 */
import { realRuntime } from '@moosicbox/p2p'
import type { P2PAddress, P2PDiscovery, P2PLimits, SigningKey, StreamKind } from '@moosicbox/p2p'
import { EngineConnection, EngineNode, resolveLimits } from '@moosicbox/p2p/backend'
import type { Session } from '@moosicbox/p2p/backend'
import { MemoryEndpoint } from './carrier.ts'
import type { MemoryNetwork } from './carrier.ts'

/** Names that the nodes of one network register and find. */
export class MemoryNames implements P2PDiscovery {
  readonly name = 'memory'
  readonly #names = new Map<string, P2PAddress>()

  async resolveName(name: string): Promise<P2PAddress | undefined> {
    return this.#names.get(name)
  }

  async resolveId(): Promise<undefined> {
    return undefined
  }

  async publish(name: string, address: P2PAddress): Promise<void> {
    this.#names.set(name, address)
  }
}

/** Options of {@link MemoryP2P.create}. */
export interface MemoryOptions {
  readonly network: MemoryNetwork
  readonly names: MemoryNames
  readonly secretKey: SigningKey
  readonly limits?: Partial<P2PLimits> | undefined
}

/** A node in this process. */
export class MemoryP2P extends EngineNode<EngineConnection> {
  /** Makes a node that every other node of the network can connect to by its id. */
  static create({ network, names, secretKey, limits }: MemoryOptions): MemoryP2P {
    const { nodeId } = secretKey
    return new MemoryP2P({
      backend: 'memory',
      nodeId,
      endpoint: new MemoryEndpoint(network, nodeId),
      runtime: realRuntime(),
      limits: resolveLimits(limits),
      discovery: [names],
      sign: (message) => secretKey.sign(message),
    })
  }

  protected makeConnection(session: Session, kinds: readonly StreamKind[]): EngineConnection {
    return new EngineConnection(session, kinds)
  }
}
