/**
 * One end of a connection: a state machine without clock, timers, promises or I/O. Datagrams and the time go in,
 * datagrams and events come out; the same input always gives the same output.
 *
 * @module
 */
import type { NodeId } from '../../core/node-id.ts'
import type { RandomStream } from '../kernel.ts'
import { DEFAULT_TRANSPORT_CONFIG } from './config.ts'
import type { TransportConfig } from './config.ts'
import { ConnectionCore } from './core.ts'
import type { ConnectionState, DropStats, TransportSink } from './sink.ts'
import { maxDatagramBytes } from './datagrams.ts'
import { ClientHandshake, parametersOf } from './handshake.ts'
import { HostPace } from './host-pace.ts'
import type { Identity } from './identity.ts'
import { INITIAL } from './packet.ts'
import type { Packet } from './packet.ts'
import type { Path, Route } from './path.ts'
import { Receiver } from './receiver.ts'
import type { ResetToken } from './reset.ts'
import { Transmitter } from './transmitter.ts'

const NEVER = Number.POSITIVE_INFINITY

interface CommonOptions {
  /** Who this side is. */
  readonly identity: Identity
  /** The connection id that packets to this side carry. */
  readonly localId: number
  /** As `resolveTransportConfig` makes it. @default the defaults */
  readonly config?: TransportConfig | undefined
  /** Draws packet numbers to skip. */
  readonly random: RandomStream
  readonly sink: TransportSink
  /** The token for `localId`, which the peer is told. @default none, and a reset from this side is never believed */
  readonly resetToken?: ResetToken | undefined
  /** Makes the route to an `ip:port` that the peer names. Without it no better path is searched. */
  readonly routeTo?: ((address: string) => Route) | undefined
  readonly nowUs: number
}

/** The client's end. */
export interface ClientOptions extends CommonOptions {
  readonly role: 'client'
  /** The server's connection id until it has told its own: a random number. */
  readonly remoteId: number
  /** Who must answer. */
  readonly peer: NodeId
  readonly alpns: readonly string[]
  /** Where to try; every datagram goes everywhere until one of them has answered. */
  readonly routes: readonly Route[]
}

/** The server's end, made when a client's first datagram comes. */
export interface ServerOptions extends CommonOptions {
  readonly role: 'server'
  /** The client's connection id: the source of its first packet. */
  readonly remoteId: number
  /** The id that the client's first packet was sent to. */
  readonly firstId: number
  /** The protocols served. Without one in common the client is refused. */
  readonly alpns: readonly string[]
  /** Where the first datagram came from. */
  readonly routes: readonly Route[]
}

/** What one path looks like from outside. */
export interface PathSnapshot {
  readonly id: number
  readonly routes: readonly Route[]
  readonly selected: boolean
  /** Whether the peer has answered on it, so that data may take it. */
  readonly open: boolean
  /** Undefined before the first measurement. */
  readonly smoothedRttUs: number | undefined
  readonly latestRttUs: number
  readonly rttVarianceUs: number
  readonly minRttUs: number
  readonly windowBytes: number
  readonly slowStartThresholdBytes: number
  readonly inFlightBytes: number
  /** Whether the last attempt to send found nothing to send, so that acknowledgements do not widen the window. */
  readonly appLimited: boolean
  readonly mtuBytes: number
  readonly packetsLost: number
  /** How often all that was taken for lost turned out to have arrived. */
  readonly spuriousLosses: number
  readonly probeTimeouts: number
  /** Probe time-outs since the peer was heard last, each of which doubles the next one. */
  readonly probesUnanswered: number
}

/** What a connection looks like from outside. */
export interface ConnectionInspection {
  readonly state: ConnectionState
  readonly packetsSent: number
  readonly packetsReceived: number
  readonly packetsLost: number
  readonly spuriousLosses: number
  readonly probeTimeouts: number
  readonly drops: DropStats
  readonly datagramsSent: number
  readonly datagramsReceived: number
  /** Never sent, for want of room in the queue or on the path. */
  readonly datagramsDropped: number
  readonly paths: readonly PathSnapshot[]
}

/**
 * A connection. Call `handle` with what arrives, `handleTimeout` when `nextTimeout` has come, and after either of them
 * and after every other call `poll` until it has nothing more. Events are told to the sink from inside these calls.
 */
export class TransportConnection {
  readonly #core: ConnectionCore
  readonly #transmitter: Transmitter
  readonly #receiver: Receiver
  readonly #pace: HostPace
  #isEstablished = false

  constructor(options: ClientOptions | ServerOptions) {
    const config = options.config ?? DEFAULT_TRANSPORT_CONFIG
    const { role, localId, remoteId, sink, random, routes, nowUs, identity, alpns } = options
    const first = role === 'client' ? remoteId : options.firstId
    const ids = { local: localId, peer: remoteId, first }
    const core = new ConnectionCore(role, ids, config, sink, random, routes, options.routeTo, nowUs)
    if (role === 'client') {
      core.client = new ClientHandshake(identity, options.peer, alpns, parametersOf(config))
      core.crypto[INITIAL].push(core.client.hello)
    }
    this.#core = core
    this.#transmitter = new Transmitter(core)
    this.#receiver = new Receiver(core, identity, alpns, options.resetToken)
    this.#pace = new HostPace(config, random)
  }

  get role(): 'client' | 'server' {
    return this.#core.role
  }

  get state(): ConnectionState {
    return this.#core.state
  }

  /** The path that data takes. */
  get selected(): Path {
    return this.#core.selected
  }

  /** The agreed protocol; '' before. */
  get alpn(): string {
    return this.#core.alpn
  }

  /** The peer, once it has proven who it is. */
  get remoteNode(): NodeId | undefined {
    return this.#core.remoteNode
  }

  /** How long after the arrival of a datagram the host gets round to answering it; whoever drives this has to wait. */
  processingUs(nowUs: number): number {
    const us = this.#pace.processingUs(nowUs)
    const { config, keys, role, state } = this.#core
    if (state !== 'handshaking') return us
    return us + config.handshakeProcessingUs + (role === 'server' && !keys ? config.acceptUs : 0)
  }

  /** Takes a datagram that came along `route`. */
  handle(datagram: unknown, route: Route, nowUs: number): void {
    this.#pace.hear()
    this.#receiver.handle(datagram, route, nowUs)
  }

  /** Whether a packet for nobody is a stateless reset for this connection, so that `handle` ends it. */
  isReset(packet: Packet, route: Route): boolean {
    return this.#core.isReset(packet, route)
  }

  /** The next datagram to send along {@link outgoingRoutes}; undefined when there is none now. */
  poll(nowUs: number): Packet | undefined {
    const { role, state } = this.#core
    // The probes that a client has just asked for go before anything else (noq-proto 1.4, connection/mod.rs:1098).
    if (role === 'server' && state === 'established') this.#probe(nowUs)
    const packet = this.#transmitter.poll(nowUs)
    if (!this.#isEstablished && this.#core.state === 'established') {
      this.#isEstablished = true
      if (this.#core.role === 'client') this.#pace.keepBusy(nowUs + this.#core.config.handoverUs)
    }
    this.#pace.look(nowUs, packet !== undefined)
    return packet
  }

  /** Whether nothing is to be sent, so that `poll` may as well be left out if nothing is due either. */
  isSettled(nowUs: number): boolean {
    return this.#transmitter.settle(nowUs)
  }

  /** Where the datagram that `poll` has just returned goes: more than one route only while shaking hands. */
  get outgoingRoutes(): readonly Route[] {
    return this.#transmitter.routes
  }

  /**
   * When to call `handleTimeout`, in microseconds; Infinity for never. The host's timers are coarse, so that this is later
   * than {@link deadline}; whoever is active anyway when that has passed calls at once.
   *
   * @param deadlineUs where it is known already
   */
  nextTimeout(deadlineUs: number = this.deadline()): number {
    return this.#pace.firesUs(deadlineUs)
  }

  /** When something is due, to the microsecond; Infinity for never. */
  deadline(): number {
    const core = this.#core
    const { nat, paths } = core
    let atUs = core.idleTimerUs
    if (core.closeTimerUs < atUs) atUs = core.closeTimerUs
    if (nat && nat.timerUs < atUs) atUs = nat.timerUs
    if (core.others.areKnown) {
      const { selected, others } = core
      if (paths.length > 1 && selected.idleTimerUs < atUs) atUs = selected.idleTimerUs
      return Math.min(atUs, selected.deadlineUs, others.deadlineUs)
    }
    for (let i = 0; i < paths.length; i++) {
      const path = paths[i] as Path
      if (paths.length > 1 && path.idleTimerUs < atUs) atUs = path.idleTimerUs
      const pathUs = path.deadlineUs
      if (pathUs < atUs) atUs = pathUs
    }
    for (const path of core.abandoned) atUs = Math.min(atUs, path.drainTimerUs, path.lossTimerUs)
    return atUs
  }

  /** Does what has become due. */
  handleTimeout(nowUs: number): void {
    const core = this.#core
    if (core.closeTimerUs <= nowUs) {
      core.drain()
      return
    }
    if (core.idleTimerUs <= nowUs) {
      core.onIdle()
      return
    }
    this.#probe(nowUs)
    const { paths, selected, others } = core
    if (others.areKnown && nowUs < others.deadlineUs && nowUs < selected.idleTimerUs) {
      this.#handlePathTimeout(selected, nowUs)
      return
    }
    others.disturb()
    // Ending one changes the list.
    const due = paths.length > 1 && paths.some((path) => path.idleTimerUs <= nowUs) ? paths.slice() : paths
    for (const path of due) {
      if (core.paths.length > 1 && path.idleTimerUs <= nowUs) core.multipath.close(path, nowUs)
      else this.#handlePathTimeout(path, nowUs)
    }
    if (core.abandoned.length > 0) core.multipath.handleTimeout(nowUs)
  }

  /** The probes of other ways to the peer that are due. */
  #probe(nowUs: number): void {
    const { controls, multipath, nat } = this.#core
    if (nat && nat.timerUs <= nowUs) controls.unshift(...nat.handleTimeout(nowUs, multipath.isGoodEnough))
  }

  #handlePathTimeout(path: Path, nowUs: number): void {
    const core = this.#core
    if (path.challengeTimerUs <= nowUs) path.onChallengeLost()
    if (path.keepAliveTimerUs <= nowUs) {
      path.keepAliveTimerUs = NEVER
      path.data.pingPending = true
    }
    if (path.lossTimerUs <= nowUs) core.recovery.onTimer(path, nowUs)
    if (path.pacingTimerUs <= nowUs) path.pacingTimerUs = NEVER
    if (path.data.acks.deadlineUs <= nowUs) path.data.acks.onDeadline()
  }

  /** Adds `ip:port`s at which the peer may find this side, for a better path than one over a relay. */
  addCandidates(addresses: readonly string[], nowUs: number): void {
    this.#core.multipath.addCandidates(addresses, nowUs)
  }

  /** This side is somewhere else: the peer may find it at `addresses` and nowhere else. */
  onNetworkChange(addresses: readonly string[], nowUs: number): void {
    this.#core.multipath.onNetworkChange(addresses, nowUs)
  }

  /** Opens a stream without a round trip; undefined while the peer allows no more of them. */
  openStream(bidi: boolean): number | undefined {
    return this.#core.state === 'established' ? this.#core.streams.open(bidi) : undefined
  }

  /** Copies bytes from `from` on, and says how many; when not all, `onStreamWritable` follows. */
  write(streamId: number, bytes: Uint8Array, from: number = 0): number {
    return this.#core.isOver ? 0 : this.#core.streams.write(streamId, bytes, from)
  }

  /** Ends what this side sends on a stream. */
  finish(streamId: number): void {
    if (!this.#core.isOver) this.#core.streams.finish(streamId)
  }

  /** Abandons what this side sends on a stream. */
  reset(streamId: number, code: number): void {
    if (!this.#core.isOver) this.#core.streams.reset(streamId, code)
  }

  /** Says that no more of what the peer sends is wanted. */
  stop(streamId: number, code: number): void {
    if (!this.#core.isOver) this.#core.streams.stop(streamId, code)
  }

  /** At most `maxBytes`, the caller's to keep; undefined when there are none yet, null when there will be none. */
  read(streamId: number, maxBytes: number): Uint8Array | null | undefined {
    return this.#core.streams.read(streamId, maxBytes)
  }

  /**
   * Queues a copy of a datagram; false when it is larger than {@link maxDatagramBytes} or the connection is not
   * established. It is sent once, when the congestion window allows, and never again.
   */
  sendDatagram(bytes: Uint8Array): boolean {
    const core = this.#core
    if (core.state !== 'established' || bytes.length > this.maxDatagramBytes()) return false
    core.datagrams.push(bytes)
    return true
  }

  /** The largest datagram that the path in use carries now; it follows the path's MTU. */
  maxDatagramBytes(): number {
    return maxDatagramBytes(this.#core.selected.mtuBytes)
  }

  /** Ends the connection; the peer is told the code (0..2^53-1) and as much of the reason as fits. */
  close(code: number, reason: string, nowUs: number): void {
    this.#core.close('local', true, code, reason, nowUs)
  }

  /** Whether frames about streams wait to be sent, as after a `read` that freed enough of the peer's credit. */
  get hasNews(): boolean {
    return !this.#core.streams.controls.isEmpty
  }

  /** Whether no stream is open in either direction. */
  get isIdle(): boolean {
    return this.#core.streams.isIdle
  }

  /** Whether there is nothing more to do for it, so that it can be forgotten. */
  get isDrained(): boolean {
    return this.#core.state === 'drained'
  }

  /** Whether the peer, too, knows that it is over. */
  get isEndKnown(): boolean {
    return this.#core.state === 'draining' || this.#core.state === 'drained'
  }

  /** A picture of everything that decides what it does next. */
  inspect(): ConnectionInspection {
    const core = this.#core
    return {
      state: core.state,
      packetsSent: core.packetsSent,
      packetsReceived: core.packetsReceived,
      packetsLost: core.recovery.stats.lostPackets,
      spuriousLosses: core.recovery.stats.spuriousLosses,
      probeTimeouts: core.recovery.stats.probeTimeouts,
      drops: core.drops,
      datagramsSent: core.datagrams.sent,
      datagramsReceived: core.datagrams.received,
      datagramsDropped: core.datagrams.dropped,
      paths: core.paths.map((path) => pathState(path, path === core.selected)),
    }
  }
}

function pathState(path: Path, selected: boolean): PathSnapshot {
  return {
    id: path.id,
    routes: path.routes,
    selected,
    open: path.isOpen,
    smoothedRttUs: path.rtt.hasSample ? path.rtt.smoothedUs : undefined,
    latestRttUs: path.rtt.latestUs,
    rttVarianceUs: path.rtt.varianceUs,
    minRttUs: path.rtt.minUs,
    windowBytes: path.congestion.windowBytes,
    slowStartThresholdBytes: path.congestion.slowStartThresholdBytes,
    inFlightBytes: path.inFlightBytes,
    appLimited: path.appLimited,
    mtuBytes: path.mtuBytes,
    packetsLost: path.lostPackets,
    spuriousLosses: path.spuriousLosses,
    probeTimeouts: path.probeTimeouts,
    probesUnanswered: path.probeCount,
  }
}
