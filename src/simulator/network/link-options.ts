/**
 * What a link is like, as people write it, and the checked form that links work with.
 *
 * @module
 */
import { invalidConfiguration } from '../../core/config.ts'
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
  /** Spread of the delay in milliseconds, as `jitterDistribution` says; a delay is never below 0. @default 0 */
  readonly jitterMs?: number | undefined
  /** @default 'uniform' */
  readonly jitterDistribution?: JitterDistribution | undefined
  /** Whether packets leave in the order they came in, whatever the jitter: one waits for the one before. @default true */
  readonly keepOrder?: boolean | undefined
  /** Probability that a packet is lost, 0..1, independently or in bursts. @default 0 */
  readonly packetLoss?: number | GilbertElliott | undefined
  /** Rate in bits a second, headers included; a whole number 1..10^12. Unlimited when left out. */
  readonly bandwidthBitsPerSecond?: number | undefined
  /**
   * Room of the queue in front of a limited rate, in bytes, the packet under way included; a packet that does not fit is
   * dropped. @default 50 ms at the rate, at least 45000
   */
  readonly queueBytes?: number | undefined
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
  readonly jitterUs: number
  readonly jitterDistribution: JitterDistribution
  readonly keepOrder: boolean
  readonly packetLoss: number | BurstSettings
  /** 0 when unlimited. */
  readonly bandwidthBitsPerSecond: number
  readonly queueBytes: number
  readonly mtuBytes: number
  readonly isActive: boolean
}

const MAX_DELAY_MS = 3_600_000
const MAX_RATE = 1_000_000_000_000
/** QUIC's smallest datagram (RFC 9000, 14): a link that cannot carry it is of no use here. */
const MIN_MTU_BYTES = 1200
const MAX_MTU_BYTES = 65_507
const DEFAULT_MTU_BYTES = 1472
const DEFAULT_QUEUE_SECONDS_DIVISOR = 20
const MIN_DEFAULT_QUEUE_BYTES = 45_000

const LINK_FIELDS: readonly string[] = [
  'latencyMs',
  'jitterMs',
  'jitterDistribution',
  'keepOrder',
  'packetLoss',
  'bandwidthBitsPerSecond',
  'queueBytes',
  'mtuBytes',
  'isActive',
]
const DISTRIBUTIONS: readonly string[] = ['uniform', 'normal', 'long-tail']

/**
 * Loss of `averageLoss` in bursts of `meanBurstPackets` packets on average, as a {@link GilbertElliott} that loses
 * everything in its bad state and nothing in its good one.
 *
 * @throws P2PError `invalid-configuration`
 */
export function burstyLoss(averageLoss: number, meanBurstPackets: number): GilbertElliott {
  if (!(averageLoss >= 0 && averageLoss < 1)) {
    throw invalidConfiguration('averageLoss', averageLoss, 'must be from 0 to below 1')
  }
  if (!(meanBurstPackets >= 1 && meanBurstPackets <= 1_000_000)) {
    throw invalidConfiguration('meanBurstPackets', meanBurstPackets, 'must be from 1 to 1000000')
  }
  const badToGood = 1 / meanBurstPackets
  const goodToBad = (badToGood * averageLoss) / (1 - averageLoss)
  if (goodToBad > 1) {
    throw invalidConfiguration('meanBurstPackets', meanBurstPackets, `is too short for a loss of ${averageLoss}`)
  }
  return { goodToBad, badToGood }
}

function delayUs(value: number, name: string): number {
  if (!(value >= 0 && value <= MAX_DELAY_MS)) {
    throw invalidConfiguration(name, value, `must be milliseconds from 0 to ${MAX_DELAY_MS}`)
  }
  return Math.round(value * 1000)
}

function probability(value: number, name: string): number {
  if (!(value >= 0 && value <= 1)) throw invalidConfiguration(name, value, 'must be a probability from 0 to 1')
  return value
}

function whole(value: number, name: string, min: number, max: number, what: string): number {
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    throw invalidConfiguration(name, value, `must be a whole number of ${what} from ${min} to ${max}`)
  }
  return value
}

function loss(value: number | GilbertElliott, name: string): number | BurstSettings {
  if (typeof value !== 'object' || value === null) return probability(value, name)
  const badToGood = probability(value.badToGood, `${name}.badToGood`)
  if (badToGood === 0) throw invalidConfiguration(`${name}.badToGood`, 0, 'a burst must end: above 0')
  return {
    goodToBad: probability(value.goodToBad, `${name}.goodToBad`),
    badToGood,
    lossInGood: probability(value.lossInGood ?? 0, `${name}.lossInGood`),
    lossInBad: probability(value.lossInBad ?? 1, `${name}.lossInBad`),
  }
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
  if (typeof options !== 'object' || options === null) {
    throw invalidConfiguration(where, options, 'must be an object of link options')
  }
  for (const field of Object.keys(options)) {
    if (!LINK_FIELDS.includes(field)) {
      throw invalidConfiguration(
        `${where}: ${field}`,
        (options as Record<string, unknown>)[field],
        `there is no such option; known are ${LINK_FIELDS.join(', ')}`,
      )
    }
  }
  const distribution = options.jitterDistribution ?? 'uniform'
  if (!DISTRIBUTIONS.includes(distribution)) {
    throw invalidConfiguration(`${where}: jitterDistribution`, distribution, `must be ${DISTRIBUTIONS.join(', ')}`)
  }
  const rate = options.bandwidthBitsPerSecond
  const bandwidthBitsPerSecond =
    rate === undefined ? 0 : whole(rate, `${where}: bandwidthBitsPerSecond`, 1, MAX_RATE, 'bits a second')
  const mtuBytes = whole(
    options.mtuBytes ?? DEFAULT_MTU_BYTES,
    `${where}: mtuBytes`,
    MIN_MTU_BYTES,
    MAX_MTU_BYTES,
    'bytes',
  )
  const largest = mtuBytes + IPV6_OVERHEAD_BYTES
  const defaultQueue = Math.floor(bandwidthBitsPerSecond / 8 / DEFAULT_QUEUE_SECONDS_DIVISOR)
  return {
    latencyUs: delayUs(options.latencyMs ?? 0, `${where}: latencyMs`),
    jitterUs: delayUs(options.jitterMs ?? 0, `${where}: jitterMs`),
    jitterDistribution: distribution,
    keepOrder: flag(options.keepOrder ?? true, `${where}: keepOrder`),
    packetLoss: loss(options.packetLoss ?? 0, `${where}: packetLoss`),
    bandwidthBitsPerSecond,
    queueBytes:
      options.queueBytes === undefined
        ? Math.max(defaultQueue, MIN_DEFAULT_QUEUE_BYTES, largest)
        : whole(options.queueBytes, `${where}: queueBytes`, largest, Number.MAX_SAFE_INTEGER, 'bytes'),
    mtuBytes,
    isActive: flag(options.isActive ?? true, `${where}: isActive`),
  }
}
