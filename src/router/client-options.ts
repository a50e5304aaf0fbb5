/**
 * What a client asks for, and within which bounds.
 *
 * @module
 */
import { checkOptions, invalidConfiguration } from '../core/config.ts'
import type { P2PHeadersInit } from './headers.ts'
import { P2PHeaders } from './headers.ts'
import { BODYLESS, isMethod } from './codec.ts'
import type { P2PQueryInit } from './target.ts'
import { buildTarget } from './target.ts'
import { P2PError } from '../core/errors.ts'

/** The body of a request: text goes as UTF-8; streams are sent at the peer's pace. */
export type P2PRequestBody = string | Uint8Array | ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>

/** A request to a peer. */
export interface P2PClientRequest {
  /** @default 'GET' */
  readonly method?: string | undefined
  /** Begins with `/`; may hold a query. What a path cannot hold is percent-encoded. */
  readonly path: string
  /** Added to the path's own query. */
  readonly query?: P2PQueryInit | undefined
  readonly headers?: P2PHeadersInit | undefined
  readonly body?: P2PRequestBody | undefined
  /** A value to send as JSON, in place of `body`. */
  readonly json?: unknown
  /** Gives the request up, or the reading of its answer; either fails with `aborted`. */
  readonly signal?: AbortSignal | undefined
  /** Longest time from the call to the last byte of the answer's body, in milliseconds. @default none */
  readonly deadlineMs?: number | undefined
  /**
   * Whether it may be sent before the handshake is complete, when there is no connection yet and an earlier one can be
   * resumed: the answer comes a round trip sooner, and whoever has recorded the request can have it handled once more.
   * For requests that may be handled twice. See {@link ConnectOptions.earlyData}. @default false
   */
  readonly earlyData?: boolean | undefined
}

/** Bounds of a client. Sizes in bytes, durations in milliseconds; Infinity for none. */
export interface RequestPoolLimits {
  /** Longest head, of requests and of answers. @default 16384 */
  readonly maxHeaderBytes: number
  /** The most of an answer that `bytes()`, `text()` and `json()` take into memory. @default 67108864 */
  readonly maxBufferedBytes: number
  /**
   * Requests to one peer under way at a time, from the first byte to the last of the answer; more wait their turn. An
   * answer of over 64 KiB that nobody reads counts until it is cancelled. @default 100
   */
  readonly maxRequestsInFlight: number
  /** Requests to one peer that may wait their turn; one more fails with `limit-exceeded`. @default 10000 */
  readonly maxRequestsWaiting: number
  /** Longest wait for the answer's head once the request has been sent. @default 60000 */
  readonly headTimeoutMs: number
  /** A connection without requests is ended after this long. @default 30000 */
  readonly idleTimeoutMs: number
}

/** The defaults of {@link RequestPoolLimits}. */
export const DEFAULT_POOL_LIMITS: RequestPoolLimits = Object.freeze({
  maxHeaderBytes: 16_384,
  maxBufferedBytes: 67_108_864,
  maxRequestsInFlight: 100,
  maxRequestsWaiting: 10_000,
  headTimeoutMs: 60_000,
  idleTimeoutMs: 30_000,
})

/** A request that was checked, ready to be encoded. */
export interface PreparedRequest {
  readonly method: string
  readonly target: string
  readonly headers: P2PHeaders
  readonly body: Uint8Array | ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>
  readonly signal: AbortSignal | undefined
  readonly deadlineMs: number | undefined
  readonly earlyData: boolean
}

/** Methods that may be repeated without a difference (RFC 9110, 9.2.2). */
export const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'TRACE'])

const OPTIONS: readonly string[] = [
  'method',
  'path',
  'query',
  'headers',
  'body',
  'json',
  'signal',
  'deadlineMs',
  'earlyData',
]

const NOTHING = new Uint8Array(0)

/** Checks a request. @throws P2PError `invalid-configuration`, `serialization` */
export function prepareRequest(init: P2PClientRequest): PreparedRequest {
  checkOptions('request', init, OPTIONS)
  const method = init.method?.toUpperCase() ?? 'GET'
  if (!isMethod(method)) throw invalidConfiguration('method', init.method, 'a method is a word such as GET')
  const { deadlineMs } = init
  if (deadlineMs !== undefined && !(deadlineMs > 0)) {
    throw invalidConfiguration('deadlineMs', deadlineMs, 'a deadline is a number of milliseconds above 0')
  }
  const headers = new P2PHeaders(init.headers)
  const body = prepareBody(init, headers)
  if (body instanceof Uint8Array && (body.length > 0 || !BODYLESS.has(method))) {
    headers.setKnown('content-length', String(body.length))
  }
  const { signal, earlyData = false } = init
  return { method, target: buildTarget(init.path, init.query), headers, body, signal, deadlineMs, earlyData }
}

function prepareBody(init: P2PClientRequest, headers: P2PHeaders): PreparedRequest['body'] {
  if (init.json !== undefined) {
    if (init.body !== undefined) throw invalidConfiguration('json', 'set', 'a request has either a body or json')
    headers.setDefault('content-type', 'application/json')
    try {
      return Buffer.from(JSON.stringify(init.json))
    } catch (cause) {
      throw P2PError.of('serialization', 'this value cannot be written as JSON', {}, { cause })
    }
  }
  if (typeof init.body !== 'string') return init.body ?? NOTHING
  headers.setDefault('content-type', 'text/plain; charset=utf-8')
  return Buffer.from(init.body)
}
