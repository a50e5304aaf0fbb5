/**
 * One direction of a stream: a bounded buffer between a writer and a reader.
 *
 * @module
 */
import { P2PError } from '@moosicbox/p2p'
import type { CarrierReceiveStream, CarrierSendStream } from '@moosicbox/p2p/backend'

/** What lies between writer and reader at most. */
const WINDOW_BYTES = 65_536

/** A promise with its two ends. */
export interface Deferred<T> {
  readonly promise: Promise<T>
  readonly resolve: (value: T) => void
  readonly reject: (error: unknown) => void
}

/** Settles a promise later. */
export function deferred<T>(): Deferred<T> {
  let resolve: (value: T) => void = () => {}
  let reject: (error: unknown) => void = () => {}
  const promise = new Promise<T>((onValue, onError) => {
    resolve = onValue
    reject = onError
  })
  return { promise, resolve, reject }
}

/** See the module's comment. */
export class Pipe {
  readonly #onFirst: () => void
  readonly #onEnd: () => void
  readonly #chunks: Uint8Array[] = []
  #bytes = 0
  #writing: { rest: Uint8Array; readonly done: Deferred<void> } | undefined
  #reading: { readonly maxBytes: number; readonly done: Deferred<Uint8Array | undefined> } | undefined
  /** Why nothing more can be written. */
  #writeEnd: P2PError | 'finished' | undefined
  /** What stands behind the bytes. */
  #readEnd: P2PError | 'finished' | undefined
  #isOver = false
  readonly #taken = deferred<void>()

  /**
   * @param onFirst called when the reader's side hears of the stream, perhaps more than once
   * @param onEnd called when nothing more will come out
   */
  constructor(onFirst: () => void, onEnd: () => void) {
    this.#onFirst = onFirst
    this.#onEnd = onEnd
    this.#taken.promise.catch(() => {})
  }

  /** The writer's face. */
  readonly send: CarrierSendStream = {
    write: (bytes) => {
      if (this.#writeEnd !== undefined) return Promise.reject(this.#whyNotWritten())
      const done = deferred<void>()
      this.#writing = { rest: bytes.slice(), done }
      this.#pump()
      this.#onFirst()
      return done.promise
    },
    finish: () => {
      if (this.#writeEnd instanceof P2PError) return Promise.reject(this.#writeEnd)
      this.#writeEnd = 'finished'
      this.#readEnd ??= 'finished'
      this.#taken.resolve()
      this.#onFirst()
      this.#pump()
      return Promise.resolve()
    },
    reset: (streamCode) => {
      if (this.#isOver || this.#writeEnd instanceof P2PError) return
      const error = P2PError.of('stream-reset', `the stream was reset (${streamCode})`, { streamCode })
      this.#endWrites(error)
      this.#discard()
      this.#readEnd = error
      this.#onFirst()
      this.#pump()
    },
    acknowledged: () => this.#taken.promise,
  }

  /** The reader's face. */
  readonly receive: CarrierReceiveStream = {
    read: (maxBytes) => {
      const done = deferred<Uint8Array | undefined>()
      this.#reading = { maxBytes, done }
      this.#pump()
      return done.promise
    },
    stop: (streamCode) => {
      if (this.#isOver) return
      const error = P2PError.of('stream-stopped', `the peer wants no more (${streamCode})`, { streamCode })
      this.#discard()
      this.#readEnd = error
      this.#reading?.done.reject(error)
      this.#reading = undefined
      this.#endWrites(error)
      this.#end()
    },
  }

  /** The connection is over on the writer's side. */
  closeWriter(error: P2PError): void {
    this.#endWrites(error)
  }

  /** The connection is over on the reader's side; `forget` throws away what has not been read. */
  closeReader(error: P2PError, forget: boolean): void {
    if (forget) this.#discard()
    if (forget || this.#readEnd === undefined) this.#readEnd = error
    this.#pump()
  }

  #pump(): void {
    for (;;) {
      const writing = this.#writing
      const room = WINDOW_BYTES - this.#bytes
      if (writing && (room > 0 || writing.rest.length === 0)) {
        const part = writing.rest.subarray(0, room)
        writing.rest = writing.rest.subarray(part.length)
        if (part.length > 0) this.#chunks.push(part)
        this.#bytes += part.length
        if (writing.rest.length === 0) {
          this.#writing = undefined
          writing.done.resolve()
        }
      }
      const reading = this.#reading
      if (!reading || (this.#chunks.length === 0 && this.#readEnd === undefined)) return
      this.#reading = undefined
      this.#read(reading)
    }
  }

  #read({ maxBytes, done }: { readonly maxBytes: number; readonly done: Deferred<Uint8Array | undefined> }): void {
    const [first] = this.#chunks
    if (first) {
      const taken = first.slice(0, maxBytes)
      this.#bytes -= taken.length
      if (taken.length < first.length) this.#chunks[0] = first.subarray(taken.length)
      else this.#chunks.shift()
      done.resolve(taken)
      return
    }
    if (this.#readEnd === 'finished') done.resolve(undefined)
    else done.reject(this.#readEnd)
    this.#end()
  }

  #endWrites(error: P2PError): void {
    this.#writeEnd = error
    this.#writing?.done.reject(error)
    this.#writing = undefined
    this.#taken.reject(error)
  }

  #whyNotWritten(): P2PError {
    if (this.#writeEnd instanceof P2PError) return this.#writeEnd
    return P2PError.of('stream-stopped', 'this side has finished the stream', { streamCode: 0 })
  }

  #discard(): void {
    this.#chunks.length = 0
    this.#bytes = 0
  }

  #end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#onEnd()
  }
}
