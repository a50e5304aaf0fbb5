/**
 * The frames about streams, other than STREAM itself, that wait to be sent. What only says a current limit is made at
 * the last moment, so that it is never outdated.
 *
 * @module
 */
import type { ReceiveWindow } from './flow-control.ts'
import { controlBytes } from './frames.ts'
import type { ControlFrame } from './frames.ts'
import type { ReceiveHalf } from './stream.ts'
import type { StreamCounts, StreamKindIndex } from './stream-counts.ts'

/** The largest of these frames. */
const FRAME_BOUND = 25

/** The queue of one connection. */
export class StreamControls {
  readonly #window: ReceiveWindow
  readonly #counts: StreamCounts
  readonly #frames: ControlFrame[] = []
  readonly #credits: ReceiveHalf[] = []
  #grantConnection = false
  readonly #grantStreams: [boolean, boolean] = [false, false]

  constructor(window: ReceiveWindow, counts: StreamCounts) {
    this.#window = window
    this.#counts = counts
  }

  /** Whether nothing waits. Asked for at every packet, so that it is kept and not found out. */
  isEmpty = true

  /** Queues a frame as it is. */
  push(frame: ControlFrame): void {
    this.#frames.push(frame)
    this.isEmpty = false
  }

  /** Queues a stream's current limit. */
  grantStream(half: ReceiveHalf): void {
    if (half.creditQueued) return
    half.creditQueued = true
    this.#credits.push(half)
    this.isEmpty = false
  }

  /** Queues the connection's current limit. */
  grantConnection(): void {
    this.#grantConnection = true
    this.isEmpty = false
  }

  /** Queues the current number of streams. */
  grantStreams(kind: StreamKindIndex): void {
    this.#grantStreams[kind] = true
    this.isEmpty = false
  }

  /** Moves frames into `target` while they fit; returns the bytes they take. */
  take(budgetBytes: number, target: ControlFrame[]): number {
    let usedBytes = 0
    if (this.isEmpty) return 0
    while (budgetBytes - usedBytes > FRAME_BOUND) {
      const frame = this.#next()
      if (!frame) break
      target.push(frame)
      usedBytes += controlBytes(frame)
    }
    this.isEmpty = !this.#hasMore
    return usedBytes
  }

  /** Whether anything still waits. */
  get #hasMore(): boolean {
    const streams = this.#grantStreams
    return this.#frames.length > 0 || this.#credits.length > 0 || this.#grantConnection || streams[0] || streams[1]
  }

  #next(): ControlFrame | undefined {
    const frame = this.#frames.shift()
    if (frame) return frame
    if (this.#grantConnection) {
      this.#grantConnection = false
      return { type: 'max-data', max: this.#window.grant() }
    }
    for (let half = this.#credits.shift(); half; half = this.#credits.shift()) {
      half.creditQueued = false
      if (half.wantsCredit) return { type: 'max-stream-data', streamId: half.streamId, max: half.window.grant() }
    }
    for (const kind of [0, 1] as const) {
      if (!this.#grantStreams[kind]) continue
      this.#grantStreams[kind] = false
      return { type: 'max-streams', bidi: kind === 0, max: this.#counts.tell(kind) }
    }
    return undefined
  }
}
