/**
 * A packet number space: what was sent in it and is not acknowledged, and what has arrived (RFC 9000, 12.3).
 *
 * @module
 */
import type { RandomStream } from '../kernel.ts'
import { AckTracker } from './acks.ts'
import type { PacketBody } from './packet.ts'
import { powerOfTwo } from '../power-of-two.ts'

/** A packet of ours on its way. */
export class SentPacket {
  readonly number: number
  readonly sentUs: number
  /** What it counts for in flight: its whole size, or 0 when it holds only acknowledgements. */
  readonly sizeBytes: number
  readonly body: PacketBody
  /** A probe has taken its control frames over, so that they need not be sent again when it is lost. */
  controlsTaken = false

  constructor(number: number, sentUs: number, sizeBytes: number, body: PacketBody) {
    this.number = number
    this.sentUs = sentUs
    this.sizeBytes = sizeBytes
    this.body = body
  }
}

/** Packets on their way by number, in an array that moves along with them. */
export class SentPackets {
  /** Those from `#length` on are empty: places are used again. */
  #slots: (SentPacket | undefined)[] = []
  #length = 0
  #base = 0
  #first = 0
  #inFlight = 0

  /** A number at or below that of the oldest packet. */
  get from(): number {
    return this.#base + this.#first
  }

  /** The number behind that of the newest packet. */
  get to(): number {
    return this.#base + this.#length
  }

  /** How many of the packets count as in flight. */
  get inFlight(): number {
    return this.#inFlight
  }

  get(number: number): SentPacket | undefined {
    return this.#slots[number - this.#base]
  }

  /** Adds a packet whose number is above all others. */
  push(packet: SentPacket): void {
    if (this.#first === this.#length) {
      this.#length = 0
      this.#first = 0
      this.#base = packet.number
    }
    while (this.to < packet.number) this.#slots[this.#length++] = undefined
    this.#slots[this.#length++] = packet
    if (packet.sizeBytes > 0) this.#inFlight++
  }

  /** Takes a packet out. */
  take(number: number): SentPacket | undefined {
    const index = number - this.#base
    const packet = this.#slots[index]
    if (!packet) return undefined
    this.#slots[index] = undefined
    if (packet.sizeBytes > 0) this.#inFlight--
    if (index === this.#first) {
      while (this.#first < this.#length && this.#slots[this.#first] === undefined) this.#first++
      if (this.#first > 64 && this.#first * 2 > this.#length) {
        this.#slots = this.#slots.slice(this.#first, this.#length)
        this.#length -= this.#first
        this.#base += this.#first
        this.#first = 0
      }
    }
    return packet
  }
}

/** Skips packet numbers at random and ever more rarely, so that a peer that acknowledges blindly is found out. */
class NumberSkipper {
  readonly #random: RandomStream
  #exponent = 6
  #next: number

  constructor(random: RandomStream) {
    this.#random = random
    this.#next = random.nextBelow(64)
  }

  skips(number: number): boolean {
    if (number !== this.#next) return false
    const low = powerOfTwo(this.#exponent)
    this.#next = low + this.#random.nextBelow(low)
    this.#exponent = Math.min(this.#exponent + 1, 31)
    return true
  }
}

/** Packets without acknowledgements of their own are remembered up to this many. */
const MAX_ACK_ONLY_TAIL = 1_000

/** One number space. */
export class PacketSpace {
  readonly sent: SentPackets = new SentPackets()
  readonly acks: AckTracker
  readonly #skipper: NumberSkipper | undefined
  #nextNumber = 0
  #ackOnlyTail = 0
  /** The largest number the peer has acknowledged. */
  largestAcked = -1
  largestAckedSentUs = 0
  /** The last number that was skipped, -1 for none: no honest peer acknowledges it. */
  skipped = -1
  /** When the oldest packet that others have overtaken counts as lost. */
  lossTimeUs: number = Number.POSITIVE_INFINITY
  lastElicitingUs = -1
  /** Packets taken for lost and their times of sending, to recognise a mistake. */
  lost: Map<number, number> | undefined
  /** Probes to send. */
  probes = 0
  pingPending = false
  immediateAckPending = false

  /** @param skipping the source of skipped numbers; none are skipped without */
  constructor(maxAckDelayUs: number, skipping?: RandomStream) {
    this.acks = new AckTracker(maxAckDelayUs)
    this.#skipper = skipping && new NumberSkipper(skipping)
  }

  /** Whether nothing that belongs to this space alone waits to be sent. */
  get isQuiet(): boolean {
    return !this.acks.due && !this.pingPending && !this.immediateAckPending && this.probes === 0
  }

  /** The number the next packet has at least. */
  get nextNumber(): number {
    return this.#nextNumber
  }

  /** Goes on counting where another space has stopped. */
  continueFrom(space: PacketSpace): void {
    this.#nextNumber = space.nextNumber
  }

  /** The number of a new packet. */
  allocate(): number {
    if (this.#skipper?.skips(this.#nextNumber)) this.skipped = this.#nextNumber++
    return this.#nextNumber++
  }

  /** Notes a packet as sent. Of the acknowledgements at the end, which nobody acknowledges, the oldest are forgotten. */
  onSent(packet: SentPacket): void {
    this.sent.push(packet)
    if (packet.sizeBytes > 0) {
      this.#ackOnlyTail = 0
      return
    }
    if (this.#ackOnlyTail < MAX_ACK_ONLY_TAIL) {
      this.#ackOnlyTail++
      return
    }
    for (let number = this.sent.to - this.#ackOnlyTail - 1; number < this.sent.to; number++) {
      if (this.sent.take(number)) return
    }
  }
}
