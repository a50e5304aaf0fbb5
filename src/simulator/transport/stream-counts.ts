/**
 * Ids of streams, and how many of them each side has opened and may open (RFC 9000, 2.1 and 4.6).
 *
 * @module
 */
import type { TransportConfig } from './config.ts'
import type { TransportParameters } from './handshake.ts'

/** 0 for two-way, 1 for one-way streams. */
export type StreamKindIndex = 0 | 1

const BIDI = 0
const UNI = 1

/** Whether a stream carries bytes both ways. */
export function isBidi(streamId: number): boolean {
  return (streamId & 2) === 0
}

/** The index of a kind of streams. */
export function kindIndex(bidi: boolean): StreamKindIndex {
  return bidi ? BIDI : UNI
}

/** Which of its kind a stream is, from 0. */
function indexOf(streamId: number): number {
  return Math.floor(streamId / 4)
}

/** The counts of one connection. */
export class StreamCounts {
  /** The bit that client and server differ in, in the ids of streams they open. */
  readonly #ownBit: number
  /** How many streams of each kind the peer may have open at a time. */
  readonly #most: readonly [number, number]
  /** How many streams of each kind this side has opened, and may open. */
  readonly #opened: [number, number] = [0, 0]
  readonly #mayOpen: [number, number] = [0, 0]
  /** How many the peer has opened, may open, and was told that it may. */
  readonly #peerOpened: [number, number] = [0, 0]
  readonly #peerMayOpen: [number, number]
  readonly #peerWasTold: [number, number]

  constructor(role: 'client' | 'server', config: TransportConfig) {
    this.#ownBit = role === 'client' ? 0 : 1
    this.#most = [config.maxBidiStreams, config.maxUniStreams]
    this.#peerMayOpen = [config.maxBidiStreams, config.maxUniStreams]
    this.#peerWasTold = [config.maxBidiStreams, config.maxUniStreams]
  }

  /** Takes the peer's limits, once the handshake has brought them. */
  setPeerParameters(parameters: TransportParameters): void {
    this.#mayOpen[BIDI] = parameters.maxBidiStreams
    this.#mayOpen[UNI] = parameters.maxUniStreams
  }

  /** The peer allows streams of a kind up to `max`; false when that is nothing new. */
  raise(bidi: boolean, max: number): boolean {
    const kind = kindIndex(bidi)
    if (max <= this.#mayOpen[kind]) return false
    this.#mayOpen[kind] = max
    return true
  }

  /** The id of a new stream; undefined while the peer allows no more of its kind. */
  open(bidi: boolean): number | undefined {
    const kind = kindIndex(bidi)
    const index = this.#opened[kind]
    if (index >= this.#mayOpen[kind]) return undefined
    this.#opened[kind] = index + 1
    return index * 4 + kind * 2 + this.#ownBit
  }

  /** Whether a stream is one that this side opens. */
  isOwn(streamId: number): boolean {
    return (streamId & 1) === this.#ownBit
  }

  /** Whether this side has opened a stream of its own, be it over or not. */
  isOpened(streamId: number): boolean {
    return indexOf(streamId) < this.#opened[kindIndex(isBidi(streamId))]
  }

  /** Whether the peer has opened a stream of its own, be it over or not. */
  isPeerOpened(streamId: number): boolean {
    return indexOf(streamId) < this.#peerOpened[kindIndex(isBidi(streamId))]
  }

  /** Whether the peer may open a stream of its own. */
  mayPeerOpen(streamId: number): boolean {
    return indexOf(streamId) < this.#peerMayOpen[kindIndex(isBidi(streamId))]
  }

  /**
   * The peer has opened a stream, and thereby those of the kind before it. Returns the id of the first that was not open
   * yet; the others follow, 4 apart.
   */
  onPeerOpened(streamId: number): number {
    const kind = kindIndex(isBidi(streamId))
    const firstId = this.#peerOpened[kind] * 4 + (streamId & 3)
    this.#peerOpened[kind] = indexOf(streamId) + 1
    return firstId
  }

  /**
   * A stream is over: if it was the peer's, it may open another one. Returns whether it is to be told, as it is when an
   * eighth of its streams are over.
   */
  onOver(streamId: number): boolean {
    if (this.isOwn(streamId)) return false
    const kind = kindIndex(isBidi(streamId))
    this.#peerMayOpen[kind]++
    return this.#peerMayOpen[kind] - this.#peerWasTold[kind] > this.#most[kind] / 8
  }

  /** How many streams of a kind the peer may open, which is then taken as told. */
  tell(kind: StreamKindIndex): number {
    this.#peerWasTold[kind] = this.#peerMayOpen[kind]
    return this.#peerMayOpen[kind]
  }
}
