/**
 * What exchanges need of their server.
 *
 * @module
 */
import type { P2PConnection } from '../core/connection.ts'
import type { Deadlines } from '../core/deadlines.ts'
import type { Runtime } from '../core/runtime.ts'
import type { AnswerOwner } from './answer-writer.ts'
import type { Exchange } from './exchange.ts'
import type { BodyBounds, IncomingBody } from './incoming-body.ts'
import type { P2PHandler } from './router.ts'
import type { ServeOptions, ServerLimits } from './server-options.ts'

/** What all exchanges of a server share. */
export interface ExchangeHost {
  readonly runtime: Runtime
  readonly limits: ServerLimits
  readonly bodies: BodyBounds
  readonly handler: P2PHandler
  /** Methods that need not wait for the handshake. */
  readonly early: ReadonlySet<string>
  readonly onError: NonNullable<ServeOptions['onError']>
  /** Heads that are not complete. */
  readonly heads: Deadlines<Exchange>
  /** Handlers that have not answered. */
  readonly handlers: Deadlines<Exchange>
  /** Writes that the peer has not taken. */
  readonly writes: Deadlines<AnswerOwner>
  /** Requests that were answered, and have not come to their end. */
  readonly lingering: Deadlines<IncomingBody>
}

/** How an exchange ended: answered, given up by the peer or the server, or not understood. */
export type ExchangeOutcome = 'answered' | 'cancelled' | 'malformed'

/** Whose exchange it is. */
export interface ExchangeOwner {
  readonly connection: P2PConnection
  /** Called once, when the exchange is over. */
  exchangeEnded(exchange: Exchange, outcome: ExchangeOutcome): void
}
