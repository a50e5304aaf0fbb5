/**
 * What a link is like, as people write it, and the checked form that links work with.
 *
 * @module
 */
import { checkOptions, invalidConfiguration } from '../../core/config.ts'
import { IPV6_OVERHEAD_BYTES } from './wire-size.ts'

/**
 * Bursty loss (Gilbert 1960, Elliott 1963): a link is in a good or a bad state, changes between them from packet to
 * packet, and loses packets with the probability of its state. See {@link burstyLoss} for the usual way to make one.
 */
export interface GilbertElliott {
  /** Probability, at each packet, to go from good to bad. */
  readonly goodToBad: number
  /** Probability, at each packet, to go from bad to good; above 0. */
  readonly badToGood: number
  /** Loss in the good state. @default 0 */
  readonly lossInGood?: number | undefined
  /** Loss in the bad state. @default 1 */
  readonly lossInBad?: number | undefined
}

/**
 * How the delay of single packets differs from the latency.
 *
 * - `uniform`: evenly from `-jitterMs` to `+jitterMs`
 * - `normal`: around 0 with a standard deviation of `jitterMs`, never past six of them
 * - `long-tail`: added on top, exponential with a mean of `jitterMs`
 */
export type JitterDistribution = 'uniform' | 'normal' | 'long-tail'

/** A link in one direction. */
export interface LinkOptions {
  /** One-way propagation delay in milliseconds, 0..3600000, rounded to a microsecond. @default 0 */
  readonly latencyMs?: number | undefined
  /**
   * What routing counts for this link instead of its latency, in milliseconds: a larger one keeps traffic away from it,
   * in one direction only if only one has it. @default `latencyMs`
   */
  readonly metricMs?: number | undefined
  /** Spread of the delay in milliseconds, as `jitterDistribution` says; a delay is never below 0. @default 0 */
  readonly jitterMs?: number | undefined
  /** @default 'uniform' */
  readonly jitterDistribution?: JitterDistribution | undefined
  /** Whether packets leave in the order they came in, whatever the jitter: one waits for the one before. @default true */
  readonly keepOrder?: boolean | undefined
  /** Probability that a packet is lost, 0..1, independently or in bursts. @default 0 */
  readonly packetLoss?: number | GilbertElliott | undefined
  /**
   * Probability that a packet arrives with bits flipped, 0..1: marked so if it is a datagram, whose receiver finds out by
   * authenticating it; not at all if it is of TCP, whose checksum catches it. @default 0
   */
  readonly corruption?: number | undefined
  /** Probability that a packet goes over the link twice, 0..1, one right behind the other. @default 0 */
  readonly duplication?: number | undefined
  /** Probability that a packet is held back by `reorderingDelayMs`, 0..1, so that others overtake it. @default 0 */
  readonly reordering?: number | undefined
  /** How long a packet is held back, in milliseconds. @default 10 */
  readonly reorderingDelayMs?: number | undefined
  /** Rate in bits a second, headers included; a whole number 1..10^12. Unlimited when left out. */
  readonly bandwidthLimitBitsPerSecond?: number | undefined
  /**
   * Room of the queue in front of a limited rate, in bytes, the packet under way included; a packet that does not fit is
   * dropped. @default 50 ms at the rate, at least 45000
   */
  readonly queueBytes?: number | undefined
  /** The same in milliseconds at the rate; give one of the two. */
  readonly queueMs?: number | undefined
  /**
   * The largest datagram (UDP payload) the link carries, in bytes, 1200..65507; larger ones are dropped without a word,
   * as on most of the internet. @default 1472 (Ethernet's 1500 without the IPv4 and UDP headers)
   */
  readonly mtuBytes?: number | undefined
  /** Whether the link is up. @default true */
  readonly isActive?: boolean | undefined
}

/** {@link GilbertElliott} with everything filled in. */
export interface BurstSettings {
  readonly goodToBad: number
  readonly badToGood: number
  readonly lossInGood: number
  readonly lossInBad: number
}

/** {@link LinkOptions} with everything filled in, checked, and in microseconds. */
export interface LinkSettings {
  readonly latencyUs: number
  readonly metricUs: number
  readonly jitterUs: number
  readonly jitterDistribution: JitterDistribution
  readonly keepOrder: boolean
  readonly packetLoss: number | BurstSettings
  readonly corruption: number
  readonly duplication: number
  readonly reordering: number
  readonly reorderingDelayUs: number
  /** 0 when unlimited. */
  readonly bandwidthLimitBitsPerSecond: number
  readonly queueBytes: number
  readonly mtuBytes: number
  readonly isActive: boolean
}

const MAX_DELAY_MS = 3_600_000
/** Bits and microseconds in a byte-second: size x this / rate is a transmission time in microseconds. */
export const BIT_MICROSECONDS = 8_000_000
/** Options of which a checker remembers what they come to. */
const MAX_KNOWN = 1024
const MAX_RATE = 1_000_000_000_000
/** QUIC's smallest datagram (RFC 9000, 14): a link that cannot carry it is of no use here. */
const MIN_MTU_BYTES = 1200
const MAX_MTU_BYTES = 65_507
const DEFAULT_MTU_BYTES = 1472
const DEFAULT_QUEUE_MS = 50
const DEFAULT_REORDERING_DELAY_MS = 10
const MIN_DEFAULT_QUEUE_BYTES = 45_000

/** The names of all options. */
export const LINK_FIELDS: readonly string[] = [
  'latencyMs',
  'metricMs',
  'jitterMs',
  'jitterDistribution',
  'keepOrder',
  'packetLoss',
  'corruption',
  'duplication',
  'reordering',
  'reorderingDelayMs',
  'bandwidthLimitBitsPerSecond',
  'queueBytes',
  'queueMs',
  'mtuBytes',
  'isActive',
]
const BURST_FIELDS: readonly string[] = ['goodToBad', 'badToGood', 'lossInGood', 'lossInBad']
const DISTRIBUTIONS: readonly string[] = ['uniform', 'normal', 'long-tail']

/**
 * Loss of `averageLoss` in bursts of `meanBurstPackets` packets on average, as a {@link GilbertElliott} that loses
 * everything in its bad state and nothing in its good one.
 *
 * @throws P2PError `invalid-configuration`
 */
export function burstyLoss(averageLoss: number, meanBurstPackets: number): GilbertElliott {
  if (typeof averageLoss !== 'number' || !(averageLoss >= 0 && averageLoss < 1)) {
    throw invalidConfiguration('averageLoss', averageLoss, 'must be from 0 to below 1')
  }
  if (typeof meanBurstPackets !== 'number' || !(meanBurstPackets >= 1 && meanBurstPackets <= 1_000_000)) {
    throw invalidConfiguration('meanBurstPackets', meanBurstPackets, 'must be from 1 to 1000000')
  }
  const badToGood = 1 / meanBurstPackets
  const goodToBad = (badToGood * averageLoss) / (1 - averageLoss)
  if (goodToBad > 1) {
    throw invalidConfiguration('meanBurstPackets', meanBurstPackets, `is too short for a loss of ${averageLoss}`)
  }
  return { goodToBad, badToGood }
}

/** A delay in milliseconds, in microseconds. @throws P2PError `invalid-configuration` */
export function delayUs(value: number, name: string): number {
  if (typeof value !== 'number' || !(value >= 0 && value <= MAX_DELAY_MS)) {
    throw invalidConfiguration(name, value, `must be milliseconds from 0 to ${MAX_DELAY_MS}`)
  }
  return Math.round(value * 1000)
}

/** A probability as it is. @throws P2PError `invalid-configuration` */
export function probability(value: number, name: string): number {
  if (typeof value === 'number' && value >= 0 && value <= 1) return value
  throw invalidConfiguration(name, value, 'must be a probability from 0 to 1')
}

function whole(value: number, name: string, min: number, max: number, what: string): number {
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    throw invalidConfiguration(name, value, `must be a whole number of ${what} from ${min} to ${max}`)
  }
  return value
}

function loss(value: number | GilbertElliott, name: string): number | BurstSettings {
  if (typeof value !== 'object' || Array.isArray(value)) return probability(value as number, name)
  checkOptions(name, value, BURST_FIELDS)
  const badToGood = probability(value.badToGood, `${name}.badToGood`)
  if (badToGood === 0) throw invalidConfiguration(`${name}.badToGood`, 0, 'a burst must end: above 0')
  return {
    goodToBad: probability(value.goodToBad, `${name}.goodToBad`),
    badToGood,
    lossInGood: probability(value.lossInGood ?? 0, `${name}.lossInGood`),
    lossInBad: probability(value.lossInBad ?? 1, `${name}.lossInBad`),
  }
}

/** The room of a queue in bytes; it holds at least one packet of the `largest` size. */
function queue(options: LinkOptions, rate: number, largest: number, where: string): number {
  const { queueBytes, queueMs } = options
  if (queueBytes !== undefined && queueMs !== undefined) {
    throw invalidConfiguration(`${where}: queueMs`, queueMs, 'cannot be given together with queueBytes')
  }
  if (queueBytes !== undefined) {
    return whole(queueBytes, `${where}: queueBytes`, largest, Number.MAX_SAFE_INTEGER, 'bytes')
  }
  if (queueMs !== undefined) {
    return Math.max(largest, Math.floor((rate * delayUs(queueMs, `${where}: queueMs`)) / BIT_MICROSECONDS))
  }
  return Math.max(Math.floor((rate * DEFAULT_QUEUE_MS) / 8000), MIN_DEFAULT_QUEUE_BYTES, largest)
}

function flag(value: boolean, name: string): boolean {
  if (typeof value !== 'boolean') throw invalidConfiguration(name, value, 'must be true or false')
  return value
}

/**
 * Checks `options` and fills in the defaults; `where` names the link in errors, such as `link a>b`.
 *
 * @throws P2PError `invalid-configuration` that names the field
 */
export function resolveLinkOptions(options: LinkOptions, where: string): LinkSettings {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw invalidConfiguration(where, options, 'must be an object of link options')
  }
  for (const [field, value] of Object.entries(options)) {
    if (!LINK_FIELDS.includes(field)) {
      const why = `there is no such option; known are ${LINK_FIELDS.join(', ')}`
      throw invalidConfiguration(`${where}: ${field}`, value, why)
    }
    if (value === null) throw invalidConfiguration(`${where}: ${field}`, value, 'leave it out for its default')
  }
  const distribution = options.jitterDistribution ?? 'uniform'
  if (!DISTRIBUTIONS.includes(distribution)) {
    throw invalidConfiguration(`${where}: jitterDistribution`, distribution, `must be ${DISTRIBUTIONS.join(', ')}`)
  }
  const rate = options.bandwidthLimitBitsPerSecond
  const bandwidthLimitBitsPerSecond =
    rate === undefined ? 0 : whole(rate, `${where}: bandwidthLimitBitsPerSecond`, 1, MAX_RATE, 'bits a second')
  const mtuBytes = whole(
    options.mtuBytes ?? DEFAULT_MTU_BYTES,
    `${where}: mtuBytes`,
    MIN_MTU_BYTES,
    MAX_MTU_BYTES,
    'bytes',
  )
  return {
    latencyUs: delayUs(options.latencyMs ?? 0, `${where}: latencyMs`),
    metricUs: delayUs(options.metricMs ?? options.latencyMs ?? 0, `${where}: metricMs`),
    jitterUs: delayUs(options.jitterMs ?? 0, `${where}: jitterMs`),
    jitterDistribution: distribution,
    keepOrder: flag(options.keepOrder ?? true, `${where}: keepOrder`),
    packetLoss: loss(options.packetLoss ?? 0, `${where}: packetLoss`),
    corruption: probability(options.corruption ?? 0, `${where}: corruption`),
    duplication: probability(options.duplication ?? 0, `${where}: duplication`),
    reordering: probability(options.reordering ?? 0, `${where}: reordering`),
    reorderingDelayUs: delayUs(options.reorderingDelayMs ?? DEFAULT_REORDERING_DELAY_MS, `${where}: reorderingDelayMs`),
    bandwidthLimitBitsPerSecond,
    queueBytes: queue(options, bandwidthLimitBitsPerSecond, mtuBytes + IPV6_OVERHEAD_BYTES, where),
    mtuBytes,
    isActive: flag(options.isActive ?? true, `${where}: isActive`),
  }
}

/** Options with what they come to. */
export interface CheckedLinkOptions {
  readonly options: LinkOptions
  readonly settings: LinkSettings
}

/**
 * Checks link options, and those that cannot change, such as presets, only once: a hundred thousand hosts on the same
 * line share what it comes to.
 */
export class LinkOptionsChecker {
  readonly #known = new Map<LinkOptions, CheckedLinkOptions>()

  /**
   * As {@link resolveLinkOptions}; the options are copied unless they cannot change.
   *
   * @throws P2PError `invalid-configuration`
   */
  check(options: LinkOptions, where: string): CheckedLinkOptions {
    const known = this.#known.get(options)
    if (known) return known
    const settings = Object.freeze(resolveLinkOptions(options, where))
    if (!Object.isFrozen(options)) return { options: Object.freeze({ ...options }), settings }
    const checked = { options, settings }
    if (this.#known.size < MAX_KNOWN) this.#known.set(options, checked)
    return checked
  }
}
