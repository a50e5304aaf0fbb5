/**
 * Messages: length-prefixed frames on one one-way stream a direction, behind a bounded queue at each end.
 *
 * @module
 */
import type { CarrierReceiveStream, CarrierSendStream } from '../carrier.ts'
import { copyBytes, readVarint, varintLength, writeVarint } from '../encoding.ts'
import { P2PError } from '../errors.ts'
import type { WaitScope } from '../wait-log.ts'
import { AsyncQueue, throwIfAborted, Waiter } from './waiting.ts'
import { LIBRARY_CODE, STREAM_KIND } from './wire.ts'
import { FrameMemory } from './frame-memory.ts'

/** Small messages that wait together are written together, up to this size. */
const BATCH_BYTES = 65_536

/** What a message weighs in a queue beyond its bytes, so that empty ones are bounded too. */
const OVERHEAD_BYTES = 32

function tooLarge(size: number, max: number, who: string): P2PError {
  return P2PError.of(
    'message-too-large',
    `a message of ${size} bytes is over ${who} limit of ${max}: send it on a stream, or raise limits.maxMessageBytes on both sides`,
    { size, max },
  )
}

function weight(message: Uint8Array): number {
  return message.length + OVERHEAD_BYTES
}

/** What the sender needs to know of its connection. */
export interface MessageSenderOptions {
  readonly maxMessageBytes: number
  readonly queueBytes: number
  /** Where to note who waits. */
  readonly waits: WaitScope | undefined
  /** Opens the stream on the first message. */
  readonly open: () => Promise<CarrierSendStream>
}

/** The sending end. */
export class MessageSender {
  readonly #options: MessageSenderOptions
  #stream: CarrierSendStream | undefined
  #header: Uint8Array | undefined
  #opened = false
  readonly #queue: Uint8Array[] = []
  readonly #memory = new FrameMemory()
  #queuedBytes = 0
  readonly #blocked: { readonly bytes: Uint8Array; readonly waiter: Waiter<void> }[] = []
  #pumping = false
  #error: P2PError | undefined
  #refused: P2PError | undefined
  #idle: Waiter<void> | undefined
  #finishing: Promise<void> | undefined

  constructor(options: MessageSenderOptions) {
    this.#options = options
  }

  /** Whether the stream was opened, so that the peer has to wait for its end. */
  get used(): boolean {
    return this.#opened
  }

  /** Why the peer did not take everything that was accepted, if it did not. */
  get refused(): P2PError | undefined {
    return this.#refused
  }

  async send(bytes: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    throwIfAborted(signal, 'send')
    if (this.#error) throw this.#error
    const { maxMessageBytes, queueBytes } = this.#options
    if (bytes.length > maxMessageBytes) throw tooLarge(bytes.length, maxMessageBytes, 'this side’s')
    if (this.#blocked.length > 0 || (this.#queuedBytes > 0 && this.#queuedBytes + weight(bytes) > queueBytes)) {
      const entry = { bytes, waiter: new Waiter<void>().noteIn(this.#options.waits, 'send') }
      this.#blocked.push(entry)
      await entry.waiter.abortWith(signal, 'send', () => this.#blocked.splice(this.#blocked.indexOf(entry), 1)).promise
      return
    }
    this.#accept(bytes)
  }

  /** Resolves when everything accepted is with the carrier and the stream is finished. Nothing is sent after it. */
  finish(): Promise<void> {
    return (this.#finishing ??= this.#finish())
  }

  async #finish(): Promise<void> {
    if (!this.#opened && this.#queue.length === 0) return
    if (this.#pumping) {
      this.#idle ??= new Waiter()
      await this.#idle.promise
    }
    if (this.#error) throw this.#error
    await this.#stream?.finish()
  }

  /** Rejects whoever waits, and everything to come. */
  fail(error: P2PError): void {
    if (this.#error) return
    this.#error = error
    for (const { waiter } of this.#blocked.splice(0)) waiter.reject(error)
    this.#queue.length = 0
    this.#idle?.resolve()
  }

  #accept(bytes: Uint8Array): void {
    const framed = this.#memory.take(varintLength(bytes.length) + bytes.length)
    framed.set(bytes, writeVarint(framed, 0, bytes.length))
    this.#queue.push(framed)
    this.#queuedBytes += weight(bytes)
    this.#opened = true
    if (!this.#pumping) void this.#pump()
  }

  async #pump(): Promise<void> {
    this.#pumping = true
    try {
      if (!this.#stream) {
        this.#stream = await this.#options.open()
        this.#header = Uint8Array.of(STREAM_KIND.messages)
      }
      while (this.#queue.length > 0 && !this.#error) {
        const batch = this.#batch()
        await this.#stream.write(batch.bytes)
        // The carrier has copied it.
        this.#memory.give(batch.bytes)
        this.#queuedBytes -= batch.weight
        this.#admit()
      }
    } catch (error) {
      // When the connection is over `fail` will be called with the reason.
      if (P2PError.is(error, 'connection-closed')) return
      this.#refused = sendFailure(error)
      this.fail(this.#refused)
    } finally {
      this.#memory.clear()
      this.#pumping = false
      this.#idle?.resolve()
    }
  }

  #batch(): { bytes: Uint8Array; weight: number } {
    const parts: Uint8Array[] = this.#header ? [this.#header] : []
    let length = this.#header?.length ?? 0
    this.#header = undefined
    let count = 0
    let payloadBytes = 0
    for (const framed of this.#queue) {
      if (count > 0 && length + framed.length > BATCH_BYTES) break
      count++
      length += framed.length
      payloadBytes += framed.length - (readVarint(framed, 0)?.next ?? 0)
    }
    parts.push(...this.#queue.splice(0, count))
    const weight = payloadBytes + count * OVERHEAD_BYTES
    if (parts.length === 1 && parts[0]) return { bytes: parts[0], weight }
    const bytes = this.#memory.take(length)
    let offset = 0
    for (const part of parts) {
      bytes.set(part, offset)
      offset += part.length
      this.#memory.give(part)
    }
    return { bytes, weight }
  }

  #admit(): void {
    for (let next = this.#blocked[0]; next; next = this.#blocked[0]) {
      if (this.#queuedBytes > 0 && this.#queuedBytes + weight(next.bytes) > this.#options.queueBytes) return
      this.#blocked.shift()
      this.#accept(next.bytes)
      next.waiter.resolve()
    }
  }
}

/** What the receiver needs to know of its connection. */
export interface MessageReceiverOptions {
  readonly maxMessageBytes: number
  readonly queueBytes: number
  /** Where to note who waits. */
  readonly waits: WaitScope | undefined
  readonly grantDrainBytes: (bytes: number) => number
  readonly returnDrainBytes: (bytes: number) => void
  /** The stream has reached its end in memory, or failed. */
  readonly done: () => void
}

/** The receiving end. */
export class MessageReceiver {
  readonly #options: MessageReceiverOptions
  readonly #queue: AsyncQueue<Uint8Array>
  #queuedBytes = 0
  #grantedBytes = 0
  #draining = false
  #done = false
  #resume: Waiter<void> | undefined
  #partial: { readonly bytes: Uint8Array; filled: number } | undefined
  #rest: Uint8Array = new Uint8Array(0)

  constructor(options: MessageReceiverOptions) {
    this.#options = options
    this.#queue = new AsyncQueue(options.waits)
  }

  /** Whether the end of the stream is in memory, or it failed. */
  get done(): boolean {
    return this.#done
  }

  async recv(signal: AbortSignal | undefined): Promise<Uint8Array> {
    const message = await this.#queue.next(signal, 'recv')
    this.#queuedBytes -= weight(message)
    const returned = Math.min(weight(message), this.#grantedBytes)
    this.#grantedBytes -= returned
    if (returned > 0) this.#options.returnDrainBytes(returned)
    this.#resume?.resolve()
    return message
  }

  /** No message follows those in the queue. */
  close(error: P2PError): void {
    this.#queue.close(error)
    this.#finish()
    this.#resume?.resolve()
  }

  /** Reads on beyond the queue's bound, as far as bytes are granted, because the peer wants to end the connection. */
  drain(): void {
    this.#draining = true
    this.#resume?.resolve()
  }

  /**
   * Takes messages off `stream` until it ends, which is when `ended` tells why there are no more; `rest` are bytes
   * already read from it. When the connection is over first, `close` is still to be called.
   */
  async pump(stream: CarrierReceiveStream, rest: Uint8Array, ended: () => P2PError): Promise<void> {
    try {
      this.#parse(rest)
      while (!this.#done) {
        const room = await this.#room()
        if (!room) continue
        const chunk = await stream.read(room.bytes)
        if (room.granted) {
          const used = Math.min(room.bytes, chunk?.length ?? 0)
          this.#grantedBytes += used
          if (used < room.bytes) this.#options.returnDrainBytes(room.bytes - used)
        }
        if (!chunk) break
        this.#parse(chunk)
      }
      if (!this.#done && (this.#partial || this.#rest.length > 0)) {
        throw P2PError.of('protocol', 'the peer’s messages ended in the middle of one', {})
      }
      this.close(ended())
    } catch (error) {
      if (P2PError.is(error, 'connection-closed')) return
      const failure = P2PError.from(error, 'connection-failed', 'receiving messages failed', {})
      stream.stop(P2PError.is(failure, 'message-too-large') ? LIBRARY_CODE.limit : LIBRARY_CODE.protocol)
      this.close(failure)
    }
  }

  /** Waits until something may be read; undefined when things have changed and must be looked at again. */
  async #room(): Promise<{ readonly bytes: number; readonly granted: boolean } | undefined> {
    if (this.#queuedBytes < this.#options.queueBytes) return { bytes: BATCH_BYTES, granted: false }
    if (this.#draining) {
      const bytes = this.#options.grantDrainBytes(BATCH_BYTES)
      if (bytes > 0) return { bytes, granted: true }
    }
    this.#resume = new Waiter()
    await this.#resume.promise
    this.#resume = undefined
    return undefined
  }

  #finish(): void {
    if (this.#done) return
    this.#done = true
    this.#options.done()
  }

  #push(message: Uint8Array): void {
    this.#queuedBytes += weight(message)
    this.#queue.push(message)
  }

  #parse(chunk: Uint8Array): void {
    let source = chunk
    let offset = 0
    if (this.#rest.length > 0) {
      source = new Uint8Array(this.#rest.length + chunk.length)
      source.set(this.#rest)
      source.set(chunk, this.#rest.length)
      this.#rest = new Uint8Array(0)
    }
    while (offset < source.length) {
      if (!this.#partial) {
        const length = readVarint(source, offset)
        if (!length) {
          this.#rest = copyBytes(source.subarray(offset))
          return
        }
        const size = length.value
        const max = this.#options.maxMessageBytes
        if (!(size <= max)) throw tooLarge(size, max, 'this side’s')
        offset = length.next
        if (offset + size <= source.length) {
          // A copy when it is a small part of its chunk, so that one message does not hold 64 KiB in memory.
          const end = offset + size
          const message = source.subarray(offset, end)
          this.#push(size * 2 < source.length ? copyBytes(message) : message)
          offset = end
          continue
        }
        this.#partial = { bytes: new Uint8Array(size), filled: 0 }
      }
      const partial = this.#partial
      const part = source.subarray(offset, offset + partial.bytes.length - partial.filled)
      partial.bytes.set(part, partial.filled)
      partial.filled += part.length
      offset += part.length
      if (partial.filled === partial.bytes.length) {
        this.#partial = undefined
        this.#push(partial.bytes)
      }
    }
  }
}

/** What the sender learns when the stream of its messages fails. */
function sendFailure(error: unknown): P2PError {
  if (P2PError.is(error, 'stream-stopped')) {
    if (error.streamCode === LIBRARY_CODE.unclaimed) {
      return P2PError.of('unsupported', 'the peer takes no messages on this connection', {
        what: 'messages',
        backend: 'peer',
      })
    }
    if (error.streamCode === LIBRARY_CODE.limit) {
      // The peer does not say how large its limit is.
      return P2PError.of(
        'limit-exceeded',
        'the peer takes no more messages: one was over its limits.maxMessageBytes',
        { limit: 'maxMessageBytes', max: Number.NaN },
        { cause: error },
      )
    }
  }
  return P2PError.from(error, 'connection-failed', 'sending a message failed', {})
}
