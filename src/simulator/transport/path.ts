/**
 * A path: one way that datagrams take between the two sides, with a round-trip time, a congestion window, a pacer and a
 * datagram size of its own.
 *
 * @module
 */
import type { RandomStream } from '../kernel.ts'
import { AMPLIFICATION_LIMIT } from './config.ts'
import type { TransportConfig } from './config.ts'
import { Cubic } from './congestion.ts'
import type { CongestionController } from './congestion.ts'
import { Pacer } from './pacer.ts'
import { MtuDiscovery } from './mtu-discovery.ts'
import { DATA, HANDSHAKE, INITIAL } from './packet.ts'
import type { PacketKind } from './packet.ts'
import { PacketSpace } from './packet-space.ts'
import { RttEstimator } from './rtt.ts'

/** Where datagrams go. The transport compares routes by identity and looks at nothing but the kind. */
export interface Route {
  readonly kind: 'direct' | 'relay'
  /** `ip:port`, or the relay's URL. */
  readonly address: string
  /** Whether the address occurs in many networks, so that a stranger may have it in this one. @default false */
  readonly isPrivate?: boolean | undefined
}

/** One path. */
export class Path {
  readonly id: number
  /** Where its datagrams go; several while the handshake has not shown which one works. */
  routes: readonly Route[]
  rtt: RttEstimator
  congestion: CongestionController
  pacer: Pacer
  readonly mtu: MtuDiscovery
  readonly #pacing: boolean
  /** The data space: what packets touch most, and so a field of its own. */
  readonly data: PacketSpace
  /** The other number spaces, which only the first path has, and not for long. */
  #initial: PacketSpace | undefined
  #handshake: PacketSpace | undefined
  /** Whether there is any of those. */
  hasHandshakeSpaces: boolean
  inFlightBytes = 0
  /** Probe time-outs since the last acknowledgement, and all. */
  probeCount = 0
  probeTimeouts = 0
  lostPackets = 0
  /** How often losses turned out to have been none. */
  spuriousLosses = 0
  /** The last attempt to send found nothing to send. */
  appLimited = true
  /** Whether the peer is known to be where its packets come from. */
  validated: boolean
  /** Whether the peer has answered on this very path, so that both directions work: the first by the handshake. */
  proven: boolean
  receivedBytes = 0
  sentBytes = 0
  /** Packets of the data space with higher numbers were sent after the first round-trip sample; Infinity before it. */
  firstAfterSample: number = Number.POSITIVE_INFINITY
  lossTimerUs: number = Number.POSITIVE_INFINITY
  pacingTimerUs: number = Number.POSITIVE_INFINITY
  /** Silence after which a PING is due, and after which the path counts as gone when there are others. */
  keepAliveTimerUs: number = Number.POSITIVE_INFINITY
  idleTimerUs: number = Number.POSITIVE_INFINITY
  /** Given up by this side: nothing is sent along it any more, but what was may still be acknowledged. */
  isAbandoned = false
  /** When it is forgotten, the peer having given it up too. */
  drainTimerUs: number = Number.POSITIVE_INFINITY
  /** The token of the peer's last challenge on this path that is not answered yet, -1 for none. */
  responseToken = -1
  /** Whether a challenge is to be sent, the token of the last one, and when to send another. */
  challengePending = false
  challengeToken = -1
  challengeSentUs = 0
  challengesSent = 0
  challengeTimerUs: number = Number.POSITIVE_INFINITY

  constructor(id: number, route: readonly Route[], config: TransportConfig, nowUs: number, random: RandomStream) {
    this.id = id
    this.routes = route
    this.rtt = new RttEstimator(config.initialRttUs)
    this.mtu = new MtuDiscovery(config)
    this.congestion = new Cubic(config.initialWindowBytes, config.mtuBytes)
    this.pacer = new Pacer(config.initialRttUs, config.initialWindowBytes, config.mtuBytes, nowUs)
    this.#pacing = config.pacing
    this.data = new PacketSpace(config.maxAckDelayUs, config.skipPacketNumbers ? random : undefined)
    this.hasHandshakeSpaces = id === 0
    if (id === 0) {
      this.#initial = new PacketSpace(0)
      this.#handshake = new PacketSpace(0)
    }
    this.validated = false
    this.proven = id === 0
  }

  /** Whether data may take it. */
  get isOpen(): boolean {
    return this.proven
  }

  /** The largest datagram that may be sent. */
  get mtuBytes(): number {
    return this.mtu.currentBytes
  }

  /** Whether a challenge of this side's own waits for its answer. */
  get isValidating(): boolean {
    return this.challengePending || this.challengeToken >= 0
  }

  /** Whether nothing waits to be sent for the path's own sake. The handshake must be over. */
  isQuiet(nowUs: number): boolean {
    if (this.hasHandshakeSpaces || this.challengePending || this.responseToken >= 0) return false
    return this.data.isQuiet && this.mtu.isIdle(nowUs)
  }

  /** `direct` or `relay`. */
  get kind(): Route['kind'] {
    return this.routes[0]?.kind ?? 'direct'
  }

  /** The first of its timers to be due, but for that of its idleness. */
  get deadlineUs(): number {
    let atUs = this.data.acks.deadlineUs
    if (this.lossTimerUs < atUs) atUs = this.lossTimerUs
    if (this.pacingTimerUs < atUs) atUs = this.pacingTimerUs
    if (this.keepAliveTimerUs < atUs) atUs = this.keepAliveTimerUs
    if (this.challengeTimerUs < atUs) atUs = this.challengeTimerUs
    return atUs
  }

  /** Nothing is sent along it from now on: not even what its own sake would ask for. */
  abandon(): void {
    this.isAbandoned = true
    this.stopTimers()
    this.responseToken = -1
    this.challengePending = false
    this.challengeToken = -1
    this.data.pingPending = false
    this.data.immediateAckPending = false
    this.data.probes = 0
  }

  /** Stops all timers. */
  stopTimers(): void {
    this.drainTimerUs = Number.POSITIVE_INFINITY
    this.lossTimerUs = Number.POSITIVE_INFINITY
    this.pacingTimerUs = Number.POSITIVE_INFINITY
    this.keepAliveTimerUs = Number.POSITIVE_INFINITY
    this.idleTimerUs = Number.POSITIVE_INFINITY
    this.challengeTimerUs = Number.POSITIVE_INFINITY
    this.data.acks.deadlineUs = Number.POSITIVE_INFINITY
  }

  /** A number space, undefined when it is over or never was. */
  space(kind: PacketKind): PacketSpace | undefined {
    if (kind === DATA) return this.data
    return kind === INITIAL ? this.#initial : this.#handshake
  }

  /** Gives up a number space and everything in flight in it (RFC 9002, 6.4). */
  discardSpace(kind: typeof INITIAL | typeof HANDSHAKE): void {
    const space = this.space(kind)
    if (!space) return
    for (let number = space.sent.from; number < space.sent.to; number++) {
      const packet = space.sent.take(number)
      if (packet) this.inFlightBytes -= packet.sizeBytes
    }
    this.#setSpace(kind, undefined)
  }

  #setSpace(kind: typeof INITIAL | typeof HANDSHAKE, space: PacketSpace | undefined): void {
    if (kind === INITIAL) this.#initial = space
    else this.#handshake = space
    this.hasHandshakeSpaces = this.#initial !== undefined || this.#handshake !== undefined
  }

  /** Begins the handshake anew: only the packet numbers go on. What was measured was measured with somebody else. */
  restartHandshake(config: TransportConfig, nowUs: number): void {
    this.forgetMeasurements(config, nowUs)
    for (const kind of [INITIAL, HANDSHAKE] as const) {
      const before = this.space(kind)
      this.discardSpace(kind)
      const space = new PacketSpace(0)
      if (before) space.continueFrom(before)
      this.#setSpace(kind, space)
    }
  }

  /** It leads elsewhere now: round trips and windows of before say nothing any more (RFC 9000, 9.4). */
  forgetMeasurements(config: TransportConfig, nowUs: number): void {
    this.rtt = new RttEstimator(config.initialRttUs)
    this.congestion = new Cubic(config.initialWindowBytes, this.mtuBytes)
    this.pacer = new Pacer(config.initialRttUs, config.initialWindowBytes, this.mtuBytes, nowUs)
    this.probeCount = 0
    this.firstAfterSample = Number.POSITIVE_INFINITY
  }

  /** An answer to a challenge took this long: the best guess before anything else is measured. */
  guessRtt(rttUs: number): void {
    if (!this.rtt.hasSample) this.rtt = new RttEstimator(Math.max(rttUs, 1))
  }

  /**
   * A challenge has gone unanswered: another one, as long as the path is there. It is idleness that ends a path, and the
   * last one is not ended: the peer may get there later than anybody had thought.
   */
  onChallengeLost(): void {
    this.challengeTimerUs = Number.POSITIVE_INFINITY
    this.challengePending = true
  }

  /** Packets in flight that ask for an acknowledgement, or are padded. */
  get inFlightPackets(): number {
    const { inFlight } = this.data.sent
    if (!this.hasHandshakeSpaces) return inFlight
    return inFlight + (this.#initial?.sent.inFlight ?? 0) + (this.#handshake?.sent.inFlight ?? 0)
  }

  /** Whether nothing may be sent to an address that may not be the peer's. */
  get isAmplificationBlocked(): boolean {
    return !this.validated && this.sentBytes + 1 > AMPLIFICATION_LIMIT * this.receivedBytes
  }

  /** Whether a full datagram would exceed the congestion window. */
  get isCongestionBlocked(): boolean {
    return this.inFlightBytes + this.mtuBytes > this.congestion.windowBytes
  }

  /** Microseconds until the pacer lets a datagram go. It must have tokens for a full one, whatever its size. */
  pacingDelayUs(nowUs: number): number {
    if (!this.#pacing) return 0
    return this.pacer.delayUs(this.rtt.smoothedUs, this.mtuBytes, this.congestion.windowBytes, this.mtuBytes, nowUs)
  }
}
