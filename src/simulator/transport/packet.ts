/**
 * Packets as they cross the fabric: sealed objects. Whoever carries one sees what an observer of QUIC sees, connection
 * ids, kind and size; what is inside opens with the key object alone, and nothing about it can be changed. A packet
 * made without the key does not open, which is what authentication comes to.
 *
 * @module
 */
import { TraceItem } from '../../core/trace.ts'
import type { DatagramFrame } from './datagrams.ts'
import { describeBody } from './describe.ts'
import type { AckFrame, ControlFrame, StreamFrame } from './frames.ts'
import { ResetToken } from './reset.ts'
import type { ResetKey } from './reset.ts'

/** The packet types, which are also the three number spaces (RFC 9000, 12.3). */
export const INITIAL = 0
/** As {@link INITIAL}. */
export const HANDSHAKE = 1
/** As {@link INITIAL}. */
export const DATA = 2

/** One of {@link INITIAL}, {@link HANDSHAKE}, {@link DATA}. */
export type PacketKind = typeof INITIAL | typeof HANDSHAKE | typeof DATA

/** The authentication tag at the end of every packet (AES-GCM, ChaCha20-Poly1305). */
export const TAG_BYTES = 16
/** Random connection ids of 8 bytes, as quinn and noq make them. */
export const CONNECTION_ID_BYTES = 8
/**
 * The smallest packet with a short header: at least 6 bytes and a tag longer than its connection id, so that it cannot
 * be told from a stateless reset.
 */
const MIN_SHORT_BYTES = CONNECTION_ID_BYTES + 6 + TAG_BYTES

/** The right to open the packets of one direction and kind. There is nothing in it: having it is the right. */
export class PacketKey {
  /** For debugging: what it opens. */
  readonly label: string

  constructor(label: string) {
    this.label = label
  }
}

/** What is sealed in a packet. */
export class PacketBody {
  readonly pathId: number
  readonly number: number
  /** Whether the receiver must acknowledge it: it holds more than acknowledgements, padding and a close. */
  readonly eliciting: boolean
  readonly acks: AckFrame | undefined
  readonly streams: StreamFrame | undefined
  readonly controls: readonly ControlFrame[] | undefined
  readonly datagrams: DatagramFrame | undefined

  constructor(
    pathId: number,
    number: number,
    eliciting: boolean,
    acks: AckFrame | undefined,
    streams: StreamFrame | undefined,
    controls: readonly ControlFrame[] | undefined,
    datagrams?: DatagramFrame,
  ) {
    this.pathId = pathId
    this.number = number
    this.eliciting = eliciting
    this.acks = acks
    this.streams = streams
    this.controls = controls
    this.datagrams = datagrams
  }
}

/** One QUIC packet; several may share a datagram, linked by `next`. */
export class Packet {
  readonly #kind: PacketKind
  readonly #destinationId: number
  readonly #sourceId: number
  readonly #sizeBytes: number
  readonly #body: PacketBody
  readonly #key: PacketKey | ResetToken | undefined
  readonly #next: Packet | undefined

  /**
   * @param sourceId the sender's connection id, which only long headers carry; 0 otherwise
   * @param key undefined for Initial packets, whose keys follow from public numbers (RFC 9001, 5.2): anyone can open
   *   and make them; a token makes it a stateless reset
   */
  constructor(
    kind: PacketKind,
    destinationId: number,
    sourceId: number,
    sizeBytes: number,
    body: PacketBody,
    key: PacketKey | ResetToken | undefined,
    next: Packet | undefined,
  ) {
    if (kind === INITIAL) {
      // What anyone may open must still be beyond anyone's changing: a change is another packet.
      Object.freeze(body)
      Object.freeze(body.controls)
      for (let ack = body.acks; ack; ack = ack.next) {
        Object.freeze(ack.ranges)
        Object.freeze(ack)
      }
    }
    this.#kind = kind
    this.#destinationId = destinationId
    this.#sourceId = sourceId
    this.#sizeBytes = sizeBytes
    this.#body = body
    this.#key = key
    this.#next = next
  }

  /** Whether `value` is a packet, and not what corruption has made of one. */
  static is(value: unknown): value is Packet {
    return typeof value === 'object' && value !== null && #body in value
  }

  get kind(): PacketKind {
    return this.#kind
  }

  /** The receiver's connection id. */
  get destinationId(): number {
    return this.#destinationId
  }

  /** The sender's connection id; 0 with a short header. */
  get sourceId(): number {
    return this.#sourceId
  }

  /** This packet's bytes, without those of others in the same datagram. */
  get sizeBytes(): number {
    return this.#sizeBytes
  }

  /** The UDP payload of the datagram that begins with this packet. */
  get datagramBytes(): number {
    let bytes = this.#sizeBytes
    for (let packet = this.#next; packet; packet = packet.#next) bytes += packet.#sizeBytes
    return bytes
  }

  /** The next packet of the same datagram. */
  get next(): Packet | undefined {
    return this.#next
  }

  /**
   * Appends what is in the datagram that begins here, as `TRACE_ITEMS` says, for traces: numbers about it, and nothing of
   * what is sealed.
   */
  describe(items: number[]): void {
    if (this.#body === RESET_BODY) {
      items.push(TraceItem['StatelessReset'] ?? 0, 1, this.#sizeBytes)
      return
    }
    items.push(TRACED[this.#kind], 3, this.#body.number, this.#body.pathId, this.#sizeBytes)
    describeBody(this.#body, items)
    this.#next?.describe(items)
  }

  /** What is inside, undefined when it was not sealed with `key`. */
  open(key: PacketKey | undefined): PacketBody | undefined {
    return this.#key === key ? this.#body : undefined
  }

  /**
   * The stateless reset that answers this packet, which to everybody but its receiver is a packet like any other.
   *
   * @param id what stands where others have a connection id
   */
  reset(key: ResetKey, id: number, sizeBytes: number): Packet {
    // The connection id would tell the path, if each had its own.
    const token = key.token(this.#destinationId, this.#body.pathId)
    return new Packet(DATA, id, 0, sizeBytes, RESET_BODY, token, undefined)
  }

  /** Whether it is a stateless reset with this token. */
  isReset(token: ResetToken): boolean {
    return ResetToken.same(this.#key, token)
  }
}

/** Nothing: a reset is random bytes and its token. */
const RESET_BODY = new PacketBody(0, 0, false, undefined, undefined, undefined)

const TRACED = [TraceItem['Initial'] ?? 0, TraceItem['Handshake'] ?? 0, TraceItem['Data'] ?? 0] as const

/** The bytes of a packet number when everything up to `largestAcked` is known to have arrived (RFC 9000, 17.1). */
function packetNumberBytes(number: number, largestAcked: number): number {
  const range = 2 * (number - Math.max(largestAcked, 0))
  if (range < 0x100) return 1
  if (range < 0x1_0000) return 2
  return range < 0x100_0000 ? 3 : 4
}

/** What a packet costs besides its frames: header and tag. */
export function packetOverheadBytes(kind: PacketKind, number: number, largestAcked: number): number {
  const numberBytes = packetNumberBytes(number, largestAcked)
  if (kind === DATA) return 1 + CONNECTION_ID_BYTES + numberBytes + TAG_BYTES
  // Flags, version, two ids with their lengths, a length of 2 bytes; an Initial packet also has an empty token.
  const long = 1 + 4 + 2 * (1 + CONNECTION_ID_BYTES) + 2 + numberBytes + TAG_BYTES
  return kind === INITIAL ? long + 1 : long
}

/** The size of a packet with `contentBytes` of overhead and frames, padded as header protection needs. */
export function packetBytes(kind: PacketKind, contentBytes: number): number {
  return kind === DATA ? Math.max(contentBytes, MIN_SHORT_BYTES) : contentBytes
}
