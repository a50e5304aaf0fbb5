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
import type { P2PError } from '../../core/errors.ts'
import { streamErrors } from '../errors.ts'
import { PIECE_BYTES } from './bytes.ts'
import type { ByteCodec } from './bytes.ts'
import { streamError } from './errors.ts'

/** Writes up to here go in one call. */
const WHOLE_BYTES = 98_304

/** A read that waits holds its whole size in memory, so the size follows what comes. */
const MIN_READ_BYTES = 4_096
const MAX_READ_BYTES = 65_536

/** What streams need of their connection. */
export interface StreamHost {
  readonly codec: ByteCodec
  /** Keeps a stream of the binding from being garbage-collected, until `release`. */
  hold(stream: object): void
  release(stream: object): void
  /** The error of a call on a stream. */
  failure(error: unknown): P2PError
}

/** The sending half. */
export class OfficialSendStream implements CarrierSendStream {
  readonly #raw: iroh.SendStream
  readonly #host: StreamHost
  #finished = false

  constructor(raw: iroh.SendStream, host: StreamHost) {
    this.#raw = raw
    this.#host = host
    host.hold(raw)
  }

  async write(bytes: Uint8Array): Promise<void> {
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

  async finish(): Promise<void> {
    try {
      await this.#raw.finish()
      this.#finished = true
      this.#host.release(this.#raw)
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

  async read(maxBytes: number): Promise<Uint8Array | undefined> {
    if (this.#end === 'ended') return undefined
    if (this.#end !== 'open') throw this.#end
    const asked = Math.min(maxBytes, this.#readBytes)
    let array: number[]
    try {
      array = await this.#raw.read(asked)
    } catch (error) {
      throw this.#over(this.#host.failure(error))
    }
    const { length } = array
    if (length === 0) {
      if (this.#end !== 'open') throw this.#end
      this.#over('ended')
      return undefined
    }
    if (length === asked) this.#readBytes = Math.min(asked * 4, MAX_READ_BYTES)
    else if (length * 4 < asked) this.#readBytes = Math.max(asked >> 2, MIN_READ_BYTES)
    return this.#host.codec.decode(array)
  }

  stop(code: number): void {
    if (this.#end !== 'open') return
    // After its stop the binding reads the end; whoever reads on is to know better.
    this.#end = streamErrors.stoppedHere(code)
    const done = (): void => this.#host.release(this.#raw)
    this.#raw.stop(BigInt(code)).then(done, done)
  }

  #over<End extends 'ended' | P2PError>(end: End): End {
    this.#end = end
    this.#host.release(this.#raw)
    return end
  }
}
