/**
 * Takes datagrams apart: authentication, duplicates, and what each frame does.
 *
 * @module
 */
import type { ConnectionCore } from './core.ts'
import { NEW_ID_BYTES, NEW_PATH_ID_BYTES, TransportErrorCode } from './frames.ts'
import type { AckFrame, ControlFrame } from './frames.ts'
import {
  areValid,
  ClientFlight,
  ClientHello,
  negotiate,
  parametersOf,
  ServerFlight,
  ServerHandshake,
  ServerHello,
} from './handshake.ts'
import type { HandshakeMessage, TransportParameters } from './handshake.ts'
import type { Identity } from './identity.ts'
import { DATA, HANDSHAKE, INITIAL, Packet } from './packet.ts'
import type { PacketBody, PacketKind } from './packet.ts'
import type { Path, Route } from './path.ts'
import type { ResetToken } from './reset.ts'

/** TLS alert `bad_certificate` (RFC 9001, 4.8). */
const BAD_CERTIFICATE = 0x12a

/** Whether a packet says nothing but that there might be a path (RFC 9000, 9.1). */
function isProbing(body: PacketBody): boolean {
  if (body.acks || body.streams || body.datagrams) return false
  return body.controls?.every(({ type }) => type === 'path-challenge' || type === 'path-response') ?? true
}

// Connection ids that a side gives the other after the handshake: four for the first path, five for each of seven more.
// How many of them there are follows from the sizes of the packets that were measured.
const IDS_OF_FIRST_PATH = 4
const CLIENT_IDS = Object.freeze({ type: 'new-ids', count: 36, bytesEach: NEW_PATH_ID_BYTES } as const)
const SERVER_IDS: ControlFrame = Object.freeze({ type: 'new-ids', count: 33, bytesEach: NEW_PATH_ID_BYTES })

/** Handles what one connection receives. */
export class Receiver {
  readonly #core: ConnectionCore
  readonly #identity: Identity
  /** The protocols a server accepts. */
  readonly #alpns: readonly string[]
  /** What this side's endpoint will show the peer when it has forgotten the connection. */
  readonly #resetToken: ResetToken | undefined

  constructor(core: ConnectionCore, identity: Identity, alpns: readonly string[], resetToken: ResetToken | undefined) {
    this.#core = core
    this.#identity = identity
    this.#alpns = alpns
    this.#resetToken = resetToken
  }

  /** Handles a datagram that came along `route`. Whatever is not for this connection is dropped and counted. */
  handle(datagram: unknown, route: Route, nowUs: number): void {
    const core = this.#core
    if (!Packet.is(datagram)) {
      core.drops.unauthenticated++
      return
    }
    const first = core.paths[0] as Path
    if (core.state === 'handshaking') first.receivedBytes += datagram.datagramBytes
    for (let packet: Packet | undefined = datagram; packet; packet = packet.next) {
      if (core.state === 'drained') return
      this.#handlePacket(packet, route, nowUs)
    }
  }

  #handlePacket(packet: Packet, route: Route, nowUs: number): void {
    const core = this.#core
    const { kind } = packet
    if (!this.#isForUs(packet)) {
      if (core.isReset(packet, route)) core.onReset()
      else core.drops.foreign++
      return
    }
    if (!core.hasKeys(kind) || (kind === DATA && core.state === 'handshaking')) {
      core.drops.untimely++
      return
    }
    const body = packet.open(core.openingKey(kind))
    if (!body) {
      core.drops.unauthenticated++
      return
    }
    const path = kind === DATA ? this.#pathOf(body, route, nowUs) : core.paths[0]
    const space = path?.space(kind)
    if (!path || !space) {
      core.drops.untimely++
      return
    }
    if (path !== core.selected) core.others.disturb()
    if (!space.acks.register(body.number, nowUs)) {
      core.drops.duplicate++
      return
    }
    if (core.isOver) {
      this.#handleLate(body, nowUs)
      return
    }
    core.onAuthenticated(path, nowUs)
    if (kind === DATA) {
      this.#handleFrames(path, body, route, nowUs)
      if (!path.validated && path.routes.includes(route)) path.receivedBytes += packet.sizeBytes
    } else {
      this.#handleHandshakePacket(path, kind, packet.sourceId, body, route, nowUs)
    }
  }

  /** The path of a packet; one that the client opens with it, where it is new. */
  #pathOf(body: PacketBody, route: Route, nowUs: number): Path | undefined {
    const core = this.#core
    const path = core.path(body.pathId)
    if (path || core.role === 'client' || core.isOver || body.pathId < core.multipath.nextId) return path
    const opened = core.multipath.open(body.pathId, route, nowUs)
    return opened?.id === body.pathId ? opened : undefined
  }

  /** Whether the connection ids are those of this connection and its peer. */
  #isForUs(packet: Packet): boolean {
    const core = this.#core
    const { destinationId, kind, sourceId } = packet
    if (kind === DATA) return destinationId === core.localId
    if (core.role === 'server') {
      return sourceId === core.peerId && (destinationId === core.localId || destinationId === core.firstId)
    }
    if (destinationId !== core.localId || core.impostors?.has(sourceId) === true) return false
    // The first server to answer is the one, unless it turns out to be the wrong one.
    return sourceId === core.peerId || (kind === INITIAL && core.peerId === core.firstId)
  }

  /** What still arrives after the end: the peer's own close, or a reason to tell it again. */
  #handleLate(body: PacketBody, nowUs: number): void {
    const close = body.controls?.find((frame) => frame.type === 'close')
    if (close) this.#core.onPeerClose(close, nowUs)
    else if (this.#core.state === 'closing') this.#core.closePending = true
  }

  #handleHandshakePacket(
    path: Path,
    kind: typeof INITIAL | typeof HANDSHAKE,
    sourceId: number,
    body: PacketBody,
    route: Route,
    nowUs: number,
  ): void {
    const core = this.#core
    if (core.role === 'client') {
      core.peerId = sourceId
    } else if (kind === HANDSHAKE) {
      // Only the real client can have made this packet, and it knows what was sent to its address.
      if (!path.validated) {
        path.validated = true
        path.routes = [route]
      }
      path.discardSpace(INITIAL)
    }
    if (!this.#handleAcks(kind, body.acks, nowUs)) return
    for (const frame of body.controls ?? []) {
      if (frame.type === 'close') {
        if (!this.#isRefusedByStranger(path, route, nowUs)) core.onPeerClose(frame, nowUs)
        return
      }
      if (frame.type === 'crypto') this.#handleMessage(path, kind, frame.message, route, nowUs)
      if (core.isOver || path.space(kind) === undefined) return
    }
    const space = path.space(kind)
    if (!space) return
    space.acks.received(body.number, body.eliciting, nowUs)
    space.acks.deadlineUs = Number.POSITIVE_INFINITY
    if (body.eliciting) space.acks.requireImmediate()
  }

  #handleMessage(path: Path, kind: PacketKind, message: HandshakeMessage, route: Route, nowUs: number): void {
    const core = this.#core
    if (core.role === 'server') {
      if (kind === INITIAL && message instanceof ClientHello) this.#onClientHello(message, nowUs)
      if (kind === HANDSHAKE && message instanceof ClientFlight) this.#onClientFlight(path, message, nowUs)
    } else {
      if (kind === INITIAL && message instanceof ServerHello) {
        core.client?.onServerHello(message)
        core.keys = core.client?.keys
      }
      if (kind === HANDSHAKE && message instanceof ServerFlight) this.#onServerFlight(path, message, route, nowUs)
    }
  }

  #onClientHello(message: ClientHello, nowUs: number): void {
    const core = this.#core
    if (core.server || this.#refuses(message.parameters, nowUs)) return
    const alpn = negotiate(message.alpns, this.#alpns)
    if (alpn === undefined) {
      const reason = `no protocol in common: ${message.alpns.join(', ')}`
      core.close('transport', false, TransportErrorCode.noApplicationProtocol, reason, nowUs)
      return
    }
    core.server = new ServerHandshake(this.#identity, message, alpn, parametersOf(core.config), this.#resetToken)
    core.keys = core.server.keys
    core.alpn = alpn
    core.setPeerParameters(message.parameters)
    core.laterControls.push({ type: 'new-ids', count: IDS_OF_FIRST_PATH, bytesEach: NEW_ID_BYTES })
    core.crypto[INITIAL].push(core.server.hello)
    core.crypto[HANDSHAKE].push(core.server.flight)
  }

  #onServerFlight(path: Path, message: ServerFlight, route: Route, nowUs: number): void {
    const core = this.#core
    const client = core.client
    if (!client || core.state !== 'handshaking') return
    const answer = client.onServerFlight(message)
    if (!answer) {
      this.#startOver(path, nowUs)
      return
    }
    if (this.#refuses(message.parameters, nowUs)) return
    core.alpn = message.alpn
    core.remoteNode = client.expected
    core.setPeerParameters(message.parameters)
    core.crypto[HANDSHAKE].push(answer)
    core.resetToken = message.resetToken
    const ids = this.#resetToken ? { ...CLIENT_IDS, resetToken: this.#resetToken } : CLIENT_IDS
    core.laterControls.push(ids, { type: 'observed-address' })
    const relays = route.kind === 'relay' ? [] : path.routes.filter(({ kind }) => kind === 'relay')
    path.routes = [route]
    core.establish(nowUs)
    // Whatever was quicker now, a relay is there to fall back to (iroh, handle_msg_add_connection).
    for (const relay of relays) core.multipath.open(core.multipath.nextId, relay, nowUs)
  }

  /** Ends the connection with a peer that says of itself what cannot be. */
  #refuses(parameters: TransportParameters, nowUs: number): boolean {
    if (areValid(parameters)) return false
    this.#core.close(
      'transport',
      false,
      TransportErrorCode.transportParameter,
      'a transport parameter is invalid',
      nowUs,
    )
    return true
  }

  /**
   * Nobody has to prove anything to refuse a handshake, and at a private address a stranger may live: then the other
   * places are tried on.
   */
  #isRefusedByStranger(path: Path, route: Route, nowUs: number): boolean {
    const core = this.#core
    if (core.role === 'server' || core.state !== 'handshaking' || route.isPrivate !== true) return false
    const others = path.routes.filter((other) => other !== route)
    if (others.length === 0) return false
    path.routes = others
    this.#restart(path, nowUs)
    core.sink.onRefused()
    return true
  }

  /** Whoever has answered is not the peer: as if it had not, and the hello is sent again. */
  #startOver(path: Path, nowUs: number): void {
    this.#restart(path, nowUs)
    this.#core.sink.onImpostor()
  }

  #restart(path: Path, nowUs: number): void {
    const core = this.#core
    const client = core.client
    if (!client) return
    ;(core.impostors ??= new Set()).add(core.peerId)
    core.peerId = core.firstId
    core.keys = undefined
    client.forgetServer()
    path.restartHandshake(core.config, nowUs)
    core.crypto[INITIAL].length = 0
    core.crypto[HANDSHAKE].length = 0
    core.crypto[INITIAL].push(client.hello)
    core.recovery.arm(path, nowUs)
  }

  #onClientFlight(path: Path, message: ClientFlight, nowUs: number): void {
    const core = this.#core
    if (!core.server || core.state !== 'handshaking') return
    const id = core.server.onClientFlight(message)
    if (!id) {
      core.close('transport', false, BAD_CERTIFICATE, 'the client did not prove its identity', nowUs)
      return
    }
    core.remoteNode = id
    core.isConfirmed = true
    core.controls.push({ type: 'handshake-done' }, { type: 'observed-address' }, { type: 'new-tokens', count: 2 })
    core.laterControls.push(SERVER_IDS)
    path.discardSpace(HANDSHAKE)
    core.recovery.arm(path, nowUs)
    core.establish(nowUs)
  }

  #handleFrames(path: Path, body: PacketBody, route: Route, nowUs: number): void {
    const core = this.#core
    if (!this.#handleAcks(DATA, body.acks, nowUs)) return
    if (body.controls) {
      for (const frame of body.controls) {
        const error = this.#handleControl(path, frame, route, nowUs)
        if (error !== 0) {
          core.close('transport', false, error, `the peer broke a rule with ${frame.type}`, nowUs)
        }
        if (core.isOver) return
      }
    }
    for (let frame = body.datagrams; frame; frame = frame.next) {
      core.datagrams.received++
      core.sink.onDatagram(frame.bytes)
    }
    for (let frame = body.streams; frame; frame = frame.next) {
      const error = core.streams.onStreamFrame(frame)
      if (error !== 0) {
        core.close('transport', false, error, `the peer broke a rule of stream ${frame.streamId}`, nowUs)
        return
      }
    }
    path.data.acks.received(body.number, body.eliciting, nowUs)
    if (path.isAbandoned) {
      path.data.acks.deadlineUs = Number.POSITIVE_INFINITY
      if (body.eliciting) path.data.acks.requireImmediate()
      return
    }
    if (core.role === 'server' && !path.routes.includes(route) && route.kind === path.kind) {
      if (body.number === path.data.acks.largest && !isProbing(body)) core.multipath.migrate(path, route, nowUs)
    }
  }

  /** False when the connection is over for it. */
  #handleAcks(kind: PacketKind, first: AckFrame | undefined, nowUs: number): boolean {
    const core = this.#core
    for (let frame = first; frame; frame = frame.next) {
      const path = core.path(frame.pathId)
      if (path !== core.selected) core.others.disturb()
      if (path && !core.recovery.onAck(path, kind, frame, nowUs)) {
        core.close('transport', false, TransportErrorCode.protocolViolation, 'an unsent packet was acknowledged', nowUs)
        return false
      }
    }
    return true
  }

  #onPathResponse(path: Path, token: number, route: Route, nowUs: number): void {
    const core = this.#core
    if (core.nat?.onResponse(token, route)) {
      if (core.role === 'client') core.multipath.open(core.multipath.nextId, route, nowUs)
    } else if (token === path.challengeToken && path.routes.includes(route)) {
      core.multipath.onProven(path, nowUs)
    }
  }

  /** A transport error code, 0 for none. */
  #handleControl(path: Path, frame: ControlFrame, route: Route, nowUs: number): number {
    const core = this.#core
    const { streams } = core
    switch (frame.type) {
      case 'immediate-ack':
        // On whichever path it comes, it is of all of them that acknowledgements are due (noq-proto 1.4, connection/mod.rs:5294).
        for (const each of core.paths) each.data.acks.requireImmediate()
        for (const each of core.abandoned) each.data.acks.requireImmediate()
        if (core.paths.length > 1) core.others.disturb()
        return 0
      case 'handshake-done':
        if (core.role === 'server') return TransportErrorCode.protocolViolation
        if (!core.isConfirmed) {
          core.isConfirmed = true
          path.discardSpace(INITIAL)
          path.discardSpace(HANDSHAKE)
          core.recovery.arm(path, nowUs)
        }
        return 0
      case 'reset-stream':
        return streams.onResetStream(frame.streamId, frame.code, frame.finalSize)
      case 'stop-sending':
        return streams.onStopSending(frame.streamId, frame.code)
      case 'max-data':
        streams.onMaxData(frame.max)
        return 0
      case 'max-stream-data':
        return streams.onMaxStreamData(frame.streamId, frame.max)
      case 'max-streams':
        streams.onMaxStreams(frame.bidi, frame.max)
        return 0
      case 'path-challenge':
        if (!path.routes.includes(route)) {
          core.nat?.onChallenge(route, frame.token)
          return 0
        }
        if (path.isAbandoned) return 0
        // Only the last one is answered. With it goes something that is no mere probe (RFC 9000, 9.3.3).
        path.responseToken = frame.token
        path.data.immediateAckPending = true
        return 0
      case 'path-response':
        this.#onPathResponse(path, frame.token, route, nowUs)
        return 0
      case 'path-abandon':
        core.multipath.onAbandoned(frame.pathId, nowUs)
        return 0
      case 'add-address':
        if (core.role === 'server') return TransportErrorCode.protocolViolation
        core.nat?.onAddAddress(frame.sequence, frame.address, nowUs)
        return 0
      case 'remove-address':
        if (core.role === 'server') return TransportErrorCode.protocolViolation
        core.nat?.onRemoveAddress(frame.sequence)
        return 0
      case 'reach-out':
        if (core.role === 'client') return TransportErrorCode.protocolViolation
        core.nat?.onReachOut(frame.round, frame.address, nowUs)
        return 0
      case 'close':
        core.onPeerClose(frame, nowUs)
        return 0
      case 'new-ids':
        // A server sends to another of the client's ids from now on, the first that has a token.
        core.resetToken ??= frame.resetToken
        return 0
      case 'crypto':
      case 'ping':
      case 'new-tokens':
      case 'observed-address':
        return 0
    }
  }
}
