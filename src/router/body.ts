/**
 * Bodies as applications read them: all at once, or as they arrive.
 *
 * @module
 */
import { readableBytes } from '../core/byte-stream.ts'
import { concatBytes } from '../core/encoding.ts'
import { P2PError } from '../core/errors.ts'

/** Where a body's bytes come from. */
export interface ByteSource {
  /** The next bytes, undefined at the end. One call at a time. */
  read(): Promise<Uint8Array | undefined>
  /** All of it, when all of it is here and has no more than `limitBytes`; undefined when it has to be read. */
  whole?(limitBytes: number): Uint8Array | undefined
  /** Wants no more. */
  cancel(): void
}

/** The most that `bytes`, `text` and `json` take into memory unless told otherwise. */
export const DEFAULT_MAX_BUFFERED_BYTES = 1_048_576

/** Options of a {@link P2PBody}. */
export interface P2PBodyOptions {
  /** The most that `bytes`, `text` and `json` take into memory. @default 1048576 */
  readonly maxBufferedBytes?: number | undefined
  /** For messages. @default 'the body' */
  readonly what?: string | undefined
}

const DEFAULTS: P2PBodyOptions = {}

/** A source of bytes that are there already. */
export function bytesSource(bytes: Uint8Array): ByteSource {
  let left: Uint8Array | undefined = bytes.length > 0 ? bytes : undefined
  return {
    read: (): Promise<Uint8Array | undefined> => {
      const chunk = left
      left = undefined
      return Promise.resolve(chunk)
    },
    cancel: (): void => {
      left = undefined
    },
  }
}

/**
 * The body of a request or of an answer. Read it whole with `bytes`, `text` or `json` (again and again, they keep what
 * they read), or once as it arrives: `for await`, `read()` or `readable`. What is not read waits at the peer.
 *
 * @example
 * ```ts
 * import { P2PResponse, P2PRouter } from '@moosicbox/p2p'
 *
 * new P2PRouter().route('PUT', '/tracks/:id', async (req) => {
 *   let sizeBytes = 0
 *   for await (const chunk of req.body) sizeBytes += chunk.length
 *   return P2PResponse.json({ sizeBytes })
 * })
 * ```
 */
export class P2PBody implements AsyncIterable<Uint8Array> {
  readonly #source: ByteSource
  readonly #options: P2PBodyOptions
  #whole: Promise<Uint8Array> | undefined
  #streaming = false
  #failure: P2PError | undefined
  #readable: ReadableStream<Uint8Array> | undefined

  constructor(source: ByteSource, options: P2PBodyOptions = DEFAULTS) {
    this.#source = source
    this.#options = options
  }

  /** Whether somebody has begun to read it. */
  get used(): boolean {
    return this.#streaming || this.#whole !== undefined
  }

  /** The error with which reading it has failed, if it has. */
  get failure(): P2PError | undefined {
    return this.#failure
  }

  /**
   * The next bytes as they arrive, undefined at the end.
   *
   * @throws P2PError `stream-reset` when the peer gave up, `protocol` when it sent less or more than it announced,
   * `limit-exceeded`, `timeout`, `connection-closed`, `aborted`
   */
  async read(): Promise<Uint8Array | undefined> {
    if (this.#whole) throw this.#alreadyRead()
    this.#streaming = true
    return this.#next()
  }

  /**
   * The whole body.
   *
   * @param limitBytes the most to take into memory; defaults to the limit of the server or client
   * @throws P2PError `limit-exceeded`, and what `read` throws
   */
  bytes(limitBytes: number = this.#options.maxBufferedBytes ?? DEFAULT_MAX_BUFFERED_BYTES): Promise<Uint8Array> {
    if (this.#whole === undefined) {
      if (this.#streaming) return Promise.reject(this.#alreadyRead())
      const now = this.#source.whole?.(limitBytes)
      this.#whole = now ? Promise.resolve(now) : this.#readAll(limitBytes)
    }
    return this.#whole
  }

  /** The whole body as UTF-8; what is none becomes U+FFFD. @throws P2PError as `bytes` */
  async text(limitBytes?: number): Promise<string> {
    return new TextDecoder().decode(await this.bytes(limitBytes))
  }

  /** The whole body as JSON. @throws P2PError `serialization` when it is none, and as `bytes` */
  async json(limitBytes?: number): Promise<unknown> {
    const text = await this.text(limitBytes)
    try {
      return JSON.parse(text)
    } catch (cause) {
      this.#failure = P2PError.of('serialization', `${this.#what} is not JSON`, {}, { cause })
      throw this.#failure
    }
  }

  /** The body as a WHATWG byte stream with back-pressure; cancelling it is `cancel()`. */
  get readable(): ReadableStream<Uint8Array> {
    return (this.#readable ??= readableBytes(
      () => this.read(),
      () => this.cancel(),
    ))
  }

  /** Chunks as they arrive; leaving the loop early is `cancel()`. */
  async *[Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array> {
    let ended = false
    try {
      for (let chunk = await this.read(); chunk; chunk = await this.read()) yield chunk
      ended = true
    } finally {
      if (!ended) this.cancel()
    }
  }

  /** Wants no more: tells the peer to stop sending. Does nothing at the end. */
  cancel(): void {
    this.#source.cancel()
  }

  get #what(): string {
    return this.#options.what ?? 'the body'
  }

  async #next(): Promise<Uint8Array | undefined> {
    try {
      return await this.#source.read()
    } catch (error) {
      this.#failure = P2PError.from(error, 'connection-failed', `reading ${this.#what} failed`, {}) as P2PError
      throw this.#failure
    }
  }

  async #readAll(limitBytes: number): Promise<Uint8Array> {
    const chunks: Uint8Array[] = []
    let length = 0
    for (let chunk = await this.#next(); chunk; chunk = await this.#next()) {
      length += chunk.length
      if (length > limitBytes) {
        this.cancel()
        const message = `${this.#what} is over the ${limitBytes} bytes to take into memory; stream it, or raise the limit`
        this.#failure = P2PError.of('limit-exceeded', message, { limit: 'maxBufferedBytes', max: limitBytes })
        throw this.#failure
      }
      chunks.push(chunk)
    }
    if (chunks.length === 1 && chunks[0]) return chunks[0]
    return concatBytes(chunks)
  }

  #alreadyRead(): P2PError {
    return P2PError.of('invalid-configuration', `${this.#what} has been read already: it arrives only once`, {
      setting: 'body',
      value: 'used',
    })
  }
}
