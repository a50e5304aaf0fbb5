/**
 * What is known of the paths that data does not take, such as the one over a relay that is kept beside a direct one: most
 * of the time nothing happens there, and to look at each of them at every packet of the other takes a tenth of all time.
 *
 * @module
 */
import type { Path } from './path.ts'

const NEVER = Number.POSITIVE_INFINITY

/** All paths but the selected one. */
export class OtherPaths {
  /** Until then none of them has anything to send; 0 when that is not known. */
  #restUntilUs = 0
  /** When the first of their timers is due. */
  #deadlineUs = NEVER
  /** The longest of their probe time-outs. */
  probeTimeoutUs = 0

  /** Whether anything is known of them. */
  get areKnown(): boolean {
    return this.#restUntilUs > 0
  }

  /** When the first of their timers is due; only where they {@link areKnown}. */
  get deadlineUs(): number {
    return this.#deadlineUs
  }

  /** Whether it is known that none of them has anything to send. */
  rest(nowUs: number): boolean {
    return nowUs < this.#restUntilUs
  }

  /** Something has happened to one of them, or may have. */
  disturb(): void {
    this.#restUntilUs = 0
  }

  /** None of `paths` has anything to send now. */
  settle(paths: readonly Path[], selected: Path, probeTimeoutUs: (path: Path) => number): void {
    this.#restUntilUs = NEVER
    this.#deadlineUs = NEVER
    this.probeTimeoutUs = 0
    for (const path of paths) {
      if (path === selected) continue
      // A packet on the selected path would take their acknowledgements along.
      if (path.data.acks.isLazilyDue) {
        this.#restUntilUs = 0
        return
      }
      this.#restUntilUs = Math.min(this.#restUntilUs, path.mtu.nextSearchUs)
      this.#deadlineUs = Math.min(this.#deadlineUs, path.deadlineUs, path.idleTimerUs)
      this.probeTimeoutUs = Math.max(this.probeTimeoutUs, probeTimeoutUs(path))
    }
  }
}
