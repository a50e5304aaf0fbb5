/**
 * Loss detection (RFC 9002), with the choices of noq: packet and time threshold, probes that carry no lost data, a
 * bounded back-off, persistent congestion, and recognition of losses that were none.
 *
 * @module
 */
import { GRANULARITY_US } from './config.ts'
import type { TransportConfig } from './config.ts'
import type { AckFrame } from './frames.ts'
import { DATA, HANDSHAKE, INITIAL } from './packet.ts'
import type { PacketKind } from './packet.ts'
import type { PacketSpace, SentPacket } from './packet-space.ts'
import type { Path } from './path.ts'
import { powerOfTwo } from '../power-of-two.ts'

const NEVER = Number.POSITIVE_INFINITY
const MAX_BACKOFF_EXPONENT = 16

/** Why a congestion window was set anew. */
export type WindowChange = 'loss' | 'persistent-congestion' | 'spurious-loss'

/** What loss detection needs to know of the connection, and tells it. */
export interface RecoveryHost {
  readonly config: TransportConfig
  /** The peer's longest delay of an acknowledgement. */
  readonly peerMaxAckDelayUs: number
  /** Whether the handshake is confirmed, before which no probe is sent for data (RFC 9002, 6.2.1). */
  readonly isConfirmed: boolean
  /** Whether the peer knows that this side's address is right, so that it may answer freely. */
  readonly peerHasValidatedUs: boolean
  /** Whether there are keys for Handshake packets, in which a client then probes. */
  readonly hasHandshakeKeys: boolean
  /** A packet has arrived. */
  onPacketAcked(kind: PacketKind, packet: SentPacket): void
  /** A packet was lost. */
  onPacketLost(kind: PacketKind, packet: SentPacket): void
  /** A path carries larger or only smaller datagrams. */
  onMtuChange(path: Path): void
  /** For traces: before `onPacketLost`, where the loss was detected. */
  onLossFound?(path: Path, kind: PacketKind, packet: SentPacket): void
  /** For traces: a congestion window was cut, or restored. */
  onWindowChange?(path: Path, why: WindowChange): void
  /** For traces: a probe time-out. */
  onProbe?(path: Path): void
}

/** Counters of a connection's loss detection. */
export class RecoveryStats {
  lostPackets = 0
  spuriousLosses = 0
  probeTimeouts = 0
}

/** Loss detection for all paths of a connection. */
export class Recovery {
  readonly #host: RecoveryHost
  readonly stats: RecoveryStats = new RecoveryStats()
  #probeKind: PacketKind | undefined

  constructor(host: RecoveryHost) {
    this.#host = host
  }

  /** An ACK frame for packets of `path` has arrived; false when it acknowledges what was never sent. */
  onAck(path: Path, kind: PacketKind, frame: AckFrame, nowUs: number): boolean {
    const space = path.space(kind)
    if (!space) return true
    const largest = frame.largest
    if (largest >= space.nextNumber || contains(frame.ranges, space.skipped)) return false
    let raised = largest > space.largestAcked
    if (raised) {
      space.largestAcked = largest
      const packet = space.sent.get(largest)
      // A probe outside of any path is not among them, and says nothing of this one's round trip.
      if (packet) space.largestAckedSentUs = packet.sentUs
      else raised = false
    }
    if (space.lost) this.#recogniseSpurious(path, space, space.lost, frame)

    const sent = space.sent
    let acked = false
    let eliciting = false
    for (let i = 0; i < frame.ranges.length; i += 2) {
      const end = Math.min(frame.ranges[i + 1] as number, sent.to)
      for (let number = Math.max(frame.ranges[i] as number, sent.from); number < end; number++) {
        const packet = sent.take(number)
        if (!packet) continue
        acked = true
        path.inFlightBytes -= packet.sizeBytes
        if (kind === DATA && path.mtu.onAcked(number, packet.sizeBytes)) this.#host.onMtuChange(path)
        if (packet.body.eliciting) {
          eliciting = true
          path.congestion.onAck(nowUs, packet.sentUs, packet.sizeBytes, path.appLimited, path.rtt)
        }
        this.#host.onPacketAcked(kind, packet)
      }
    }
    if (!acked) return true

    if (raised && eliciting) {
      // On the wire it counts in units of 8 us (RFC 9000, 18.2).
      const delayUs = kind === DATA ? Math.min(frame.delayUs - (frame.delayUs % 8), this.#host.peerMaxAckDelayUs) : 0
      path.rtt.update(nowUs - space.largestAckedSentUs, delayUs)
      if (path.firstAfterSample === NEVER) path.firstAfterSample = kind === DATA ? space.nextNumber : -1
    }
    this.#detectLoss(path, kind, space, nowUs, true)
    if (this.#host.peerHasValidatedUs) path.probeCount = 0
    this.arm(path, nowUs)
    return true
  }

  /** The path's loss timer has fired. */
  onTimer(path: Path, nowUs: number): void {
    const lossKind = earliestLoss(path)
    if (lossKind !== undefined) {
      this.#detectLoss(path, lossKind, path.space(lossKind) as PacketSpace, nowUs, false)
      this.arm(path, nowUs)
      return
    }
    this.#findProbe(path, nowUs)
    const kind = this.#probeKind
    if (kind === undefined) {
      path.lossTimerUs = NEVER
      return
    }
    // Nothing in flight: the client asks the server, which may be out of credit, to go on (RFC 9002, 6.2.2.1).
    const space = path.space(kind) as PacketSpace
    space.probes += path.inFlightPackets === 0 ? 1 : 2
    path.probeCount++
    path.probeTimeouts++
    this.stats.probeTimeouts++
    this.#host.onProbe?.(path)
    this.arm(path, nowUs)
  }

  /** A path that was given up is forgotten: whatever is not acknowledged by now is lost. */
  loseAll(path: Path): void {
    const { sent } = path.data
    for (let number = sent.from; number < sent.to; number++) {
      const packet = sent.take(number)
      if (!packet) continue
      path.inFlightBytes -= packet.sizeBytes
      path.lostPackets++
      this.stats.lostPackets++
      this.#host.onLossFound?.(path, DATA, packet)
      this.#host.onPacketLost(DATA, packet)
    }
  }

  /** Sets the path's loss timer anew, after anything it depends on has changed. */
  arm(path: Path, nowUs: number): void {
    const { data } = path
    // As with every acknowledgement that leaves nothing in flight, once the handshake is over.
    if (this.#host.isConfirmed && !path.hasHandshakeSpaces && data.lossTimeUs === NEVER && data.sent.inFlight === 0) {
      path.lossTimerUs = NEVER
      return
    }
    const lossKind = earliestLoss(path)
    path.lossTimerUs =
      lossKind === undefined ? this.#findProbe(path, nowUs) : (path.space(lossKind) as PacketSpace).lossTimeUs
  }

  /** The time after which an answer in the data space is overdue, without back-off. */
  probeTimeoutUs(path: Path): number {
    return path.rtt.probeBaseUs + this.#host.peerMaxAckDelayUs
  }

  /** When to probe next; in which space is in `#probeKind`. */
  #findProbe(path: Path, nowUs: number): number {
    this.#probeKind = undefined
    if (path.isAbandoned) return NEVER
    const smoothedUs = path.rtt.smoothedUs
    const maxStepUs = Math.max(this.#host.config.maxProbeStepUs * this.#patience(path), slowStepUs(smoothedUs))
    if (path.id === 0 && path.inFlightPackets === 0 && !this.#host.peerHasValidatedUs) {
      const backedOffUs = path.rtt.probeBaseUs * powerOfTwo(Math.min(path.probeCount, MAX_BACKOFF_EXPONENT))
      const kind = this.#host.hasHandshakeKeys ? HANDSHAKE : INITIAL
      if (path.space(kind)) this.#probeKind = kind
      return nowUs + Math.min(backedOffUs, maxStepUs)
    }
    let atUs = NEVER
    for (let candidate = firstKind(path); candidate <= DATA; candidate++) {
      const space = path.space(candidate)
      if (!space || space.sent.inFlight === 0 || space.lastElicitingUs < 0) continue
      if (candidate === DATA && !this.#host.isConfirmed) continue
      const ackDelayUs = candidate === DATA ? this.#host.peerMaxAckDelayUs : 0
      const dueUs = space.lastElicitingUs + backOff(path.rtt.probeBaseUs + ackDelayUs, path.probeCount, maxStepUs)
      if (dueUs >= atUs || path.isAmplificationBlocked) continue
      atUs = dueUs
      this.#probeKind = candidate
    }
    return atUs
  }

  /**
   * noq hurries (1 s a step, and not 2) where silence ends the path within 25 s: 15 s directly, but 30 s over a relay,
   * from when the handshake is done (noq-proto, MIN_IDLE_FOR_FAST_PTO; iroh, RELAY_PATH_MAX_IDLE_TIMEOUT).
   */
  #patience(path: Path): number {
    return path.kind === 'relay' && this.#host.isConfirmed ? 2 : 1
  }

  #detectLoss(path: Path, kind: PacketKind, space: PacketSpace, nowUs: number, dueToAck: boolean): void {
    const config = this.#host.config
    space.lossTimeUs = NEVER
    const delayUs = Math.max(Math.ceil((path.rtt.conservativeUs * 9) / 8), GRANULARITY_US)
    const periodUs = this.probeTimeoutUs(path) * config.persistentCongestionThreshold
    const limit = space.largestAcked
    const probe = kind === DATA ? path.mtu.probe : -1
    let probeLost = false
    let lost: SentPacket[] | undefined
    let persistent = false
    let startUs = -1
    let previous = -1
    for (let number = space.sent.from; number < limit; number++) {
      const packet = space.sent.get(number)
      if (!packet) continue
      // One in between has arrived.
      if (previous !== number - 1) startUs = -1
      previous = number
      if (nowUs - packet.sentUs < delayUs && limit < number + config.packetThreshold) {
        if (space.lossTimeUs === NEVER) space.lossTimeUs = packet.sentUs + delayUs
        startUs = -1
        continue
      }
      if (number === probe) {
        probeLost = true
        continue
      }
      lost ??= []
      lost.push(packet)
      if (!dueToAck || !packet.body.eliciting) continue
      if (startUs >= 0) {
        if (packet.sentUs - startUs > periodUs) persistent = true
      } else if (kind === DATA && number > path.firstAfterSample) {
        startUs = packet.sentUs
      }
    }
    // Not only when something is lost anew: what arrives later than this takes nothing back (connection/mod.rs:3484).
    if (space.lost) this.#forgetLost(path, space, space.lost, nowUs)
    if (lost) this.#onLost(path, kind, space, lost, nowUs, persistent)
    if (probeLost) this.#onProbeLost(path, space, probe)
  }

  /** What was lost two probe time-outs ago will not arrive any more (msquic's rule, as noq has it). */
  #forgetLost(path: Path, space: PacketSpace, lost: Map<number, number>, nowUs: number): void {
    const forgetUs = nowUs - 2 * path.rtt.probeBaseUs
    for (const [number, sentUs] of lost) if (sentUs < forgetUs) lost.delete(number)
    if (lost.size === 0) space.lost = undefined
  }

  /** A probe of the path's MTU says nothing of its congestion, and is not among the losses that may be taken back. */
  #onProbeLost(path: Path, space: PacketSpace, number: number): void {
    const packet = space.sent.take(number)
    if (packet) path.inFlightBytes -= packet.sizeBytes
    path.mtu.onProbeLost()
    path.lostPackets++
    this.stats.lostPackets++
  }

  #onLost(
    path: Path,
    kind: PacketKind,
    space: PacketSpace,
    lost: readonly SentPacket[],
    nowUs: number,
    persistent: boolean,
  ): void {
    const inFlightBefore = path.inFlightBytes
    let lastSentUs = 0
    for (const packet of lost) {
      space.sent.take(packet.number)
      path.inFlightBytes -= packet.sizeBytes
      lastSentUs = packet.sentUs
      ;(space.lost ??= new Map()).set(packet.number, packet.sentUs)
      path.mtu.onLost(packet.number, packet.sizeBytes)
      this.#host.onLossFound?.(path, kind, packet)
      this.#host.onPacketLost(kind, packet)
    }
    this.stats.lostPackets += lost.length
    path.lostPackets += lost.length
    if (path.mtu.hasBlackHole(nowUs)) this.#host.onMtuChange(path)
    if (path.inFlightBytes === inFlightBefore) return
    path.congestion.onCongestion(nowUs, lastSentUs, persistent)
    this.#host.onWindowChange?.(path, persistent ? 'persistent-congestion' : 'loss')
  }

  #recogniseSpurious(path: Path, space: PacketSpace, lost: Map<number, number>, frame: AckFrame): void {
    for (let i = 0; i < frame.ranges.length; i += 2) {
      const start = frame.ranges[i] as number
      const end = frame.ranges[i + 1] as number
      for (const number of lost.keys()) if (number >= start && number < end) lost.delete(number)
    }
    if (lost.size > 0) return
    space.lost = undefined
    this.stats.spuriousLosses++
    path.spuriousLosses++
    path.congestion.onSpuriousCongestion()
    this.#host.onWindowChange?.(path, 'spurious-loss')
  }
}

/** Whether a number is in one of the half-open ranges. */
function contains(ranges: readonly number[], number: number): boolean {
  if (number < 0) return false
  // It is mostly older than all of them but the first.
  for (let i = 0; i < ranges.length; i += 2) {
    if (number < (ranges[i + 1] as number)) return number >= (ranges[i] as number)
  }
  return false
}

/** The first number space that there may be. */
function firstKind(path: Path): PacketKind {
  return path.hasHandshakeSpaces ? INITIAL : DATA
}

/** The space whose packets will be taken for lost first. */
function earliestLoss(path: Path): PacketKind | undefined {
  let atUs = NEVER
  let earliest: PacketKind | undefined
  for (let kind = firstKind(path); kind <= DATA; kind++) {
    const space = path.space(kind)
    if (space && space.lossTimeUs < atUs) {
      atUs = space.lossTimeUs
      earliest = kind
    }
  }
  return earliest
}

/** On slow paths the longest step is 1.5 round trips, so that probes do not fill the pipe. */
function slowStepUs(smoothedUs: number): number {
  return smoothedUs > SLOW_RTT_US ? Math.floor((smoothedUs * 3) / 2) : 0
}

const SLOW_RTT_US = 1_333_000

/** Doubles with every probe, by at most `maxStepUs` at a time. */
function backOff(baseUs: number, count: number, maxStepUs: number): number {
  let totalUs = baseUs
  for (let i = 1; i <= count; i++) {
    const doubledUs = baseUs * powerOfTwo(Math.min(i, MAX_BACKOFF_EXPONENT))
    totalUs = Math.min(doubledUs, totalUs + maxStepUs)
  }
  return totalUs
}
