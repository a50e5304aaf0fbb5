/**
 * Rules about packets on links: the seam for faults and for tests that single packets out.
 *
 * @module
 */
import { invalidConfiguration } from '../../core/config.ts'
import type { Packet } from './interface.ts'
import type { Link } from './link.ts'
import { delayUs } from './link-options.ts'

/** A packet about to enter a link. */
export interface LinkCrossing {
  /** As it is on this link. */
  readonly packet: Packet
  readonly link: Link
  /** The node it was sent from. */
  readonly origin: string
  /** Virtual time, in microseconds. */
  readonly atUs: number
}

/**
 * What is to happen to the packet: go on as usual, vanish, arrive with bits flipped (see `LinkOptions.corruption`), take longer (other packets may overtake it), or be there
 * `copies` times more (1..100), the copies later by `delayMs`.
 */
export type LinkVerdict =
  | 'pass'
  | 'drop'
  | 'corrupt'
  | { readonly delayMs: number }
  | { readonly copies: number; readonly delayMs?: number | undefined }

/** Decides about a packet. It must depend on nothing but its argument, its own state and the seed. */
export type LinkRule = (crossing: LinkCrossing) => LinkVerdict

/** An installed rule; disposing of it takes it away again. */
export interface LinkRuleGuard extends Disposable {
  /** Takes the rule away; a second call does nothing. */
  remove(): void
}

/** A verdict in numbers. */
export interface Decision {
  readonly isDropped: boolean
  readonly isCorrupted: boolean
  readonly copies: number
  /** For the packet, or for its copies where there are any. */
  readonly delayUs: number
}

const PASS: Decision = Object.freeze({ isDropped: false, isCorrupted: false, copies: 0, delayUs: 0 })
const DROP: Decision = Object.freeze({ isDropped: true, isCorrupted: false, copies: 0, delayUs: 0 })
const CORRUPT: Decision = Object.freeze({ isDropped: false, isCorrupted: true, copies: 0, delayUs: 0 })
const MAX_COPIES = 100

/** The rules, in the order they were added. */
export class LinkRules {
  readonly #rules: { readonly rule: LinkRule }[] = []

  /** How many there are. */
  get size(): number {
    return this.#rules.length
  }

  /**
   * Adds a rule after the others. The first that does not say `pass` decides.
   *
   * @example
   * ```ts
   * import { Simulation } from '@moosicbox/p2p/simulator'
   *
   * const sim = new Simulation({ seed: 1 })
   * const { rules } = sim.topology.fabric
   * {
   *   using guard = rules.add(({ link }) => (link.to.name === 'bob' ? 'drop' : 'pass'))
   *   console.log(rules.size) // 1
   * }
   * console.log(rules.size) // 0
   * ```
   * @throws P2PError `invalid-configuration` for what is no function
   */
  add(rule: LinkRule): LinkRuleGuard {
    if (typeof rule !== 'function') throw invalidConfiguration('rule', rule, 'must be a function')
    const entry = { rule }
    this.#rules.push(entry)
    const remove = (): void => {
      const index = this.#rules.indexOf(entry)
      if (index >= 0) this.#rules.splice(index, 1)
    }
    return { remove, [Symbol.dispose]: remove }
  }

  /**
   * @internal
   * @throws P2PError `invalid-configuration` when a rule's verdict makes no sense
   */
  decide(crossing: LinkCrossing): Decision {
    // A copy: a rule may take itself away.
    for (const { rule } of this.#rules.slice()) {
      const verdict = rule(crossing)
      if (verdict === 'pass') continue
      if (verdict === 'drop') return DROP
      return verdict === 'corrupt' ? CORRUPT : decisionOf(verdict)
    }
    return PASS
  }
}

function decisionOf(verdict: Exclude<LinkVerdict, string>): Decision {
  if (typeof verdict !== 'object' || verdict === null || !('delayMs' in verdict || 'copies' in verdict)) {
    throw invalidConfiguration('verdict', verdict, 'must be pass, drop, corrupt, { delayMs } or { copies }')
  }
  const laterUs = delayUs(verdict.delayMs ?? 0, 'verdict.delayMs')
  const copies = 'copies' in verdict ? verdict.copies : 0
  if ('copies' in verdict && (!Number.isInteger(copies) || copies < 1 || copies > MAX_COPIES)) {
    throw invalidConfiguration('verdict.copies', copies, `must be a whole number from 1 to ${MAX_COPIES}`)
  }
  return { isDropped: false, isCorrupted: false, copies, delayUs: laterUs }
}
