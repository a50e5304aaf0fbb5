/**
 * Which of the events of one instant comes first. Events that cannot overtake each other share a lane: the timers of one
 * host, the packets of one link, the operations of the scenario. Within a lane they keep their order; between lanes
 * nothing in the real world would, so here the seed decides, or whoever explores.
 *
 * @module
 */
import { invalidConfiguration } from '../core/config.ts'
import { digestText } from './audit.ts'
import { randomStream } from './random.ts'

/** The lane of events that say nothing about themselves. */
export const COMMON_LANE: number = 0

/** Ranks are whole numbers below this. */
const MAX_RANK = 1_048_576

/** The lane called `name`: it depends on the name alone, so that adding a host or a link reorders no others. */
export function laneOf(name: string): number {
  return digestText(name) | 0
}

/**
 * How events of one instant are ordered.
 *
 * - `seeded`: at each instant the lanes take turns in an order drawn from the seed
 * - `fifo`: in the order in which they were scheduled
 * - `pct`, or its options: by priorities that lanes keep through the run but for a few random changes, as in
 *   probabilistic concurrency testing (Burckhardt et al., ASPLOS 2010): a race that needs `depth` orderings to be just so
 *   among n lanes and k events shows with a probability of at least 1 / (n k^(depth - 1)) a seed
 * - {@link ChosenSchedule}: as it says, one choice after the other
 */
export type Schedule = 'seeded' | 'fifo' | 'pct' | PctOptions | ChosenSchedule

/** Options of probabilistic concurrency testing. */
export interface PctOptions {
  /** How many orderings a race may need: one less than this many lanes lose their priority on the way. 1 to 16. */
  readonly depth: number
  /** How many events a run has, about: the changes of priority are spread over these. @default 10000 */
  readonly events?: number | undefined
}

const PCT_DEPTH = 3
const PCT_EVENTS = 10_000
const MAX_PCT_DEPTH = 16

/** Ranks lanes: among events of one instant the lower rank comes first, and equal ranks as they were scheduled. */
export type Ranking = (timeUs: number, lane: number) => number

/** A choice that a run came to: how many lanes had an event for the same instant, and which was taken. */
export interface ScheduleChoice {
  readonly of: number
  readonly taken: number
}

/**
 * An order of events that is given: at each instant for which several lanes have events, the next number says which goes
 * first. When they run out the first to be scheduled goes first. Good for one run.
 */
export class ChosenSchedule {
  readonly choices: readonly number[]
  readonly #taken: ScheduleChoice[] = []

  constructor(choices: readonly number[] = []) {
    this.choices = choices
  }

  /** The choices that the run came to, in their order. */
  get taken(): readonly ScheduleChoice[] {
    return this.#taken
  }

  /** @internal Chooses one of `of` lanes. */
  choose(of: number): number {
    const chosen = this.choices[this.#taken.length] ?? 0
    const taken = chosen < of ? chosen : 0
    this.#taken.push({ of, taken })
    return taken
  }
}

/** Mixes three words; every bit of each counts. */
function mix(a: number, b: number, c: number): number {
  let hash = Math.imul(a ^ (b >>> 15) ^ b, 0x2c1b3c6d)
  hash = Math.imul(hash ^ (hash >>> 12) ^ c, 0x297a2d39)
  hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b)
  return (hash ^ (hash >>> 13)) >>> 0
}

function seeded(seed: bigint): Ranking {
  const random = randomStream(seed, 'schedule')
  const first = random.nextU32()
  const second = random.nextU32()
  return (timeUs, lane) => mix(first ^ (timeUs | 0), second ^ lane, (timeUs / 4_294_967_296) | 0) >>> 12
}

function pct(seed: bigint, { depth, events = PCT_EVENTS }: PctOptions): Ranking {
  if (!Number.isInteger(depth) || depth < 1 || depth > MAX_PCT_DEPTH) {
    throw invalidConfiguration('depth', depth, `a whole number from 1 to ${MAX_PCT_DEPTH}`)
  }
  if (!Number.isSafeInteger(events) || events < 1 || events > 0xffff_ffff) {
    throw invalidConfiguration('events', events, 'a whole number from 1 to 2^32 - 1')
  }
  const random = randomStream(seed, 'schedule/pct')
  const salt = random.nextU32()
  const changes = Array.from({ length: depth - 1 }, () => random.nextBelow(events)).sort((a, b) => a - b)
  /** Lanes that have lost their priority: behind all others, the last to lose it last. */
  const demoted = new Map<number, number>()
  let event = 0
  return (_timeUs, lane) => {
    if (event++ === changes[demoted.size]) demoted.set(lane, MAX_RANK - MAX_PCT_DEPTH + demoted.size)
    return demoted.get(lane) ?? (mix(salt, lane, 0) >>> 12) - MAX_PCT_DEPTH
  }
}

/**
 * The ranking of a schedule; undefined when events keep the order in which they were scheduled, or are chosen.
 *
 * @throws P2PError `invalid-configuration`
 */
export function rankingOf(schedule: Schedule, seed: bigint): Ranking | undefined {
  if (schedule === 'seeded') return seeded(seed)
  if (schedule === 'fifo' || schedule instanceof ChosenSchedule) return undefined
  if (schedule === 'pct') return pct(seed, { depth: PCT_DEPTH })
  if (typeof schedule === 'object' && schedule !== null && 'depth' in schedule) return pct(seed, schedule)
  throw invalidConfiguration('schedule', schedule, "must be 'seeded', 'fifo', 'pct', its options, or a ChosenSchedule")
}
