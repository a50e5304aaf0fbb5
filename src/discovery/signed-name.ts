/**
 * A name that people gave to a node, signed with the node's key, as text that fits the user data of iroh's records:
 * `p2p-name:<signature in base64url>:<name>`. The signature says that the node itself goes by the name; it does not
 * keep another node from going by the same.
 *
 * @module
 */
import { invalidConfiguration } from '../core/config.ts'
import { concatBytes } from '../core/encoding.ts'
import { verifySignature } from '../core/keys.ts'
import { NodeId } from '../core/node-id.ts'
import type { P2PNodeId } from '../core/node-id.ts'
import { MAX_USER_DATA_BYTES } from './node-record.ts'

/** What user data says of a name. */
export type NameClaim =
  | { readonly kind: 'none' }
  | { readonly kind: 'signed'; readonly name: string }
  | { readonly kind: 'forged'; readonly name: string }

const PREFIX = 'p2p-name:'
/** 64 bytes in base64url without padding. */
const SIGNATURE_LENGTH = 86
/** So that a signature for a name is one for nothing else. */
const DOMAIN = 'moosicbox/p2p name v1\0'
/** The longest name, in bytes of UTF-8. */
const MAX_NAME_BYTES = 128
/**
 * Control characters, halves of characters, and what ends lines, turns text around or hides in it; but for the joiner
 * of emoji. No property that a later Unicode may give to more characters: what is a name must not depend on the engine.
 */
const UNSEEN =
  /[\p{Cc}\p{Cs}\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/u

/**
 * The one form of a name that is signed and compared (Unicode's NFC).
 *
 * @throws P2PError `invalid-configuration` when it is empty, over 128 bytes of UTF-8, begins or ends with a space, or
 * has characters that cannot be seen
 */
export function checkName(name: string): string {
  // Callers without types pass anything.
  const text = typeof name === 'string' ? name.normalize('NFC') : ''
  const bytes = Buffer.byteLength(text)
  if (bytes === 0 || bytes > MAX_NAME_BYTES) {
    throw invalidConfiguration('name', name, `a name has 1 to ${MAX_NAME_BYTES} bytes of UTF-8`)
  }
  if (text !== text.trim() || UNSEEN.test(text)) {
    throw invalidConfiguration('name', name, 'a name neither begins nor ends with a space, and can be seen')
  }
  return text
}

/**
 * User data that says that a node goes by `name`.
 *
 * @param sign signs with the node's key
 * @throws P2PError `invalid-configuration` when the name is none
 */
export function signName(name: string, sign: (message: Uint8Array) => Uint8Array): string {
  const text = checkName(name)
  return `${PREFIX}${Buffer.from(sign(signedBytes(text))).toString('base64url')}:${text}`
}

/** What user data says of the name of `id`. */
export function readName(id: P2PNodeId, userData: string | undefined): NameClaim {
  if (userData === undefined || !userData.startsWith(PREFIX) || userData.length > MAX_USER_DATA_BYTES) {
    return { kind: 'none' }
  }
  const rest = userData.slice(PREFIX.length)
  const name = rest.slice(SIGNATURE_LENGTH + 1)
  const signature = Buffer.from(rest.slice(0, SIGNATURE_LENGTH), 'base64url')
  const valid =
    rest[SIGNATURE_LENGTH] === ':' &&
    signature.length === 64 &&
    // One text for one signature.
    signature.toString('base64url') === rest.slice(0, SIGNATURE_LENGTH) &&
    isCanonical(name) &&
    verifySignature(NodeId.fromBytes(id.asBytes()), signedBytes(name), signature)
  return { kind: valid ? 'signed' : 'forged', name }
}

function isCanonical(name: string): boolean {
  try {
    return checkName(name) === name
  } catch {
    return false
  }
}

function signedBytes(name: string): Uint8Array {
  return concatBytes([new TextEncoder().encode(DOMAIN), new TextEncoder().encode(name)])
}
