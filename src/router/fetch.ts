/**
 * `fetch` for `p2p://<node id>/path`, in fetch's own language.
 *
 * @module
 */
import { invalidConfiguration } from '../core/config.ts'
import { P2PError } from '../core/errors.ts'
import type { P2PSystem } from '../core/system.ts'
import type { P2PClientRequest } from './client-options.ts'
import type { P2PClientResponse } from './client-response.ts'
import { RequestPool } from './pool.ts'

/** What `fetch` takes: the part of fetch's own `RequestInit` that has a meaning between peers, and a deadline. */
export interface P2PFetchInit extends Pick<RequestInit, 'method' | 'headers' | 'body' | 'signal' | 'redirect'> {
  /** Longest time from the call to the last byte of the answer's body, in milliseconds. @default none */
  readonly deadlineMs?: number | undefined
}

/** As fetch has it. */
const MAX_REDIRECTS = 20
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

interface FetchState {
  url: URL
  method: string
  headers: Headers
  body: Uint8Array | ReadableStream<Uint8Array> | undefined
  readonly signal: AbortSignal | undefined
  readonly redirect: 'follow' | 'error' | 'manual'
  readonly deadlineMs: number | undefined
}

/** WHATWG does the work where a body is more than bytes or text, or a Request comes along. */
function normalise(input: string | URL | Request, init: P2PFetchInit): FetchState {
  const { deadlineMs } = init
  if (!(input instanceof Request)) {
    const url = new URL(input)
    const { body } = init
    if (body === undefined || body === null || typeof body === 'string' || body instanceof Uint8Array) {
      const method = init.method?.toUpperCase() ?? 'GET'
      const headers = new Headers(init.headers)
      const given = body ?? undefined
      if (given !== undefined && (method === 'GET' || method === 'HEAD'))
        throw unusable('body', method, `${method} has no body`)
      if (typeof given === 'string' && !headers.has('content-type')) {
        headers.set('content-type', 'text/plain;charset=UTF-8')
      }
      const bytes = typeof given === 'string' ? Buffer.from(given) : given
      const { redirect = 'follow' } = init
      return { url, method, headers, body: bytes, signal: init.signal ?? undefined, redirect, deadlineMs }
    }
  }
  const converted = new Request(input, { ...(init as RequestInit), duplex: 'half' })
  const { method, headers, body, redirect } = converted
  const signal = init.signal ?? (input instanceof Request ? input.signal : undefined)
  return { url: new URL(converted.url), method, headers, body: body ?? undefined, signal, redirect, deadlineMs }
}

/** For what is no request. */
function unusable(name: string, value: unknown, why: string): TypeError {
  return new TypeError(why, { cause: invalidConfiguration(name, value, why) })
}

/** For a redirect that cannot be followed. */
function lost(why: string): TypeError {
  return new TypeError(`fetch failed: ${why}`, { cause: P2PError.of('protocol', why, {}) })
}

/** What WHATWG threw, with a `P2PError` as its cause. */
function explained(error: unknown, input: string | URL | Request): unknown {
  if (!(error instanceof TypeError) || P2PError.is(error.cause)) return error
  const value = input instanceof Request ? input.url : String(input)
  const fields = { setting: 'request', value }
  const cause = P2PError.of('invalid-configuration', `this is no request: ${error.message}`, fields, { cause: error })
  return new TypeError(error.message, { cause })
}

/** As {@link normalise}; what WHATWG throws gets a `P2PError` as its cause. */
function check(input: string | URL | Request, init: P2PFetchInit): FetchState {
  try {
    const state = normalise(input, init)
    checkUrl(state.url)
    return state
  } catch (error) {
    throw explained(error, input)
  }
}

function checkUrl(url: URL): void {
  if (url.protocol !== 'p2p:' || url.hostname === '') {
    const why = `${url.protocol}//${url.hostname} is no peer: a URL looks like p2p://<node id>/path`
    throw unusable('url', url.host, why)
  }
  if (url.username !== '' || url.password !== '' || url.port !== '') {
    const why = 'a p2p URL has neither user, password nor port: the node id says who, and proves it'
    throw unusable('url', url.host, why)
  }
}

function toError(error: unknown, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted && P2PError.is(error, 'aborted')) return signal.reason
  return new TypeError('fetch failed', { cause: error })
}

/** Where a redirect leads; what may not be sent there is taken out (Fetch, 4.4). */
function follow(state: FetchState, status: number, location: string): void {
  const from = state.url.host
  if (!URL.canParse(location, state.url.href)) throw lost('the peer redirects to what is no URL')
  state.url = new URL(location, state.url)
  checkUrl(state.url)
  const becomesGet = (status === 303 && state.method !== 'HEAD') || (status < 303 && state.method === 'POST')
  if (becomesGet) {
    state.method = 'GET'
    state.body = undefined
    for (const name of ['content-type', 'content-length', 'content-encoding', 'content-language', 'content-location']) {
      state.headers.delete(name)
    }
  } else if (state.body && !(state.body instanceof Uint8Array)) {
    throw lost('the peer redirects a request whose body cannot be sent twice')
  }
  if (state.url.host !== from) for (const name of ['authorization', 'cookie']) state.headers.delete(name)
}

function toReadable(answer: P2PClientResponse, signal: AbortSignal | undefined): ReadableStream<Uint8Array> {
  const { body } = answer
  return new ReadableStream(
    {
      type: 'bytes',
      pull: async (controller): Promise<void> => {
        let chunk
        try {
          chunk = await body.read()
        } catch (error) {
          throw toError(error, signal)
        }
        if (chunk) {
          // Byte streams take the buffer away from the chunk, which may share it with others.
          controller.enqueue(chunk.byteLength === chunk.buffer.byteLength ? chunk : new Uint8Array(chunk))
        } else {
          controller.close()
          controller.byobRequest?.respond(0)
        }
      },
      cancel: () => body.cancel(),
    },
    { highWaterMark: 0 },
  )
}

function toResponse(state: FetchState, answer: P2PClientResponse, redirected: boolean): Response {
  const { status } = answer
  const bodyless = state.method === 'HEAD' || status === 204 || status === 205 || status === 304
  const headers = new Headers()
  for (const [name, value] of answer.headers) headers.append(name, value)
  const response = new Response(bodyless ? null : toReadable(answer, state.signal), { status, headers })
  state.url.hash = ''
  Object.defineProperty(response, 'url', { value: state.url.href })
  Object.defineProperty(response, 'redirected', { value: redirected })
  return response
}

/**
 * `fetch` as on the web, for `p2p://<node id or ticket>/path`. It fails as fetch does: with a `TypeError` whose `cause`
 * is the `P2PError`, or with the signal's reason when aborted. Redirects are followed, to other peers as well.
 *
 * @example
 * ```ts
 * import { DefaultP2P, fetch, P2PResponse, P2PRouter, serve } from '@moosicbox/p2p'
 *
 * await using home = await DefaultP2P.create()
 * await using player = await DefaultP2P.create()
 * await serve(home, new P2PRouter().route('GET', '/hello', () => P2PResponse.text('hello')))
 * const response = await fetch(player, `p2p://${home.address()}/hello`)
 * console.log(await response.text()) // hello
 * ```
 *
 * @throws TypeError with the `P2PError` as `cause`; or the reason of `init.signal`
 */
export async function fetch(
  system: P2PSystem,
  input: string | URL | Request,
  init: P2PFetchInit = {},
): Promise<Response> {
  const state = check(input, init)
  const pool = RequestPool.of(system)
  for (let redirects = 0; ; redirects++) {
    const { url, method, headers, body, signal, deadlineMs } = state
    state.signal?.throwIfAborted()
    const path = `${url.pathname === '' ? '/' : url.pathname}${url.search}`
    let answer
    try {
      const init: P2PClientRequest = { method, path, headers, body, signal, deadlineMs }
      answer = await pool.request(url.hostname, init)
    } catch (error) {
      throw toError(error, signal)
    }
    const location = answer.headers.get('location')
    if (!REDIRECTS.has(answer.status) || location === undefined || state.redirect === 'manual') {
      return toResponse(state, answer, redirects > 0)
    }
    answer.cancel()
    if (state.redirect === 'error') throw lost('the peer redirects, and redirect is "error"')
    if (redirects === MAX_REDIRECTS) throw lost(`more than ${MAX_REDIRECTS} redirects`)
    follow(state, answer.status, location)
  }
}
