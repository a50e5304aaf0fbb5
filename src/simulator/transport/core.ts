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
import { Multipath } from './multipath.ts'
import { NatTraversal } from './nat-traversal.ts'
import type { SessionKeys } from './identity.ts'
import { DATA, HANDSHAKE, INITIAL } from './packet.ts'
import type { Packet, PacketKey, PacketKind } from './packet.ts'
import type { SentPacket } from './packet-space.ts'
import { Path } from './path.ts'
import type { Route } from './path.ts'
import { Recovery } from './recovery.ts'
import type { RecoveryHost, WindowChange } from './recovery.ts'
import type { ResetToken } from './reset.ts'
import { DropStats } from './sink.ts'
import type { ConnectionState, TransportSink } from './sink.ts'
import { OtherPaths } from './other-paths.ts'
import { Streams } from './streams.ts'

const NEVER = Number.POSITIVE_INFINITY
/** How long a closed connection answers to what was under way (RFC 9000, 10.2), in probe time-outs. */
const DRAIN_TIMEOUTS = 3

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
  /** What is done with the paths, seldom; the fields below are what each packet looks at. */
  readonly multipath: Multipath = new Multipath(this)
  readonly paths: Path[]
  /** Those that were given up, until what was sent along them is taken for lost; mostly none. */
  readonly abandoned: Path[] = []
  /** The path that data takes. */
  selected: Path
  client: ClientHandshake | undefined
  server: ServerHandshake | undefined
  keys: SessionKeys | undefined
  /** What a stateless reset from the peer shows; undefined where none is believed. */
  resetToken: ResetToken | undefined
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

  /** The path with this number, given up or not. */
  path(id: number): Path | undefined {
    for (const path of this.paths) if (path.id === id) return path
    for (const path of this.abandoned) if (path.id === id) return path
    return undefined
  }

  /**
   * Whether a packet is the peer's word that it no longer knows this connection. Only what answers a packet on the first
   * path is believed, and only from where that leads: noq compares no other token (noq-proto 1.4, connection/mod.rs:4261).
   */
  isReset(packet: Packet, route: Route): boolean {
    if (!this.resetToken || !packet.isReset(this.resetToken)) return false
    const first = this.path(0)
    return first?.isAbandoned === false && first.routes.includes(route)
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
    this.multipath.search(nowUs)
    this.sink.onConnected()
  }

  /** A sign of life from the peer. */
  onAuthenticated(path: Path, nowUs: number): void {
    this.packetsReceived++
    this.extendIdle(nowUs)
    this.#mayExtendIdle = true
    if (path.isAbandoned) return
    this.extendKeepAlive(path, nowUs)
    path.idleTimerUs = nowUs + this.config.pathIdleTimeoutUs * (path.kind === 'relay' ? 2 : 1)
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

  /** The longest probe time-out of any path, of those that were given up too (noq-proto 1.4, connection/mod.rs:3771). */
  probeTimeoutUs(): number {
    const { others, recovery, selected } = this
    if (others.areKnown) return Math.max(others.probeTimeoutUs, recovery.probeTimeoutUs(selected))
    let longestUs = 0
    for (const path of this.paths) longestUs = Math.max(longestUs, recovery.probeTimeoutUs(path))
    for (const path of this.abandoned) longestUs = Math.max(longestUs, recovery.probeTimeoutUs(path))
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

  /** The peer no longer knows the connection: there is nobody to tell, and nothing to wait for. */
  onReset(): void {
    const wasOver = this.isOver
    this.drain()
    if (wasOver) return
    const reason = 'the peer no longer knows this connection: it may have restarted'
    this.sink.onClosed({ by: 'transport', application: false, code: 0, reason })
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
    for (const path of this.abandoned) path.stopTimers()
  }
}

function key(keys: SessionKeys | undefined, kind: PacketKind, clientsOwn: boolean): PacketKey | undefined {
  if (!keys || kind === INITIAL) return undefined
  if (kind === DATA) return clientsOwn ? keys.clientData : keys.serverData
  return clientsOwn ? keys.clientHandshake : keys.serverHandshake
}
