/**
 * What monitoring asks of a server.
 *
 * @module
 */
import type { P2PSystem } from '../core/system.ts'
import type { P2PServer } from './server.ts'

/** The health of a server, in the names that MoosicBox's monitoring knows. */
export interface P2PHealth {
  /** Connections that make requests, or may. */
  readonly active_connections: number
  /** The short form of the node's id. */
  readonly node_id: string
  /**
   * `relay` when every connection leads through a relay, or, while there is none, when the node has no address of its own;
   * else `direct`.
   */
  readonly network_type: 'direct' | 'relay'
  /** Whole seconds since the server began. */
  readonly uptime: number
}

/**
 * The health of `server`, for a route `GET /health`, or for a port of HTTP on this machine.
 *
 * @example
 * ```ts
 * import { DefaultP2P, health, P2PResponse, P2PRouter } from '@moosicbox/p2p'
 *
 * await using p2p = await DefaultP2P.create()
 * const router = new P2PRouter().route('GET', '/health', () => P2PResponse.json(health(p2p, server)))
 * const server = await p2p.serve(router)
 * console.log(health(p2p, server).active_connections) // 0
 * ```
 */
export function health(system: P2PSystem, server: P2PServer): P2PHealth {
  const { connections, relayedConnections, uptimeMs } = server.stats()
  const isRelayed = connections > 0 ? relayedConnections === connections : system.address().direct.length === 0
  return {
    active_connections: connections,
    node_id: system.localNodeId().fmtShort(),
    network_type: isRelayed ? 'relay' : 'direct',
    uptime: Math.floor(uptimeMs / 1000),
  }
}
