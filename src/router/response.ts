/**
 * An answer as its handler makes it.
 *
 * @module
 */
import { invalidConfiguration } from '../core/config.ts'
import { P2PError } from '../core/errors.ts'
import type { FileOptions } from './file.ts'
import { fileResponse } from './file.ts'
import type { P2PHeadersInit } from './headers.ts'
import { P2PHeaders } from './headers.ts'
import type { P2PRequest } from './request.ts'

/** What the body of an answer can be: nothing, bytes, or bytes as they come. */
export type P2PResponseBody = Uint8Array | ReadableStream<Uint8Array> | AsyncIterable<Uint8Array> | undefined

/** Status and headers of an answer. */
export interface P2PResponseInit {
  /** 200 to 599. @default 200 */
  readonly status?: number | undefined
  readonly headers?: P2PHeadersInit | undefined
}

// prettier-ignore
const REASONS: ReadonlyMap<number, string> = new Map([
  [400, 'Bad Request'], [401, 'Unauthorized'], [403, 'Forbidden'], [404, 'Not Found'], [405, 'Method Not Allowed'],
  [408, 'Request Timeout'], [409, 'Conflict'], [410, 'Gone'], [412, 'Precondition Failed'], [413, 'Content Too Large'],
  [415, 'Unsupported Media Type'], [416, 'Range Not Satisfiable'], [422, 'Unprocessable Content'],
  [429, 'Too Many Requests'], [500, 'Internal Server Error'], [501, 'Not Implemented'], [502, 'Bad Gateway'],
  [503, 'Service Unavailable'], [504, 'Gateway Timeout'],
])

/**
 * An answer: status, headers and body.
 *
 * @example
 * ```ts
 * import { P2PResponse, P2PRouter } from '@moosicbox/p2p'
 *
 * new P2PRouter()
 *   .route('GET', '/hello', () => P2PResponse.text('hello'))
 *   .route('GET', '/album/:id', (req) => P2PResponse.json({ id: req.params.id }, { headers: { 'cache-control': 'no-cache' } }))
 *   .route('GET', '/song', (req) => P2PResponse.file('/music/song.flac', req))
 * ```
 */
export class P2PResponse {
  /** 200 to 599. */
  readonly status: number
  readonly headers: P2PHeaders
  readonly body: P2PResponseBody

  /** @throws P2PError `invalid-configuration` for a status out of range, or a bad header */
  constructor(body?: P2PResponseBody, init: P2PResponseInit = {}) {
    const status = init.status ?? 200
    if (!Number.isInteger(status) || status < 200 || status > 599) {
      throw invalidConfiguration('status', status, 'the status of an answer is a whole number from 200 to 599')
    }
    this.status = status
    this.headers = new P2PHeaders(init.headers)
    this.body = body
  }

  /** `value` as JSON. @throws P2PError `serialization` when it is none: undefined, a BigInt, a cycle */
  static json(value: unknown, init?: P2PResponseInit): P2PResponse {
    let text: string | undefined
    try {
      text = JSON.stringify(value)
    } catch (cause) {
      throw P2PError.of('serialization', 'this value cannot be written as JSON', {}, { cause })
    }
    if (text === undefined) {
      const message = `${typeof value} is no JSON; for something that is not there, answer with P2PResponse.error(404)`
      throw P2PError.of('serialization', message, {})
    }
    return withType(Buffer.from(text), 'application/json', init)
  }

  /** Text as UTF-8, `text/plain` unless the headers say otherwise. */
  static text(text: string, init?: P2PResponseInit): P2PResponse {
    return withType(Buffer.from(text), 'text/plain; charset=utf-8', init)
  }

  /** Bytes, `application/octet-stream` unless the headers say otherwise. */
  static bytes(bytes: Uint8Array, init?: P2PResponseInit): P2PResponse {
    return withType(bytes, 'application/octet-stream', init)
  }

  /**
   * Bytes as they come; the peer's pace is the source's. The source is cancelled when the peer gives up. With a
   * `content-length` among the headers the source must yield exactly that many bytes.
   */
  static stream(source: ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>, init?: P2PResponseInit): P2PResponse {
    return withType(source, 'application/octet-stream', init)
  }

  /**
   * A file of the serving node, streamed. Answers `Range` (one part), `If-Range`, `If-None-Match`, `If-Match`,
   * `If-Modified-Since`, `If-Unmodified-Since` and `HEAD` as RFC 9110 has it; 404 when there is no such file. The file
   * is closed when the exchange is over, whether it was sent or not.
   *
   * @throws P2PError `io` when the file is there and cannot be opened
   */
  static file(path: string, request: P2PRequest, options?: FileOptions): Promise<P2PResponse> {
    return fileResponse(path, request, options)
  }

  /** No body: 204 unless `status` says otherwise. */
  static empty(init?: P2PResponseInit): P2PResponse {
    return new P2PResponse(undefined, { status: 204, ...init })
  }

  /** Says where to go instead: 302 unless `status` says otherwise. */
  static redirect(location: string, status = 302): P2PResponse {
    return new P2PResponse(undefined, { status, headers: { location } })
  }

  /** A failure: `message`, or the status in words, as text. */
  static error(status: number, message?: string, init?: P2PResponseInit): P2PResponse {
    return P2PResponse.text(message ?? REASONS.get(status) ?? `Error ${status}`, { ...init, status })
  }
}

function withType(body: P2PResponseBody, type: string, init: P2PResponseInit | undefined): P2PResponse {
  const response = new P2PResponse(body, init)
  if (!response.headers.has('content-type')) response.headers.setKnown('content-type', type)
  return response
}
