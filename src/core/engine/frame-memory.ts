/**
 * Memory for large frames, used again: while bulk leaves in messages, a frame each would be a gigabyte of garbage a
 * gigabyte, which V8 marks its whole heap for every 25 MB.
 *
 * @module
 */

/** Smaller ones are not worth the trouble. */
const MIN_BYTES = 16_384

/** Lengths are rounded up to this, so that frames that differ a little can follow each other. */
const STEP_BYTES = 4_096

/** As many wait to be used again: one is sent while the next is made. */
const MAX_SPARE = 2

/** What frames of one connection are made in. */
export class FrameMemory {
  readonly #spare: ArrayBuffer[] = []

  /** An array of this length, with whatever it had in it. */
  take(length: number): Uint8Array {
    if (length < MIN_BYTES) return new Uint8Array(length)
    const spare = this.#spare.pop()
    if (spare && spare.byteLength >= length) return new Uint8Array(spare, 0, length)
    return new Uint8Array(new ArrayBuffer(Math.ceil(length / STEP_BYTES) * STEP_BYTES), 0, length)
  }

  /** Takes back what {@link take} has given, and nobody looks at any more. */
  give(frame: Uint8Array): void {
    if (frame.length >= MIN_BYTES && this.#spare.length < MAX_SPARE) this.#spare.push(frame.buffer as ArrayBuffer)
  }

  /** Keeps nothing: the next frame is not near. */
  clear(): void {
    this.#spare.length = 0
  }
}
