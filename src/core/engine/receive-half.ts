/**
 * The receiving half of a stream: a small buffer before the carrier, so that an abort, the peer's control frames and
 * the end of the connection reach a reader at once, and bytes that arrived before the end stay readable after it.
 *
 * @module
 */
import { ByteQueue } from '../byte-queue.ts'
import { readableBytes } from '../byte-stream.ts'
import type { CarrierReader, CarrierReceiveStream } from '../carrier.ts'
import { invalidConfiguration } from '../config.ts'
import { concatBytes } from '../encoding.ts'
import { P2PError } from '../errors.ts'
import type { P2PReceiveStream, StreamReader, WaitOptions } from '../stream.ts'
import type { Wait, WaitScope } from '../wait-log.ts'
import { throwIfAborted, Waiter } from './waiting.ts'
import { describeCode } from './wire.ts'

/** What a half needs to know of its connection. */
export interface ReceiveHost {
  /** Where to note who waits. */
  readonly waits: WaitScope | undefined
  readonly abortsBlockedStreams: boolean
  /** Asks for `bytes` of the buffer that outlives the connection; returns how many are granted. */
  grantDrainBytes(bytes: number): number
  returnDrainBytes(bytes: number): void
  /** The half has reached its end in memory, or was given up: nothing more is to be drained. */
  receiveDone(): void
  /**
   * Tells the peer that no more is wanted: its carrier may not tell a sender that writes nothing. `blocked` says that
   * a read is under way, which this side's carrier may not be able to stop.
   */
  sendStop(code: number, blocked: boolean): void
  countReceived(bytes: number): void
}

/** How much is asked of the carrier at a time; what a reader did not ask for waits in the buffer. */
const FETCH_BYTES = 65_536

/** A carrier may set aside what it is asked for, so no more than this, whatever the application expects. */
const MAX_FETCH_BYTES = 1_048_576

/** Checks that `code` is one an application may give. */
export function checkStreamCode(code: number): void {
  if (!Number.isInteger(code) || code < 0 || code > 0xffff_ffff) {
    throw P2PError.of('invalid-configuration', `a code is a whole number from 0 to 2^32 - 1, not ${String(code)}`, {
      setting: 'code',
      value: code,
    })
  }
}

function checkLength(name: string, value: number, min: number): void {
  if (Number.isSafeInteger(value) && value >= min) return
  throw invalidConfiguration(name, value, `a number of bytes is a whole number of at least ${min}`)
}

/** The receiving half, as the application has it. */
export class ReceiveHalf implements P2PReceiveStream, CarrierReader {
  readonly #carrier: CarrierReceiveStream
  readonly #host: ReceiveHost
  readonly #buffered = new ByteQueue()
  #grantedBytes = 0
  #fetching = false
  #draining = false
  #end: 'open' | 'finished' | P2PError = 'open'
  #carrierEnded = false
  #closeError: P2PError | undefined
  /** Who reads, or one of the library's other parts that wants to know when it can. */
  #reader: Waiter<void> | undefined
  #watcher: StreamReader | undefined
  /** The watcher's, in its list. */
  #wait: Wait | undefined
  #readable: ReadableStream<Uint8Array> | undefined

  /** `head` are bytes already read from the carrier. */
  constructor(carrier: CarrierReceiveStream, host: ReceiveHost, head?: Uint8Array) {
    this.#carrier = carrier
    this.#host = host
    if (head) this.#buffered.push(head)
  }

  /** Whether everything up to the end is in memory or given up. */
  get done(): boolean {
    return this.#end !== 'open'
  }

  read(maxBytes: number = FETCH_BYTES, options?: WaitOptions): Promise<Uint8Array | undefined> {
    const signal = options?.signal
    try {
      checkLength('maxBytes', maxBytes, 1)
      this.#checkReader(signal)
      const ready = this.#readNow(maxBytes)
      if (ready !== undefined) return Promise.resolve(ready ?? undefined)
      if (typeof this.#end !== 'string') throw this.#end
    } catch (error) {
      return Promise.reject(error)
    }
    return this.#readLater(maxBytes, signal)
  }

  async #readLater(maxBytes: number, signal: AbortSignal | undefined): Promise<Uint8Array | undefined> {
    for (;;) {
      const reader = this.#await(maxBytes, signal)
      try {
        await reader
      } finally {
        this.#reader = undefined
      }
      const ready = this.#readNow(maxBytes)
      if (ready !== undefined) return ready ?? undefined
      if (typeof this.#end !== 'string') throw this.#end
    }
  }

  async readExactly(length: number, options?: WaitOptions): Promise<Uint8Array> {
    checkLength('length', length, 0)
    const bytes = new Uint8Array(length)
    for (let filled = 0; filled < length;) {
      const chunk = await this.read(length - filled, options)
      if (!chunk) {
        throw P2PError.of('protocol', `the stream ended after ${filled} of ${length} expected bytes`, {})
      }
      bytes.set(chunk, filled)
      filled += chunk.length
    }
    return bytes
  }

  async readToEnd(limitBytes: number, options?: WaitOptions): Promise<Uint8Array> {
    checkLength('limitBytes', limitBytes, 0)
    let whole: Uint8Array | undefined
    /** With more than one. */
    let chunks: Uint8Array[] | undefined
    let length = 0
    for (;;) {
      this.#checkReader(options?.signal)
      const chunk = this.#readNow(FETCH_BYTES)
      if (chunk === undefined) {
        if (typeof this.#end !== 'string') throw this.#end
        const reader = this.#await(FETCH_BYTES, options?.signal)
        try {
          await reader
        } finally {
          this.#reader = undefined
        }
        continue
      }
      if (!chunk) break
      length += chunk.length
      if (length > limitBytes) {
        this.stop()
        throw P2PError.of('limit-exceeded', `the stream holds more than the ${limitBytes} bytes that were asked for`, {
          limit: 'limitBytes',
          max: limitBytes,
        })
      }
      if (chunks) chunks.push(chunk)
      else if (whole) chunks = [whole, chunk]
      else whole = chunk
    }
    return chunks ? concatBytes(chunks) : (whole ?? new Uint8Array(0))
  }

  stop(code = 0): void {
    checkStreamCode(code)
    this.stopWith(code)
  }

  /** As `stop`, with the library's codes too. */
  stopWith(code: number): void {
    if (this.#end !== 'open') {
      this.#drop()
      return
    }
    this.#finish(P2PError.of('stream-stopped', `this side stopped reading (code ${code})`, { streamCode: code }))
    this.#drop()
    this.#host.sendStop(code, this.#fetching)
    if (this.#fetching && !this.#host.abortsBlockedStreams) this.#stopAfterFetch = code
    else this.#carrier.stop(code)
  }

  #stopAfterFetch: number | undefined

  /** The peer said in a control frame that it gave up sending; its carrier may be blocked until this side reads on. */
  resetByPeer(code: number): void {
    if (this.#end !== 'open') return
    this.#finish(resetError(code))
    this.#drop()
    this.#fetch(FETCH_BYTES)
  }

  /**
   * The connection is over. What is in memory stays readable, and, when it was not this side that closed, what the
   * carrier has received before.
   */
  connectionClosed(error: P2PError, local: boolean): void {
    this.#closeError = error
    if (local) this.#carrierEnded = true
    if (this.#carrierEnded && this.#end === 'open') this.#finish(error)
  }

  /** Reads on into memory, as far as bytes are granted, because the connection is ending. */
  drain(): void {
    this.#draining = true
    if (this.#end === 'open') this.#fetch(FETCH_BYTES)
  }

  get readable(): ReadableStream<Uint8Array> {
    return (this.#readable ??= readableBytes(
      () => this.read(),
      () => this.stop(),
    ))
  }

  async *[Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array> {
    try {
      for (let chunk = await this.read(); chunk; chunk = await this.read()) yield chunk
    } finally {
      this.stop()
    }
  }

  get #isAwaited(): boolean {
    return this.#reader !== undefined || this.#watcher !== undefined
  }

  #checkReader(signal: AbortSignal | undefined): void {
    if (this.#reader || this.#watcher) {
      throw P2PError.of('limit-exceeded', 'a read is under way on this stream: await it before the next', {
        limit: 'readers',
        max: 1,
      })
    }
    throwIfAborted(signal, 'read')
  }

  /** Resolves when there may be something to read; then `#reader` is to be cleared. */
  #await(maxBytes: number, signal: AbortSignal | undefined): Promise<void> {
    const reader = new Waiter<void>().noteIn(this.#host.waits, 'read')
    this.#reader = reader
    this.#fetch(maxBytes)
    return reader.abortWith(signal, 'read').promise
  }

  /** @internal As `#readNow`; undefined too when somebody reads, and when `read` would fail. */
  readNow(maxBytes: number): Uint8Array | null | undefined {
    return this.#reader ? undefined : this.#readNow(maxBytes)
  }

  /** @internal See `PromptStream`. */
  whenReadable(watcher: StreamReader): void {
    this.#wait = this.#host.waits?.begin('read')
    this.#watcher = watcher
    if (this.#buffered.length > 0 || this.#end !== 'open') void Promise.resolve().then(() => this.#wake())
    else this.#fetch(FETCH_BYTES)
  }

  /** Tells who waits that there is something to read, or will never be. */
  #wake(): void {
    this.#reader?.resolve()
    const watcher = this.#watcher
    if (!watcher) return
    this.#watcher = undefined
    this.#wait?.end()
    const end = this.#end
    if (typeof end === 'string' || this.#buffered.length > 0) watcher.onReadable()
    // Not before whoever ends it is through with that.
    else void Promise.resolve().then(() => watcher.onUnreadable(end))
  }

  /** What is there without waiting: bytes, null at the end, undefined when there is nothing yet. */
  #readNow(maxBytes: number): Uint8Array | null | undefined {
    const buffered = this.#buffered.shift(maxBytes)
    if (buffered) return this.#take(buffered)
    if (this.#end !== 'open') return this.#end === 'finished' ? null : undefined
    if (this.#fetching || this.#carrierEnded || this.#draining || !this.#carrier.readNow) return undefined
    const chunk = this.#carrier.readNow(Math.min(Math.max(maxBytes, FETCH_BYTES), MAX_FETCH_BYTES))
    if (chunk && chunk.length > maxBytes) {
      this.#buffered.push(chunk)
      return this.#take(this.#buffered.shift(maxBytes) as Uint8Array)
    }
    if (chunk) {
      this.#host.countReceived(chunk.length)
    } else if (chunk === null) {
      this.#carrierEnded = true
      this.#finish('finished')
    }
    return chunk
  }

  #take(taken: Uint8Array): Uint8Array {
    this.#host.countReceived(taken.length)
    this.#returnGrant(taken.length)
    if (this.#draining) this.#fetch(FETCH_BYTES)
    return taken
  }

  #returnGrant(bytes: number): void {
    const returned = Math.min(bytes, this.#grantedBytes)
    this.#grantedBytes -= returned
    if (returned > 0) this.#host.returnDrainBytes(returned)
  }

  #drop(): void {
    this.#buffered.clear()
    this.#returnGrant(this.#grantedBytes)
  }

  #finish(end: 'finished' | P2PError): void {
    this.#end = end
    this.#wake()
    this.#host.receiveDone()
  }

  #fetch(maxBytes: number): void {
    if (this.#fetching || this.#carrierEnded) return
    let bytes = Math.min(Math.max(maxBytes, FETCH_BYTES), MAX_FETCH_BYTES)
    if (this.#draining && !this.#isAwaited && this.#end === 'open') {
      bytes = this.#host.grantDrainBytes(FETCH_BYTES)
      if (bytes === 0) return
      this.#grantedBytes += bytes
    }
    const granted = this.#grantedBytes
    this.#fetching = true
    // Where somebody reads, who will take it from the carrier without more ado.
    if (this.#isAwaited && !this.#draining && this.#end === 'open' && this.#carrier.whenReadable?.(this)) return
    this.#carrier.read(bytes).then(
      (chunk) => this.#fetched(chunk, granted),
      (error: unknown) => this.#failed(error),
    )
  }

  /** @internal The carrier has something, as it was asked to say. */
  onReadable(): void {
    this.#fetching = false
    if (this.#isAwaited && !this.#draining && this.#end === 'open') this.#wake()
    else this.#fetch(FETCH_BYTES)
  }

  #fetched(chunk: Uint8Array | undefined, granted: number): void {
    this.#fetching = false
    if (this.#stopAfterFetch !== undefined) this.#carrier.stop(this.#stopAfterFetch)
    if (!chunk) {
      this.#carrierEnded = true
      if (this.#end === 'open') this.#finish('finished')
      this.#trimGrant()
      return
    }
    if (this.#end === 'open') {
      this.#buffered.push(chunk)
      this.#wake()
      if (granted > 0) this.#trimGrant()
      if (this.#draining) this.#fetch(FETCH_BYTES)
    } else if (this.#stopAfterFetch === undefined) {
      // Given up by the peer's control frame: read on, and throw away, until its carrier is unblocked.
      this.#fetch(FETCH_BYTES)
    }
  }

  /** Gives back what was granted for a fetch and not needed. */
  #trimGrant(): void {
    this.#returnGrant(Math.max(0, this.#grantedBytes - this.#buffered.length))
  }

  #failed(error: unknown): void {
    this.#fetching = false
    this.#carrierEnded = true
    if (this.#stopAfterFetch !== undefined) this.#carrier.stop(this.#stopAfterFetch)
    // When the connection is over `connectionClosed` tells the reason, before this or after.
    const failure = P2PError.is(error, 'connection-closed') ? this.#closeError : receiveError(error)
    if (this.#end === 'open' && failure) this.#finish(failure)
    this.#trimGrant()
  }
}

/** The error of a stream that the peer gave up. */
function resetError(code: number, cause?: unknown): P2PError {
  return P2PError.of(
    'stream-reset',
    `the peer abandoned this stream: ${describeCode(code)}`,
    { streamCode: code },
    cause === undefined ? undefined : { cause },
  )
}

/** What went wrong, in the same words on every carrier. */
function receiveError(error: unknown): P2PError {
  if (P2PError.is(error, 'stream-reset')) return resetError(error.streamCode, error)
  return P2PError.from(error, 'connection-failed', 'reading from the stream failed', {})
}
