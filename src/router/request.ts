/**
 * A request as its handler sees it.
 *
 * @module
 */
import type { P2PNodeId } from '../core/node-id.ts'
import type { Runtime } from '../core/runtime.ts'
import { P2PBody, bytesSource } from './body.ts'
import { isTarget } from './codec.ts'
import type { P2PHeadersInit } from './headers.ts'
import { P2PHeaders } from './headers.ts'
import type { P2PQueryInit } from './target.ts'
import { buildTarget } from './target.ts'

/** Values by name; undefined where there is none. */
export type P2PParams = Readonly<Record<string, string | undefined>>

/** What a server, or a test of a handler, makes a request from. */
export interface P2PRequestInit {
  /** @default 'GET' */
  readonly method?: string | undefined
  /** Begins with `/`; may hold a query. */
  readonly path: string
  readonly query?: P2PQueryInit | undefined
  readonly headers?: P2PHeadersInit | undefined
  readonly body?: P2PBody | Uint8Array | string | undefined
  /** Who asks. */
  readonly remoteNodeId: P2PNodeId
  /** Clock and files of the serving node; `P2PResponse.file` needs it. */
  readonly runtime?: Runtime | undefined
  /** Fires when the answer is no longer wanted. Called once, when somebody first looks at `signal`. */
  readonly signal?: AbortSignal | (() => AbortSignal) | undefined
  /** See {@link P2PRequest.isEarly}. @default false */
  readonly isEarly?: boolean | undefined
  /** Registers work for when the exchange is over; see {@link P2PRequest.onEnd}. */
  readonly onEnd?: ((cleanup: () => void) => void) | undefined
}

const NO_PARAMS: P2PParams = Object.freeze(Object.create(null) as Record<string, string>)

function firstValues(pairs: URLSearchParams): P2PParams {
  const values = Object.create(null) as Record<string, string>
  for (const [name, value] of pairs) values[name] ??= value
  return values
}

/**
 * A request: method, path, query, params, headers and body, who sent it, and a signal that fires when nobody waits for
 * the answer any more.
 *
 * @example
 * ```ts
 * import { P2PResponse, P2PRouter } from '@moosicbox/p2p'
 *
 * // GET /tracks/7?quality=high
 * new P2PRouter().route('GET', '/tracks/:id', (req) => P2PResponse.json({ id: req.params.id, quality: req.query.quality }))
 * ```
 */
export class P2PRequest {
  /** In upper case. A `HEAD` that a `GET` route answers stays `HEAD` here. */
  readonly method: string
  /** Path and query as they were sent. */
  readonly target: string
  /** The path as it was sent, percent-encoded, without the query. */
  readonly path: string
  readonly headers: P2PHeaders
  readonly body: P2PBody
  /** Who asks, authenticated by the connection. */
  readonly remoteNodeId: P2PNodeId
  /**
   * Whether it came before the handshake was complete: its sender is who `remoteNodeId` says, but somebody else may have
   * recorded it and sent it again. Only with `earlyData` of `serve`.
   */
  readonly isEarly: boolean
  /** Clock, timers and files of the serving node. */
  readonly runtime: Runtime | undefined
  /** What the route's `:params` and wildcards took, percent-decoded; set by the router. */
  params: P2PParams = NO_PARAMS
  #query: P2PParams | undefined
  #searchParams: URLSearchParams | undefined
  readonly #init: P2PRequestInit
  #signal: AbortSignal | undefined

  constructor(init: P2PRequestInit) {
    this.method = init.method?.toUpperCase() ?? 'GET'
    // What can be a target stays as it was sent, percent signs and all.
    this.target = init.query === undefined && isTarget(init.path) ? init.path : buildTarget(init.path, init.query)
    const mark = this.target.indexOf('?')
    this.path = mark < 0 ? this.target : this.target.slice(0, mark)
    this.headers = init.headers instanceof P2PHeaders ? init.headers : new P2PHeaders(init.headers)
    this.body = toBody(init.body)
    this.remoteNodeId = init.remoteNodeId
    this.isEarly = init.isEarly ?? false
    this.runtime = init.runtime
    this.#init = init
  }

  /** The first value of each name in the query, decoded. Repeated names: see {@link searchParams}. */
  get query(): P2PParams {
    return (this.#query ??= firstValues(this.searchParams))
  }

  /** The whole query, repeated names included. */
  get searchParams(): URLSearchParams {
    return (this.#searchParams ??= new URLSearchParams(this.target.slice(this.path.length)))
  }

  /** Fires when the caller gave up, its connection is over, the handler took too long, or the server closes. */
  get signal(): AbortSignal {
    if (!this.#signal) {
      const init = this.#init
      this.#signal = typeof init.signal === 'function' ? init.signal() : (init.signal ?? neverAborted())
    }
    return this.#signal
  }

  /** The whole body. @throws P2PError `limit-exceeded` over `limitBytes`, and as {@link P2PBody.read} */
  bytes(limitBytes?: number): Promise<Uint8Array> {
    return this.body.bytes(limitBytes)
  }

  /** The whole body as UTF-8. @throws P2PError as `bytes` */
  text(limitBytes?: number): Promise<string> {
    return this.body.text(limitBytes)
  }

  /** The whole body as JSON. @throws P2PError `serialization` when it is none, and as `bytes` */
  json(limitBytes?: number): Promise<unknown> {
    return this.body.json(limitBytes)
  }

  /** Runs `cleanup` when the exchange is over, however it ended: to close what the answer is made from. */
  onEnd(cleanup: () => void): void {
    this.#init.onEnd?.(cleanup)
  }
}

function neverAborted(): AbortSignal {
  return new AbortController().signal
}

function toBody(body: P2PRequestInit['body']): P2PBody {
  if (body instanceof P2PBody) return body
  return new P2PBody(
    bytesSource(typeof body === 'string' ? new TextEncoder().encode(body) : (body ?? new Uint8Array(0))),
  )
}
