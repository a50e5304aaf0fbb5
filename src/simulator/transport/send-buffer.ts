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
  /** The stream offset of its first byte. */
  readonly offset: number
  /** How many of its bytes are in use; the rest is room for small writes that follow. */
  length: number
}

/** Room made for further small writes when one meets bytes that are still waiting. */
const COMBINE_BYTES = 4_096
/** Writes up to this size are put together. */
const SMALL_BYTES = 1_452
const NO_BYTES = new Uint8Array(0)

/** Keeps what was written, hands it out in frames, and again what was lost. */
export class SendBuffer {
  readonly #chunks: Chunk[] = []
  /** The chunk that holds the next unsent byte, most likely. */
  #cursor = 0
  /** Everything below is acknowledged and gone. */
  #ackedTo = 0
  #sentTo = 0
  #end = 0
  #acked: RangeSet | undefined
  #lost: RangeSet | undefined

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
    const last = this.#chunks.at(-1)
    if (last && length <= SMALL_BYTES && last.length + length <= last.bytes.length) {
      last.bytes.set(bytes.subarray(start, start + length), last.length)
      last.length += length
    } else if (last && length <= SMALL_BYTES && this.#sentTo < this.#end) {
      const room = new Uint8Array(COMBINE_BYTES)
      room.set(bytes.subarray(start, start + length))
      this.#chunks.push({ bytes: room, offset: this.#end, length })
    } else {
      this.#chunks.push({ bytes: bytes.slice(start, start + length), offset: this.#end, length })
    }
    this.#end += length
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
      return new StreamFrame(streamId, offset, length, fin, chunk.bytes, start, sizeBytes)
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
    this.#chunks.length = 0
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
    if (gone > 0) {
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
      const part = chunk.bytes.subarray(start, Math.min(chunk.length, start + length - filled))
      joined.set(part, filled)
      filled += part.length
    }
    return joined
  }
}
