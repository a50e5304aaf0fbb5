/**
 * Datagrams that have arrived for the application: a bounded queue, and whoever waits at it.
 *
 * @module
 */
import type { P2PError } from '../core/errors.ts'
import { deferred } from './sim-stream.ts'
import type { Deferred } from './sim-stream.ts'

/** Unread bytes, with {@link ENTRY_BYTES} for each datagram; then the oldest go (noq-proto 1.4, transport.rs:606). */
const LIMIT_BYTES = 1_250_000
const ENTRY_BYTES = 32

/** The inbox of one connection. */
export class DatagramInbox {
  #queue: Uint8Array[] = []
  #head = 0
  #queuedBytes = 0
  #waiting: Deferred<Uint8Array> | undefined
  #end: P2PError | undefined
  /** Thrown away because nobody has read them in time. */
  dropped = 0

  /** True when somebody was waiting for it. */
  add(bytes: Uint8Array): boolean {
    const waiting = this.#waiting
    if (waiting) {
      this.#waiting = undefined
      waiting.resolve(bytes)
      return true
    }
    this.#queue.push(bytes)
    this.#queuedBytes += bytes.length + ENTRY_BYTES
    while (this.#queuedBytes > LIMIT_BYTES) {
      this.#shift()
      this.dropped++
    }
    return false
  }

  /** The next one; only one call at a time. */
  next(): Promise<Uint8Array> {
    if (this.#head < this.#queue.length) return Promise.resolve(this.#shift())
    if (this.#end) return Promise.reject(this.#end)
    this.#waiting = deferred<Uint8Array>()
    return this.#waiting.promise
  }

  /** No more will come. */
  end(error: P2PError): void {
    this.#end = error
    this.#waiting?.reject(error)
    this.#waiting = undefined
  }

  #shift(): Uint8Array {
    const bytes = this.#queue[this.#head++] as Uint8Array
    this.#queuedBytes -= bytes.length + ENTRY_BYTES
    if (this.#head > 64 && this.#head * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head)
      this.#head = 0
    }
    return bytes
  }
}
