/**
 * The history's hash. Whatever happens in a simulation is mixed, as numbers, into 64 bits; two runs with the same hash
 * had the same history. Each step takes two numbers and is a bijection of the state, and of each of the two, so that
 * a history that differs in one number always has another hash.
 *
 * @module
 */
import type { Audit } from './kernel.ts'

/**
 * What happened. The numbers are part of the hash and are never used twice: 1..63 belong to the scheduler and the hosts,
 * 64..127 to connections and streams; the network's begin at 256 and are defined there. The comments name `a`, `b`, `c`,
 * `d`.
 */
export const EventKind = {
  /** An event of the scheduler ran. */
  event: 1,
  /** Application code of a host was woken. */
  wake: 2,
  /** A random number was drawn: index of the stream, value. */
  draw: 3,
  /** Real work was finished and its result delivered: index of the job, digest of the result. */
  bridge: 4,
  /** A host's program was started: number of the start. */
  programStarted: 5,
  /** A host's program ended: 0 by returning, 1 by failing. */
  programEnded: 6,
  /** A host lost its power. */
  hostCrashed: 7,
  /** An application's timer fired. */
  timer: 8,
  /** A scheduled operation of the scenario ran: its number. */
  operation: 9,
  /** A host was added: digest of its name. */
  hostAdded: 10,
  /** A host's clock was set: its offset in milliseconds, its drift in parts per million. */
  clockChanged: 11,
  /** A host's disk changed: 1 write, 2 rename, 3 remove, 4 wiped; digest of the path; digest of the bytes. */
  disk: 20,
  /** A fault began or ended: its number, 1 or 0. */
  fault: 21,

  /** A connection's handshake was done: digest of the peer, digest of the protocol. */
  connectionOpened: 64,
  /** A connection ended: digest of the peer, code. */
  connectionClosed: 65,
  /** Bytes of a stream were handed to the application: stream, digest, length. */
  streamDelivered: 66,
  /** Bytes of a stream were accepted from the application: stream, digest, length. */
  streamWritten: 67,
  /** The application sent a datagram: digest, length. */
  datagramSent: 68,
  /** A datagram was handed to the application: digest, length. */
  datagramDelivered: 69,
} as const

/** Sees every record as it is made; for trace writers. It must not change anything. */
export type AuditObserver = (
  timeUs: number,
  kind: number,
  host: number,
  a: number | undefined,
  b: number | undefined,
  c: number | undefined,
  d: number | undefined,
) => void

// Odd multipliers with well-spread bits: 2^32 divided by the golden ratio, and two of xxHash32's primes.
const FIRST = 0x9e3779b1
const SECOND = 0x85ebca77
const THIRD = 0xc2b2ae3d

/** A record's head: 16 bits for its kind, 3 for how many fields follow, and 2 for what each of them is. */
const ONE_MORE = 1 << 16
/** Instead of a head: what follows is the time. */
const TIME = 1 << 31

const INT32 = 0
const UINT32 = 1
const FLOAT64 = 2

function numberClass(value: number): number {
  if ((value | 0) === value) return INT32
  return value >>> 0 === value ? UINT32 : FLOAT64
}

/** MurmurHash3's finaliser: every bit of the input changes half of the output's. */
function finalise(value: number): number {
  let hash = value ^ (value >>> 16)
  hash = Math.imul(hash, 0x85ebca6b)
  hash ^= hash >>> 13
  hash = Math.imul(hash, 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

function hex(value: number): string {
  return (value >>> 0).toString(16).padStart(8, '0')
}

/** The running hash. */
export class HashAudit implements Audit {
  #first = FIRST | 0
  #second = SECOND | 0
  #timeUs = 0
  #mixedTimeUs = 0
  readonly #float = new Float64Array(1)
  readonly #floatWords = new Uint32Array(this.#float.buffer)
  /** Sees every record; none by default. */
  observer: AuditObserver | undefined

  /** The time of the records that follow: whole microseconds. Without any, it leaves no trace. */
  at(timeUs: number): void {
    this.#timeUs = timeUs
  }

  /**
   * `kind` is 1..65535. A field that is left out counts as different from every number; those after it are not
   * recorded.
   */
  record(kind: number, host: number, a?: number, b?: number, c?: number, d?: number): void {
    if (this.#timeUs !== this.#mixedTimeUs) this.#passTime()
    let head = kind
    if (a !== undefined) {
      head += ONE_MORE + (numberClass(a) << 19)
      if (b !== undefined) {
        head += ONE_MORE + (numberClass(b) << 21)
        if (c !== undefined) {
          head += ONE_MORE + (numberClass(c) << 23)
          if (d !== undefined) head += ONE_MORE + (numberClass(d) << 25)
        }
      }
    }
    this.#mix(head, host)
    if (a !== undefined) {
      this.#numbers(a, b ?? 0)
      if (b !== undefined && c !== undefined) this.#numbers(c, d ?? 0)
    }
    if (this.observer) this.observer(this.#timeUs, kind, host, a, b, c, d)
  }

  /** 16 hex digits; the run goes on. */
  digest(): string {
    const second = finalise(this.#second ^ this.#first)
    const first = finalise((this.#first + second) | 0)
    return hex(first) + hex(second)
  }

  /** Once for all records of an instant: its time, under a mark that no record's head has. */
  #passTime(): void {
    const timeUs = this.#timeUs
    this.#mixedTimeUs = timeUs
    this.#mix(TIME | ((timeUs / 4_294_967_296) | 0), timeUs | 0)
  }

  /** Two fields in one step, where neither is a fraction or beyond 32 bits; the head says which it is. */
  #numbers(left: number, right: number): void {
    if (numberClass(left) !== FLOAT64 && numberClass(right) !== FLOAT64) {
      this.#mix(left | 0, right | 0)
    } else {
      this.#bits(left)
      this.#bits(right)
    }
  }

  #bits(value: number): void {
    this.#float[0] = value
    this.#mix(this.#floatWords[0] as number, this.#floatWords[1] as number)
  }

  /** The two lanes are multiplied side by side: their chain through all records is what a record costs. */
  #mix(left: number, right: number): void {
    const first = Math.imul(this.#first ^ left, FIRST)
    const second = Math.imul(this.#second ^ right, SECOND) ^ (first >>> 15)
    this.#second = second
    this.#first = (first + second) | 0
  }
}

/** From this length on reading words through a view is faster than putting them together from bytes. */
const VIEW_FROM_BYTES = 512

function absorb(lane: number, word: number, multiplier: number): number {
  return Math.imul(((lane << 7) | (lane >>> 25)) ^ word, multiplier)
}

/** 53 bits of both lanes, of which the lower 32 alone differ when only one lane does. */
function combine(first: number, second: number): number {
  return (finalise((second + FIRST) | 0) >>> 11) * 4_294_967_296 + finalise(first ^ finalise(second))
}

/**
 * A digest of `bytes` for {@link Audit.record}: a whole number of 53 bits. It tells accidental differences, not an
 * adversary's. Words of four bytes, low byte first whatever the machine's order, go to two lanes in turn.
 *
 * @param before the digest of what comes before them; 0 for nothing
 */
export function digestBytes(bytes: Uint8Array, before: number = 0): number {
  const length = bytes.length
  let first = FIRST ^ length
  let second = SECOND
  if (before !== 0) {
    first = absorb(first, before | 0, FIRST)
    second = absorb(second, (before / 4_294_967_296) | 0, THIRD)
  }
  let i = 0
  if (length >= VIEW_FROM_BYTES) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, length)
    for (const end = length - 7; i < end; i += 8) {
      first = absorb(first, view.getInt32(i, true), FIRST)
      second = absorb(second, view.getInt32(i + 4, true), THIRD)
    }
  }
  for (const end = length - 3; i < end; i += 4) {
    const word =
      (bytes[i] as number) |
      ((bytes[i + 1] as number) << 8) |
      ((bytes[i + 2] as number) << 16) |
      ((bytes[i + 3] as number) << 24)
    if ((i & 4) === 0) first = absorb(first, word, FIRST)
    else second = absorb(second, word, THIRD)
  }
  for (; i < length; i++) first = absorb(first, bytes[i] as number, FIRST)
  return combine(first, second)
}

/** A digest of a text, as {@link digestBytes}. */
export function digestText(text: string): number {
  let first = FIRST ^ text.length
  let second = SECOND
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    first = absorb(first, unit, FIRST)
    second = absorb(second, unit, THIRD)
  }
  return combine(first, second)
}
