/**
 * Bytes that wait to be taken, in the pieces in which they came: mostly there is one at most.
 *
 * @module
 */
import { concatBytes } from './encoding.ts'

/** Pieces of bytes, first come first taken. */
export class ByteQueue {
  #first: Uint8Array | undefined
  #rest: Uint8Array[] | undefined
  #length = 0

  /** How many bytes wait. */
  get length(): number {
    return this.#length
  }

  push(piece: Uint8Array): void {
    if (piece.length === 0) return
    if (!this.#first) this.#first = piece
    else if (this.#rest) this.#rest.push(piece)
    else this.#rest = [piece]
    this.#length += piece.length
  }

  /** The oldest piece, at most `maxBytes` of it. */
  shift(maxBytes: number): Uint8Array | undefined {
    const first = this.#first
    if (!first) return undefined
    let taken = first
    if (first.length > maxBytes) {
      taken = first.subarray(0, maxBytes)
      this.#first = first.subarray(maxBytes)
    } else {
      this.#first = this.#rest?.shift()
    }
    this.#length -= taken.length
    return taken
  }

  /** All that waits, in one piece. */
  takeAll(): Uint8Array {
    const whole = this.#rest ? concatBytes([this.#first ?? NOTHING, ...this.#rest]) : (this.#first ?? NOTHING)
    this.clear()
    return whole
  }

  clear(): void {
    this.#first = undefined
    this.#rest = undefined
    this.#length = 0
  }
}

const NOTHING = new Uint8Array(0)
