/**
 * Credit-based flow control, for one stream or the whole connection (RFC 9000, 4).
 *
 * @module
 */

/** What the peer may send, and when to let it send more. */
export class ReceiveWindow {
  readonly #windowBytes: number
  #limit: number
  #highest = 0
  #released = 0

  constructor(windowBytes: number) {
    this.#windowBytes = windowBytes
    this.#limit = windowBytes
  }

  /** The limit the peer was told last. */
  get limit(): number {
    return this.#limit
  }

  /** Counts `bytes` more from the peer; false when it had no right to send them. */
  receive(bytes: number): boolean {
    this.#highest += bytes
    return this.#highest <= this.#limit
  }

  /** `bytes` were read, or will never be. */
  release(bytes: number): void {
    this.#released += bytes
  }

  /** Whether an eighth of the window is free that the peer does not know of. */
  get shouldGrant(): boolean {
    return this.#next() - this.#limit >= this.#windowBytes / 8
  }

  /** The new limit for the peer, at once in force. */
  grant(): number {
    this.#limit = Math.max(this.#limit, this.#next())
    return this.#limit
  }

  #next(): number {
    return Math.min(this.#released + this.#windowBytes, Number.MAX_SAFE_INTEGER)
  }
}

/** What this side may send. */
export class SendCredit {
  #limit: number
  #used = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Bytes that may be sent now. */
  get available(): number {
    return this.#limit - this.#used
  }

  /** Uses up credit. */
  use(bytes: number): void {
    this.#used += bytes
  }

  /** The peer allows more; false when it does not. */
  raise(limit: number): boolean {
    if (limit <= this.#limit) return false
    this.#limit = limit
    return true
  }
}
