/**
 * The receiving half of a request or an answer behind its head: reads at most two chunks ahead of its reader, so that
 * the end of a small body is seen without anybody asking, and holds the peer to the length it announced.
 *
 * @module
 */
import { concatBytes } from '../core/encoding.ts'
import { P2PError } from '../core/errors.ts'
import type { Runtime } from '../core/runtime.ts'
import type { P2PReceiveStream, PromptStream } from '../core/stream.ts'
import type { ByteSource } from './body.ts'
import { REQUEST_CODE } from './codes.ts'
import type { Deadline, Deadlines } from '../core/deadlines.ts'
import { READ_BYTES } from './head-reader.ts'
import { IdleTimer } from './idle-timer.ts'

/** What an incoming body is made of. */
export interface IncomingBodyOptions {
  readonly stream: P2PReceiveStream & PromptStream
  /** What came with the head. */
  readonly rest: Uint8Array
  /** The peer's `content-length`. */
  readonly expectedBytes: number | undefined
  /** Most bytes to take, as the limit `limitName`; Infinity for any number. */
  readonly maxBytes: number
  readonly limitName: string
  readonly runtime: Runtime
  /** Longest wait for more while somebody reads; Infinity for any time. */
  readonly idleTimeoutMs: number
  readonly owner: BodyOwner
}

/** Whose body it is. */
export interface BodyOwner {
  /** For messages: `the body of GET /tracks`. */
  readonly bodyName: string
  /** Makes errors of the stream understandable. */
  explainBody(error: unknown): P2PError
  /** Everything has arrived. */
  bodyEnded(): void
  /** The rest will never arrive: the peer or a limit said so. Not called after `cancel`. */
  bodyFailed(error: P2PError): void
}

interface Reader {
  readonly resolve: (chunk: Uint8Array | undefined) => void
  readonly reject: (error: P2PError) => void
}

/** The bytes of a body as they arrive. */
export class IncomingBody implements ByteSource {
  readonly #options: IncomingBodyOptions
  /** Made for the first wait: mostly everything is here when somebody reads. */
  #idle: IdleTimer | undefined
  readonly #chunks: Uint8Array[] = []
  #bufferedBytes = 0
  #receivedBytes = 0
  #fetching = false
  #state: 'open' | 'ended' | P2PError = 'open'
  #reader: Reader | undefined
  #progressMs: number
  #lingering: Deadline<IncomingBody> | undefined

  constructor(options: IncomingBodyOptions) {
    this.#options = options
    this.#progressMs = options.runtime.now()
  }

  /** Starts reading. Callbacks can be called from here on. */
  begin(): void {
    if (this.#options.rest.length > 0) this.#accept(this.#options.rest)
    this.#fetch()
  }

  /** Whether somebody waits for more. */
  get waiting(): boolean {
    return this.#reader !== undefined
  }

  /** When bytes were last handed out, on the runtime's clock. */
  get progressMs(): number {
    return this.#progressMs
  }

  read(): Promise<Uint8Array | undefined> {
    const chunk = this.#chunks.shift()
    if (chunk) {
      this.#bufferedBytes -= chunk.length
      this.#progressMs = this.#options.runtime.now()
      this.#fetch()
      return Promise.resolve(chunk)
    }
    // The announced length is as good as the end, which may still be on its way.
    if (this.complete) return Promise.resolve(undefined)
    if (this.#state !== 'open') return Promise.reject(this.#state)
    if (this.#reader) {
      const message = `a read of ${this.#options.owner.bodyName} is under way: await it before the next`
      return Promise.reject(P2PError.of('limit-exceeded', message, { limit: 'readers', max: 1 }))
    }
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject }
      this.#idle ??= this.#makeIdleTimer()
      this.#idle.begin()
    })
  }

  whole(limitBytes: number): Uint8Array | undefined {
    if (!this.complete || this.#bufferedBytes > limitBytes) return undefined
    const chunks = this.#chunks.splice(0)
    this.#bufferedBytes = 0
    this.#fetch()
    return chunks.length === 1 ? chunks[0] : concatBytes(chunks)
  }

  /** Wants no more of it: reads fail with `error`, and the peer is told `code`. Does nothing at the end. */
  cancel(error?: P2PError, code: number = REQUEST_CODE.none): void {
    if (this.#state !== 'open') {
      this.#drop()
      return
    }
    this.#state =
      error ?? P2PError.of('stream-stopped', `${this.#options.owner.bodyName} was cancelled here`, { streamCode: code })
    this.#settle()
    this.#drop()
    this.#options.stream.stop(code)
  }

  /** Whether all bytes have arrived, the end of the stream or not. */
  get complete(): boolean {
    return this.#state === 'ended' || (this.#state === 'open' && this.#receivedBytes === this.#options.expectedBytes)
  }

  /**
   * Wants no more of it, and waits a while for an end that alone is missing: mostly it is on its way, and stopping
   * would only cost more. `mayBeEmpty` says that no body is expected where none was announced.
   */
  release(lingering: Deadlines<IncomingBody>, mayBeEmpty: boolean): void {
    const bare = this.#options.expectedBytes === undefined && this.#receivedBytes === 0 && mayBeEmpty
    if (this.#state === 'open' && (this.complete || bare)) {
      this.#lingering = lingering.add(this)
    } else {
      this.cancel()
    }
  }

  #accept(chunk: Uint8Array): void {
    const { expectedBytes, maxBytes, limitName, owner } = this.#options
    this.#receivedBytes += chunk.length
    if (expectedBytes !== undefined && this.#receivedBytes > expectedBytes) {
      const message = `${owner.bodyName} is longer than the ${expectedBytes} bytes that were announced`
      this.#fail(P2PError.of('protocol', message, {}), REQUEST_CODE.malformed)
    } else if (this.#receivedBytes > maxBytes) {
      const message = `${owner.bodyName} is over the limit of ${maxBytes} bytes (${limitName})`
      this.#fail(P2PError.of('limit-exceeded', message, { limit: limitName, max: maxBytes }), REQUEST_CODE.tooLarge)
    } else if (this.#reader) {
      const { resolve } = this.#reader
      this.#reader = undefined
      this.#idle?.end()
      this.#progressMs = this.#options.runtime.now()
      resolve(chunk)
    } else {
      this.#chunks.push(chunk)
      this.#bufferedBytes += chunk.length
    }
  }

  #makeIdleTimer(): IdleTimer {
    const { runtime, idleTimeoutMs: ms, owner } = this.#options
    return new IdleTimer(runtime, ms, () => {
      const message = `nothing more of ${owner.bodyName} came for ${ms} ms`
      this.#fail(P2PError.of('timeout', message, { afterMs: ms }), REQUEST_CODE.timeout)
    })
  }

  #fetch(): void {
    const { stream } = this.#options
    for (;;) {
      if (this.#fetching || this.#state !== 'open' || this.#bufferedBytes >= READ_BYTES) return
      const now = stream.readNow?.(READ_BYTES)
      if (now === undefined) break
      this.#took(now ?? undefined)
    }
    this.#fetching = true
    stream.read(READ_BYTES).then(
      (chunk) => this.#fetched(chunk),
      (error: unknown) => {
        this.#fetching = false
        if (this.#state === 'open') this.#fail(this.#options.owner.explainBody(error))
      },
    )
  }

  #fetched(chunk: Uint8Array | undefined): void {
    this.#fetching = false
    if (this.#state !== 'open') return
    this.#took(chunk)
    this.#fetch()
  }

  /** Undefined for the end. */
  #took(chunk: Uint8Array | undefined): void {
    if (chunk) {
      this.#accept(chunk)
      return
    }
    const { expectedBytes, owner } = this.#options
    if (expectedBytes !== undefined && this.#receivedBytes < expectedBytes) {
      const message = `${owner.bodyName} ended after ${this.#receivedBytes} of the ${expectedBytes} bytes that were announced`
      this.#fail(P2PError.of('protocol', message, {}))
      return
    }
    this.#end()
  }

  #end(): void {
    this.#state = 'ended'
    this.#settle()
    this.#options.owner.bodyEnded()
  }

  /** What arrived before is dropped: a body that is cut short is not to be taken for a whole one. */
  #fail(error: P2PError, code?: number): void {
    if (this.complete) {
      this.#end()
      return
    }
    this.#state = error
    this.#settle()
    this.#drop()
    if (code !== undefined) this.#options.stream.stop(code)
    this.#options.owner.bodyFailed(error)
  }

  #settle(): void {
    this.#idle?.dispose()
    this.#lingering?.done()
    const reader = this.#reader
    this.#reader = undefined
    if (this.#state === 'ended') reader?.resolve(undefined)
    else if (this.#state !== 'open') reader?.reject(this.#state)
  }

  #drop(): void {
    this.#chunks.length = 0
    this.#bufferedBytes = 0
  }
}
