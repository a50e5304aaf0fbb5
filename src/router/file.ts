/**
 * Files as answers: conditions and ranges of RFC 9110, sections 13 and 14.
 *
 * @module
 */
import { P2PError } from '../core/errors.ts'
import type { Runtime, RuntimeFile } from '../core/runtime.ts'
import { contentTypeOf } from './content-type.ts'
import type { P2PHeadersInit } from './headers.ts'
import { P2PHeaders } from './headers.ts'
import { formatHttpDate, parseHttpDate } from './http-date.ts'
import type { ByteRange } from './range.ts'
import { parseRange } from './range.ts'
import type { P2PRequest } from './request.ts'
import { P2PResponse } from './response.ts'

/** Options of `P2PResponse.file`. */
export interface FileOptions {
  /** Defaults to what the extension says. */
  readonly contentType?: string | undefined
  /** Further headers, such as `cache-control`. */
  readonly headers?: P2PHeadersInit | undefined
}

/** Read from the disk at a time. */
const CHUNK_BYTES = 65_536

/** Part of an open file, read as it is sent. */
export class FileBody implements AsyncIterable<Uint8Array> {
  readonly #file: RuntimeFile
  readonly #path: string
  readonly #signal: AbortSignal
  readonly #end: number
  #position: number

  constructor(file: RuntimeFile, path: string, range: ByteRange, signal: AbortSignal) {
    this.#file = file
    this.#path = path
    this.#position = range.start
    this.#end = range.end
    this.#signal = signal
  }

  /** The next chunk, undefined at the end of the part. @throws P2PError `io`, `aborted` */
  async read(): Promise<Uint8Array | undefined> {
    if (this.#signal.aborted) throw P2PError.aborted(this.#signal, `reading ${this.#path}`)
    if (this.#position >= this.#end) {
      await this.#file.close()
      return undefined
    }
    const chunk = await this.#file.read(this.#position, Math.min(CHUNK_BYTES, this.#end - this.#position))
    if (chunk.length === 0) {
      const message = `${this.#path} ended at ${this.#position} while bytes up to ${this.#end} were being sent: it has changed`
      throw P2PError.of('io', message, { path: this.#path })
    }
    this.#position += chunk.length
    return chunk
  }

  async *[Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array> {
    for (let chunk = await this.read(); chunk; chunk = await this.read()) yield chunk
  }
}

/** What `open` fails with when there is no such file, as opposed to one that cannot be read. */
const ABSENT = new Set(['ENOENT', 'ENOTDIR', 'EISDIR', 'ENAMETOOLONG', 'ELOOP', 'EINVAL'])

function isAbsent(error: unknown): boolean {
  if (!P2PError.is(error, 'io')) return false
  const { code } = (error.cause ?? {}) as { readonly code?: unknown }
  return typeof code !== 'string' || ABSENT.has(code)
}

async function open(runtime: Runtime, path: string): Promise<RuntimeFile | undefined> {
  try {
    return await runtime.files.open(path)
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw error
  }
}

/** See `P2PResponse.file`. */
export async function fileResponse(path: string, request: P2PRequest, options: FileOptions = {}): Promise<P2PResponse> {
  const { runtime } = request
  if (!runtime) {
    const message = 'P2PResponse.file needs the runtime of the serving node: make the request with one'
    throw P2PError.of('invalid-configuration', message, { setting: 'runtime', value: undefined })
  }
  if (request.signal.aborted) throw P2PError.aborted(request.signal, `answering with ${path}`)
  const file = await open(runtime, path)
  if (!file) return P2PResponse.error(404)
  // Whatever becomes of the answer: dropped by a middleware, cut short by the peer, sent.
  request.onEnd(() => void file.close().catch(() => {}))
  const headers = new P2PHeaders(options.headers)
  const etag = `"${file.sizeBytes.toString(16)}-${Math.floor(file.modifiedMs).toString(16)}"`
  headers.setDefault('content-type', options.contentType ?? contentTypeOf(path))
  headers.setDefault('etag', etag)
  headers.setDefault('last-modified', formatHttpDate(file.modifiedMs))
  headers.setDefault('accept-ranges', 'bytes')
  const verdict = evaluate(request, file, headers, runtime)
  if (typeof verdict === 'number') {
    await file.close()
    return withoutBody(verdict, headers, file.sizeBytes)
  }
  const range = verdict ?? { start: 0, end: file.sizeBytes }
  headers.set('content-length', String(range.end - range.start))
  if (verdict) headers.set('content-range', `bytes ${range.start}-${range.end - 1}/${file.sizeBytes}`)
  const status = verdict ? 206 : 200
  if (request.method === 'HEAD') {
    await file.close()
    return new P2PResponse(undefined, { status, headers })
  }
  return new P2PResponse(new FileBody(file, path, range, request.signal), { status, headers })
}

function withoutBody(status: number, headers: P2PHeaders, sizeBytes: number): P2PResponse {
  if (status !== 304) headers.delete('content-type')
  if (status === 416) headers.set('content-range', `bytes */${sizeBytes}`)
  return new P2PResponse(undefined, { status, headers })
}

/**
 * RFC 9110, 13.2.2: the conditions in their order of precedence, then the range. A number is a status without body,
 * undefined the whole file.
 */
function evaluate(
  request: P2PRequest,
  file: RuntimeFile,
  answer: P2PHeaders,
  runtime: Runtime,
): number | ByteRange | undefined {
  const { headers, method } = request
  const etag = answer.get('etag') ?? ''
  const modifiedMs = parseHttpDate(answer.get('last-modified') ?? '') ?? 0
  const reads = method === 'GET' || method === 'HEAD'
  const ifMatch = headers.get('if-match')
  const ifNoneMatch = headers.get('if-none-match')
  const since = parseHttpDate(headers.get('if-modified-since') ?? '')
  const unmodifiedSince = parseHttpDate(headers.get('if-unmodified-since') ?? '')
  if (ifMatch !== undefined) {
    if (!listHas(ifMatch, etag, false)) return 412
  } else if (unmodifiedSince !== undefined && modifiedMs > unmodifiedSince) {
    return 412
  }
  if (ifNoneMatch !== undefined) {
    if (listHas(ifNoneMatch, etag, true)) return reads ? 304 : 412
  } else if (reads && since !== undefined && modifiedMs <= since) {
    return 304
  }
  // RFC 9110, 14.2: ranges are for GET alone.
  if (
    method !== 'GET' ||
    !ifRangeHolds(headers.get('if-range'), etag, modifiedMs, runtime.wallClockMs() - file.modifiedMs)
  )
    return undefined
  const range = parseRange(headers.get('range'), file.sizeBytes)
  return range === 'unsatisfiable' ? 416 : range
}

/** RFC 9110, 8.8.3.2: whether a list of entity tags holds `etag`, by the weak or by the strong comparison. */
function listHas(list: string, etag: string, weak: boolean): boolean {
  if (list.trim() === '*') return true
  const opaque = (tag: string): string => (weak ? tag.replace(/^W\//, '') : tag)
  const tags = list.match(/(?:W\/)?"[^"]*"/g) ?? []
  return tags.some((tag) => opaque(tag) === opaque(etag) && (weak || !etag.startsWith('W/')))
}

/** RFC 9110, 13.1.5: only what has not changed for certain may be continued; a date says so only when it is a second old. */
function ifRangeHolds(header: string | undefined, etag: string, modifiedMs: number, ageMs: number): boolean {
  if (header === undefined) return true
  if (header.startsWith('"')) return header === etag
  return parseHttpDate(header) === modifiedMs && ageMs >= 1000
}
