/**
 * Keeps a node's record current at one place: published when it starts, soon after the address has changed, and again
 * before the place forgets it; tried again, ever more rarely, when that fails.
 *
 * @module
 */
import type { AnnouncedNode } from '../../core/system.ts'
import type { RuntimeTimer } from '../../core/runtime.ts'

/**
 * Gives the timestamp to publish with: later than all before, and than that of the record which is there already, of which
 * an earlier process may know alone.
 */
export type NextTimestamp = (storedUs: bigint | undefined) => bigint

/** What a republisher keeps current, and how. */
export interface RepublisherOptions {
  readonly node: AnnouncedNode
  readonly republishMs: number
  /** Publishes the node's record, with a timestamp of `nextUs`. */
  readonly put: (nextUs: NextTimestamp, signal: AbortSignal) => Promise<void>
}

/** Several changes that come together are one. */
const SETTLE_MS = 100
const FIRST_RETRY_MS = 2_000
const MAX_RETRY_MS = 60_000

/** Publishes until it is disposed of. */
export class Republisher implements AsyncDisposable {
  readonly #options: RepublisherOptions
  readonly #changes: Disposable
  readonly #stop = new AbortController()
  #timer: RuntimeTimer | undefined
  #putting: Promise<void> | undefined
  #again = false
  #lastUs = 0n
  #retryMs = FIRST_RETRY_MS

  constructor(options: RepublisherOptions) {
    this.#options = options
    this.#changes = options.node.onAddressChange(() => this.refresh())
    this.#soon(0)
  }

  /** The record has changed. */
  refresh(): void {
    this.#soon(SETTLE_MS)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    this.#changes[Symbol.dispose]()
    this.#timer?.cancel()
    await this.#putting
  }

  #soon(delayMs: number): void {
    if (this.#stop.signal.aborted) return
    if (this.#putting) {
      this.#again = true
      return
    }
    this.#timer?.cancel()
    this.#timer = this.#options.node.runtime.setTimer(delayMs, () => {
      this.#putting = this.#put()
    })
  }

  async #put(): Promise<void> {
    const { node, republishMs, put } = this.#options
    this.#again = false
    let nextMs: number
    try {
      await put((storedUs) => this.#nextTimestampUs(storedUs), this.#stop.signal)
      this.#retryMs = FIRST_RETRY_MS
      nextMs = republishMs
      node.onPublished?.(undefined)
    } catch (error) {
      nextMs = this.#retryMs
      this.#retryMs = Math.min(this.#retryMs * 2, MAX_RETRY_MS, republishMs)
      if (!this.#stop.signal.aborted) node.onPublished?.(error)
    }
    this.#putting = undefined
    this.#soon(this.#again ? SETTLE_MS : nextMs)
  }

  /** Of two packets the later counts, so a clock that was set back must not make the record older. */
  #nextTimestampUs(storedUs: bigint = 0n): bigint {
    const nowUs = BigInt(this.#options.node.runtime.wallClockMs()) * 1000n
    const lastUs = storedUs > this.#lastUs ? storedUs : this.#lastUs
    this.#lastUs = nowUs > lastUs ? nowUs : lastUs + 1n
    return this.#lastUs
  }
}
