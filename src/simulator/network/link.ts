/**
 * A link in one direction: what happens to a packet that enters it. In this order: the queue in front of its rate, then
 * loss and damage, then latency and jitter.
 *
 * @module
 */
import type { Kernel, RandomStream } from '../kernel.ts'
import { laneOf } from '../schedule.ts'
import type { GraphNode } from './graph-node.ts'
import { drawJitterUs } from './jitter.ts'
import { Drop, DropCounter, type DropCounts } from './kinds.ts'
import type { Packet } from './interface.ts'
import { Accidents } from './accidents.ts'
import {
  BIT_MICROSECONDS,
  type BurstSettings,
  type CheckedLinkOptions,
  type GilbertElliott,
  type LinkOptions,
  type LinkSettings,
  resolveLinkOptions,
} from './link-options.ts'
import { overheadBytes, tcpWireBytes } from './wire-size.ts'

/** Packets whose independent loss is drawn at once. */
const DRAWS_AHEAD = 64

/** A packet that links can damage. */
export interface TransitPacket extends Packet {
  isCorrupted: boolean
}

/** A link as plain data. */
export interface LinkSnapshot {
  readonly from: string
  readonly to: string
  readonly isActive: boolean
  /** Packets and bytes (headers included) that entered, dropped ones included. */
  readonly sentPackets: number
  readonly sentBytes: number
  readonly dropped: DropCounts
  /** Packets of which bits were flipped: they go on, and whoever they are for drops them. */
  readonly corruptedPackets: number
  /** What waits for the rate, the packet under way included. */
  readonly queuedBytes: number
  /** How long a packet that enters now waits for its turn, in milliseconds. */
  readonly queuedMs: number
}

/** A directed link of a graph. Change it with {@link NetworkGraph.updateLink}. */
export class Link {
  // What a packet on a plain link touches comes first, side by side in memory: with many hosts that is what it costs.
  readonly from: GraphNode
  readonly to: GraphNode
  readonly #kernel: Kernel
  #isPlain = false
  #latencyUs = 0
  #mtuBytes = 0
  #plainLoss = 0
  #lastArrivalUs = 0
  #sentPackets = 0
  #sentBytes = 0
  /** Independent loss, drawn ahead: so many packets get through, then perhaps one is lost. */
  #passesLeft = 0
  #isLossNext = false
  #options: LinkOptions
  #settings: LinkSettings
  #name: string | undefined
  #lossRandom: RandomStream | undefined
  #jitterRandom: RandomStream | undefined
  #accidents: Accidents | undefined
  /** The rate is taken until this time: whole microseconds, and a rest in 1/rate of one, so that nothing is rounded. */
  #busyUs = 0
  #busyRest = 0
  /** When it last went down and up, for packets whose way over it was computed before they got to it. */
  #downSinceUs = Number.POSITIVE_INFINITY
  #upSinceUs = 0
  #inBadState = false
  /** How many keep it down. */
  #holds = 0
  #dropped: DropCounter | undefined
  #corruptedPackets = 0
  #lane: number | undefined

  /** @internal */
  constructor(kernel: Kernel, from: GraphNode, to: GraphNode, { options, settings }: CheckedLinkOptions) {
    this.from = from
    this.to = to
    this.#kernel = kernel
    this.#settings = settings
    this.#options = options
    this.#copySettings()
    if (!settings.isActive) this.#downSinceUs = 0
  }

  /** `from>to`; its random streams are named after it. */
  get name(): string {
    return (this.#name ??= `${this.from.name}>${this.to.name}`)
  }

  /** @internal The lane of its packets' arrivals: they keep their order, see `schedule.ts`. */
  get lane(): number {
    return (this.#lane ??= laneOf(`link/${this.from.name}>${this.to.name}`))
  }

  /** What it was made with, and changed to since. */
  get options(): LinkOptions {
    return this.#options
  }

  /** The same, checked and in microseconds. */
  get settings(): LinkSettings {
    return this.#settings
  }

  get isActive(): boolean {
    return this.#settings.isActive
  }

  get latencyMs(): number {
    return this.#settings.latencyUs / 1000
  }

  /** As in its options. */
  get packetLoss(): number | GilbertElliott {
    return this.#settings.packetLoss
  }

  /** `Infinity` when there is no limit. */
  get bandwidthLimitBitsPerSecond(): number {
    return this.#settings.bandwidthLimitBitsPerSecond || Number.POSITIVE_INFINITY
  }

  /** @internal Takes over `changes`; packets that have entered already keep their times. */
  configure(changes: LinkOptions): void {
    const options = Object.freeze({ ...this.#options, ...changes })
    const resolved = resolveLinkOptions(options, `link ${this.name}`)
    const settings = this.#holds === 0 ? resolved : { ...resolved, isActive: false }
    // What the queue holds is a time at the old rate; at the new one the same bytes take another.
    const now = this.#kernel.nowUs()
    const queued = this.#queuedBytes(now)
    const wasActive = this.#settings.isActive
    const rate = settings.bandwidthLimitBitsPerSecond
    if (rate !== this.#settings.bandwidthLimitBitsPerSecond) {
      this.#busyUs = rate > 0 ? now + Math.ceil((queued * BIT_MICROSECONDS) / rate) : now
      this.#busyRest = 0
    }
    this.#options = options
    this.#settings = settings
    this.#copySettings()
    // Packets under way must not be overtaken by those for which the way has become shorter.
    if (settings.keepOrder && this.#lastArrivalUs > now + settings.latencyUs) this.#isPlain = false
    if (wasActive && !settings.isActive) this.#downSinceUs = now
    if (!wasActive && settings.isActive) this.#upSinceUs = now
  }

  /** @internal Something else than its options keeps it down, or does no more. */
  hold(isHeld: boolean): void {
    this.#holds += isHeld ? 1 : -1
    this.configure({})
  }

  /** @internal It is no link of the graph any more. */
  remove(): void {
    if (this.#settings.isActive) this.configure({ isActive: false })
  }

  /**
   * @internal Whether all it takes is a constant time and an independent chance of loss, so that nothing changes when a
   * packet is put on it before its time.
   */
  get isPlain(): boolean {
    return this.#isPlain
  }

  /** @internal Whether it was up at a time in the recent past; exact for its last change of each kind. */
  wasActiveAt(atUs: number): boolean {
    if (this.#settings.isActive) return atUs >= this.#upSinceUs || atUs < this.#downSinceUs
    return atUs < this.#downSinceUs
  }

  /**
   * A packet enters now. Returns after how many microseconds it comes out at the other end, or minus a
   * {@link DropCode} when it never does.
   *
   * @param aheadUs - in how many microseconds it really enters; other than 0 for plain links only
   */
  transmit(packet: TransitPacket, aheadUs: number = 0): number {
    const { sizeBytes: payloadBytes } = packet
    const isUdp = packet.protocol === 'udp'
    const { version } = packet.source
    const wireBytes = isUdp
      ? payloadBytes + overheadBytes(version)
      : tcpWireBytes(payloadBytes, version, this.#mtuBytes)
    this.#sentPackets++
    this.#sentBytes += wireBytes
    const now = this.#kernel.nowUs()
    if (this.#isPlain) {
      if (isUdp && payloadBytes > this.#mtuBytes) return this.#drop(Drop['too-large'])
      if (this.#plainLoss > 0 && this.#isLostByChance(this.#plainLoss)) return this.#drop(Drop.loss)
      const arrival = now + aheadUs + this.#latencyUs
      if (arrival > this.#lastArrivalUs) this.#lastArrivalUs = arrival
      return this.#latencyUs
    }
    const settings = this.#settings
    if (!settings.isActive) return this.#drop(Drop['link-down'])
    if (isUdp && payloadBytes > settings.mtuBytes) return this.#drop(Drop['too-large'])
    let arrival = now + settings.latencyUs
    if (settings.bandwidthLimitBitsPerSecond > 0) {
      const departure = this.#enqueue(now, wireBytes, settings)
      if (departure < 0) return this.#drop(Drop['queue-full'])
      arrival = departure + settings.latencyUs
    }
    // Lost after the queue: a packet that gets lost on the way has used the rate all the same.
    if (settings.packetLoss !== 0 && this.#isLost(settings.packetLoss)) return this.#drop(Drop.loss)
    const accidents = this.#accidents
    if (accidents && settings.corruption > 0 && accidents.corrupts(settings.corruption)) this.corrupt(packet)
    if (settings.jitterUs > 0) arrival = Math.max(now, arrival + this.#jitter(settings))
    if (accidents && settings.reordering > 0 && accidents.reorders(settings.reordering)) {
      return arrival + settings.reorderingDelayUs - now
    }
    if (settings.keepOrder) {
      if (arrival < this.#lastArrivalUs) arrival = this.#lastArrivalUs
      else this.#lastArrivalUs = arrival
    }
    return arrival - now
  }

  /** Whether the packet that has just entered does so once more. */
  isDuplicated(): boolean {
    const { duplication } = this.#settings
    return duplication > 0 && this.#accidents !== undefined && this.#accidents.duplicates(duplication)
  }

  /** Counters and queue as plain data. */
  snapshot(): LinkSnapshot {
    const now = this.#kernel.nowUs()
    return {
      from: this.from.name,
      to: this.to.name,
      isActive: this.isActive,
      sentPackets: this.#sentPackets,
      sentBytes: this.#sentBytes,
      dropped: this.#dropped?.snapshot() ?? {},
      corruptedPackets: this.#corruptedPackets,
      queuedBytes: Math.ceil(this.#queuedBytes(now)),
      queuedMs: Math.max(0, this.#busyUs - now) / 1000,
    }
  }

  /** @internal Flips bits of a packet. */
  corrupt(packet: TransitPacket): void {
    packet.isCorrupted = true
    this.#corruptedPackets++
  }

  /** @internal Counts a packet that something outside the link dropped on it. */
  countDrop(code: number): void {
    this.#countDrop(code)
  }

  #copySettings(): void {
    const { isActive, bandwidthLimitBitsPerSecond, jitterUs, packetLoss, latencyUs, mtuBytes } = this.#settings
    const { corruption, duplication, reordering } = this.#settings
    const hasAccidents = corruption > 0 || duplication > 0 || reordering > 0
    if (hasAccidents) this.#accidents ??= new Accidents(this.#kernel, this.name)
    this.#isPlain =
      isActive && bandwidthLimitBitsPerSecond === 0 && jitterUs === 0 && typeof packetLoss === 'number' && !hasAccidents
    this.#plainLoss = typeof packetLoss === 'number' ? packetLoss : 0
    this.#latencyUs = latencyUs
    this.#mtuBytes = mtuBytes
    this.#passesLeft = 0
    this.#isLossNext = false
  }

  #countDrop(code: number): void {
    this.#dropped ??= new DropCounter()
    this.#dropped.add(code)
  }

  #drop(code: number): number {
    this.#countDrop(code)
    return -code
  }

  /** When the packet has left the queue, rounded up; -1 when it does not fit. */
  #enqueue(now: number, wireBytes: number, settings: LinkSettings): number {
    const rate = settings.bandwidthLimitBitsPerSecond
    if (this.#busyUs < now) {
      this.#busyUs = now
      this.#busyRest = 0
    }
    if (this.#queuedBytes(now) + wireBytes > settings.queueBytes) return -1
    const work = wireBytes * BIT_MICROSECONDS + this.#busyRest
    const wholeUs = Math.floor(work / rate)
    this.#busyUs += wholeUs
    this.#busyRest = work - wholeUs * rate
    return this.#busyRest > 0 ? this.#busyUs + 1 : this.#busyUs
  }

  #queuedBytes(now: number): number {
    const rate = this.#settings.bandwidthLimitBitsPerSecond
    if (rate === 0 || this.#busyUs < now) return 0
    return ((this.#busyUs - now) * rate + this.#busyRest) / BIT_MICROSECONDS
  }

  /** Draws for many packets at once, which touches the random stream's memory less often than packets come. */
  #isLostByChance(probability: number): boolean {
    if (this.#passesLeft === 0 && !this.#isLossNext) {
      const random = this.#loss()
      while (this.#passesLeft < DRAWS_AHEAD && !this.#isLossNext) {
        if (random.nextFloat() < probability) this.#isLossNext = true
        else this.#passesLeft++
      }
    }
    if (this.#passesLeft > 0) {
      this.#passesLeft--
      return false
    }
    this.#isLossNext = false
    return true
  }

  #isLost(model: number | BurstSettings): boolean {
    if (typeof model === 'number') return this.#isLostByChance(model)
    const random = this.#loss()
    const { goodToBad, badToGood, lossInGood, lossInBad } = model
    const changes = random.nextFloat() < (this.#inBadState ? badToGood : goodToBad)
    if (changes) this.#inBadState = !this.#inBadState
    const probability = this.#inBadState ? lossInBad : lossInGood
    return probability === 1 || (probability > 0 && random.nextFloat() < probability)
  }

  #loss(): RandomStream {
    return (this.#lossRandom ??= this.#kernel.random(`link/${this.name}/loss`))
  }

  #jitter({ jitterDistribution, jitterUs }: LinkSettings): number {
    this.#jitterRandom ??= this.#kernel.random(`link/${this.name}/jitter`)
    return drawJitterUs(jitterDistribution, jitterUs, this.#jitterRandom)
  }
}
