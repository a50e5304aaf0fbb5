/**
 * Asking peers.
 *
 * @module
 */
import type { P2PSystem } from '../core/system.ts'
import type { P2PClientRequest } from './client-options.ts'
import type { P2PClientResponse } from './client-response.ts'
import type { P2PPeer } from './pool.ts'
import { RequestPool } from './pool.ts'

/**
 * Sends a request to a peer and resolves with the answer's head; the body comes as it is read. A status of 400 and
 * above is an answer like any other. Requests to one peer share a connection, which is made when it is needed and ended
 * when it has not been for a while. An idempotent request that meets a connection just lost, before anything of it had
 * been sent, is tried once more on a new one.
 *
 * @example
 * ```ts
 * import { DefaultP2P, P2PResponse, P2PRouter, request, serve } from '@moosicbox/p2p'
 *
 * await using home = await DefaultP2P.create()
 * await using player = await DefaultP2P.create()
 * await serve(home, new P2PRouter().route('GET', '/tracks/:id', (req) => P2PResponse.json({ id: req.params.id })))
 * const answer = await request(player, home.address(), { path: '/tracks/7' })
 * console.log(answer.status, await answer.json()) // 200 { id: '7' }
 * ```
 *
 * @throws P2PError `refused` (no server there, or it has too many requests of ours), `stream-reset` (it gave up),
 * `protocol` (its answer is none), `timeout`, `connection-closed`, `aborted`, `limit-exceeded`,
 * `invalid-configuration`, `invalid-node-id`, `serialization`, and what `connect` throws
 */
export function request(system: P2PSystem, peer: P2PPeer, init: P2PClientRequest): Promise<P2PClientResponse> {
  return RequestPool.of(system).request(peer, init)
}
