/**
 * A new key in place of an old one: a statement that both have signed, so that whoever trusts the old one can follow.
 *
 * @module
 */
import { BASE32, concatBytes, decodeBase32, encodeBase32 } from './encoding.ts'
import { P2PError } from './errors.ts'
import type { SigningKey } from './keys.ts'
import { verifySignature } from './keys.ts'
import { NodeId } from './node-id.ts'

const PREFIX = 'rotation'
/** So that a signature of something else is never one of these. */
const DOMAIN = new TextEncoder().encode('moosicbox/p2p key rotation\0')
const VERSION = 0
const ID_BYTES = 32
const SIGNATURE_BYTES = 64
/** Version, old id, new id, Unix milliseconds. */
const SIGNED_BYTES = 1 + 2 * ID_BYTES + 8
const TOTAL_BYTES = SIGNED_BYTES + 2 * SIGNATURE_BYTES

function invalid(why: string): P2PError {
  return P2PError.of('serialization', `this is no statement of a key rotation: ${why}`, {})
}

/**
 * "The node of the old id is now that of the new id", signed with the old key, so that nobody else can say so, and with
 * the new one, so that nobody can name somebody else as their successor.
 *
 * @example
 * ```ts
 * import { followRotations, KeyRotation, SecretKey } from '@moosicbox/p2p'
 *
 * const [old, young] = [SecretKey.generate(), SecretKey.generate()]
 * const statement = KeyRotation.sign(old, young, Date.now()).toString() // hand it to whoever knows the old id
 * console.log(followRotations(old.nodeId, [statement]).equals(young.nodeId)) // true
 * ```
 */
export class KeyRotation {
  readonly oldId: NodeId
  readonly newId: NodeId
  /** When it was signed, in Unix milliseconds, as the signer says. */
  readonly signedAtMs: number
  readonly #bytes: Uint8Array

  private constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.oldId = NodeId.fromPublicKey(bytes.slice(1, 1 + ID_BYTES))
    this.newId = NodeId.fromPublicKey(bytes.slice(1 + ID_BYTES, 1 + 2 * ID_BYTES))
    this.signedAtMs = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(1 + 2 * ID_BYTES))
  }

  /**
   * Signs that `young` takes the place of `old`.
   *
   * @param signedAtMs Unix milliseconds, a whole number
   * @throws P2PError `invalid-configuration` when they are the same
   */
  static sign(old: SigningKey, young: SigningKey, signedAtMs: number): KeyRotation {
    if (old.nodeId.equals(young.nodeId)) {
      throw P2PError.of('invalid-configuration', 'a key cannot take its own place', {
        setting: 'young',
        value: young.nodeId.toString(),
      })
    }
    const time = new Uint8Array(8)
    new DataView(time.buffer).setBigUint64(0, BigInt(signedAtMs))
    const signed = concatBytes([Uint8Array.of(VERSION), old.nodeId.asBytes(), young.nodeId.asBytes(), time])
    const message = concatBytes([DOMAIN, signed])
    return new KeyRotation(concatBytes([signed, old.sign(message), young.sign(message)]))
  }

  /**
   * Reads what `toString` wrote, and checks both signatures.
   *
   * @throws P2PError `serialization` when it is none, `unauthorized` when a signature is not theirs
   */
  static parse(text: string): KeyRotation {
    if (typeof text !== 'string' || !text.startsWith(PREFIX)) throw invalid(`it does not begin with ${PREFIX}`)
    const { bytes } = decodeBase32(text.slice(PREFIX.length), BASE32)
    if (bytes?.length !== TOTAL_BYTES) throw invalid('its length is another')
    if (bytes[0] !== VERSION) throw invalid(`its version is ${bytes[0]}, and ${VERSION} is known here`)
    let rotation: KeyRotation
    try {
      rotation = new KeyRotation(bytes)
    } catch {
      throw invalid('an id in it is none')
    }
    const message = concatBytes([DOMAIN, bytes.subarray(0, SIGNED_BYTES)])
    const [ofOld, ofNew] = [
      bytes.subarray(SIGNED_BYTES, SIGNED_BYTES + SIGNATURE_BYTES),
      bytes.subarray(-SIGNATURE_BYTES),
    ]
    for (const [id, signature] of [
      [rotation.oldId, ofOld],
      [rotation.newId, ofNew],
    ] as const) {
      if (verifySignature(id, message, signature)) continue
      throw P2PError.of('unauthorized', `the statement was not signed by ${id.fmtShort()}`, { peer: id.toString() })
    }
    return rotation
  }

  /** A text of lower-case letters and digits, to hand to others. It is no secret. */
  toString(): string {
    return PREFIX + encodeBase32(this.#bytes, BASE32)
  }

  /** As `toString`. */
  toJSON(): string {
    return this.toString()
  }
}

/**
 * The id that a node has now that once had `id`, as far as these statements tell; see {@link KeyRotation}.
 *
 * @param rotations statements in any order; texts are checked
 * @throws P2PError `unauthorized` when a key has named two successors, or the statements lead in a circle: somebody else
 * may have the key, so nobody is followed; and what `KeyRotation.parse` throws
 */
export function followRotations(id: NodeId, rotations: Iterable<KeyRotation | string>): NodeId {
  const successors = new Map<string, NodeId>()
  for (const each of rotations) {
    const { oldId, newId } = typeof each === 'string' ? KeyRotation.parse(each) : each
    const known = successors.get(oldId.toString())
    if (known && !known.equals(newId)) throw untrusted(oldId, 'has named two successors')
    successors.set(oldId.toString(), newId)
  }
  let current = id
  const seen = new Set<string>()
  for (let next = successors.get(id.toString()); next; next = successors.get(next.toString())) {
    if (seen.has(next.toString())) throw untrusted(id, 'leads back to itself')
    seen.add(next.toString())
    current = next
  }
  return current
}

function untrusted(id: NodeId, why: string): P2PError {
  const message = `the key of ${id.fmtShort()} ${why}: somebody else may have it, ask its owner`
  return P2PError.of('unauthorized', message, { peer: id.toString() })
}
