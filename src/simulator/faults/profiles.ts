/**
 * Faults drawn from the seed: which, how often, how long, and to whom.
 *
 * @module
 */
import { checkOptions, invalidConfiguration } from '../../core/config.ts'
import type { RandomStream } from '../kernel.ts'
import { FAULT_KINDS } from './fault.ts'
import type { Fault, FaultKind } from './fault.ts'

/** How much goes wrong. */
export interface FaultProfile {
  /** The mean time from one fault to the next, in milliseconds. */
  readonly everyMs: number
  /** The longest that a fault lasts, in milliseconds. @default 10000 */
  readonly maxForMs?: number | undefined
  /**
   * Probability that a host that crashes loses its disk. Of a service whose only copy is there that is no fault that it
   * could survive. @default 0
   */
  readonly diskLoss?: number | undefined
  /** How often each kind comes compared with the others; those left out do not. */
  readonly weights: Readonly<Partial<Record<FaultKind, number>>>
  /**
   * Whether each seed draws a random half of the kinds, and how often and how long, as a network on which everything
   * always happens hides what only some things bring about (Groce et al., "Swarm Testing", ISSTA 2012). @default true
   */
  readonly swarm?: boolean | undefined
}

/** The profiles' names. */
export type FaultProfileName = 'calm' | 'mobile' | 'hostile'

/**
 * - `calm`: a wired home: now and then a worse line, a router that forgets
 * - `mobile`: phones: other addresses and networks, lines that flap, naps
 * - `hostile`: everything
 */
export const faultProfiles: Readonly<Record<FaultProfileName, FaultProfile>> = Object.freeze({
  calm: {
    everyMs: 30_000,
    maxForMs: 5_000,
    weights: { 'link-degrade': 4, 'link-flap': 1, 'mapping-expiry': 2, 'name-outage': 1, 'clock-jump': 1 },
  },
  mobile: {
    everyMs: 10_000,
    maxForMs: 15_000,
    weights: {
      'address-change': 4,
      'nat-rebind': 3,
      'link-degrade': 4,
      'link-flap': 3,
      pause: 2,
      'mapping-expiry': 1,
      'one-way-partition': 1,
    },
  },
  hostile: {
    everyMs: 4_000,
    maxForMs: 20_000,
    weights: {
      partition: 3,
      'one-way-partition': 2,
      crash: 3,
      restart: 2,
      pause: 2,
      slow: 1,
      'link-flap': 2,
      'link-degrade': 3,
      'nat-rebind': 2,
      'mapping-expiry': 1,
      'relay-crash': 1,
      'name-outage': 1,
      'clock-jump': 1,
      'address-change': 2,
    },
  },
})

/** Whom faults can happen to, by name. */
export interface FaultTargets {
  /** Hosts with programs. */
  readonly hosts: readonly string[]
  /** LANs with NATs. */
  readonly lans: readonly string[]
  /** Relays that are in use. */
  readonly relays: readonly string[]
}

const PROFILE_OPTIONS: readonly string[] = ['everyMs', 'maxForMs', 'weights', 'diskLoss', 'swarm']
const MAX_FAULTS = 10_000

/**
 * The profile of that name, or the one given, checked.
 *
 * @throws P2PError `invalid-configuration`
 */
export function faultProfile(profile: FaultProfileName | FaultProfile): FaultProfile {
  if (typeof profile === 'string') {
    if (Object.hasOwn(faultProfiles, profile)) return faultProfiles[profile]
    const names = Object.keys(faultProfiles).join(', ')
    throw invalidConfiguration('faults', profile, `there is no such profile of faults; known are ${names}`)
  }
  if (typeof profile !== 'object' || profile === null) {
    throw invalidConfiguration('faults', profile, 'must be the name of a profile, or one: { everyMs, weights }')
  }
  checkOptions('a profile of faults', profile, PROFILE_OPTIONS)
  if (!(profile.everyMs >= 1)) throw invalidConfiguration('faults.everyMs', profile.everyMs, 'must be at least 1')
  if (profile.maxForMs !== undefined && !(profile.maxForMs >= 1)) {
    throw invalidConfiguration('faults.maxForMs', profile.maxForMs, 'must be at least 1')
  }
  const { diskLoss = 0 } = profile
  if (!(diskLoss >= 0 && diskLoss <= 1)) {
    throw invalidConfiguration('faults.diskLoss', diskLoss, 'must be a probability from 0 to 1')
  }
  for (const [kind, weight] of Object.entries(profile.weights)) {
    if (!(FAULT_KINDS as readonly string[]).includes(kind)) {
      throw invalidConfiguration(`faults.weights.${kind}`, weight, `no such fault; known are ${FAULT_KINDS.join(', ')}`)
    }
    if (!(weight >= 0)) throw invalidConfiguration(`faults.weights.${kind}`, weight, 'must be a number of at least 0')
  }
  return profile
}

/**
 * Draws the faults of a run that begin within `untilMs`, in the order of their times; all that last end by then too.
 *
 * @throws P2PError `invalid-configuration` for a profile that makes no sense
 */
export function drawFaults(
  random: RandomStream,
  profile: FaultProfileName | FaultProfile,
  targets: FaultTargets,
  untilMs: number,
): Fault[] {
  const { everyMs, maxForMs = 10_000, weights, swarm = true, diskLoss = 0 } = faultProfile(profile)
  let kinds = FAULT_KINDS.filter((kind) => (weights[kind] ?? 0) > 0 && isPossible(kind, targets))
  let gapMs = everyMs
  let longestMs = maxForMs
  if (swarm) {
    const some = kinds.filter(() => random.nextBelow(2) === 1)
    const one = kinds[random.nextBelow(Math.max(kinds.length, 1))]
    if (some.length > 0) kinds = some
    else if (one) kinds = [one]
    gapMs *= [0.25, 0.5, 1, 2][random.nextBelow(4)] as number
    longestMs *= [0.1, 0.3, 1][random.nextBelow(3)] as number
  }
  if (kinds.length === 0) return []
  const sum = kinds.reduce((sum, kind) => sum + (weights[kind] ?? 0), 0)
  const faults: Fault[] = []
  for (let atMs = 0; faults.length < MAX_FAULTS;) {
    atMs += Math.ceil(random.nextFloat() * 2 * gapMs)
    if (atMs >= untilMs) break
    let point = random.nextFloat() * sum
    const kind = kinds.find((kind) => (point -= weights[kind] ?? 0) < 0) ?? kinds[0]
    if (kind === undefined) break
    const longest = Math.max(1, Math.min(longestMs, untilMs - atMs))
    // Short ones are as likely as long ones.
    const forMs = Math.max(1, Math.round(longest * random.nextFloat() * random.nextFloat()))
    faults.push(drawFault(random, kind, targets, { atMs, forMs, diskLoss }))
  }
  return faults
}

function isPossible(kind: FaultKind, { hosts, lans, relays }: FaultTargets): boolean {
  if (kind === 'nat-rebind' || kind === 'mapping-expiry') return lans.length > 0
  if (kind === 'relay-crash') return relays.length > 0
  if (kind === 'one-way-partition' || kind === 'partition') return hosts.length > 1
  return kind === 'name-outage' || hosts.length > 0
}

interface Draw {
  readonly atMs: number
  readonly forMs: number
  readonly diskLoss: number
}

function drawFault(random: RandomStream, kind: FaultKind, targets: FaultTargets, draw: Draw): Fault {
  const { atMs, forMs, diskLoss } = draw
  const pick = <T>(list: readonly T[]): T => list[random.nextBelow(list.length)] as T
  const host = (): string => pick(targets.hosts)
  const disk = (): 'lost' | undefined => (random.nextFloat() < diskLoss ? 'lost' : undefined)
  switch (kind) {
    case 'partition': {
      const [a, b] = split(random, targets.hosts)
      return { kind, atMs, forMs, a, b }
    }
    case 'one-way-partition': {
      const [from, to] = split(random, targets.hosts)
      return { kind, atMs, forMs, from, to }
    }
    case 'crash':
      return withDisk({ kind, atMs, forMs, host: host() }, disk())
    case 'restart':
      return withDisk({ kind, atMs, host: host() }, disk())
    case 'pause':
      return { kind, atMs, forMs, host: host() }
    case 'slow':
      return { kind, atMs, forMs, host: host(), eventMs: pick([0.1, 1, 5, 20]) }
    case 'link-flap': {
      const downMs = pick([50, 300, 1000, 3000])
      return { kind, atMs, forMs, line: pick([...targets.hosts, ...targets.lans]), downMs, upMs: pick([50, 300, 1000]) }
    }
    case 'link-degrade': {
      const line = pick([...targets.hosts, ...targets.lans])
      const knob = random.nextBelow(6)
      const base = { kind, atMs, forMs, line }
      if (knob === 0) return { ...base, addLatencyMs: pick([20, 100, 400, 2000]) }
      if (knob === 1) return { ...base, loss: pick([0.02, 0.1, 0.3, 0.7]) }
      if (knob === 2) return { ...base, duplicate: pick([0.05, 0.3]) }
      if (knob === 3) return { ...base, reorder: pick([0.05, 0.3]) }
      if (knob === 4) return { ...base, corrupt: pick([0.01, 0.1]) }
      return { ...base, rateBitsPerSecond: pick([64_000, 500_000, 2_000_000]) }
    }
    case 'nat-rebind':
      return random.nextBelow(2) === 1
        ? { kind, atMs, lan: pick(targets.lans), address: true }
        : { kind, atMs, lan: pick(targets.lans) }
    case 'mapping-expiry':
      return { kind, atMs, lan: pick(targets.lans) }
    case 'relay-crash':
      return { kind, atMs, forMs, relay: pick(targets.relays) }
    case 'name-outage':
      return { kind, atMs, forMs }
    case 'clock-jump':
      return { kind, atMs, host: host(), byMs: pick([-3_600_000, -1000, 1000, 60_000, 3_600_000]) }
    case 'address-change':
      return { kind, atMs, host: host() }
  }
}

function withDisk<F extends Fault>(fault: F, disk: 'lost' | undefined): F {
  return disk === undefined ? fault : { ...fault, disk }
}

/** Two groups of hosts, none of them empty. */
function split(random: RandomStream, hosts: readonly string[]): [string[], string[]] {
  const one = random.nextBelow(hosts.length)
  const other = (one + 1 + random.nextBelow(hosts.length - 1)) % hosts.length
  const inA = hosts.map((_, i) => i === one || (i !== other && random.nextBelow(2) === 1))
  return [hosts.filter((_, i) => inA[i]), hosts.filter((_, i) => inA[i] !== true)]
}
