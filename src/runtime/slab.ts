/**
 * Memory for small arrays: to make and collect an `ArrayBuffer` for each costs more than to fill it. As Node's own pool for
 * buffers.
 *
 * @module
 */
import { markAsUntransferable } from 'node:worker_threads'

const SLAB_BYTES = 8_192

/** Shorter copies are made byte by byte: a view to copy from would cost more. */
const VIEW_BYTES = 160

/** Copies of small parts, many in one piece of memory; whoever keeps one keeps the piece. */
export class Slab {
  /** Larger ones are worth memory of their own. */
  static readonly MAX_BYTES = 512
  #bytes = new Uint8Array(0)
  #used = 0

  /** A copy of `source` from `start` to `end`, at most {@link Slab.MAX_BYTES}. */
  copy(source: Uint8Array, start: number, end: number): Uint8Array {
    const length = end - start
    if (this.#used + length > this.#bytes.length) {
      this.#bytes = new Uint8Array(SLAB_BYTES)
      // To transfer one of them to a worker would take the others along.
      markAsUntransferable(this.#bytes.buffer)
      this.#used = 0
    }
    const copy = new Uint8Array(this.#bytes.buffer, this.#used, length)
    this.#used += (length + 7) & ~7
    if (length > VIEW_BYTES) copy.set(source.subarray(start, end))
    else for (let i = 0; i < length; i++) copy[i] = source[start + i] as number
    return copy
  }
}
