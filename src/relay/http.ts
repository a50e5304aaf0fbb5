/**
 * What a relay answers besides relaying: probes of clients, health, metrics.
 *
 * @module
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { prometheusText } from './metrics.ts'
import type { RelayMetrics } from './metrics.ts'

/** What `X-Iroh-Challenge` may be; anything else is not echoed, as an answer is no place for a stranger's text. */
const CHALLENGE = /^[\w.-]{1,63}$/

/** What the answers depend on. */
export interface HttpSource {
  readonly isClosing: boolean
  /** Undefined when they are not for the public. */
  readonly metrics: (() => RelayMetrics) | undefined
  /** Undefined when there are none. */
  readonly reflectors: string | undefined
}

/** Answers one request. */
export function answer(request: IncomingMessage, response: ServerResponse, source: HttpSource): void {
  const path = (request.url ?? '').split('?', 1)[0]
  const text = (status: number, body: string, type = 'text/plain; charset=utf-8'): void => {
    response.writeHead(status, { 'content-type': type }).end(body)
  }
  // No body is of use here, and none is read.
  if (request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined) {
    response.setHeader('connection', 'close')
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD')
    text(405, 'only GET and HEAD\n')
    return
  }
  switch (path) {
    case '/ping':
      response.setHeader('access-control-allow-origin', '*')
      response.writeHead(200).end()
      return
    case '/generate_204': {
      const challenge = request.headers['x-iroh-challenge']
      if (typeof challenge === 'string' && CHALLENGE.test(challenge)) {
        response.setHeader('x-iroh-response', `response ${challenge}`)
      }
      response.writeHead(204).end()
      return
    }
    case '/healthz':
      text(
        source.isClosing ? 503 : 200,
        JSON.stringify({ status: source.isClosing ? 'closing' : 'ok' }),
        'application/json',
      )
      return
    case '/metrics':
      if (source.metrics) {
        text(200, prometheusText(source.metrics()), 'text/plain; version=0.0.4')
        return
      }
      break
    case '/reflector':
      if (source.reflectors === undefined) break
      response.setHeader('access-control-allow-origin', '*')
      text(200, source.reflectors, 'application/json')
      return
    case '/relay':
      response.setHeader('upgrade', 'websocket')
      text(426, 'this is a WebSocket endpoint of the iroh relay protocol\n')
      return
    case '/':
      text(200, 'an iroh relay\n')
      return
    default:
  }
  text(404, 'not found\n')
}
