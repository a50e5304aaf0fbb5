/**
 * The trail of a history: eight bits of its hash after each event, so that two histories can be laid side by side and the
 * event found where they part. Of a long history every second event is kept, every fourth, and so on.
 *
 * @module
 */
import { invalidConfiguration } from '../core/config.ts'

/** A trail as data. */
export interface TrailData {
  /** How many events lie between two marks. */
  readonly stride: number
  /** The marks, base64. */
  readonly marks: string
}

const MAX_MARKS = 65_536

/** Leaves marks. */
export class Trail {
  #marks = new Uint8Array(MAX_MARKS)
  #count = 0
  #stride = 1
  #events = 0

  /** One more event; `hash` is the history's hash after it. */
  add(hash: number): void {
    if (this.#events++ % this.#stride !== 0) return
    if (this.#count === MAX_MARKS) {
      for (let i = 0; i < MAX_MARKS / 2; i++) this.#marks[i] = this.#marks[2 * i] as number
      this.#count = MAX_MARKS / 2
      this.#stride *= 2
      // The mark at hand lies on the wider grid too: the count of marks was even.
    }
    this.#marks[this.#count++] = hash & 0xff
  }

  data(): TrailData {
    return {
      stride: this.#stride,
      marks: Buffer.from(this.#marks.buffer, 0, this.#count).toString('base64'),
    }
  }
}

/** Follows a trail: told of a history's events, it finds where that history leaves it. */
export class TrailFollower {
  readonly #stride: number
  readonly #marks: Uint8Array
  #events = 0
  #partedAt: number | undefined

  /** @throws P2PError `invalid-configuration` when it is no trail */
  constructor({ stride, marks }: TrailData) {
    if (!Number.isSafeInteger(stride) || stride < 1 || typeof marks !== 'string') {
      throw invalidConfiguration('trail', stride, 'must be { stride, marks }')
    }
    this.#stride = stride
    this.#marks = Buffer.from(marks, 'base64')
  }

  /** One more event. */
  add(hash: number): void {
    const event = this.#events++
    if (this.#partedAt !== undefined || event % this.#stride !== 0) return
    if (this.#marks[event / this.#stride] !== (hash & 0xff)) this.#partedAt = event
  }

  /** The event, from 0, at which the histories differ; up to `stride - 1` before it they may have parted. */
  get partedAt(): number | undefined {
    return this.#partedAt
  }

  get stride(): number {
    return this.#stride
  }
}
