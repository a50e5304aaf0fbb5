/**
 * Streams that the peer has opened, and those who wait for them.
 *
 * @module
 */
import type { P2PError } from '../core/errors.ts'
import { deferred } from './sim-stream.ts'
import type { Deferred, SimStream } from './sim-stream.ts'

/** Those of one kind. */
export class Arrivals {
  readonly #arrived: SimStream[] = []
  readonly #waiting: Deferred<SimStream>[] = []
  #wake: (() => void) | undefined
  #end: P2PError | undefined

  /** True when somebody was waiting. */
  add(stream: SimStream): boolean {
    const waiting = this.#waiting.shift()
    if (waiting) {
      waiting.resolve(stream)
      return true
    }
    this.#arrived.push(stream)
    return this.#tell()
  }

  nextNow(): SimStream | undefined {
    return this.#arrived.shift()
  }

  /** False when none will come any more. */
  when(wake: () => void): boolean {
    if (this.#end) return false
    this.#wake = wake
    return true
  }

  next(): Promise<SimStream> {
    const stream = this.#arrived.shift()
    if (stream) return Promise.resolve(stream)
    if (this.#end) return Promise.reject(this.#end)
    const waiting = deferred<SimStream>()
    this.#waiting.push(waiting)
    return waiting.promise
  }

  end(error: P2PError): void {
    this.#end = error
    for (const waiting of this.#waiting.splice(0)) waiting.reject(error)
    this.#tell()
  }

  #tell(): boolean {
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
    return wake !== undefined
  }
}
