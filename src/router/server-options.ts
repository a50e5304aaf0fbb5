/**
 * Options and limits of a server.
 *
 * @module
 */
import { invalidConfiguration, resolveBounds } from '../core/config.ts'
import type { P2PNodeId } from '../core/node-id.ts'
import type { Authorize } from '../core/system.ts'
import { isMethod } from './codec.ts'

/** Where a handler's error happened. */
export interface ServerErrorContext {
  readonly method: string
  readonly target: string
  readonly remoteNodeId: P2PNodeId
}

/** Bounds that a server puts on its peers. Sizes in bytes, durations in milliseconds; Infinity for none. */
export interface ServerLimits {
  /** Longest head of a request; the answers' heads are held to it as well. Over it: RESET `tooLarge`. @default 16384 */
  readonly maxHeaderBytes: number
  /** Longest body of a request, however it is read. Over it: 413. @default 67108864 */
  readonly maxBodyBytes: number
  /** The most of a body that `bytes()`, `text()` and `json()` take into memory. Over it: 413. @default 1048576 */
  readonly maxBufferedBytes: number
  /** Requests of one peer being answered at a time, over all its connections. Over it: RESET `refused`. @default 128 */
  readonly maxRequestsInFlight: number
  /** Longest wait for a whole head. After it: RESET `timeout`. @default 10000 */
  readonly headerTimeoutMs: number
  /**
   * Longest wait for more of a body that is being read, then 408; and for the peer to take more of an answer, then
   * RESET `timeout`. @default 60000
   */
  readonly bodyIdleTimeoutMs: number
  /**
   * Longest that a handler may think: from the head, or from the last bytes of the body that it took, to its answer.
   * Then 504, and `req.signal` fires. @default 30000
   */
  readonly handlerTimeoutMs: number
}

/** The defaults of {@link ServerLimits}. */
export const DEFAULT_SERVER_LIMITS: ServerLimits = Object.freeze({
  maxHeaderBytes: 16_384,
  maxBodyBytes: 67_108_864,
  maxBufferedBytes: 1_048_576,
  maxRequestsInFlight: 128,
  headerTimeoutMs: 10_000,
  bodyIdleTimeoutMs: 60_000,
  handlerTimeoutMs: 30_000,
})

/** Options of `serve`. */
export interface ServeOptions extends Partial<ServerLimits> {
  /**
   * Who may connect; `everyone` is whoever knows the node's id. On iroh leaving it out, with no `allow` either, warns
   * once (`P2P_OPEN_TO_EVERYONE`), as that should be a decision. @default 'everyone'
   */
  readonly authorize?: Authorize | 'everyone' | undefined
  /**
   * Whether requests are taken before the handshake is complete, from peers that have been connected before: `true` for
   * GET and HEAD, or the methods. Others wait for the handshake. Whoever has recorded such a request can have it handled
   * once more: for what changes nothing. `req.isEarly` tells. Through the native door to iroh alone. @default false
   */
  readonly earlyData?: boolean | readonly string[] | undefined
  /** Told of what a handler, a middleware or the source of a body threw. @default prints it to stderr */
  readonly onError?: ((error: unknown, context: ServerErrorContext) => void) | undefined
}

/**
 * The limits among `options`.
 *
 * @throws P2PError `invalid-configuration` for an unknown name, or a value that is neither a whole number above 0 nor
 * Infinity
 */
export function serverLimits(options: ServeOptions): ServerLimits {
  const others = ['authorize', 'onError', 'earlyData']
  return resolveBounds('serve', DEFAULT_SERVER_LIMITS, options, { others, mayBeInfinite: true })
}

/**
 * The methods that may be handled early.
 *
 * @throws P2PError `invalid-configuration`
 */
export function earlyMethods(earlyData: ServeOptions['earlyData']): ReadonlySet<string> {
  if (earlyData === undefined || typeof earlyData === 'boolean') return new Set(earlyData ? ['GET', 'HEAD'] : [])
  if (!Array.isArray(earlyData) || !earlyData.every((method) => isMethod(method))) {
    throw invalidConfiguration('serve.earlyData', earlyData, 'true, false, or a list of methods such as GET')
  }
  return new Set(earlyData.map((method: string) => method.toUpperCase()))
}
