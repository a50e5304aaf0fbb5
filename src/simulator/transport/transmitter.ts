/**
 * Builds datagrams: what is to be sent, along which path, and whether it may go now.
 *
 * @module
 */
import { MIN_MTU_BYTES } from './config.ts'
import type { ConnectionCore } from './core.ts'
import { controlBytes, TransportErrorCode } from './frames.ts'
import type { CloseFrame, ControlFrame } from './frames.ts'
import { DATA, HANDSHAKE, INITIAL, Packet, PacketBody, packetBytes, packetOverheadBytes } from './packet.ts'
import type { PacketKind } from './packet.ts'
import { SentPacket } from './packet-space.ts'
import type { PacketSpace } from './packet-space.ts'
import { ackFrame, PacketWriter } from './packet-writer.ts'
import type { Probe } from './nat-traversal.ts'
import type { Path, Route } from './path.ts'

const KINDS = [INITIAL, HANDSHAKE, DATA] as const
/** Less room than this is not worth another packet in the same datagram. */
const MIN_PACKET_BYTES = 80
const NO_ROUTES: readonly Route[] = []
/** What a probe of the path's MTU holds, and padding (noq-proto 1.4, connection/mod.rs:1872). */
const MTU_PROBE: readonly ControlFrame[] = Object.freeze([{ type: 'ping' }, { type: 'immediate-ack' }])

/** A packet that is not sealed yet. */
interface Draft {
  readonly kind: PacketKind
  readonly space: PacketSpace
  readonly body: PacketBody
  sizeBytes: number
  /** Padding makes even a packet of acknowledgements count as in flight. */
  padded: boolean
}

/** What a number space has to send: frames that only a congestion window lets through. */
const LIMITED = 1
/** Frames that go without it: probes, acknowledgements, path validation. */
const URGENT = 2

/** Builds the datagrams of one connection. */
export class Transmitter {
  readonly #core: ConnectionCore
  readonly #writer: PacketWriter
  readonly #probeTimeoutUs = (path: Path): number => this.#core.recovery.probeTimeoutUs(path)
  /** Where the last datagram goes. */
  routes: readonly Route[] = NO_ROUTES

  constructor(core: ConnectionCore) {
    this.#core = core
    this.#writer = new PacketWriter(core)
  }

  /** Whether there is nothing to send, as is mostly so for a connection at rest; cheaper than `poll`. */
  settle(nowUs: number): boolean {
    const core = this.#core
    const { paths, abandoned, selected, others } = core
    if (core.state !== 'established' || core.streams.hasData) return false
    const othersRest = others.rest(nowUs)
    if (othersRest) {
      if (!selected.isQuiet(nowUs)) return false
    } else {
      for (let i = 0; i < paths.length; i++) if (!(paths[i] as Path).isQuiet(nowUs)) return false
      for (let i = 0; i < abandoned.length; i++) if ((abandoned[i] as Path).data.acks.due) return false
    }
    if (core.controls.length > 0 || core.laterControls.length > 0 || core.nat?.hasProbes === true) return false
    if (core.datagrams.waiting > 0 || !core.streams.controls.isEmpty) return false
    if (othersRest) {
      selected.appLimited = true
      return true
    }
    for (let i = 0; i < paths.length; i++) (paths[i] as Path).appLimited = true
    if (paths.length > 1 && abandoned.length === 0) others.settle(paths, selected, this.#probeTimeoutUs)
    return true
  }

  /** The next datagram, undefined when there is none to send now. */
  poll(nowUs: number): Packet | undefined {
    const core = this.#core
    if (this.settle(nowUs)) return undefined
    if (core.isOver) return this.#pollClose(nowUs)
    const probe = core.state === 'established' ? core.nat?.nextProbe() : undefined
    if (probe) return this.#sealProbe(probe)
    if (core.others.rest(nowUs)) {
      const packet = this.#pollPath(core.selected, nowUs)
      if (packet) return packet
    } else {
      for (const path of core.paths) {
        const packet = this.#pollPath(path, nowUs)
        if (packet) return packet
      }
    }
    const mtuProbe = core.state === 'established' ? this.#pollMtuProbe(nowUs) : undefined
    if (mtuProbe || core.laterControls.length === 0) return mtuProbe
    core.controls.push(...core.laterControls)
    core.laterControls.length = 0
    return this.poll(nowUs)
  }

  #pollPath(path: Path, nowUs: number): Packet | undefined {
    return path.hasHandshakeSpaces ? this.#pollHandshake(path, nowUs) : this.#pollData(path, nowUs)
  }

  /** Once the handshake is over every datagram is one packet. */
  #pollData(path: Path, nowUs: number): Packet | undefined {
    const space = path.data
    const core = this.#core
    const writer = this.#writer
    let body: PacketBody | undefined
    let blocked = false
    const wants = core.keys ? this.#wants(path, DATA, space) : 0
    const probe = core.keys !== undefined && space.probes > 0
    if (wants !== 0 || probe) {
      blocked = !this.#mayStart(path, wants, probe, nowUs)
      if (!blocked) {
        if (probe) this.#prepareProbe(DATA, space)
        const limitBytes = probe ? Math.min(path.mtuBytes, MIN_MTU_BYTES) : path.mtuBytes
        body = writer.write(path, DATA, space, limitBytes, nowUs)
      }
    }
    path.appLimited = !body && !blocked
    if (!body) return undefined
    let sizeBytes = writer.writtenBytes
    let isPadded = writer.isPadded
    // RFC 9000, 8.2.1: the path must be shown to carry the smallest datagram QUIC needs.
    if (sizeBytes < MIN_MTU_BYTES && body.controls?.some(needsPadding)) {
      sizeBytes = MIN_MTU_BYTES
      isPadded = true
    }
    const packet = new Packet(DATA, core.peerId, 0, sizeBytes, body, core.sealingKey(DATA), undefined)
    this.#note(path, DATA, space, body, sizeBytes, isPadded, nowUs)
    core.recovery.arm(path, nowUs)
    this.routes = path.routes
    return packet
  }

  #pollHandshake(path: Path, nowUs: number): Packet | undefined {
    const writer = this.#writer
    let drafts: Draft[] | undefined
    let usedBytes = 0
    let limitBytes = path.mtuBytes
    let padTo = 0
    let blocked = false
    for (let index = INITIAL as number; index <= DATA; index++) {
      const kind = index as PacketKind
      const space = path.space(kind)
      if (!space || !this.#core.hasKeys(kind)) continue
      const wants = this.#wants(path, kind, space)
      if (wants === 0 && space.probes === 0) continue
      const probe = space.probes > 0
      if (usedBytes === 0) {
        if (!this.#mayStart(path, wants, probe, nowUs)) {
          blocked = true
          continue
        }
        if (probe) {
          this.#prepareProbe(kind, space)
          limitBytes = Math.min(limitBytes, MIN_MTU_BYTES)
        }
      } else if (limitBytes - usedBytes < MIN_PACKET_BYTES) {
        break
      }
      const body = writer.write(path, kind, space, limitBytes - usedBytes, nowUs)
      if (!body) continue
      const draft: Draft = { kind, space, body, sizeBytes: writer.writtenBytes, padded: writer.isPadded }
      drafts ??= []
      drafts.push(draft)
      usedBytes += draft.sizeBytes
      // RFC 9000, 14.1 and 8.2.1: the path must be shown to carry the smallest datagram QUIC needs.
      if (kind === INITIAL && (this.#core.role === 'client' || draft.body.eliciting)) padTo = MIN_MTU_BYTES
      if (draft.body.controls?.some(needsPadding)) padTo = MIN_MTU_BYTES
    }
    path.appLimited = drafts === undefined && !blocked
    return drafts && this.#seal(path, drafts, padTo - usedBytes, nowUs)
  }

  /** {@link LIMITED}, {@link URGENT}, both or none. */
  #wants(path: Path, kind: PacketKind, space: PacketSpace): number {
    const core = this.#core
    // The server may speak half a round trip before the handshake is done (RFC 9001, 5.7), the client not.
    if (kind === DATA && core.state === 'handshaking' && core.role === 'client') return 0
    let limited = false
    let urgent = space.pingPending || space.immediateAckPending
    if (kind === DATA) {
      urgent ||= path.challengePending || path.responseToken >= 0
      if (path === core.selected) {
        limited =
          core.controls.length > 0 ||
          !core.streams.controls.isEmpty ||
          core.datagrams.waiting > 0 ||
          core.streams.hasData
        if (core.others.areKnown) urgent ||= path.data.acks.due
        else {
          const { paths, abandoned } = core
          for (let i = 0; i < paths.length && !urgent; i++) urgent = (paths[i] as Path).data.acks.due
          for (let i = 0; i < abandoned.length && !urgent; i++) urgent = (abandoned[i] as Path).data.acks.due
        }
      }
    } else {
      limited = core.crypto[kind].length > 0
      urgent ||= space.acks.due
    }
    return (limited ? LIMITED : 0) + (urgent ? URGENT : 0)
  }

  /** Whether a datagram may be begun now. */
  #mayStart(path: Path, wants: number, probe: boolean, nowUs: number): boolean {
    if (path.isAmplificationBlocked) return false
    // As in noq (connection/mod.rs:1979), data that has to wait holds up acknowledgements too.
    if ((wants & LIMITED) !== 0 && !probe && path.isCongestionBlocked) return false
    const delayUs = path.pacingDelayUs(nowUs)
    if (delayUs > 0) {
      path.pacingTimerUs = nowUs + delayUs
      return false
    }
    return true
  }

  /** Sees to it that a probe has something to say that the peer must acknowledge at once. */
  #prepareProbe(kind: PacketKind, space: PacketSpace): void {
    const core = this.#core
    space.probes--
    if (kind === DATA) space.immediateAckPending = true
    const pending =
      kind === DATA ? core.controls.length > 0 || !core.streams.controls.isEmpty : core.crypto[kind].length > 0
    if (pending) return
    for (let number = space.sent.from; number < space.sent.to; number++) {
      const packet = space.sent.get(number)
      if (!packet?.body.controls || packet.controlsTaken) continue
      // Control frames alone are sent again; lost stream data waits until it is known to be lost.
      let taken = false
      for (const frame of packet.body.controls) if (core.requeue(kind, frame)) taken = true
      if (!taken) continue
      packet.controlsTaken = true
      return
    }
    if (kind !== DATA) space.pingPending = true
  }

  /** A packet outside of any path: nobody waits for its acknowledgement, and no window counts it. */
  #sealProbe({ route, frame }: Probe): Packet {
    const core = this.#core
    const path = core.selected
    const space = path.data
    const overheadBytes = packetOverheadBytes(DATA, space.nextNumber + 1, space.largestAcked)
    const body = new PacketBody(path.id, space.allocate(), true, undefined, undefined, [frame])
    core.packetsSent++
    this.routes = [route]
    const sizeBytes = packetBytes(DATA, overheadBytes + controlBytes(frame))
    return new Packet(DATA, core.peerId, 0, sizeBytes, body, core.sealingKey(DATA), undefined)
  }

  /** A packet of the next size that the path might carry. Neither window nor pacer hold it up. */
  #pollMtuProbe(nowUs: number): Packet | undefined {
    const core = this.#core
    for (const path of core.paths) {
      if (!path.validated || path.isValidating || !path.isOpen) continue
      const sizeBytes = path.mtu.dueBytes(nowUs)
      if (sizeBytes === 0) continue
      const space = path.data
      const number = space.allocate()
      path.mtu.onProbeSent(number)
      const body = new PacketBody(path.id, number, true, undefined, undefined, MTU_PROBE)
      return this.#seal(path, [{ kind: DATA, space, body, sizeBytes, padded: true }], 0, nowUs)
    }
    return undefined
  }

  #seal(path: Path, drafts: readonly Draft[], padBytes: number, nowUs: number): Packet {
    const core = this.#core
    const last = drafts.at(-1) as Draft
    if (padBytes > 0) pad(last, last.sizeBytes + padBytes)
    let packet: Packet | undefined
    for (let i = drafts.length - 1; i >= 0; i--) {
      const { kind, sizeBytes, body } = drafts[i] as Draft
      const sourceId = kind === DATA ? 0 : core.localId
      packet = new Packet(kind, core.peerId, sourceId, sizeBytes, body, core.sealingKey(kind), packet)
    }
    for (const { kind, space, body, sizeBytes, padded } of drafts) {
      this.#note(path, kind, space, body, sizeBytes, padded, nowUs)
    }
    core.recovery.arm(path, nowUs)
    this.routes = path.routes
    return packet as Packet
  }

  /** A packet is on its way. */
  #note(
    path: Path,
    kind: PacketKind,
    space: PacketSpace,
    body: PacketBody,
    sizeBytes: number,
    padded: boolean,
    nowUs: number,
  ): void {
    const core = this.#core
    const counted = body.eliciting || padded ? sizeBytes : 0
    space.onSent(new SentPacket(body.number, nowUs, counted, body))
    path.inFlightBytes += counted
    path.sentBytes += sizeBytes
    if (path !== core.selected) core.others.disturb()
    core.onSent(path, body.eliciting, nowUs)
    if (counted === 0) return
    if (body.eliciting) space.lastElicitingUs = nowUs
    path.pacer.onSent(counted)
    // A client has no use for Initial packets once it can send better ones (RFC 9001, 4.9.1).
    if (kind === HANDSHAKE && core.role === 'client') path.discardSpace(INITIAL)
  }

  /** CONNECTION_CLOSE, in every kind of packet that the peer may be able to open. */
  #pollClose(nowUs: number): Packet | undefined {
    const core = this.#core
    const frame = core.closeFrame
    if (!core.closePending || !frame) return undefined
    core.closePending = false
    const path = core.selected
    const drafts: Draft[] = []
    let usedBytes = 0
    for (const kind of KINDS) {
      const space = path.space(kind)
      if (!space || !core.hasKeys(kind) || (kind === DATA && !core.alpn)) continue
      const controls: ControlFrame[] = [kind === DATA ? frame : early(frame)]
      const acks = space.acks.isEmpty ? undefined : ackFrame(path.id, kind === DATA, space, nowUs)
      const overheadBytes = packetOverheadBytes(kind, space.nextNumber + 1, space.largestAcked)
      const contentBytes = overheadBytes + (acks?.sizeBytes ?? 0) + controlBytes(controls[0] as ControlFrame)
      const body = new PacketBody(path.id, space.allocate(), false, acks, undefined, controls)
      const sizeBytes = packetBytes(kind, contentBytes)
      drafts.push({ kind, space, body, sizeBytes, padded: false })
      usedBytes += sizeBytes
    }
    if (drafts.length === 0) return undefined
    const padTo = drafts[0]?.kind === INITIAL && core.role === 'client' ? MIN_MTU_BYTES : 0
    const packet = this.#seal(path, drafts, padTo - usedBytes, nowUs)
    path.lossTimerUs = Number.POSITIVE_INFINITY
    return packet
  }
}

function pad(draft: Draft, sizeBytes: number): void {
  draft.sizeBytes = sizeBytes
  draft.padded = true
}

function needsPadding(frame: ControlFrame): boolean {
  return frame.type === 'path-challenge' || frame.type === 'path-response'
}

/** An application's code and reason are not for packets that others might open (RFC 9000, 10.2.3). */
function early(frame: CloseFrame): CloseFrame {
  if (!frame.application) return frame
  return { type: 'close', application: false, code: TransportErrorCode.applicationError, reason: '' }
}
