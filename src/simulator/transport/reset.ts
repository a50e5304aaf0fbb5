/**
 * Stateless resets (RFC 9000, 10.3), as noq-proto 1.4 makes them: what an endpoint answers to a packet for a connection
 * that it no longer knows. A token is modelled by the secret it follows from: it is worth what it says of one connection
 * id and one path, and comes from nobody but the holder of the secret, who need not remember the connection.
 *
 * @module
 */
import type { RandomStream } from '../kernel.ts'
import type { Packet } from './packet.ts'

/** The right to make an endpoint's tokens. It is made anew with each endpoint, as iroh's `reset_key` is. */
export class ResetKey {
  /** The token for packets that carry `id` along a path. In QUIC each path has ids of its own. */
  token(id: number, pathId: number): ResetToken {
    return new ResetToken(this, id, pathId)
  }
}

/** What ends one connection for whoever was told of it. Nothing can be read from it. */
export class ResetToken {
  readonly #key: ResetKey
  readonly #id: number
  readonly #pathId: number

  constructor(key: ResetKey, id: number, pathId: number) {
    this.#key = key
    this.#id = id
    this.#pathId = pathId
  }

  /** Whether both are the same token. */
  static same(a: unknown, b: ResetToken): boolean {
    if (typeof a !== 'object' || a === null || !(#key in a)) return false
    return a.#key === b.#key && a.#id === b.#id && a.#pathId === b.#pathId
  }
}

/** Bytes of a token. */
const TOKEN_BYTES = 16
/** A reset looks like a packet with a short header: so much comes before the token at least. */
const MIN_PADDING_BYTES = 5
/** With so much no observer can tell it from any packet: the longest connection id is 20 bytes. */
const GOOD_PADDING_BYTES = MIN_PADDING_BYTES + 20
/** No other reset is sent for so long after one. */
const MIN_INTERVAL_US = 20_000

/** Answers the packets that one endpoint knows no connection for. It remembers none of them. */
export class StatelessResets {
  readonly #key: ResetKey = new ResetKey()
  /** For sizes and for what stands in the place of the connection id; called when the first is drawn. */
  readonly #random: () => RandomStream
  #lastUs = Number.NEGATIVE_INFINITY
  #sent = 0

  constructor(random: () => RandomStream) {
    this.#random = random
  }

  /** How many were sent. */
  get sent(): number {
    return this.#sent
  }

  /** The token that a connection whose packets carry `id` gives its peer: it is for the first path, see `Receiver`. */
  token(id: number): ResetToken {
    return this.#key.token(id, 0)
  }

  /** The answer to a packet; undefined when there was another one just now, or when it would not be the smaller of the two. */
  answer(packet: Packet, nowUs: number): Packet | undefined {
    if (nowUs < this.#lastUs + MIN_INTERVAL_US) return undefined
    // Each answer is smaller than what it answers, so that two endpoints cannot go on with it.
    const maxPaddingBytes = packet.datagramBytes - TOKEN_BYTES - 1
    if (maxPaddingBytes < MIN_PADDING_BYTES) return undefined
    this.#lastUs = nowUs
    this.#sent++
    const random = this.#random()
    const paddingBytes =
      maxPaddingBytes <= GOOD_PADDING_BYTES
        ? maxPaddingBytes
        : GOOD_PADDING_BYTES + random.nextBelow(maxPaddingBytes - GOOD_PADDING_BYTES)
    const noId = random.nextU32() * 0x10_0000 + (random.nextU32() >>> 12)
    return packet.reset(this.#key, noId, paddingBytes + TOKEN_BYTES)
  }
}
