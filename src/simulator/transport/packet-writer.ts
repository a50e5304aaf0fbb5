/**
 * What goes into one packet, in which order, as far as there is room.
 *
 * @module
 */
import type { ConnectionCore } from './core.ts'
import type { DatagramFrame } from './datagrams.ts'
import { AckFrame, controlBytes } from './frames.ts'
import type { ControlFrame, StreamFrame } from './frames.ts'
import { DATA, PacketBody, packetBytes, packetOverheadBytes } from './packet.ts'
import type { PacketKind } from './packet.ts'
import type { PacketSpace } from './packet-space.ts'
import type { Path } from './path.ts'
import { powerOfTwo } from '../power-of-two.ts'

/** Longest wait for the answer to a challenge (noq-proto 1.4, connection/paths.rs:496). */
const MAX_CHALLENGE_WAIT_US = 2_000_000
const MAX_DOUBLINGS = 16
/** Room that noq wants for a frame with a connection id, however short it is in the end; what is left is for streams. */
const NEW_ID_BOUND = 54

const PING: ControlFrame = Object.freeze({ type: 'ping' })
const IMMEDIATE_ACK: ControlFrame = Object.freeze({ type: 'immediate-ack' })

/** Appends a frame; returns what is left of `budgetBytes`. */
function put(frames: ControlFrame[], frame: ControlFrame, budgetBytes: number): number {
  frames.push(frame)
  return budgetBytes - controlBytes(frame)
}

/** Fills the packets of one connection. */
export class PacketWriter {
  readonly #core: ConnectionCore
  /** The control frames of the packet that is being written. */
  readonly #controls: ControlFrame[] = []
  /** The size of the packet that was written last. */
  writtenBytes = 0
  /** Whether it is padded. */
  isPadded = false

  constructor(core: ConnectionCore) {
    this.#core = core
  }

  /** A packet of at most `limitBytes`, its size in `writtenBytes`; undefined when there is nothing to put into it after all. */
  write(path: Path, kind: PacketKind, space: PacketSpace, limitBytes: number, nowUs: number): PacketBody | undefined {
    const core = this.#core
    // One more for a number that may be skipped.
    const overheadBytes = packetOverheadBytes(kind, space.nextNumber + 1, space.largestAcked)
    let left = limitBytes - overheadBytes
    const draft = this.#controls
    if (draft.length > 0) draft.length = 0
    // Mostly there are none of them.
    if (kind === DATA && path === core.selected && core.controls.length > 0) left = this.#putControls(draft, left)
    if (space.pingPending) {
      space.pingPending = false
      left = put(draft, PING, left)
    }
    if (space.immediateAckPending) {
      space.immediateAckPending = false
      left = put(draft, IMMEDIATE_ACK, left)
    }
    const acks = this.#takeAcks(path, kind, space, nowUs)
    for (let ack = acks; ack; ack = ack.next) left -= ack.sizeBytes
    if (kind === DATA) {
      if (path.responseToken >= 0) left = put(draft, { type: 'path-response', token: path.responseToken }, left)
      path.responseToken = -1
      if (path.challengePending) left = put(draft, this.#challenge(path, nowUs), left)
    } else {
      const messages = core.crypto[kind]
      while (messages.length > 0) {
        const frame: ControlFrame = { type: 'crypto', message: messages[0] as (typeof messages)[number] }
        if (controlBytes(frame) > left) break
        messages.shift()
        left = put(draft, frame, left)
      }
    }
    let streams: StreamFrame | undefined
    let datagrams: DatagramFrame | undefined
    if (kind === DATA && path === core.selected) {
      if (!core.streams.controls.isEmpty) left -= core.streams.controls.take(left, draft)
      if (core.datagrams.waiting > 0) datagrams = core.datagrams.take(left)
      for (let frame = datagrams; frame; frame = frame.next) left -= frame.sizeBytes
      streams = core.streams.takeFrames(left)
      for (let frame = streams; frame; frame = frame.next) left -= frame.sizeBytes
    }
    const controls = draft.length > 0 ? draft.slice() : undefined
    const eliciting = controls !== undefined || streams !== undefined || datagrams !== undefined
    if (!eliciting && !acks) return undefined
    const contentBytes = limitBytes - left
    this.writtenBytes = packetBytes(kind, contentBytes)
    this.isPadded = this.writtenBytes > contentBytes
    return new PacketBody(path.id, space.allocate(), eliciting, acks, streams, controls, datagrams)
  }

  /** The frames about the connection that fit; returns what is left. */
  #putControls(draft: ControlFrame[], budgetBytes: number): number {
    const { controls } = this.#core
    let left = budgetBytes
    for (let frame = controls[0]; frame; frame = controls[0]) {
      const fitting = fittingPart(frame, left)
      if (!fitting) break
      left = put(draft, fitting.now, left)
      if (fitting.later) controls[0] = fitting.later
      else controls.shift()
    }
    return left
  }

  #challenge(path: Path, nowUs: number): ControlFrame {
    const core = this.#core
    path.challengePending = false
    path.challengeSentUs = nowUs
    path.challengeToken = core.random.nextU32()
    const doublings = Math.min(path.challengesSent++, MAX_DOUBLINGS)
    const waitUs = core.recovery.probeTimeoutUs(path) * powerOfTwo(doublings)
    path.challengeTimerUs = nowUs + Math.min(waitUs, MAX_CHALLENGE_WAIT_US)
    return { type: 'path-challenge', token: path.challengeToken }
  }

  #takeAcks(path: Path, kind: PacketKind, space: PacketSpace, nowUs: number): AckFrame | undefined {
    const core = this.#core
    if (kind !== DATA) return space.acks.due ? ackFrame(0, false, space, nowUs) : undefined
    if (path !== core.selected) return undefined
    if (core.others.areKnown) {
      path.data.acks.beforeOtherPacket()
      return path.data.acks.due ? ackFrame(path.id, true, path.data, nowUs) : undefined
    }
    let first: AckFrame | undefined
    for (const acked of core.paths) {
      // They go along only when they are due: data does not carry them ahead of time.
      acked.data.acks.beforeOtherPacket()
      first = withAck(acked, first, nowUs)
    }
    for (const acked of core.abandoned) first = withAck(acked, first, nowUs)
    return first
  }
}

/** Puts the acknowledgement of a path before `rest`, where one is due. */
function withAck({ id, data }: Path, rest: AckFrame | undefined, nowUs: number): AckFrame | undefined {
  if (!data.acks.due) return rest
  const frame = ackFrame(id, true, data, nowUs)
  frame.next = rest
  return frame
}

/** The acknowledgement of what has arrived in a space. */
export function ackFrame(pathId: number, named: boolean, space: PacketSpace, nowUs: number): AckFrame {
  const delayUs = space.acks.delayUs(nowUs)
  return new AckFrame(pathId, named, space.acks.take(), delayUs, space.acks.total)
}

/** As much of a frame as fits, and the rest. Only one that stands for several can be parted. */
function fittingPart(frame: ControlFrame, bytes: number): { now: ControlFrame; later?: ControlFrame } | undefined {
  if (frame.type !== 'new-ids') return controlBytes(frame) <= bytes ? { now: frame } : undefined
  const count = Math.min(frame.count, 1 + Math.floor((bytes - NEW_ID_BOUND) / frame.bytesEach))
  if (count <= 0) return undefined
  if (count === frame.count) return { now: frame }
  return { now: { ...frame, count }, later: { ...frame, count: frame.count - count, resetToken: undefined } }
}
