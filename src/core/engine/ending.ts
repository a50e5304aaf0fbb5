/**
 * The graceful end of a connection, as a small state: who has said END, who has confirmed, how much may be buffered.
 *
 * @module
 */
import type { CarrierClose } from '../carrier.ts'
import { P2PError } from '../errors.ts'
import type { Runtime, RuntimeTimer } from '../runtime.ts'
import type { WaitScope } from '../wait-log.ts'
import { Waiter } from './waiting.ts'
import { LIBRARY_CODE } from './wire.ts'

/** Less than this is not worth a read. */
const LEAST_GRANT_BYTES = 4096

/** What an end needs to know of its connection. */
export interface EndingOptions {
  /** Where to note who waits. */
  readonly waits: WaitScope | undefined
  readonly runtime: Runtime
  readonly timeoutMs: number
  /** Bytes that may be read into memory after the peer's END. */
  readonly drainBytes: number
  readonly remote: () => string
  /** Whether any orderly close by the peer confirms delivery, for want of frames that would. */
  readonly closeConfirms: boolean
}

/** The state of the end. */
export class Ending {
  readonly #options: EndingOptions
  readonly #confirmed = new Waiter<boolean>()
  #budgetBytes: number
  #timer: RuntimeTimer | undefined
  #closeTimer: RuntimeTimer | undefined
  readonly #drained = new Waiter<void>()
  #endedLocally = false
  #remoteEnd: { readonly streams: number; readonly messages: boolean } | undefined
  #drainedSent = false

  constructor(options: EndingOptions) {
    this.#options = options
    this.#budgetBytes = options.drainBytes
  }

  get endedLocally(): boolean {
    return this.#endedLocally
  }

  /** What the peer announced with END, once it did. */
  get remoteEnd(): { readonly streams: number; readonly messages: boolean } | undefined {
    return this.#remoteEnd
  }

  /** Whether either side has said END. */
  get begun(): boolean {
    return this.#endedLocally || this.#remoteEnd !== undefined
  }

  /** Whether this side has said DRAINED. */
  get drainedSent(): boolean {
    return this.#drainedSent
  }

  /** This side has said DRAINED. */
  sentDrained(): void {
    this.#drainedSent = true
    this.#drained.resolve()
  }

  /** Resolves when this side owes the peer no DRAINED any more. */
  async settleDebt(): Promise<void> {
    if (this.#remoteEnd && !this.#drainedSent) await this.#drained.promise
  }

  /** Runs `finish`, then waits for confirmation; resolves with whether it came in time. */
  begin(finish: () => Promise<void>): Promise<boolean> {
    if (!this.#endedLocally) {
      this.#endedLocally = true
      this.#confirmed.noteIn(this.#options.waits, 'end')
      this.#timer = this.#options.runtime.setTimer(this.#options.timeoutMs, () => this.#giveUp())
      finish().catch(() => this.#giveUp())
    }
    return this.#confirmed.promise
  }

  /** The peer has everything. */
  confirm(): void {
    if (this.#endedLocally) this.#confirmed.resolve(true)
  }

  remoteEnded(announced: { readonly streams: number; readonly messages: boolean }): void {
    this.#remoteEnd ??= { streams: announced.streams, messages: announced.messages }
  }

  /** After the peer's END it is the peer that closes; `late` is called when it does not. */
  expectClose(late: () => void): void {
    this.#closeTimer ??= this.#options.runtime.setTimer(2 * this.#options.timeoutMs, late)
  }

  /** A peer that closes with `drained` has confirmed. */
  connectionClosed(close: CarrierClose): void {
    this.#timer?.cancel()
    this.#closeTimer?.cancel()
    const { closeConfirms } = this.#options
    this.#confirmed.resolve(close.by === 'remote' && (closeConfirms || close.closeCode === LIBRARY_CODE.drained))
    this.#drained.resolve()
  }

  /** Grants up to `bytes` of memory for what arrives while the connection ends. */
  grant(bytes: number): number {
    // Crumbs would be read byte by byte: rather wait until more is returned.
    if (this.#budgetBytes < Math.min(LEAST_GRANT_BYTES, this.#options.drainBytes)) return 0
    const granted = Math.min(bytes, this.#budgetBytes)
    this.#budgetBytes -= granted
    return granted
  }

  returned(bytes: number): void {
    this.#budgetBytes += bytes
  }

  unconfirmed(): P2PError {
    return P2PError.of(
      'delivery-unconfirmed',
      `${this.#options.remote()} did not confirm within ${this.#options.timeoutMs} ms that everything had arrived; ` +
        'the connection is closed, and what was sent last may be lost',
      {},
    )
  }

  /** Streams have arrived, but not the messages: `cause` says why. */
  refused(cause: P2PError): P2PError {
    const message = `${this.#options.remote()} did not take every message that was sent: ${cause.message}`
    return P2PError.of('delivery-unconfirmed', message, {}, { cause })
  }

  #giveUp(): void {
    this.#confirmed.resolve(false)
    this.#drained.resolve()
  }
}
