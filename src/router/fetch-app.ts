/**
 * Serving applications written for WHATWG `fetch`, such as hono's, unchanged.
 *
 * @module
 */
import type { P2PRequest } from './request.ts'
import { P2PResponse } from './response.ts'
import type { P2PHandler } from './router.ts'

/** The second argument of a fetch application's `fetch`; hono shows it as `c.env`. */
export interface P2PFetchEnvironment {
  /** The request as this library has it, with who sent it. */
  readonly p2p: P2PRequest
}

/**
 * An application that answers WHATWG requests. Their URLs are `https://p2p.invalid/…` ({@link P2P_HOST}), and the
 * header `x-p2p-node-id` is the authenticated id of who asks.
 */
export interface P2PFetchApp {
  fetch(request: Request, environment: P2PFetchEnvironment): Response | Promise<Response>
}

/** The host of the URLs that fetch applications see: a name that RFC 6761 keeps from ever being anybody's. */
export const P2P_HOST = 'p2p.invalid'
/** Who asks. Set by the server; what a peer sends under this name is dropped. */
export const NODE_ID_HEADER = 'x-p2p-node-id'

function toHeaders(request: P2PRequest): Headers {
  const headers = new Headers()
  for (const [name, value] of request.headers) headers.append(name, value)
  headers.set(NODE_ID_HEADER, request.remoteNodeId.toString())
  return headers
}

/** The handler that hands every request to `app`. */
export function fetchAppHandler(app: P2PFetchApp): P2PHandler {
  return async (request) => {
    const { method } = request
    const bodyless = method === 'GET' || method === 'HEAD'
    let converted
    try {
      converted = new Request(`https://${P2P_HOST}${request.target}`, {
        method,
        headers: toHeaders(request),
        signal: request.signal,
        ...(bodyless ? {} : { body: request.body.readable, duplex: 'half' }),
      })
    } catch {
      // Methods that fetch does not allow (CONNECT, TRACE, TRACK), and paths that no URL can have.
      return P2PResponse.error(501)
    }
    const response = await app.fetch(converted, { p2p: request })
    return new P2PResponse(response.body ?? undefined, { status: response.status, headers: response.headers })
  }
}
