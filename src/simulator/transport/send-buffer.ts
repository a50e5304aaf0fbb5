/**
 * The bytes of a stream from `write` until they are acknowledged.
 *
 * @module
 */
import { varintLength } from '../../core/encoding.ts'
import { StreamFrame, streamHeaderBytes } from './frames.ts'
import { RangeSet } from './range-set.ts'

interface Chunk {
  readonly bytes: Uint8Array
  /** Where in them it begins. */
  readonly start: number
  /** The stream offset of its first byte. */
  readonly offset: number
  /** How many of its bytes are in use. */
  length: number
  /** Up to how many there may be: room for small writes that follow. */
  readonly capacity: number
}

const NO_BYTES = new Uint8Array(0)
/** Of buffers that hold nothing. */
const NOTHING: Chunk[] = []
Object.freeze(NOTHING)

/** An array costs more than the few bytes of a small write, so that those of a connection share one. */
const SLAB_BYTES = 1_024
/** Writes up to this size go there. */
const SLAB_SHARE_BYTES = 256

/** Memory for the small writes of one connection. What was handed out is never written to again. */
export class Slab {
  bytes: Uint8Array = NO_BYTES
  used = 0

  /** Copies `length` bytes from `start` on; they are in `bytes`, up to `used`. */
  copy(source: Uint8Array, start: number, length: number): void {
    if (this.bytes.length - this.used < length) {
      this.bytes = new Uint8Array(SLAB_BYTES)
      this.used = 0
    }
    // For so few a loop is faster than making a view of them.
    for (let i = 0; i < length; i++) this.bytes[this.used + i] = source[start + i] as number
    this.used += length
  }
}

/** Room made for further small writes when one meets bytes that are still waiting. */
const COMBINE_BYTES = 4_096
/** Writes up to this size are put together. */
const SMALL_BYTES = 1_452

/** Keeps what was written, hands it out in frames, and again what was lost. */
export class SendBuffer {
  #chunks = NOTHING
  readonly #slab: Slab
  /** The chunk that holds the next unsent byte, most likely. */
  #cursor = 0
  /** Everything below is acknowledged and gone. */
  #ackedTo = 0
  #sentTo = 0
  #end = 0
  #acked: RangeSet | undefined
  #lost: RangeSet | undefined

  /** @param slab that of the connection */
  constructor(slab: Slab = new Slab()) {
    this.#slab = slab
  }

  /** The offset behind the last byte written. */
  get end(): number {
    return this.#end
  }

  /** Bytes written and not known to have arrived. */
  get unackedBytes(): number {
    return this.#end - this.#ackedTo
  }

  /** Whether there is something to send, for the first time or again. */
  get hasPending(): boolean {
    return this.#sentTo < this.#end || (this.#lost !== undefined && this.#lost.count > 0)
  }

  /** Whether every byte written so far is acknowledged. */
  get isAcked(): boolean {
    return this.#ackedTo === this.#end
  }

  /** Copies `length` bytes from `start` on. */
  write(bytes: Uint8Array, start: number, length: number): void {
    if (length === 0) return
    const last = this.#chunks[this.#chunks.length - 1]
    const slab = this.#slab
    if (last && last.length + length <= last.capacity) {
      last.bytes.set(bytes.subarray(start, start + length), last.length)
      last.length += length
    } else if (last && last.bytes === slab.bytes && last.start + last.length === slab.used && this.#fits(length)) {
      slab.copy(bytes, start, length)
      last.length += length
    } else if (last && length <= SMALL_BYTES && this.#sentTo < this.#end) {
      const room = new Uint8Array(COMBINE_BYTES)
      room.set(bytes.subarray(start, start + length))
      this.#push(room, 0, length, COMBINE_BYTES)
    } else if (length <= SLAB_SHARE_BYTES) {
      slab.copy(bytes, start, length)
      this.#push(slab.bytes, slab.used - length, length, 0)
    } else {
      this.#push(bytes.slice(start, start + length), 0, length, 0)
    }
    this.#end += length
  }

  /** Whether a small write has room behind the last one. */
  #fits(length: number): boolean {
    return length <= SLAB_SHARE_BYTES && this.#slab.used + length <= SLAB_BYTES
  }

  #push(bytes: Uint8Array, start: number, length: number, capacity: number): void {
    const chunk: Chunk = { bytes, start, offset: this.#end, length, capacity }
    // Mostly it is the only one: pushing to an empty array makes room for many.
    if (this.#chunks.length === 0) this.#chunks = [chunk]
    else this.#chunks.push(chunk)
  }

  /**
   * The next frame of at most `budgetBytes`, which is at least that of an empty frame; lost bytes go first.
   *
   * @param closed whether the stream ends behind its last byte
   */
  nextFrame(streamId: number, budgetBytes: number, closed: boolean): StreamFrame {
    const again = this.#lost !== undefined && this.#lost.count > 0
    const offset = again ? (this.#lost as RangeSet).start(0) : this.#sentTo
    const available = (again ? (this.#lost as RangeSet).end(0) : this.#end) - offset
    const headerBytes = streamHeaderBytes(streamId, offset)
    let length = Math.min(available, budgetBytes - headerBytes)
    let sizeBytes = headerBytes + length
    if (available < budgetBytes - headerBytes) {
      // It does not fill the packet, so that its length must be written.
      length = Math.min(available, budgetBytes - headerBytes - 8)
      sizeBytes = headerBytes + varintLength(length) + length
    }
    const next = offset + length
    if (again) (this.#lost as RangeSet).removeBelow(next)
    else this.#sentTo = next
    const fin = closed && next === this.#end
    if (length === 0) return new StreamFrame(streamId, offset, 0, fin, NO_BYTES, 0, sizeBytes)
    const chunk = this.#find(offset)
    const start = offset - chunk.offset
    if (start + length <= chunk.length) {
      return new StreamFrame(streamId, offset, length, fin, chunk.bytes, chunk.start + start, sizeBytes)
    }
    return new StreamFrame(streamId, offset, length, fin, this.#join(offset, length), 0, sizeBytes)
  }

  /** Bytes have arrived; returns how many more are now known to. */
  acknowledge(offset: number, length: number): number {
    const end = offset + length
    if (end <= this.#ackedTo || length === 0) return 0
    const before = this.#ackedTo
    if (offset <= this.#ackedTo && this.#acked === undefined) {
      this.#ackedTo = end
    } else {
      this.#acked ??= new RangeSet()
      this.#acked.insert(Math.max(offset, this.#ackedTo), end)
      while (this.#acked.count > 0 && this.#acked.start(0) <= this.#ackedTo) {
        this.#ackedTo = Math.max(this.#ackedTo, this.#acked.end(0))
        this.#acked.removeLowest()
      }
      if (this.#acked.count === 0) this.#acked = undefined
    }
    this.#lost?.removeBelow(this.#ackedTo)
    this.#dropChunks()
    return this.#ackedTo - before
  }

  /** Bytes were lost and must be sent again; those that have arrived meanwhile are left out. */
  retransmit(offset: number, length: number): void {
    const start = Math.max(offset, this.#ackedTo)
    const end = offset + length
    if (start >= end || this.#acked?.covers(start, end)) return
    this.#lost ??= new RangeSet()
    this.#lost.insert(start, end)
  }

  /** Frees everything. */
  clear(): void {
    this.#chunks = NOTHING
    this.#cursor = 0
    this.#acked = undefined
    this.#lost = undefined
    this.#ackedTo = this.#end
    this.#sentTo = this.#end
  }

  #dropChunks(): void {
    const chunks = this.#chunks
    let gone = 0
    while (gone < chunks.length) {
      const chunk = chunks[gone] as Chunk
      // A chunk with room is kept for the next small write only while it still holds something.
      if (chunk.offset + chunk.length > this.#ackedTo) break
      gone++
    }
    if (gone === chunks.length) {
      this.#chunks = NOTHING
      this.#cursor = 0
    } else if (gone > 0) {
      chunks.splice(0, gone)
      this.#cursor = Math.max(0, this.#cursor - gone)
    }
  }

  /** The chunk that holds the byte at `offset`. */
  #find(offset: number): Chunk {
    const chunks = this.#chunks
    let index = Math.min(this.#cursor, chunks.length - 1)
    let chunk = chunks[index] as Chunk
    while (chunk.offset > offset) chunk = chunks[--index] as Chunk
    while (chunk.offset + chunk.length <= offset) chunk = chunks[++index] as Chunk
    this.#cursor = index
    return chunk
  }

  /** A copy of bytes that lie in more than one chunk. */
  #join(offset: number, length: number): Uint8Array {
    const joined = new Uint8Array(length)
    let filled = 0
    while (filled < length) {
      const chunk = this.#find(offset + filled)
      const start = offset + filled - chunk.offset
      const end = Math.min(chunk.length, start + length - filled)
      const part = chunk.bytes.subarray(chunk.start + start, chunk.start + end)
      joined.set(part, filled)
      filled += part.length
    }
    return joined
  }
}
