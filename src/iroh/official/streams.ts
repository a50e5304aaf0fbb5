/**
 * Streams over the binding.
 *
 * The binding holds a stream's lock while a call on it waits, so that neither `reset` nor `stop` nor `stopped` get
 * through to a blocked one: they take effect when it is free. And it ends streams that are garbage-collected as if
 * they had been finished, so every stream is held until it is done.
 *
 * @module
 */
import type * as iroh from '@number0/iroh'
import type { CarrierReceiveStream, CarrierSendStream } from '../../core/carrier.ts'
import { concatBytes } from '../../core/encoding.ts'
import type { P2PError } from '../../core/errors.ts'
import { streamErrors } from '../errors.ts'
import { PIECE_BYTES } from './bytes.ts'
import type { ByteCodec } from './bytes.ts'
import { streamError } from './errors.ts'

/** Writes up to here go in one call. */
const WHOLE_BYTES = 98_304

/** Writes up to here are taken at once. */
const AT_ONCE_BYTES = 16_384

/** A read that waits holds its whole size in memory, so the size follows what comes. */
const MIN_READ_BYTES = 4_096
const MAX_READ_BYTES = 65_536

/** What streams need of their connection. */
export interface StreamHost {
  readonly codec: ByteCodec
  /** Whether the peer can be told to let go of a stream whose lock is held, so that calls need not be waited for. */
  readonly runsAhead: boolean
  /** Keeps a stream of the binding from being garbage-collected, until `release`. */
  hold(stream: object): void
  release(stream: object): void
  /** The error of a call on a stream. */
  failure(error: unknown): P2PError
}

/**
 * The sending half. A small write is taken at once, and so is the end: what comes after waits for the binding in their
 * stead, which saves who writes one crossing after the other.
 */
export class OfficialSendStream implements CarrierSendStream {
  readonly #raw: iroh.SendStream
  readonly #host: StreamHost
  /** The call that is under way; never rejects. Calls at the same time would not keep their order. */
  #call: Promise<void> | undefined
  /** What became of a call that nobody waited for. */
  #failure: P2PError | undefined
  #finished = false

  constructor(raw: iroh.SendStream, host: StreamHost) {
    this.#raw = raw
    this.#host = host
    host.hold(raw)
  }

  get busy(): boolean {
    return this.#call !== undefined
  }

  writeNow(bytes: Uint8Array): Promise<void> | undefined {
    if (!this.#canRunAhead(bytes.length)) return this.write(bytes)
    return this.#writeAhead(this.#host.codec.encode(bytes))
  }

  writeBehindNow(header: Uint8Array, bytes: Uint8Array): Promise<void> | undefined {
    const { codec } = this.#host
    if (!this.#canRunAhead(header.length + bytes.length)) return this.write(concatBytes([header, bytes]))
    return this.#writeAhead(codec.encodeBoth(header, bytes))
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#free()
    const { codec } = this.#host
    const { length } = bytes
    try {
      if (length <= WHOLE_BYTES) {
        await this.#raw.writeAll(codec.encode(bytes))
        return
      }
      for (let start = 0; start < length;) {
        const end = length - start <= WHOLE_BYTES ? length : start + PIECE_BYTES
        await this.#raw.writeAll(codec.encode(bytes, start, end))
        start = end
      }
    } catch (error) {
      throw this.#host.failure(error)
    }
  }

  finishNow(): Promise<void> | undefined {
    if (this.#failure) return Promise.reject(this.#failure)
    if (!this.#host.runsAhead) return this.finish()
    const before = this.#call
    if (before) this.#begin(before.then(() => (this.#failure ? undefined : this.#finish())))
    else this.#begin(this.#finish())
    return undefined
  }

  async finish(): Promise<void> {
    await this.#free()
    try {
      await this.#finish()
    } catch (error) {
      throw this.#host.failure(error)
    }
  }

  reset(code: number): void {
    // It fails when the stream was finished and delivered, or the connection is over: then there is nothing to reset.
    const done = (): void => this.#host.release(this.#raw)
    this.#raw.reset(BigInt(code)).then(done, done)
  }

  async acknowledged(): Promise<void> {
    await this.#free()
    if (!this.#finished) {
      // The binding would hold the stream's lock until it ends, and no write or reset would get through.
      throw streamErrors.unfinished()
    }
    let code: number | null
    try {
      code = await this.#raw.stopped()
    } catch (error) {
      throw this.#host.failure(error)
    }
    if (code !== null) throw streamError(`Stopped(${code})`, () => undefined)
  }

  #canRunAhead(length: number): boolean {
    return this.#host.runsAhead && !this.#call && !this.#failure && length <= AT_ONCE_BYTES
  }

  #writeAhead(encoded: number[]): Promise<void> | undefined {
    try {
      this.#begin(this.#raw.writeAll(encoded))
      return undefined
    } catch (error) {
      return Promise.reject(this.#host.failure(error))
    }
  }

  #finish(): Promise<void> {
    return this.#raw.finish().then(() => {
      this.#finished = true
      this.#host.release(this.#raw)
    })
  }

  /** Nobody waits for `call`; who comes next learns what became of it. */
  #begin(call: Promise<void>): void {
    const ended = (): void => {
      if (this.#call === current) this.#call = undefined
    }
    const current: Promise<void> = call.then(ended, (error: unknown) => {
      this.#failure = this.#host.failure(error)
      ended()
    })
    this.#call = current
  }

  async #free(): Promise<void> {
    while (this.#call) await this.#call
    if (this.#failure) throw this.#failure
  }
}

/** The receiving half. */
export class OfficialReceiveStream implements CarrierReceiveStream {
  readonly #raw: iroh.RecvStream
  readonly #host: StreamHost
  #readBytes = MIN_READ_BYTES
  /** The binding tells of a reset once, and then says that the stream has ended. */
  #end: 'open' | 'ended' | P2PError = 'open'

  constructor(raw: iroh.RecvStream, host: StreamHost) {
    this.#raw = raw
    this.#host = host
    host.hold(raw)
  }

  read(maxBytes: number): Promise<Uint8Array | undefined> {
    const asked = Math.min(maxBytes, this.#readBytes)
    if (this.#end === 'ended') return Promise.resolve(undefined)
    if (this.#end !== 'open') return Promise.reject(this.#end)
    return this.#raw.read(asked).then((array) => this.#arrived(array, asked), this.#failed)
  }

  stop(code: number): void {
    if (this.#end !== 'open') return
    // After its stop the binding reads the end; whoever reads on is to know better.
    this.#end = streamErrors.stoppedHere(code)
    const done = (): void => this.#host.release(this.#raw)
    this.#raw.stop(BigInt(code)).then(done, done)
  }

  #arrived(array: number[], asked: number): Uint8Array | undefined {
    const { length } = array
    if (length === 0) {
      if (this.#end === 'open') this.#over('ended')
      if (this.#end !== 'ended') throw this.#end
      return undefined
    }
    if (length === asked) this.#readBytes = Math.min(asked * 4, MAX_READ_BYTES)
    else if (length * 4 < asked) this.#readBytes = Math.max(asked >> 2, MIN_READ_BYTES)
    return this.#host.codec.decode(array)
  }

  readonly #failed = (error: unknown): never => {
    throw this.#over(this.#host.failure(error))
  }

  #over<End extends 'ended' | P2PError>(end: End): End {
    this.#end = end
    this.#host.release(this.#raw)
    return end
  }
}
