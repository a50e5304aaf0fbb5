/**
 * The sending half of a stream: keeps writes in order, puts the stream's header before the first one, and lets a
 * blocked write be given up whatever the carrier can do.
 *
 * @module
 */
import type { CarrierSendStream } from '../carrier.ts'
import { invalidConfiguration } from '../config.ts'
import { P2PError } from '../errors.ts'
import { LinkedList } from '../linked-list.ts'
import type { Linked } from '../linked-list.ts'
import type { P2PSendStream, WaitOptions } from '../stream.ts'
import type { WaitScope } from '../wait-log.ts'
import { checkStreamCode } from './receive-half.ts'
import { throwIfAborted, Waiter } from './waiting.ts'
import { describeCode } from './wire.ts'

/** What a half needs to know of its connection. */
export interface SendHost {
  /** Where to note who waits. */
  readonly waits: WaitScope | undefined
  readonly abortsBlockedStreams: boolean
  /** The half was finished, or given up. */
  sendDone(finished: boolean): void
  /** Sends RESET for a stream that the carrier cannot reset at present. */
  sendReset(code: number): void
  countSent(bytes: number): void
  /** The header is about to leave. */
  announcing(): void
}

interface PendingWrite {
  readonly bytes: Uint8Array
  readonly waiter: Waiter<void>
}

/** Somebody who wants to hear when the peer wants no more. */
class StopListener implements Linked<StopListener>, Disposable {
  readonly listener: (code: number) => void
  readonly #list: LinkedList<StopListener>
  older: StopListener | undefined
  newer: StopListener | undefined

  constructor(list: LinkedList<StopListener>, listener: (code: number) => void) {
    this.#list = list
    this.listener = listener
  }

  [Symbol.dispose](): void {
    this.#list.delete(this)
  }
}

const DONE: Promise<void> = Promise.resolve()
const NOTHING = new Uint8Array(0)

/** The sending half, as the application has it. */
export class SendHalf implements P2PSendStream {
  readonly #carrier: CarrierSendStream
  readonly #host: SendHost
  #header: Uint8Array | undefined
  readonly #queue: PendingWrite[] = []
  #writing: PendingWrite | undefined
  #finishing: Promise<void> | undefined
  #end: 'open' | 'finished' | P2PError = 'open'
  #resetAfterWrite: number | undefined
  #idle: Waiter<void> | undefined
  #stopCode: number | undefined
  #stopListeners: LinkedList<StopListener> | undefined
  #writable: WritableStream<Uint8Array> | undefined

  /** `header` travels with the first write, or with the end. */
  constructor(carrier: CarrierSendStream, host: SendHost, header?: Uint8Array) {
    this.#carrier = carrier
    this.#host = host
    this.#header = header
  }

  /** Whether it was finished or given up. */
  get done(): boolean {
    return this.#end !== 'open'
  }

  write(bytes: Uint8Array, options?: WaitOptions): Promise<void> {
    try {
      return this.#write(bytes, options?.signal) ?? DONE
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** @internal As `write`; undefined when the carrier has taken it at once. */
  writeNow(bytes: Uint8Array): Promise<void> | undefined {
    try {
      return this.#write(bytes, undefined)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Undefined when the carrier has taken it at once. */
  #write(bytes: Uint8Array, signal: AbortSignal | undefined): Promise<void> | undefined {
    throwIfAborted(signal, 'write')
    if (!(bytes instanceof Uint8Array)) throw invalidConfiguration('bytes', typeof bytes, 'write takes a Uint8Array')
    this.#checkOpen()
    if (bytes.length === 0) return undefined
    const plain = plainView(bytes)
    const pending = this.#writing ? undefined : this.#hand(plain)
    if (!this.#writing && !pending) {
      this.#host.countSent(plain.length)
      return undefined
    }
    const write: PendingWrite = { bytes: plain, waiter: new Waiter<void>().noteIn(this.#host.waits, 'write') }
    if (pending) this.#await(write, pending)
    else this.#queue.push(write)
    // A write that is given up half-way leaves a stream with a hole, so the stream goes with it.
    return write.waiter.abortWith(signal, 'write', () => this.#giveUp(0, undefined)).promise
  }

  finish(): Promise<void> {
    return this.finishNow() ?? DONE
  }

  /** @internal As `finish`; undefined when it is finished, or was given up. */
  finishNow(): Promise<void> | undefined {
    if (this.#finishing || this.#end !== 'open') return this.#finishing
    this.#finishing = this.#writing ? this.#finishLater() : this.#finishAtOnce()
    // Not everyone awaits it; what went wrong is also told by the next write and by `end`.
    this.#finishing?.catch(() => {})
    return this.#finishing
  }

  reset(code = 0): void {
    checkStreamCode(code)
    this.resetWith(code)
  }

  /** As `reset`, with the library's codes too. */
  resetWith(code: number): void {
    this.#giveUp(
      code,
      P2PError.of('stream-reset', `this side abandoned the stream (code ${code})`, { streamCode: code }),
    )
  }

  onStopped(listener: (code: number) => void): Disposable {
    const listeners = (this.#stopListeners ??= new LinkedList())
    const entry = new StopListener(listeners, listener)
    if (this.#stopCode === undefined) listeners.push(entry)
    else listener(this.#stopCode)
    return entry
  }

  /** The peer said in a control frame that it reads no further. */
  stopByPeer(code: number): void {
    this.#stopped(code)
    this.#giveUp(code, stoppedError(code), true)
  }

  /** Gives it up unless the application has finished it: the peer is ending the connection. */
  cut(code: number, error: P2PError): void {
    if (!this.#finishing) this.#giveUp(code, error)
  }

  /** Sends the header now, alone, if it has not left yet. */
  announce(): void {
    if (!this.#header || this.#end !== 'open' || this.#finishing) return
    const write: PendingWrite = { bytes: NOTHING, waiter: new Waiter() }
    // Nobody waits for it; a failure is told by the next write.
    write.waiter.promise.catch(() => {})
    this.#start(write)
  }

  /** The connection is over. */
  connectionClosed(error: P2PError): void {
    if (this.#end === 'open') this.#fail(error)
  }

  get writable(): WritableStream<Uint8Array> {
    return (this.#writable ??= new WritableStream({
      // `abort` would be called only after a write under way; the signal (which the types lack) fires before.
      start: (controller): void => {
        const { signal } = controller as unknown as { readonly signal: AbortSignal }
        signal.addEventListener('abort', () => this.reset(), { once: true })
      },
      write: (chunk): Promise<void> => this.write(chunk),
      close: (): Promise<void> => this.finish(),
    }))
  }

  #checkOpen(): void {
    if (this.#end === 'finished' || this.#finishing) {
      throw P2PError.of('stream-stopped', 'this side has finished the stream: nothing more can be written', {
        streamCode: 0,
      })
    }
    if (this.#end !== 'open') throw this.#end
  }

  #start(write: PendingWrite): void {
    this.#await(write, this.#hand(write.bytes) ?? DONE)
  }

  /** Gives bytes to the carrier, behind the header; undefined when it has taken them at once. */
  #hand(payload: Uint8Array): Promise<void> | undefined {
    let bytes = payload
    const header = this.#header
    if (header) {
      this.#header = undefined
      this.#host.announcing()
      if (this.#carrier.writeBehindNow) return this.#carrier.writeBehindNow(header, payload)
      bytes = new Uint8Array(header.length + payload.length)
      bytes.set(header)
      bytes.set(payload, header.length)
    }
    return this.#carrier.writeNow ? this.#carrier.writeNow(bytes) : this.#carrier.write(bytes)
  }

  #await(write: PendingWrite, pending: Promise<void>): void {
    this.#writing = write
    pending.then(
      () => this.#written(write),
      (error: unknown) => this.#failedWrite(error),
    )
  }

  #written(write: PendingWrite): void {
    this.#writing = undefined
    if (this.#end !== 'open') {
      this.#afterWrite()
      return
    }
    this.#host.countSent(write.bytes.length)
    write.waiter.resolve()
    const next = this.#queue.shift()
    if (next) this.#start(next)
    else this.#idle?.resolve()
  }

  #failedWrite(error: unknown): void {
    // When the connection is over `connectionClosed` will be called with the reason.
    if (P2PError.is(error, 'connection-closed')) return
    const failure = sendError(error, 'writing to the stream')
    if (P2PError.is(failure, 'stream-stopped')) this.#stopped(failure.streamCode)
    if (this.#end === 'open') this.#fail(failure)
    this.#writing = undefined
    this.#afterWrite()
  }

  #afterWrite(): void {
    if (this.#resetAfterWrite !== undefined) this.#carrier.reset(this.#resetAfterWrite)
    this.#resetAfterWrite = undefined
  }

  /** Undefined when the carrier could end it at once, which then is done. */
  #finishAtOnce(): Promise<void> | undefined {
    const carrier = this.#carrier
    const announcing = this.#header ? this.#hand(NOTHING) : undefined
    let pending: Promise<void> | undefined
    if (announcing) pending = announcing.then(() => carrier.finish())
    else pending = carrier.finishNow ? carrier.finishNow() : carrier.finish()
    if (pending) return this.#finished(pending)
    this.#end = 'finished'
    this.#host.sendDone(true)
    return undefined
  }

  async #finishLater(): Promise<void> {
    if (this.#writing) {
      this.#idle = new Waiter()
      await this.#idle.promise
    }
    if (this.#end !== 'open') throw this.#end
    await this.#finished(this.#carrier.finish())
  }

  async #finished(pending: Promise<void>): Promise<void> {
    try {
      await pending
    } catch (error) {
      const failure = sendError(error, 'finishing the stream')
      if (this.#end === 'open') this.#fail(failure)
      throw failure
    }
    if (this.#end === 'open') {
      this.#end = 'finished'
      this.#host.sendDone(true)
    }
  }

  #stopped(code: number): void {
    if (this.#stopCode !== undefined || this.#end !== 'open') return
    this.#stopCode = code
    for (const entry of this.#stopListeners?.members() ?? []) {
      entry[Symbol.dispose]()
      entry.listener(code)
    }
  }

  #giveUp(code: number, error: P2PError | undefined, byPeer = false): void {
    if (this.#end !== 'open') return
    const writing = this.#writing !== undefined
    const blocked = (writing || this.#carrier.busy === true) && !this.#host.abortsBlockedStreams
    this.#fail(
      error ?? P2PError.of('stream-reset', 'a write was aborted, and the stream with it', { streamCode: code }),
    )
    if (blocked && writing) this.#resetAfterWrite = code
    else this.#carrier.reset(code)
    if (blocked && !byPeer) this.#host.sendReset(code)
  }

  #fail(error: P2PError): void {
    this.#end = error
    this.#writing?.waiter.reject(error)
    for (const write of this.#queue.splice(0)) write.waiter.reject(error)
    this.#idle?.resolve()
    this.#host.sendDone(false)
  }
}

/** What copies it with `slice` would copy nothing of a `Buffer`. */
function plainView(bytes: Uint8Array): Uint8Array {
  if (Object.getPrototypeOf(bytes) === Uint8Array.prototype) return bytes
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** The error of a stream that the peer wants no more of. */
function stoppedError(code: number, cause?: unknown): P2PError {
  return P2PError.of(
    'stream-stopped',
    `the peer wants no more bytes on this stream: ${describeCode(code)}`,
    { streamCode: code },
    cause === undefined ? undefined : { cause },
  )
}

/** What went wrong, in the same words on every carrier. */
function sendError(error: unknown, what: string): P2PError {
  if (P2PError.is(error, 'stream-stopped')) return stoppedError(error.streamCode, error)
  return P2PError.from(error, 'connection-failed', `${what} failed`, {})
}
