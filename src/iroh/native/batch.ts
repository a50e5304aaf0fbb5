/**
 * What is asked of streams, packed into one memory and handed to the addon once a turn (`native/src/batch.rs` has the
 * same numbers). To cross into the addon costs as much as to pack several entries.
 *
 * @module
 */
import { atEndOfTurn } from '../../runtime/end-of-turn.ts'

const ENTRY = {
  open: 1,
  write: 2,
  finish: 3,
  reset: 4,
  stop: 5,
  readMore: 6,
  moreTwoWay: 7,
  moreOneWay: 8,
  moreDatagrams: 9,
} as const

/** What the addon accepts more of. */
export type AcceptKind = 'moreTwoWay' | 'moreOneWay' | 'moreDatagrams'

/** With `open`: the stream is two-way; somebody waits to hear that it is open. */
const TWO_WAY = 0x100
const LOUDLY = 0x200
/** With `open`: it may be opened before the handshake is complete. */
const EARLY = 0x400
/** With `write` and `finish`: to be told when it is done. */
const TELL = 0x100
/** With `write`: nothing follows; and to be told when everything has arrived. */
const LAST = 0x400
const CONFIRM = 0x800

const HEADER_BYTES = 16
const CODE_BYTES = 8
const BATCH_BYTES = 65_536

/** A write of more bytes goes to the addon by itself: packing it would copy it once more. */
export const MAX_PACKED_BYTES = 16_384

/** A batch that is being filled. */
export class Batch {
  readonly #bytes = new Uint8Array(BATCH_BYTES)
  readonly #words = new Uint32Array(this.#bytes.buffer)
  readonly #submit: (bytes: Uint8Array, used: number) => void
  readonly #endOfTurn = (): void => {
    this.#isAwaited = false
    this.flush()
  }
  #used = 0
  /** Where the last entry begins, in words, if it is a `write` that can still become the last of its stream. */
  #lastWrite = -1
  #isAwaited = false

  /** @param submit hands `used` bytes over; afterwards they may be overwritten */
  constructor(submit: (bytes: Uint8Array, used: number) => void) {
    this.#submit = submit
  }

  open(connection: number, stream: number, twoWay: boolean, loudly: boolean, early: boolean): void {
    const flags = (twoWay ? TWO_WAY : 0) | (loudly ? LOUDLY : 0) | (early ? EARLY : 0)
    this.#add(ENTRY.open | flags, connection, stream, 0)
  }

  /** At most {@link MAX_PACKED_BYTES} with `head` before them; they are copied. */
  write(stream: number, bytes: Uint8Array, tell: boolean, head?: Uint8Array): void {
    const before = head ? head.length : 0
    const start = this.#add(ENTRY.write | (tell ? TELL : 0), stream, 0, before + bytes.length)
    if (head) this.#bytes.set(head, start)
    this.#bytes.set(bytes, start + before)
    this.#lastWrite = (start - HEADER_BYTES) >>> 2
  }

  finish(stream: number, confirm: boolean): void {
    const word = this.#lastWrite
    if (word >= 0 && this.#words[word + 1] === stream) {
      this.#words[word] = (this.#words[word] as number) | LAST | (confirm ? CONFIRM : 0)
      this.#lastWrite = -1
    } else {
      this.#add(ENTRY.finish | (confirm ? TELL : 0), stream, 0, 0)
    }
  }

  reset(stream: number, code: number): void {
    this.#code(ENTRY.reset, stream, code)
  }

  stop(stream: number, code: number): void {
    this.#code(ENTRY.stop, stream, code)
  }

  readMore(stream: number, bytes: number): void {
    this.#add(ENTRY.readMore, stream, bytes, 0)
  }

  acceptMore(connection: number, kind: AcceptKind, count: number): void {
    this.#add(ENTRY[kind], connection, count, 0)
  }

  /** Hands over what there is. */
  flush(): void {
    const used = this.#used
    if (used === 0) return
    this.#used = 0
    this.#lastWrite = -1
    this.#submit(this.#bytes, used)
  }

  #code(what: number, stream: number, code: number): void {
    const word = this.#add(what, stream, 0, CODE_BYTES) >>> 2
    this.#words[word] = code
    this.#words[word + 1] = Math.floor(code / 2 ** 32)
  }

  /** Where the payload of the new entry begins. */
  #add(what: number, first: number, second: number, length: number): number {
    if (this.#used + HEADER_BYTES + length > BATCH_BYTES) this.flush()
    const start = this.#used + HEADER_BYTES
    const words = this.#words
    const word = this.#used >>> 2
    words[word] = what
    words[word + 1] = first
    words[word + 2] = second
    words[word + 3] = length
    this.#used = (start + length + 3) & ~3
    this.#lastWrite = -1
    if (!this.#isAwaited) {
      this.#isAwaited = true
      atEndOfTurn(this.#endOfTurn)
    }
    return start
  }
}
