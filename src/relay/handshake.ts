/**
 * How a client proves its id (`iroh-relay` 1.4.1, `protos/handshake.rs`): it signs a key that is derived from the
 * server's challenge, so that a hostile relay cannot have a text of its choice signed.
 *
 * @module
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { P2PError } from '../core/errors.ts'
import { verifySignature } from '../core/keys.ts'
import { NodeId } from '../core/node-id.ts'
import { decodeAuth } from './frames.ts'

const CONTEXT = 'iroh-relay handshake v1 challenge signature'
/** The length of a challenge, in bytes. */
export const CHALLENGE_BYTES = 16

/** `blake3.derive_key(context, material)`, 32 bytes. */
export type DeriveKey = (context: string, material: Uint8Array) => Uint8Array

/** The packages that only a relay needs, loaded when the first one starts. */
export interface RelayPackages {
  readonly ws: typeof import('ws')
  readonly deriveKey: DeriveKey
}

/**
 * Loads them.
 *
 * @throws P2PError `unsupported` when they are not installed
 */
export async function loadPackages(): Promise<RelayPackages> {
  try {
    const [ws, { blake3 }] = await Promise.all([import('ws'), import('@noble/hashes/blake3.js')])
    return { ws, deriveKey: (context, material) => blake3(material, { context: Buffer.from(context) }) }
  } catch (cause) {
    const message = 'a relay needs the optional packages ws and @noble/hashes: npm install ws @noble/hashes'
    throw P2PError.of('unsupported', message, { what: 'RelayServer', backend: 'relay' }, { cause })
  }
}

/** What a client signs to answer `challenge`. */
export function messageToSign(challenge: Uint8Array, deriveKey: DeriveKey): Uint8Array {
  return deriveKey(CONTEXT, challenge)
}

/**
 * The id that the client has proven with `frame`; undefined when its signature is another's.
 *
 * @throws P2PError `protocol` when the frame is none that answers a challenge
 */
export function verifyAuth(frame: Uint8Array, challenge: Uint8Array, deriveKey: DeriveKey): NodeId | undefined {
  const { publicKey, signature } = decodeAuth(frame)
  // The point is not checked: a key that is none verifies nothing.
  const id = NodeId.fromPublicKey(publicKey)
  try {
    return verifySignature(id, messageToSign(challenge, deriveKey), signature) ? id : undefined
  } catch {
    return undefined
  }
}

/** The token of a request, from `Authorization: Bearer` or, as browsers cannot set headers here, `?token=`. */
export function tokenOf(authorization: string | undefined, url: URL): string | undefined {
  const match = /^bearer (.*)$/i.exec(authorization ?? '')
  return match?.[1] ?? url.searchParams.get('token') ?? undefined
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

/** Texts that are compared in a time that says nothing about them. */
export class Tokens {
  readonly #digests: readonly Buffer[]

  constructor(tokens: Iterable<string>) {
    this.#digests = [...tokens].map(digest)
  }

  has(token: string | undefined): boolean {
    if (token === undefined) return false
    const asked = digest(token)
    let found = false
    for (const known of this.#digests) found = timingSafeEqual(asked, known) || found
    return found
  }
}
