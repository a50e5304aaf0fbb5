/**
 * One direction of a stream in memory: a bounded buffer between a writer and a reader, with the ends that QUIC knows.
 * It checks what the engine promises its carrier (one write and one read at a time, nothing after the end).
 *
 * @module
 */
import type { CarrierReceiveStream, CarrierSendStream } from '../../src/core/carrier.ts'
import { P2PError } from '../../src/core/errors.ts'

/** What a pipe needs of its connection. */
export interface PipeHost {
  readonly windowBytes: number
  readonly abortsBlockedStreams: boolean
  readonly confirmsDelivery: boolean
  /** Delivers to the reader's side: in order for one lane, in any order between lanes. */
  deliver(lane: object, event: () => void): void
  /** Drops what has not been delivered on a lane. */
  cancel(lane: object): void
  /** The reader's side has heard of the stream. */
  appeared(): void
  /** Nothing more will come out of the pipe. */
  ended(): void
  /** Notes that the engine broke the carrier's contract. */
  violation(what: string): void
}

interface Deferred<T> {
  readonly promise: Promise<T>
  readonly resolve: (value: T) => void
  readonly reject: (error: unknown) => void
}

export function deferred<T>(): Deferred<T> {
  let resolve: (value: T) => void = () => {}
  let reject: (error: unknown) => void = () => {}
  const promise = new Promise<T>((whenResolved, whenRejected) => {
    resolve = whenResolved
    reject = whenRejected
  })
  return { promise, resolve, reject }
}

const resetError = (streamCode: number): P2PError =>
  P2PError.of('stream-reset', `reset (${streamCode})`, { streamCode })
const stoppedError = (streamCode: number): P2PError =>
  P2PError.of('stream-stopped', `stopped (${streamCode})`, { streamCode })

/** One direction of a stream. */
export class MemoryPipe implements CarrierSendStream, CarrierReceiveStream {
  readonly #host: PipeHost
  /** Written, and not read yet, wherever it is. */
  #outstandingBytes = 0
  readonly #received: Uint8Array[] = []
  #writing: { readonly rest: Uint8Array; readonly done: Deferred<void> } | undefined
  #reading: { readonly maxBytes: number; readonly done: Deferred<Uint8Array | undefined> } | undefined
  /** Why the writer can write no more. */
  #writerEnd: 'open' | 'finished' | P2PError = 'open'
  /** What the reader finds behind the bytes. */
  #readerEnd: 'open' | 'finished' | P2PError = 'open'
  #readerTold = false
  #ended = false
  #resetAfterWrite: number | undefined
  #stopAfterRead: number | undefined
  readonly #acknowledged = deferred<void>()

  constructor(host: PipeHost) {
    this.#host = host
    this.#acknowledged.promise.catch(() => {})
  }

  /** The most that was asked for in one read. */
  largestRead = 0

  /** Bytes that were written and not read. */
  get outstandingBytes(): number {
    return this.#outstandingBytes
  }

  /** Whether a write waits for the reader. */
  get blocked(): boolean {
    return this.#writing !== undefined
  }

  write(bytes: Uint8Array): Promise<void> {
    if (this.#writing) this.#violation('a second write while one is under way')
    if (this.#writerEnd === 'finished') this.#violation('a write after finish')
    if (this.#writerEnd !== 'open') return Promise.reject(this.#writerEnd)
    const done = deferred<void>()
    // Copies as a carrier may, although nothing is copied of a `Buffer`: the engine passes none.
    this.#writing = { rest: bytes.slice(), done }
    this.#pumpWrites()
    return done.promise
  }

  async finish(): Promise<void> {
    if (this.#writing) this.#violation('finish while a write is under way')
    if (this.#writerEnd === 'finished') this.#violation('a second finish')
    if (this.#writerEnd !== 'open') throw this.#writerEnd
    this.#writerEnd = 'finished'
    this.#host.deliver(this, () => {
      this.#host.appeared()
      if (this.#readerEnd !== 'open') return
      this.#readerEnd = 'finished'
      this.#acknowledged.resolve()
      this.#pumpReads()
    })
  }

  reset(code: number): void {
    if (this.#writing && !this.#host.abortsBlockedStreams) {
      this.#resetAfterWrite ??= code
      return
    }
    if (this.#writerEnd !== 'open' && this.#writerEnd !== 'finished') return
    if (this.#readerTold) return
    this.#writerEnd = resetError(code)
    this.#writing?.done.reject(this.#writerEnd)
    this.#writing = undefined
    this.#host.cancel(this)
    this.#host.deliver(this, () => {
      this.#host.appeared()
      // A reset throws away what the reader has not taken; one that comes after everything else changes nothing.
      if (this.#readerEnd !== 'open') return
      this.#discard()
      this.#readerEnd = resetError(code)
      this.#pumpReads()
    })
  }

  acknowledged = (): Promise<void> => this.#acknowledged.promise

  read(maxBytes: number): Promise<Uint8Array | undefined> {
    if (this.#reading) this.#violation('a second read while one is under way')
    if (this.#readerTold) this.#violation('a read after the end')
    if (!Number.isSafeInteger(maxBytes) || maxBytes < 1) this.#violation(`a read of ${maxBytes} bytes`)
    const done = deferred<Uint8Array | undefined>()
    this.#reading = { maxBytes, done }
    this.largestRead = Math.max(this.largestRead, maxBytes)
    this.#pumpReads()
    return done.promise
  }

  stop(code: number): void {
    if (this.#reading && !this.#host.abortsBlockedStreams) {
      this.#stopAfterRead ??= code
      return
    }
    if (this.#ended) return
    this.#discard()
    const error = stoppedError(code)
    this.#readerEnd = error
    this.#reading?.done.reject(error)
    this.#reading = undefined
    this.#end()
    this.#host.deliver({}, () => {
      if (this.#writerEnd === 'open' || this.#writerEnd === 'finished') this.#writerEnd = error
      this.#acknowledged.reject(error)
      this.#writing?.done.reject(error)
      this.#writing = undefined
    })
  }

  /** The connection is over for the writer: what is under way is lost. */
  writerClosed(error: P2PError): void {
    this.#host.cancel(this)
    if (this.#writerEnd === 'open') this.#writerEnd = error
    this.#acknowledged.reject(error)
    this.#writing?.done.reject(error)
    this.#writing = undefined
  }

  /** The connection is over for the reader; what was received stays readable unless `forget`. */
  readerClosed(error: P2PError, forget: boolean): void {
    if (forget) this.#discard()
    if (this.#readerEnd === 'open' || forget) this.#readerEnd = error
    this.#pumpReads()
  }

  #pumpWrites(): void {
    while (this.#writing) {
      const { rest, done } = this.#writing
      const room = this.#host.windowBytes - this.#outstandingBytes
      if (room <= 0 && rest.length > 0) return
      const part = rest.subarray(0, room)
      const left = rest.subarray(part.length)
      this.#outstandingBytes += part.length
      if (part.length > 0) this.#host.deliver(this, () => this.#arrived(part))
      this.#writing = left.length > 0 ? { rest: left, done } : undefined
      if (left.length > 0) continue
      done.resolve()
      if (this.#resetAfterWrite !== undefined) {
        const code = this.#resetAfterWrite
        this.#resetAfterWrite = undefined
        // A microtask later, as the lock is released when the write has returned.
        void done.promise.then(() => this.reset(code))
      }
    }
  }

  #arrived(bytes: Uint8Array): void {
    this.#host.appeared()
    if (this.#readerEnd !== 'open') {
      this.#outstandingBytes -= bytes.length
      return
    }
    this.#received.push(bytes)
    this.#pumpReads()
  }

  #pumpReads(): void {
    const reading = this.#reading
    if (!reading) return
    const first = this.#received[0]
    if (!first && this.#readerEnd === 'open') return
    this.#reading = undefined
    if (first) {
      const taken = first.subarray(0, reading.maxBytes)
      if (taken.length < first.length) this.#received[0] = first.subarray(taken.length)
      else this.#received.shift()
      this.#outstandingBytes -= taken.length
      reading.done.resolve(new Uint8Array(taken))
      this.#pumpWrites()
    } else {
      this.#readerTold = true
      if (this.#readerEnd === 'finished') reading.done.resolve(undefined)
      else reading.done.reject(this.#readerEnd)
      this.#end()
    }
    if (this.#stopAfterRead === undefined) return
    const code = this.#stopAfterRead
    this.#stopAfterRead = undefined
    void reading.done.promise.then(
      () => this.stop(code),
      () => this.stop(code),
    )
  }

  #discard(): void {
    for (const bytes of this.#received.splice(0)) this.#outstandingBytes -= bytes.length
  }

  #end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#host.ended()
  }

  #violation(what: string): void {
    this.#host.violation(what)
  }
}

/** The receiving half of `pipe` for the reader: a pipe has both faces, and each side may see only its own. */
export function receiveSide(pipe: MemoryPipe): CarrierReceiveStream {
  return { read: (maxBytes) => pipe.read(maxBytes), stop: (code) => pipe.stop(code) }
}

/** The sending half of `pipe` for the writer. */
export function sendSide(pipe: MemoryPipe, confirmsDelivery: boolean): CarrierSendStream {
  return {
    write: (bytes) => pipe.write(bytes),
    finish: () => pipe.finish(),
    reset: (code) => pipe.reset(code),
    ...(confirmsDelivery ? { acknowledged: pipe.acknowledged } : {}),
  }
}
