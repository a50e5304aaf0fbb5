/**
 * The state of a connection that sending and receiving share, and what happens to it as a whole: establishing, closing,
 * falling silent.
 *
 * @module
 */
import type { NodeId } from '../../core/node-id.ts'
import type { RandomStream } from '../kernel.ts'
import type { TransportConfig } from './config.ts'
import { Datagrams, maxDatagramBytes } from './datagrams.ts'
import { cutReason } from './frames.ts'
import type { CloseFrame, ControlFrame } from './frames.ts'
import { ClientHandshake } from './handshake.ts'
import type { HandshakeMessage, ServerHandshake, TransportParameters } from './handshake.ts'
import { NatTraversal } from './nat-traversal.ts'
import type { SessionKeys } from './identity.ts'
import { DATA, HANDSHAKE, INITIAL } from './packet.ts'
import type { PacketKey, PacketKind } from './packet.ts'
import type { SentPacket } from './packet-space.ts'
import { Path } from './path.ts'
import type { Route } from './path.ts'
import { Recovery } from './recovery.ts'
import type { RecoveryHost, WindowChange } from './recovery.ts'
import { DropStats } from './sink.ts'
import type { ConnectionState, TransportSink } from './sink.ts'
import { OtherPaths } from './other-paths.ts'
import { Streams } from './streams.ts'

const NEVER = Number.POSITIVE_INFINITY
/** How long a closed connection answers to what was under way (RFC 9000, 10.2), in probe time-outs. */
const DRAIN_TIMEOUTS = 3

/** Paths a connection may have at a time. */
const MAX_PATHS = 8

/** The shared state. */
export class ConnectionCore implements RecoveryHost {
  readonly role: 'client' | 'server'
  readonly config: TransportConfig
  readonly sink: TransportSink
  readonly random: RandomStream
  /** The connection id that the peer's packets carry. */
  readonly localId: number
  /** The connection id for packets to the peer. */
  peerId: number
  /** The client's first choice of the server's id, which its Initial packets carry until it knows the server's own. */
  readonly firstId: number
  state: ConnectionState = 'handshaking'
  readonly streams: Streams
  readonly datagrams: Datagrams
  readonly recovery: Recovery
  readonly paths: Path[]
  /** The path that data takes. */
  selected: Path
  client: ClientHandshake | undefined
  server: ServerHandshake | undefined
  keys: SessionKeys | undefined
  alpn = ''
  remoteNode: NodeId | undefined
  /** Servers that could not prove to be the right one. */
  impostors: Set<number> | undefined
  /** Handshake messages to send, for the first time or again. */
  readonly crypto: Record<typeof INITIAL | typeof HANDSHAKE, HandshakeMessage[]> = { [INITIAL]: [], [HANDSHAKE]: [] }
  isConfirmed = false
  /** Frames about the connection and its paths that wait to be sent. */
  readonly controls: ControlFrame[] = []
  /** More of them that other parts of a node bring a moment later, so that they miss the datagrams sent at once. */
  readonly laterControls: ControlFrame[] = []
  /** The search for better paths; undefined where there is none. */
  readonly nat: NatTraversal | undefined
  /** What is known of the paths that data does not take. */
  readonly others: OtherPaths = new OtherPaths()
  readonly #candidates: string[] = []
  /** The highest path number used. */
  #lastPathId = 0
  peerMaxAckDelayUs: number
  idleTimeoutUs: number
  idleTimerUs: number = NEVER
  closeTimerUs: number = NEVER
  /** The first packet sent after one was received counts as a sign of life, later ones do not. */
  #mayExtendIdle = true
  closeFrame: CloseFrame | undefined
  closePending = false
  readonly drops: DropStats = new DropStats()
  packetsSent = 0
  packetsReceived = 0

  constructor(
    role: 'client' | 'server',
    ids: { readonly local: number; readonly peer: number; readonly first: number },
    config: TransportConfig,
    sink: TransportSink,
    random: RandomStream,
    routes: readonly Route[],
    routeTo: ((address: string) => Route) | undefined,
    nowUs: number,
  ) {
    this.role = role
    this.localId = ids.local
    this.peerId = ids.peer
    this.firstId = ids.first
    this.config = config
    this.sink = sink
    this.random = random
    this.streams = new Streams(role, config, sink)
    this.datagrams = new Datagrams(config.datagramQueueBytes)
    this.recovery = new Recovery(this)
    const path = new Path(0, routes, config, nowUs, random)
    // Only a server may be lured into flooding a third party.
    path.validated = role === 'client'
    this.paths = [path]
    this.selected = path
    this.peerMaxAckDelayUs = config.maxAckDelayUs
    this.idleTimeoutUs = config.idleTimeoutUs
    this.nat = routeTo && new NatTraversal(role, config.initialRttUs, routeTo, () => random.nextU32())
    this.extendIdle(nowUs)
  }

  get isOver(): boolean {
    return this.state === 'closing' || this.state === 'draining' || this.state === 'drained'
  }

  get hasHandshakeKeys(): boolean {
    return this.keys !== undefined
  }

  get peerHasValidatedUs(): boolean {
    if (this.role === 'server' || this.isConfirmed || this.isOver) return true
    const path = this.paths[0]
    if (!path) return true
    return path.data.largestAcked >= 0 || (path.space(HANDSHAKE)?.largestAcked ?? -1) >= 0
  }

  /** The key for packets of a kind from this side; undefined when there is none (yet), or none is needed. */
  sealingKey(kind: PacketKind): PacketKey | undefined {
    return key(this.keys, kind, this.role === 'client')
  }

  /** The key for packets of a kind from the peer. */
  openingKey(kind: PacketKind): PacketKey | undefined {
    return key(this.keys, kind, this.role === 'server')
  }

  /** Whether packets of this kind can be sealed or opened at all. */
  hasKeys(kind: PacketKind): boolean {
    return kind === INITIAL || this.keys !== undefined
  }

  /** The path with this number. */
  path(id: number): Path | undefined {
    for (const path of this.paths) if (path.id === id) return path
    return undefined
  }

  /** Takes over what the peer has said of its limits. */
  setPeerParameters(parameters: TransportParameters): void {
    this.idleTimeoutUs = Math.min(this.config.idleTimeoutUs, parameters.idleTimeoutUs)
    this.peerMaxAckDelayUs = parameters.maxAckDelayUs
    this.streams.setPeerParameters(parameters)
  }

  /** The handshake is done. */
  establish(nowUs: number): void {
    this.state = 'established'
    this.extendKeepAlive(this.selected, nowUs)
    this.#search(nowUs)
    this.sink.onConnected()
  }

  /** A sign of life from the peer. */
  onAuthenticated(path: Path, nowUs: number): void {
    this.packetsReceived++
    this.extendKeepAlive(path, nowUs)
    this.extendIdle(nowUs)
    path.idleTimerUs = nowUs + this.config.pathIdleTimeoutUs * (path.kind === 'relay' ? 2 : 1)
    this.#mayExtendIdle = true
  }

  /** A packet was sent. */
  onSent(path: Path, eliciting: boolean, nowUs: number): void {
    this.packetsSent++
    this.extendKeepAlive(path, nowUs)
    if (!eliciting || !this.#mayExtendIdle) return
    this.#mayExtendIdle = false
    this.extendIdle(nowUs)
  }

  extendIdle(nowUs: number): void {
    if (this.isOver) return
    this.idleTimerUs = nowUs + Math.max(this.idleTimeoutUs, DRAIN_TIMEOUTS * this.probeTimeoutUs())
  }

  extendKeepAlive(path: Path, nowUs: number): void {
    if (this.state === 'established') path.keepAliveTimerUs = nowUs + this.config.keepAliveUs
  }

  /** This side is somewhere else: all is measured anew, and the peer may find it at `addresses` and nowhere else. */
  onNetworkChange(addresses: readonly string[], nowUs: number): void {
    this.others.disturb()
    this.#candidates.length = 0
    this.#candidates.push(...addresses)
    if (this.state !== 'established') return
    const hasRelay = this.paths.some((path) => path.kind === 'relay' && path.isOpen)
    for (const path of this.paths.slice()) {
      if (path.kind === 'direct' && hasRelay) {
        this.closePath(path, nowUs, true)
        continue
      }
      path.forgetMeasurements(this.config, nowUs)
      path.challengesSent = 0
      path.challengePending = path.kind === 'direct'
      path.data.pingPending = true
    }
    if (this.nat) this.controls.push(...this.nat.replaceLocal(this.#candidates, nowUs))
    this.#search(nowUs)
    this.sink.onPathsChanged()
  }

  /** Adds addresses where the peer may find this side; it is told of them when a better path is wanted. */
  addCandidates(addresses: readonly string[], nowUs: number): void {
    for (const address of addresses) if (!this.#candidates.includes(address)) this.#candidates.push(address)
    if (this.state === 'established') this.#search(nowUs)
  }

  /** Opens another path along `route`, which must still be shown to work; undefined when there are too many. */
  openPath(id: number, route: Route, nowUs: number): Path | undefined {
    const known = this.paths.find((path) => path.routes.includes(route))
    if (known || this.paths.length >= MAX_PATHS || id <= this.#lastPathId) return known
    const path = new Path(id, [route], this.config, nowUs, this.random)
    this.#lastPathId = id
    this.others.disturb()
    path.challengePending = true
    path.validated = this.role === 'client' || (this.nat?.hasReached(route) ?? false)
    path.idleTimerUs = nowUs + this.config.pathIdleTimeoutUs
    this.paths.push(path)
    return path
  }

  /** The number for another path; the client gives them out. */
  get nextPathId(): number {
    return this.#lastPathId + 1
  }

  /** The peer has answered on a path: it works both ways. */
  onPathProven(path: Path, nowUs: number): void {
    this.others.disturb()
    path.guessRtt(nowUs - path.challengeSentUs)
    path.challengeToken = -1
    path.challengeTimerUs = NEVER
    path.validated = true
    path.proven = true
    const before = this.selected
    this.#select(nowUs)
    if (this.selected === before) this.sink.onPathsChanged()
  }

  /** The client is somewhere else: a path goes on there, with little until it has answered (RFC 9000, 9.3). */
  migrate(path: Path, route: Route, nowUs: number): void {
    this.others.disturb()
    path.routes = [route]
    path.forgetMeasurements(this.config, nowUs)
    path.validated = false
    path.receivedBytes = 0
    path.sentBytes = 0
    path.challengePending = true
    path.challengesSent = 0
    this.sink.onPathsChanged()
  }

  /**
   * A challenge on a path has gone unanswered: another one, as long as the path is there. It is idleness that ends a path,
   * and the last one is not ended: the peer may get there later than anybody had thought.
   */
  onChallengeLost(path: Path): void {
    path.challengeTimerUs = NEVER
    path.challengePending = true
  }

  /** Gives up a path: what was on its way along it goes again along another. */
  closePath(path: Path, nowUs: number, tell: boolean): void {
    const index = this.paths.indexOf(path)
    if (index < 0 || this.paths.length === 1) return
    this.paths.splice(index, 1)
    this.others.disturb()
    path.stopTimers()
    for (let number = path.data.sent.from; number < path.data.sent.to; number++) {
      const packet = path.data.sent.take(number)
      if (packet) this.onPacketLost(DATA, packet)
    }
    if (tell) this.controls.push({ type: 'path-abandon', pathId: path.id })
    this.#select(nowUs)
    this.sink.onPathsChanged()
  }

  /**
   * Any direct path is better than one over a relay; among equals another one must be better by 5 ms to be worth the
   * change, of which IPv6 is given 3 (iroh, RTT_SWITCHING_MIN and IPV6_RTT_ADVANTAGE).
   */
  #select(nowUs: number): void {
    let best: Path | undefined = this.paths.includes(this.selected) && this.selected.isOpen ? this.selected : undefined
    for (const path of this.paths) if (path.isOpen && isBetter(path, best)) best = path
    if (best && best !== this.selected) {
      this.selected = best
      this.others.disturb()
      this.datagrams.dropLargerThan(maxDatagramBytes(best.mtuBytes))
      this.sink.onPathsChanged()
    }
    this.#search(nowUs)
    // One direct path is enough to keep alive; the client decides which, so that not each side closes another.
    if (this.role === 'server' || this.selected.kind === 'relay') return
    for (const path of this.paths.slice()) {
      if (path !== this.selected && path.kind === 'direct' && path.isOpen) this.closePath(path, nowUs, true)
    }
  }

  /** Tells the peer where else this side may be found, and looks for a direct path while there is none. */
  #search(nowUs: number): void {
    if (!this.nat) return
    this.nat.want(this.selected.kind === 'relay', nowUs)
    this.laterControls.push(...this.nat.addLocal(this.#candidates, nowUs))
  }

  /** The longest probe time-out of any path. */
  probeTimeoutUs(): number {
    const { others, recovery, selected } = this
    if (others.areKnown) return Math.max(others.probeTimeoutUs, recovery.probeTimeoutUs(selected))
    let longestUs = 0
    for (const path of this.paths) longestUs = Math.max(longestUs, recovery.probeTimeoutUs(path))
    return longestUs
  }

  /** Ends the connection from this side; the peer is told. */
  close(by: 'local' | 'transport', application: boolean, code: number, reason: string, nowUs: number): void {
    if (this.isOver) return
    const text = cutReason(reason)
    this.closeFrame = { type: 'close', application, code, reason: text }
    this.#end('closing', nowUs)
    this.sink.onClosed({ by, application, code, reason: text })
  }

  /** The peer has ended the connection. */
  onPeerClose(frame: CloseFrame, nowUs: number): void {
    if (this.state === 'closing') {
      // Both sides know now: nothing more is sent.
      this.state = 'draining'
      this.closePending = false
      return
    }
    if (this.isOver) return
    this.closeFrame = { type: 'close', application: false, code: 0, reason: '' }
    this.#end('draining', nowUs)
    this.sink.onClosed({ by: 'remote', application: frame.application, code: frame.code, reason: frame.reason })
  }

  /** The peer has fallen silent: there is nobody to tell. */
  onIdle(): void {
    this.state = 'drained'
    this.#stopTimers()
    const reason = `no sign of life from the peer for ${this.idleTimeoutUs / 1_000_000} s`
    this.sink.onClosed({ by: 'transport', application: false, code: 0, reason, afterUs: this.idleTimeoutUs })
  }

  /** Forgets everything at once, and tells nobody. */
  drain(): void {
    this.state = 'drained'
    this.closePending = false
    this.#stopTimers()
  }

  onPacketAcked(kind: PacketKind, packet: SentPacket): void {
    const { acks, streams, controls } = packet.body
    for (let ack = acks; ack; ack = ack.next) {
      this.path(ack.pathId)?.space(kind)?.acks.onAckAcknowledged(ack.largest)
    }
    if (streams) this.streams.onFramesAcked(streams)
    if (controls) for (const frame of controls) this.streams.onControlAcked(frame)
  }

  onLossFound(path: Path, kind: PacketKind, packet: SentPacket): void {
    this.sink.onPacketLost?.(path.id, kind, packet.number, packet.sizeBytes)
  }

  onProbe(path: Path): void {
    this.sink.onProbe?.(path.id, path.probeCount)
  }

  onWindowChange(path: Path, why: WindowChange): void {
    this.sink.onWindowChange?.(path.id, path.congestion.windowBytes, path.congestion.slowStartThresholdBytes, why)
  }

  onMtuChange(path: Path): void {
    this.sink.onMtuChange?.(path.id, path.mtuBytes)
    path.congestion.onMtu(path.mtuBytes)
    if (path === this.selected) this.datagrams.dropLargerThan(maxDatagramBytes(path.mtuBytes))
  }

  onPacketLost(kind: PacketKind, packet: SentPacket): void {
    const { streams, controls } = packet.body
    if (streams) this.streams.onFramesLost(streams)
    if (controls && !packet.controlsTaken) for (const frame of controls) this.requeue(kind, frame)
  }

  /** Sends a control frame again, where it still says something; false for those that are never sent again. */
  requeue(kind: PacketKind, frame: ControlFrame): boolean {
    switch (frame.type) {
      case 'crypto':
        if (kind !== DATA) this.crypto[kind].push(frame.message)
        return true
      case 'handshake-done':
      case 'path-abandon':
      case 'add-address':
      case 'remove-address':
      case 'reach-out':
      case 'new-ids':
      case 'new-tokens':
      case 'observed-address':
        this.controls.push(frame)
        return true
      case 'reset-stream':
      case 'stop-sending':
      case 'max-data':
      case 'max-stream-data':
      case 'max-streams':
        this.streams.onControlLost(frame)
        return true
      default:
        return false
    }
  }

  #end(state: 'closing' | 'draining', nowUs: number): void {
    const drainUs = DRAIN_TIMEOUTS * this.probeTimeoutUs()
    this.state = state
    this.closePending = true
    this.#stopTimers()
    this.closeTimerUs = nowUs + drainUs
  }

  #stopTimers(): void {
    this.idleTimerUs = NEVER
    this.closeTimerUs = NEVER
    if (this.nat) this.nat.timerUs = NEVER
    this.others.disturb()
    for (const path of this.paths) path.stopTimers()
  }
}

const SWITCH_GAIN_US = 5_000
const IPV6_ADVANTAGE_US = 3_000

/** Whether data should rather take `path` than the one it takes. */
export function isBetter(path: Path, than: Path | undefined): boolean {
  if (!than || path === than) return !than
  if (path.kind !== than.kind) return path.kind === 'direct'
  return biasedRttUs(path) + SWITCH_GAIN_US <= biasedRttUs(than)
}

function biasedRttUs({ rtt, routes }: Path): number {
  return rtt.smoothedUs - (routes[0]?.address.startsWith('[') === true ? IPV6_ADVANTAGE_US : 0)
}

function key(keys: SessionKeys | undefined, kind: PacketKind, clientsOwn: boolean): PacketKey | undefined {
  if (!keys || kind === INITIAL) return undefined
  if (kind === DATA) return clientsOwn ? keys.clientData : keys.serverData
  return clientsOwn ? keys.clientHandshake : keys.serverHandshake
}
