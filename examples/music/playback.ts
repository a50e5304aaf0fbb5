/**
 * Where a listener is in a track, and what of it has arrived: no time, no network, only arithmetic.
 *
 * @module
 */
import { BLOCK_BYTES } from './digest.ts'
import type { Track } from './media/index.ts'

/** A track being listened to. Bytes and time are taken to go hand in hand, which is near enough to know what to fetch. */
export class Playback {
  readonly durationMs: number
  readonly #sizeBytes: number
  readonly #blocks: Uint8Array
  #positionMs = 0
  #arrivedBytes = 0

  /** @param sizeBytes the size of the file; that of the track is from when it was scanned */
  constructor(track: Track, sizeBytes: number) {
    this.#sizeBytes = sizeBytes
    this.#blocks = new Uint8Array(Math.ceil(sizeBytes / BLOCK_BYTES))
    this.durationMs = track.durationSeconds * 1000
  }

  /** Where the listener is. */
  get positionMs(): number {
    return this.#positionMs
  }

  /** How much of the file has arrived. */
  get arrivedBytes(): number {
    return this.#arrivedBytes
  }

  /** How much audio is there without a gap from the position on. */
  get bufferedMs(): number {
    let block = this.#blockAt(this.#positionMs)
    while (this.#blocks[block] === 1) block++
    if (block >= this.#blocks.length) return this.durationMs - this.#positionMs
    return Math.max(0, (block * BLOCK_BYTES * this.durationMs) / this.#sizeBytes - this.#positionMs)
  }

  /** The listener jumps. */
  seek(positionMs: number): void {
    this.#positionMs = Math.min(positionMs, this.durationMs)
  }

  /** Plays on for `elapsedMs`, or as far as there is audio; says whether that was all of it. */
  advance(elapsedMs: number): boolean {
    const { bufferedMs } = this
    this.#positionMs += Math.min(elapsedMs, bufferedMs)
    return elapsedMs <= bufferedMs
  }

  /** A block has arrived. */
  arrived(index: number, bytes: number): void {
    if (this.#blocks[index] === 1) return
    this.#blocks[index] = 1
    this.#arrivedBytes += bytes
  }

  /** The blocks that are missing, from the position (or `fromMs`) to the end of the track. */
  *missing(fromMs: number = this.#positionMs): Generator<number> {
    for (let block = this.#blockAt(fromMs); block < this.#blocks.length; block++) {
      if (this.#blocks[block] === 0) yield block
    }
  }

  #blockAt(positionMs: number): number {
    if (this.durationMs === 0) return 0
    return Math.floor(((positionMs / this.durationMs) * this.#sizeBytes) / BLOCK_BYTES)
  }
}
