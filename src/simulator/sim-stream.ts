/**
 * Streams of the simulator's carrier: promises on top of the transport's state machine, none more than somebody waits
 * for.
 *
 * @module
 */
import type { CarrierReader, CarrierReceiveStream, CarrierSendStream, CarrierStream } from '../core/carrier.ts'
import { concatBytes } from '../core/encoding.ts'
import { P2PError } from '../core/errors.ts'
import { digestBytes, EventKind } from './audit.ts'
import type { Kernel } from './kernel.ts'
import type { StreamEnd } from './trace/connection-trace.ts'
import type { TransportConnection } from './transport/connection.ts'

/** What a stream needs of its connection. */
export interface StreamHost {
  readonly kernel: Kernel
  /** The index of the host, for the history. */
  readonly host: number
  readonly transport: TransportConnection
  /** Datagrams may be due. */
  flush(): void
  /** For traces: this side has ended one of its halves. */
  traceStreamEnd(streamId: number, how: StreamEnd, code: number): void
  /** Neither half will change any more. */
  forget(stream: SimStream): void
}

/** Settles somebody's promise later. */
export interface Deferred<T> {
  readonly promise: Promise<T>
  readonly resolve: (value: T) => void
  readonly reject: (error: P2PError) => void
}

const ignore = (): void => {}

/** A promise with its two ends. */
export function deferred<T>(): Deferred<T> {
  let resolve: (value: T) => void = ignore
  let reject: (error: P2PError) => void = ignore
  const promise = new Promise<T>((onValue, onError) => {
    resolve = onValue
    reject = onError
  })
  return { promise, resolve, reject }
}

interface PendingWrite {
  readonly bytes: Uint8Array
  offset: number
  readonly written: Deferred<void>
}

interface PendingRead {
  readonly maxBytes: number
  readonly read: Deferred<Uint8Array | undefined>
}

const DONE: Promise<void> = Promise.resolve()

/** A stream, or the half of it that this side has. */
export class SimStream implements CarrierStream, CarrierSendStream, CarrierReceiveStream {
  readonly id: number
  readonly #host: StreamHost
  /** Why nothing more can be written; undefined while something can. */
  #sendEnd: P2PError | 'finished' | undefined
  #writing: PendingWrite | undefined
  #delivery: Deferred<void> | undefined
  #delivered = false
  /** Why nothing more can be read; undefined while something may come. */
  #receiveEnd: P2PError | 'finished' | undefined
  #reading: PendingRead | undefined
  /** To be told when there is something to read. */
  #reader: CarrierReader | undefined
  #sendDone: boolean
  #receiveDone: boolean

  constructor(id: number, host: StreamHost, sends: boolean, receives: boolean) {
    this.id = id
    this.#host = host
    this.#sendDone = !sends
    this.#receiveDone = !receives
  }

  get send(): CarrierSendStream {
    return this
  }

  get receive(): CarrierReceiveStream {
    return this
  }

  /** Whether somebody waits to hear that the peer has everything. */
  get awaitsDelivery(): boolean {
    return this.#delivery !== undefined
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.writeNow(bytes) ?? DONE
  }

  writeNow(bytes: Uint8Array): Promise<void> | undefined {
    if (this.#sendEnd !== undefined) return Promise.reject(this.#writeError())
    const { transport, kernel, host } = this.#host
    kernel.audit.record(EventKind.streamWritten, host, this.id, digestBytes(bytes), bytes.length)
    const accepted = transport.write(this.id, bytes)
    this.#host.flush()
    if (accepted === bytes.length) return undefined
    this.#writing = { bytes, offset: accepted, written: deferred() }
    return this.#writing.written.promise
  }

  writeBehindNow(head: Uint8Array, bytes: Uint8Array): Promise<void> | undefined {
    if (this.#sendEnd !== undefined) return Promise.reject(this.#writeError())
    const { transport, kernel, host } = this.#host
    const length = head.length + bytes.length
    kernel.audit.record(EventKind.streamWritten, host, this.id, digestBytes(bytes, digestBytes(head)), length)
    const acceptedHead = transport.write(this.id, head)
    const accepted = acceptedHead === head.length ? transport.write(this.id, bytes) : 0
    this.#host.flush()
    if (acceptedHead + accepted === length) return undefined
    this.#writing = { bytes: concatBytes([head, bytes]), offset: acceptedHead + accepted, written: deferred() }
    return this.#writing.written.promise
  }

  finish(): Promise<void> {
    return this.finishNow() ?? DONE
  }

  finishNow(): Promise<void> | undefined {
    if (this.#sendEnd === 'finished') return undefined
    if (this.#sendEnd !== undefined) return Promise.reject(this.#sendEnd)
    this.#sendEnd = 'finished'
    this.#host.traceStreamEnd(this.id, 'finished', 0)
    this.#host.transport.finish(this.id)
    this.#host.flush()
    return undefined
  }

  reset(code: number): void {
    if (this.#sendDone) return
    this.#host.traceStreamEnd(this.id, 'reset', code)
    this.#host.transport.reset(this.id, code)
    this.#host.flush()
    this.#endSend(P2PError.of('stream-reset', `this side abandoned the stream (code ${code})`, { streamCode: code }))
  }

  acknowledged(): Promise<void> {
    if (this.#delivered) return DONE
    if (this.#sendEnd !== undefined && this.#sendEnd !== 'finished') return Promise.reject(this.#sendEnd)
    this.#delivery ??= deferred<void>()
    return this.#delivery.promise
  }

  read(maxBytes: number): Promise<Uint8Array | undefined> {
    if (this.#receiveEnd !== undefined) {
      return this.#receiveEnd === 'finished' ? Promise.resolve(undefined) : this.#readRest(maxBytes, this.#receiveEnd)
    }
    const bytes = this.#take(maxBytes)
    if (bytes) return Promise.resolve(bytes)
    if (bytes === null) return Promise.resolve(undefined)
    this.#reading = { maxBytes, read: deferred() }
    return this.#reading.read.promise
  }

  readNow(maxBytes: number): Uint8Array | null | undefined {
    if (this.#receiveEnd !== undefined) return this.#receiveEnd === 'finished' ? null : undefined
    return this.#take(maxBytes)
  }

  whenReadable(reader: CarrierReader): boolean {
    if (this.#receiveEnd !== undefined) return false
    this.#reader = reader
    return true
  }

  stop(code: number): void {
    if (this.#receiveDone) return
    this.#host.traceStreamEnd(this.id, 'stopped', code)
    this.#host.transport.stop(this.id, code)
    this.#host.flush()
    this.#endReceive(P2PError.of('stream-stopped', `this side stopped reading (code ${code})`, { streamCode: code }))
  }

  /** There is room for more of a write that waits. */
  onWritable(): void {
    const writing = this.#writing
    if (!writing) return
    writing.offset += this.#host.transport.write(this.id, writing.bytes, writing.offset)
    if (writing.offset < writing.bytes.length) return
    this.#writing = undefined
    this.#woke()
    writing.written.resolve()
  }

  /** There is more to read, or the end. */
  onReadable(): void {
    if (this.#reader) {
      this.#tellReadable()
      return
    }
    const reading = this.#reading
    if (!reading) return
    const bytes = this.#take(reading.maxBytes)
    if (bytes === undefined) return
    this.#reading = undefined
    this.#woke()
    reading.read.resolve(bytes ?? undefined)
  }

  /** The peer has everything. */
  onDelivered(): void {
    this.#delivered = true
    if (this.#delivery) {
      this.#woke()
      this.#delivery.resolve()
    }
    this.#sendDone = true
    this.#forgetIfDone()
  }

  /** The peer has abandoned its half. */
  onReset(code: number): void {
    this.#endReceive(P2PError.of('stream-reset', `the peer abandoned the stream (code ${code})`, { streamCode: code }))
  }

  /** The peer wants no more of this half. */
  onStopped(code: number): void {
    const message = `the peer wants no more bytes on this stream (code ${code})`
    this.#endSend(P2PError.of('stream-stopped', message, { streamCode: code }))
  }

  /** The connection is over. What has arrived can still be read. */
  onClosed(error: P2PError): void {
    if (!this.#sendDone) this.#endSend(error)
    if (!this.#receiveDone) this.#endReceive(error)
  }

  #writeError(): P2PError {
    if (this.#sendEnd !== undefined && this.#sendEnd !== 'finished') return this.#sendEnd
    const message = 'this side has finished the stream: nothing more can be written'
    return P2PError.of('stream-stopped', message, { streamCode: 0 })
  }

  /** Of a stream that was cut off, what had arrived before. */
  #readRest(maxBytes: number, error: P2PError): Promise<Uint8Array | undefined> {
    const bytes = P2PError.is(error, 'connection-closed') ? this.#take(maxBytes) : undefined
    return bytes === undefined ? Promise.reject(error) : Promise.resolve(bytes ?? undefined)
  }

  /** Bytes; null at the end; undefined when there are none yet. */
  #take(maxBytes: number): Uint8Array | null | undefined {
    const { transport, kernel, host } = this.#host
    const bytes = transport.read(this.id, maxBytes)
    if (bytes) {
      kernel.audit.record(EventKind.streamDelivered, host, this.id, digestBytes(bytes), bytes.length)
      // Reading frees the peer's credit, of which it may have to be told.
      if (transport.hasNews) this.#host.flush()
    } else if (bytes === null && this.#receiveEnd === undefined) {
      this.#receiveEnd = 'finished'
      if (transport.hasNews) this.#host.flush()
      this.#receiveDone = true
      this.#forgetIfDone()
    }
    return bytes
  }

  #endSend(error: P2PError): void {
    if (this.#sendDone) return
    this.#sendEnd = error
    this.#sendDone = true
    if (this.#writing ?? this.#delivery) this.#woke()
    this.#writing?.written.reject(error)
    this.#writing = undefined
    this.#delivery?.reject(error)
    this.#forgetIfDone()
  }

  #endReceive(error: P2PError): void {
    if (this.#receiveDone) return
    this.#receiveEnd = error
    this.#receiveDone = true
    const reading = this.#reading
    if (reading) {
      this.#reading = undefined
      this.#woke()
      reading.read.reject(error)
    }
    if (this.#reader) this.#tellReadable()
    this.#forgetIfDone()
  }

  #tellReadable(): void {
    const reader = this.#reader
    this.#reader = undefined
    this.#woke()
    reader?.onReadable()
  }

  #woke(): void {
    this.#host.kernel.woke(this.#host.host)
  }

  #forgetIfDone(): void {
    if (this.#sendDone && this.#receiveDone) this.#host.forget(this)
  }
}
