/**
 * How far a transfer is and how fast it goes, told often enough for a screen and no more often.
 *
 * @module
 */
import type { Runtime } from '@moosicbox/p2p'
import type { Reporter } from './report.ts'

/** A speed is what happened in this time. */
const WINDOW_MS = 3000
/** Progress is told this often at most. */
const INTERVAL_MS = 100

/** Measures a transfer by what it had come to and when. */
export class Rate {
  #samples: { readonly atMs: number; readonly bytes: number }[]

  constructor(startMs: number) {
    this.#samples = [{ atMs: startMs, bytes: 0 }]
  }

  /** `bytes` had been transferred at `atMs`. */
  add(atMs: number, bytes: number): void {
    this.#samples.push({ atMs, bytes })
    // One from before the window stays, so that a slow transfer has something to be compared with.
    const first = this.#samples.findLastIndex((sample) => atMs - sample.atMs >= WINDOW_MS)
    this.#samples = this.#samples.slice(Math.max(0, first))
  }

  /** Over the last few seconds; 0 when nothing can be said yet. */
  bytesPerSecond(): number {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)]
    if (!first || !last || last.atMs <= first.atMs) return 0
    return ((last.bytes - first.bytes) * 1000) / (last.atMs - first.atMs)
  }
}

/** Tells the progress of one transfer. */
export class Progress {
  readonly #runtime: Runtime
  readonly #report: Reporter
  readonly #totalBytes: number
  readonly #rate: Rate
  #lastMs = Number.NEGATIVE_INFINITY

  constructor(runtime: Runtime, report: Reporter, totalBytes: number) {
    this.#runtime = runtime
    this.#report = report
    this.#totalBytes = totalBytes
    this.#rate = new Rate(runtime.now())
  }

  /** @param positionMs where the listener is, when there is one */
  tell(doneBytes: number, positionMs?: number): void {
    const nowMs = this.#runtime.now()
    const totalBytes = this.#totalBytes
    this.#rate.add(nowMs, doneBytes)
    if (doneBytes < totalBytes && nowMs - this.#lastMs < INTERVAL_MS) return
    this.#lastMs = nowMs
    const bytesPerSecond = this.#rate.bytesPerSecond()
    this.#report({ type: 'PROGRESS', doneBytes, totalBytes, bytesPerSecond, positionMs })
  }
}
