/**
 * Finds the largest datagram a path carries (DPLPMTUD, RFC 8899) and notices when it carries less than before, as noq does
 * (noq-proto 1.4, connection/mtud.rs): a binary search with one probe in flight, and a count of suspicious losses.
 *
 * @module
 */
import type { TransportConfig } from './config.ts'

/** A size is tried this often (mtud.rs:531). */
const MAX_PROBES = 3
/** More suspicious bursts of losses than this are a black hole (mtud.rs:533). */
const BLACK_HOLE_THRESHOLD = 3
/** The search ends when the next step would be smaller (config/transport.rs:920). */
const MIN_CHANGE_BYTES = 20

/** What the search asks of the settings. */
export type MtuSettings = Pick<
  TransportConfig,
  'mtuBytes' | 'maxMtuBytes' | 'mtuSearchIntervalUs' | 'blackHoleCooldownUs'
>

/** The search for one path. */
export class MtuDiscovery {
  readonly #settings: MtuSettings
  #currentBytes: number
  /** When the next search begins; 0 before the first, Infinity for never. */
  #nextSearchUs: number
  #searching = false
  #lowBytes = 0
  #highBytes = 0
  #lastBytes = 0
  #lostProbes = 0
  /** The number of the probe in flight, -1 for none. */
  #probe = -1
  readonly #blackHole: BlackHoleDetector

  constructor(settings: MtuSettings) {
    this.#settings = settings
    this.#currentBytes = settings.mtuBytes
    this.#nextSearchUs = settings.maxMtuBytes > settings.mtuBytes ? 0 : Number.POSITIVE_INFINITY
    this.#blackHole = new BlackHoleDetector(settings.mtuBytes)
  }

  /** The largest datagram that may be sent. */
  get currentBytes(): number {
    return this.#currentBytes
  }

  /** The number of the probe in flight, -1 for none. */
  get probe(): number {
    return this.#probe
  }

  /** When the next search begins; Infinity for never. */
  get nextSearchUs(): number {
    return this.#nextSearchUs
  }

  /** Whether no probe is due, nor will be when one that is under way is answered. */
  isIdle(nowUs: number): boolean {
    return !this.#searching && nowUs < this.#nextSearchUs
  }

  /** The size of a probe that is due, 0 for none; {@link onProbeSent} must follow. */
  dueBytes(nowUs: number): number {
    if (this.#probe >= 0) return 0
    if (!this.#searching) {
      if (nowUs < this.#nextSearchUs) return 0
      this.#searching = true
      this.#lowBytes = this.#currentBytes
      this.#lastBytes = this.#currentBytes
      this.#highBytes = Math.max(this.#settings.maxMtuBytes, this.#currentBytes)
      this.#lostProbes = 0
    }
    if (this.#lostProbes > 0 && this.#lostProbes < MAX_PROBES) return this.#lastBytes
    if (this.#lostProbes === 0) this.#lowBytes = this.#lastBytes
    else this.#highBytes = this.#lastBytes - 1
    const nextBytes = this.#nextBytes()
    this.#lostProbes = 0
    if (nextBytes === 0) {
      this.#searching = false
      this.#nextSearchUs = nowUs + this.#settings.mtuSearchIntervalUs
      return 0
    }
    this.#lastBytes = nextBytes
    return nextBytes
  }

  /** The probe that was due is on its way. */
  onProbeSent(number: number): void {
    this.#probe = number
  }

  /** A packet of the data space has arrived; true when that raises the size. */
  onAcked(number: number, sizeBytes: number): boolean {
    if (number !== this.#probe) {
      this.#blackHole.onAcked(number, sizeBytes)
      return false
    }
    this.#probe = -1
    this.#lostProbes = 0
    this.#currentBytes = this.#lastBytes
    this.#blackHole.onProbeAcked(number, sizeBytes)
    return true
  }

  /** The probe was lost, which says nothing of the path's congestion. */
  onProbeLost(): void {
    this.#probe = -1
    this.#lostProbes++
  }

  /** Another packet was lost. */
  onLost(number: number, sizeBytes: number): void {
    this.#blackHole.onLost(number, sizeBytes)
  }

  /** To be asked after every batch of losses; true when the path has become narrower, and the size is the smallest again. */
  hasBlackHole(nowUs: number): boolean {
    if (!this.#blackHole.isDetected()) return false
    this.#currentBytes = this.#settings.mtuBytes
    this.#searching = false
    this.#probe = -1
    this.#nextSearchUs = nowUs + this.#settings.blackHoleCooldownUs
    return true
  }

  /** The next size between the bounds, or the upper one at last; 0 when the search is over. */
  #nextBytes(): number {
    const middle = Math.floor((this.#lowBytes + this.#highBytes) / 2)
    if (Math.abs(middle - this.#lastBytes) >= MIN_CHANGE_BYTES) return middle
    return this.#highBytes - this.#lastBytes >= MIN_CHANGE_BYTES ? this.#highBytes : 0
  }
}

/**
 * Counts bursts of losses that only a narrower path explains: no packet in them was small, and none sent later and as
 * large has arrived. Reordering can look the same.
 */
class BlackHoleDetector {
  readonly #minBytes: number
  /** The smallest packet of each suspicious burst. */
  #bursts: number[] = []
  /** The newest packet of the burst that is still going on, -1 for none, and its smallest packet. */
  #burstEnd = -1
  #burstBytes = 0
  /** The newest of the largest packets that have arrived since the last suspicious burst, and its size. */
  #largestAfterLoss = 0
  #ackedBytes: number

  constructor(minBytes: number) {
    this.#minBytes = minBytes
    this.#ackedBytes = minBytes
  }

  onProbeAcked(number: number, sizeBytes: number): void {
    this.#bursts.length = 0
    this.#ackedBytes = sizeBytes
    this.#largestAfterLoss = number
  }

  onAcked(number: number, sizeBytes: number): void {
    if (sizeBytes < this.#ackedBytes) return
    if (sizeBytes === this.#ackedBytes) {
      if (number > this.#largestAfterLoss) this.#largestAfterLoss = number
      return
    }
    this.#ackedBytes = sizeBytes
    this.#largestAfterLoss = number
    this.#bursts = this.#bursts.filter((bytes) => bytes > sizeBytes)
  }

  onLost(number: number, sizeBytes: number): void {
    if (this.#burstEnd >= 0 && number - this.#burstEnd !== 1) this.#finishBurst()
    this.#burstBytes = this.#burstEnd < 0 ? sizeBytes : Math.min(this.#burstBytes, sizeBytes)
    this.#burstEnd = number
  }

  isDetected(): boolean {
    this.#finishBurst()
    if (this.#bursts.length <= BLACK_HOLE_THRESHOLD) return false
    this.#bursts.length = 0
    return true
  }

  #finishBurst(): void {
    const end = this.#burstEnd
    const bytes = this.#burstBytes
    this.#burstEnd = -1
    if (end < 0 || bytes <= this.#minBytes) return
    if (end < this.#largestAfterLoss && bytes <= this.#ackedBytes) return
    if (end > this.#largestAfterLoss) this.#ackedBytes = this.#minBytes
    if (this.#bursts.length <= BLACK_HOLE_THRESHOLD) {
      this.#bursts.push(bytes)
      return
    }
    const smallest = this.#bursts.indexOf(Math.min(...this.#bursts))
    if ((this.#bursts[smallest] as number) < bytes) this.#bursts[smallest] = bytes
  }
}
