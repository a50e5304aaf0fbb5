/**
 * Node ids: a node id *is* a 32-byte ed25519 public key.
 *
 * @module
 */
import { P2PError } from './errors.ts'
import { isCurvePoint } from './curve.ts'
import { BASE32, copyBytes, decodeBase32, encodeBase32, fromHex, toHex, Z_BASE_32 } from './encoding.ts'

/** What every backend's node ids can do. */
export interface P2PNodeId {
  /** The 32 bytes of the public key, a fresh copy. */
  asBytes(): Uint8Array
  /** z-base-32, 52 characters: the display form, and the key to use in maps. */
  toString(): string
  /** 64 lower-case hex digits, as iroh prints ids. */
  toHex(): string
  /** The first 5 bytes as 10 hex digits, for logs. */
  fmtShort(): string
  /** Whether both are the same key. */
  equals(other: P2PNodeId): boolean
}

const LENGTH = 32

function invalid(value: string, why: string): P2PError {
  return P2PError.of('invalid-node-id', `${JSON.stringify(value.slice(0, 80))} is no node id: ${why}`, { value })
}

/**
 * A node's identity, on both backends.
 *
 * @example
 * ```ts
 * import { NodeId } from '@moosicbox/p2p'
 *
 * const id = NodeId.parse('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a')
 * console.log(id.toString()) // 47pjoycnsrfmxikm95jh13y88e8qnhzu5kungjpxyepgt7a8krpy
 * console.log(id.fmtShort()) // d75a980182
 * ```
 */
export class NodeId implements P2PNodeId {
  readonly #bytes: Uint8Array
  #text: string | undefined

  private constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /**
   * The id with these 32 bytes.
   *
   * @throws P2PError `invalid-node-id` when they are not 32 bytes, or not a point on the curve
   */
  static fromBytes(bytes: Uint8Array): NodeId {
    if (bytes.length !== LENGTH) throw invalid(toHex(bytes), `it has ${bytes.length} bytes, not 32`)
    if (!isCurvePoint(bytes)) throw invalid(toHex(bytes), 'its bytes are not a point on the ed25519 curve')
    return new NodeId(copyBytes(bytes))
  }

  /** The id of a public key that was derived from a secret one, so that it need not be checked. */
  static fromPublicKey(bytes: Uint8Array): NodeId {
    return new NodeId(copyBytes(bytes))
  }

  /**
   * Reads z-base-32 (52 characters), 64 hex digits or RFC 4648 base32 (52 characters, no padding), in any case.
   * A text of 52 characters that both base32 alphabets could read is taken as z-base-32 when it is a point on the
   * curve there, as that is how ids are displayed.
   *
   * @throws P2PError `invalid-node-id` naming what is wrong: length, alphabet, trailing bits or curve
   */
  static parse(text: string): NodeId {
    const value = text.trim()
    if (value.length === 64) {
      const bytes = fromHex(value)
      if (!bytes) throw invalid(text, '64 characters must all be hex digits')
      return NodeId.fromBytes(bytes)
    }
    if (value.length !== 52) {
      throw invalid(text, `it has ${value.length} characters; an id has 52 (z-base-32, base32) or 64 (hex)`)
    }
    const zBase32 = decodeBase32(value, Z_BASE_32)
    const base32 = decodeBase32(value, BASE32)
    for (const decoded of [zBase32, base32]) {
      if (decoded.bytes && isCurvePoint(decoded.bytes)) return new NodeId(decoded.bytes)
    }
    if (zBase32.bytes || base32.bytes) throw invalid(text, 'its bytes are not a point on the ed25519 curve')
    if (zBase32.why === 'trailing-bits' || base32.why === 'trailing-bits') {
      throw invalid(text, 'its last character has bits set beyond the 256 of a key (non-canonical)')
    }
    throw invalid(text, `its characters fit neither z-base-32 (${Z_BASE_32}) nor base32 (${BASE32})`)
  }

  asBytes(): Uint8Array {
    return copyBytes(this.#bytes)
  }

  toString(): string {
    return (this.#text ??= encodeBase32(this.#bytes, Z_BASE_32))
  }

  toHex(): string {
    return toHex(this.#bytes)
  }

  fmtShort(): string {
    return toHex(this.#bytes.subarray(0, 5))
  }

  equals(other: P2PNodeId): boolean {
    return this.toString() === other.toString()
  }

  /** The display form, so that ids survive `JSON.stringify`. */
  toJSON(): string {
    return this.toString()
  }
}

Object.defineProperty(NodeId.prototype, Symbol.for('nodejs.util.inspect.custom'), {
  value(this: NodeId): string {
    return `NodeId(${this.toString()})`
  },
})
