/**
 * The receiving half of a request or an answer behind its head: reads at most two chunks ahead of its reader, so that
 * the end of a small body is seen without anybody asking, and holds the peer to the length it announced.
 *
 * @module
 */
import { ByteQueue } from '../core/byte-queue.ts'
import type { Deadline, Deadlines } from '../core/deadlines.ts'
import { P2PError } from '../core/errors.ts'
import type { Runtime } from '../core/runtime.ts'
import type { P2PReceiveStream, PromptStream } from '../core/stream.ts'
import type { ByteSource, P2PBodyOptions } from './body.ts'
import { REQUEST_CODE } from './codes.ts'
import { READ_BYTES } from './head-reader.ts'
import { IdleTimer } from './idle-timer.ts'

/** What all bodies of a server, or from a peer, are held to. */
export interface BodyBounds {
  readonly runtime: Runtime
  /** Most bytes to take, as the limit `maxBodyBytes`; Infinity for any number. */
  readonly maxBytes: number
  /** Longest wait for more while somebody reads; Infinity for any time. */
  readonly idleTimeoutMs: number
}

/** Whose body it is. */
export interface BodyOwner extends P2PBodyOptions {
  /** For messages: `the body of GET /tracks`. */
  readonly what: string
  /** Makes errors of the stream understandable. */
  explainBody(error: unknown): P2PError
  /** Everything has arrived. */
  bodyEnded(): void
  /** The rest will never arrive: the peer or a limit said so. Not called after `giveUp`. */
  bodyFailed(error: P2PError): void
  /** The application wants no more of it. */
  bodyUnwanted(): void
}

interface Reader {
  readonly resolve: (chunk: Uint8Array | undefined) => void
  readonly reject: (error: P2PError) => void
}

/** The bytes of a body as they arrive. */
export class IncomingBody implements ByteSource {
  readonly #stream: P2PReceiveStream & PromptStream
  readonly #bounds: BodyBounds
  readonly #expectedBytes: number | undefined
  readonly #owner: BodyOwner
  /** Made for the first wait: mostly everything is here when somebody reads. */
  #idle: IdleTimer | undefined
  readonly #buffered = new ByteQueue()
  #receivedBytes = 0
  #fetching = false
  #state: 'open' | 'ended' | P2PError = 'open'
  #reader: Reader | undefined
  #progressMs: number | undefined
  #lingering: Deadline<IncomingBody> | undefined

  /** @param expectedBytes the peer's `content-length` */
  constructor(
    stream: P2PReceiveStream & PromptStream,
    expectedBytes: number | undefined,
    bounds: BodyBounds,
    owner: BodyOwner,
  ) {
    this.#stream = stream
    this.#expectedBytes = expectedBytes
    this.#bounds = bounds
    this.#owner = owner
  }

  /** Starts reading behind `first`, which came with the head. The owner can be called from here on. */
  begin(first: Uint8Array | undefined): void {
    if (first) this.#accept(first)
    this.#fetch()
  }

  /** Whether somebody waits for more. */
  get waiting(): boolean {
    return this.#reader !== undefined
  }

  /** When bytes were last handed out, on the runtime's clock, if they were. */
  get progressMs(): number | undefined {
    return this.#progressMs
  }

  read(): Promise<Uint8Array | undefined> {
    const chunk = this.#buffered.shift(Number.POSITIVE_INFINITY)
    if (chunk) {
      this.#progressMs = this.#bounds.runtime.now()
      this.#fetch()
      return Promise.resolve(chunk)
    }
    // The announced length is as good as the end, which may still be on its way.
    if (this.complete) return Promise.resolve(undefined)
    if (this.#state !== 'open') return Promise.reject(this.#state)
    if (this.#reader) {
      const message = `a read of ${this.#owner.what} is under way: await it before the next`
      return Promise.reject(P2PError.of('limit-exceeded', message, { limit: 'readers', max: 1 }))
    }
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject }
      this.#idle ??= this.#makeIdleTimer()
      this.#idle.begin()
    })
  }

  whole(limitBytes: number): Uint8Array | undefined {
    if (!this.complete || this.#buffered.length > limitBytes) return undefined
    const whole = this.#buffered.takeAll()
    this.#fetch()
    return whole
  }

  cancel(): void {
    this.#owner.bodyUnwanted()
  }

  /** Wants no more of it: reads fail with `error`, and the peer is told `code`. Does nothing at the end. */
  giveUp(error?: P2PError, code: number = REQUEST_CODE.none): void {
    if (this.#state !== 'open') {
      this.#buffered.clear()
      return
    }
    this.#state = error ?? P2PError.of('stream-stopped', `${this.#owner.what} was cancelled here`, { streamCode: code })
    this.#settle()
    this.#buffered.clear()
    this.#stream.stop(code)
  }

  /** Whether all bytes have arrived, the end of the stream or not. */
  get complete(): boolean {
    return this.#state === 'ended' || (this.#state === 'open' && this.#receivedBytes === this.#expectedBytes)
  }

  /**
   * Wants no more of it, and waits a while for an end that alone is missing: mostly it is on its way, and stopping
   * would only cost more. `mayBeEmpty` says that no body is expected where none was announced.
   */
  release(lingering: Deadlines<IncomingBody>, mayBeEmpty: boolean): void {
    const bare = this.#expectedBytes === undefined && this.#receivedBytes === 0 && mayBeEmpty
    if (this.#state === 'open' && (this.complete || bare)) this.#lingering = lingering.add(this)
    else this.giveUp()
  }

  #accept(chunk: Uint8Array): void {
    const { maxBytes } = this.#bounds
    this.#receivedBytes += chunk.length
    if (this.#expectedBytes !== undefined && this.#receivedBytes > this.#expectedBytes) {
      const message = `${this.#owner.what} is longer than the ${this.#expectedBytes} bytes that were announced`
      this.#fail(P2PError.of('protocol', message, {}), REQUEST_CODE.malformed)
    } else if (this.#receivedBytes > maxBytes) {
      const message = `${this.#owner.what} is over the limit of ${maxBytes} bytes (maxBodyBytes)`
      this.#fail(
        P2PError.of('limit-exceeded', message, { limit: 'maxBodyBytes', max: maxBytes }),
        REQUEST_CODE.tooLarge,
      )
    } else if (this.#reader) {
      const { resolve } = this.#reader
      this.#reader = undefined
      this.#idle?.end()
      this.#progressMs = this.#bounds.runtime.now()
      resolve(chunk)
    } else {
      this.#buffered.push(chunk)
    }
  }

  #makeIdleTimer(): IdleTimer {
    const { runtime, idleTimeoutMs: ms } = this.#bounds
    return new IdleTimer(runtime, ms, () => {
      const message = `nothing more of ${this.#owner.what} came for ${ms} ms`
      this.#fail(P2PError.of('timeout', message, { afterMs: ms }), REQUEST_CODE.timeout)
    })
  }

  #fetch(): void {
    const stream = this.#stream
    for (;;) {
      if (this.#fetching || this.#state !== 'open' || this.#buffered.length >= READ_BYTES) return
      const now = stream.readNow?.(READ_BYTES)
      if (now === undefined) break
      this.#took(now ?? undefined)
    }
    this.#fetching = true
    stream.read(READ_BYTES).then(
      (chunk) => this.#fetched(chunk),
      (error: unknown) => {
        this.#fetching = false
        if (this.#state === 'open') this.#fail(this.#owner.explainBody(error))
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
    const expectedBytes = this.#expectedBytes
    if (expectedBytes !== undefined && this.#receivedBytes < expectedBytes) {
      const message = `${this.#owner.what} ended after ${this.#receivedBytes} of the ${expectedBytes} bytes that were announced`
      this.#fail(P2PError.of('protocol', message, {}))
      return
    }
    this.#end()
  }

  #end(): void {
    this.#state = 'ended'
    this.#settle()
    this.#owner.bodyEnded()
  }

  /** What arrived before is dropped: a body that is cut short is not to be taken for a whole one. */
  #fail(error: P2PError, code?: number): void {
    if (this.complete) {
      this.#end()
      return
    }
    this.#state = error
    this.#settle()
    this.#buffered.clear()
    if (code !== undefined) this.#stream.stop(code)
    this.#owner.bodyFailed(error)
  }

  #settle(): void {
    this.#idle?.dispose()
    this.#lingering?.done()
    const reader = this.#reader
    this.#reader = undefined
    if (this.#state === 'ended') reader?.resolve(undefined)
    else if (this.#state !== 'open') reader?.reject(this.#state)
  }
}
