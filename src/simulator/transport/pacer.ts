/**
 * A token bucket that spreads datagrams over the round trip (RFC 9002, 7.7), with noq's bucket sizes.
 *
 * @module
 */

/** How much faster than one window a round trip the bucket fills. */
const REFILL = 1.25
/** A burst is about this long on a fast path, and at most `MAX_BURST_US` on a slow one. */
const TARGET_BURST_US = 2_000
const MAX_BURST_US = 10_000
const MIN_BURST_PACKETS = 10
const MAX_BURST_PACKETS = 256
/** Above this window pacing is off. */
const MAX_WINDOW_BYTES = 4_294_967_295

function capacityBytes(rttUs: number, windowBytes: number, mtuBytes: number): number {
  const bytesIn = (burstUs: number): number => Math.floor((windowBytes * burstUs) / Math.max(rttUs, 1))
  const target = Math.min(
    Math.max(bytesIn(TARGET_BURST_US), MIN_BURST_PACKETS * mtuBytes),
    MAX_BURST_PACKETS * mtuBytes,
  )
  return Math.min(Math.max(bytesIn(MAX_BURST_US), mtuBytes), target)
}

/** The bucket of one path. Its capacity follows window and datagram size, but not the round-trip time alone. */
export class Pacer {
  #capacityBytes: number
  #windowBytes: number
  #mtuBytes: number
  #tokens: number
  #filledUs: number

  constructor(rttUs: number, windowBytes: number, mtuBytes: number, nowUs: number) {
    this.#windowBytes = windowBytes
    this.#mtuBytes = mtuBytes
    this.#capacityBytes = capacityBytes(rttUs, windowBytes, mtuBytes)
    this.#tokens = this.#capacityBytes
    this.#filledUs = nowUs
  }

  /** Bytes that may be sent at once when the bucket is full. */
  get capacityBytes(): number {
    return this.#capacityBytes
  }

  /** Takes the tokens of a datagram that was sent. */
  onSent(bytes: number): void {
    this.#tokens = Math.max(0, this.#tokens - bytes)
  }

  /** Microseconds until a datagram of `bytes` may go; 0 for now. */
  delayUs(rttUs: number, bytes: number, windowBytes: number, mtuBytes: number, nowUs: number): number {
    if (windowBytes !== this.#windowBytes || mtuBytes !== this.#mtuBytes) {
      this.#windowBytes = windowBytes
      this.#mtuBytes = mtuBytes
      this.#capacityBytes = capacityBytes(rttUs, windowBytes, mtuBytes)
      this.#tokens = Math.min(this.#tokens, this.#capacityBytes)
    }
    if (this.#tokens >= bytes || windowBytes > MAX_WINDOW_BYTES || rttUs === 0) return 0
    const earned = Math.round((windowBytes * REFILL * (nowUs - this.#filledUs)) / rttUs)
    if (earned > 0) {
      this.#tokens = Math.min(this.#tokens + earned, this.#capacityBytes)
      this.#filledUs = nowUs
      if (this.#tokens >= bytes) return 0
    }
    // Until the bucket is full, not just until one datagram fits: fewer and larger bursts.
    const missing = Math.max(bytes, this.#capacityBytes) - this.#tokens
    return Math.max(1, Math.ceil((missing * rttUs) / (windowBytes * REFILL)))
  }
}
