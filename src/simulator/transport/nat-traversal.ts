/**
 * Hole punching as iroh does it: both sides learn each other's addresses over a path that works, and send probes to all
 * of them at the same times, so that each side's NAT lets the other's in. The client leads; the server follows.
 *
 * A round begins when there is something new to try, at most every 5 s otherwise, and every minute as long as there is no
 * direct path that is quick. In between nothing happens.
 *
 * @module
 */
import type { ControlFrame } from './frames.ts'
import type { Route } from './path.ts'
import { powerOfTwo } from '../power-of-two.ts'

const NEVER = Number.POSITIVE_INFINITY
/** Probes to one address in a round. */
const MAX_ATTEMPTS = 9
/** The longest time between two attempts. */
const MAX_INTERVAL_US = 2_000_000
/** The shortest time between the beginnings of two rounds with the same addresses (iroh, HOLEPUNCH_ATTEMPTS_INTERVAL). */
const ROUND_INTERVAL_US = 5_000_000
/** The time after which it is tried again although nothing is new (iroh, UPGRADE_INTERVAL). */
const RETRY_INTERVAL_US = 60_000_000
/** Addresses of the peer that are tried, and of this side that are told. */
const MAX_ADDRESSES = 32
/** Packets that wait to be sent; challenges beyond go unanswered. */
const MAX_PROBES = 64

/** A packet outside of any path. */
export interface Probe {
  readonly route: Route
  readonly frame: ControlFrame
}

/** An address of this side. */
interface LocalAddress {
  readonly address: string
  /** Under which the peer knows it. */
  readonly sequence: number
}

/** The addresses of both sides, and the probes under way. */
export class NatTraversal {
  readonly #role: 'client' | 'server'
  readonly #baseUs: number
  readonly #routeTo: (address: string) => Route
  readonly #nextToken: () => number
  #local: LocalAddress[] = []
  #nextSequence = 0
  /** The peer's addresses. */
  readonly #remote: Route[] = []
  /** Those that the peer has told, by their number. */
  #told: Map<number, Route> | undefined
  /** Those that have answered in this round. */
  #reached: Set<Route> | undefined
  #round = 0
  #roundStartUs = -ROUND_INTERVAL_US
  #attempt = MAX_ATTEMPTS
  #wanted = false
  /** Whether the next round begins although there is nothing new. */
  #isRetry = false
  #challenges: Map<number, Route> | undefined
  readonly #probes: Probe[] = []
  /** When the next probes, or the next round, are due. */
  timerUs: number = NEVER

  constructor(
    role: 'client' | 'server',
    initialRttUs: number,
    routeTo: (address: string) => Route,
    nextToken: () => number,
  ) {
    this.#role = role
    this.#baseUs = initialRttUs / 10
    this.#routeTo = routeTo
    this.#nextToken = nextToken
  }

  /** Adds addresses of this side; the frames that tell the peer of those that are new. */
  addLocal(addresses: readonly string[], nowUs: number): ControlFrame[] {
    const isKnown = (address: string): boolean => this.#local.some((local) => local.address === address)
    const added: LocalAddress[] = []
    for (const address of addresses) {
      if (isKnown(address) || this.#local.length + added.length >= MAX_ADDRESSES) continue
      added.push({ address, sequence: this.#nextSequence++ })
    }
    if (added.length === 0) return []
    this.#local.push(...added)
    if (this.#role === 'server') {
      return added.map(({ sequence, address }) => ({ type: 'add-address', sequence, address }))
    }
    this.#start(nowUs)
    return []
  }

  /** This side is somewhere else; the frames that tell the peer so. */
  replaceLocal(addresses: readonly string[], nowUs: number): ControlFrame[] {
    const gone = this.#local.filter(({ address }) => !addresses.includes(address))
    this.#local = this.#local.filter((local) => !gone.includes(local))
    this.#reached = undefined
    const frames = this.addLocal(addresses, nowUs)
    if (this.#role === 'client') return frames
    return [...gone.map(({ sequence }) => ({ type: 'remove-address', sequence }) as const), ...frames]
  }

  /** The server says where it may be. */
  onAddAddress(sequence: number, address: string, nowUs: number): void {
    this.#told ??= new Map()
    if (this.#told.size >= MAX_ADDRESSES) return
    this.#told.set(sequence, this.#routeTo(address))
    this.addRemote(address, nowUs)
  }

  /** The server says where it is no longer. */
  onRemoveAddress(sequence: number): void {
    const route = this.#told?.get(sequence)
    if (!route) return
    this.#told?.delete(sequence)
    const index = this.#remote.indexOf(route)
    if (index >= 0) this.#remote.splice(index, 1)
    this.#reached?.delete(route)
  }

  /** Adds an address where the peer may be. */
  addRemote(address: string, nowUs: number): void {
    const route = this.#routeTo(address)
    if (this.#remote.includes(route) || this.#remote.length >= MAX_ADDRESSES) return
    this.#remote.push(route)
    if (this.#role === 'client') this.#start(nowUs)
  }

  /** Whether there is no direct path yet. */
  want(wanted: boolean, nowUs: number): void {
    if (this.#wanted === wanted) return
    this.#wanted = wanted
    if (wanted && this.#role === 'client') this.#start(Math.max(nowUs, this.#roundStartUs + ROUND_INTERVAL_US))
  }

  /** The client asks the server to probe an address of its own. */
  onReachOut(round: number, address: string, nowUs: number): void {
    if (round < this.#round) return
    if (round > this.#round) {
      this.#beginRound(round, nowUs)
      this.#remote.length = 0
    }
    this.addRemote(address, nowUs)
    this.timerUs = Math.min(this.timerUs, nowUs)
  }

  /**
   * The peer has sent a challenge from outside of any path: it gets its answer where it came from. If nobody has named
   * that address, as nobody knows the ports of a symmetric NAT, it is one more to try.
   */
  onChallenge(route: Route, token: number): void {
    if (this.#probes.length >= MAX_PROBES) return
    this.#probes.push({ route, frame: { type: 'path-response', token } })
    if (!this.#wanted || this.#remote.includes(route) || this.#remote.length >= MAX_ADDRESSES) return
    this.#remote.push(route)
    this.#challenge(route)
  }

  /** Whether an answer is to a probe that was sent along `route`: the peer is there. */
  onResponse(token: number, route: Route): boolean {
    if (this.#challenges?.get(token) !== route) return false
    this.#challenges.delete(token)
    ;(this.#reached ??= new Set()).add(route)
    return true
  }

  /** Whether the peer has answered a probe along `route`. */
  hasReached(route: Route): boolean {
    return this.#reached?.has(route) === true
  }

  /**
   * Queues the probes that are due; the frames that begin a new round, where one begins.
   *
   * @param isGoodEnough whether the paths that there are need no looking for others while nothing is new
   */
  handleTimeout(nowUs: number, isGoodEnough: boolean): ControlFrame[] {
    const frames: ControlFrame[] = []
    if (this.#attempt >= MAX_ATTEMPTS && this.#role === 'client') {
      if (this.#isRetry && isGoodEnough) {
        this.timerUs = nowUs + RETRY_INTERVAL_US
        return frames
      }
      this.#beginRound(this.#round + 1, nowUs)
      for (const { address } of this.#local) frames.push({ type: 'reach-out', round: this.#round, address })
    }
    for (const route of this.#remote) {
      if (!this.hasReached(route)) this.#challenge(route)
    }
    this.timerUs = this.#nextTime(nowUs)
    this.#attempt++
    return frames
  }

  /** Whether probes wait to be sent. */
  get hasProbes(): boolean {
    return this.#probes.length > 0
  }

  /** The next probe to send. */
  nextProbe(): Probe | undefined {
    return this.#probes.shift()
  }

  /** After attempt k, 33.3 ms times 1, 1, 2, 4, … and at most 2 s; after the last one, the next round. */
  #nextTime(nowUs: number): number {
    if (this.#attempt + 1 < MAX_ATTEMPTS && this.#remote.some((route) => !this.hasReached(route))) {
      const doubledUs = this.#baseUs * powerOfTwo(Math.max(0, this.#attempt - 1))
      return nowUs + Math.ceil(Math.min(doubledUs, MAX_INTERVAL_US))
    }
    this.#attempt = MAX_ATTEMPTS
    if (this.#role === 'server') return NEVER
    this.#isRetry = true
    return Math.max(nowUs, this.#roundStartUs + RETRY_INTERVAL_US)
  }

  #challenge(route: Route): void {
    const token = this.#nextToken()
    ;(this.#challenges ??= new Map()).set(token, route)
    this.#probes.push({ route, frame: { type: 'path-challenge', token } })
  }

  #start(atUs: number): void {
    if (this.#local.length === 0) return
    this.#attempt = MAX_ATTEMPTS
    this.#isRetry = false
    this.timerUs = atUs
  }

  #beginRound(round: number, nowUs: number): void {
    this.#round = round
    this.#roundStartUs = nowUs
    this.#attempt = 0
    this.#challenges = undefined
    this.#reached = undefined
    this.#probes.length = 0
  }
}
