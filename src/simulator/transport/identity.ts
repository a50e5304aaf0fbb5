/**
 * Identities and key agreement, modelled by objects. Holding an object is what knowing a secret is elsewhere: a proof
 * is made with an {@link Identity}, which only the holder of the signing key gets, and session keys come only to the
 * two who put their shares together. What real cryptography costs shows in bytes and round trips alone.
 *
 * @module
 */
import { P2PError } from '../../core/errors.ts'
import { SigningKey, verifySignature } from '../../core/keys.ts'
import type { NodeId } from '../../core/node-id.ts'
import { PacketKey } from './packet.ts'

/** The keys of a connection. Each side seals with its own and opens with the other's. */
export class SessionKeys {
  readonly clientHandshake: PacketKey = new PacketKey('client handshake')
  readonly serverHandshake: PacketKey = new PacketKey('server handshake')
  readonly clientData: PacketKey = new PacketKey('client data')
  readonly serverData: PacketKey = new PacketKey('server data')
}

/** The right to put one's share together with another's. */
export type Agree = (peer: KeyShare) => SessionKeys

/** The public half of an ephemeral key, which travels in the open. */
export class KeyShare {
  /** By the other's share; with hardly ever more than one. */
  #agreed: Map<KeyShare, SessionKeys> | undefined

  /** A new pair: the share to send, and the secret that goes with it. */
  static generate(): { readonly share: KeyShare; readonly agree: Agree } {
    const share = new KeyShare()
    const agree = (peer: KeyShare): SessionKeys => {
      // Whoever comes second finds what the first has put there: both have the same keys, and nobody else.
      let keys = share.#agreed?.get(peer) ?? peer.#agreed?.get(share)
      if (!keys) {
        keys = new SessionKeys()
        ;(share.#agreed ??= new Map()).set(peer, keys)
      }
      return keys
    }
    return { share, agree }
  }
}

const CHALLENGE = new TextEncoder().encode('moosicbox/p2p simulated identity\0')

/**
 * Identities by their keys, so that each key is put to the proof only once a process. It holds a pure function's
 * results, and carries nothing from one simulation to the next.
 */
const proven = new WeakMap<SigningKey, Identity>()

/** The proven right to act as one node id. Keep it private: who holds it is that node. */
export class Identity {
  readonly #id: NodeId

  private constructor(id: NodeId) {
    this.#id = id
  }

  /**
   * The identity of a key. The key signs a challenge, so that no look-alike with another's id passes.
   *
   * @throws P2PError `unauthorized` when the key is not that of the id it names
   */
  static of(key: SigningKey): Identity {
    const known = proven.get(key)
    if (known) return known
    const id = key.nodeId
    if (!(key instanceof SigningKey) || !verifySignature(id, CHALLENGE, key.sign(CHALLENGE))) {
      throw P2PError.of('unauthorized', `this key is not that of ${id.fmtShort()}`, { peer: id.toString() })
    }
    const identity = new Identity(id)
    proven.set(key, identity)
    return identity
  }

  /** Who it is. Throws on anything but an identity. */
  static idOf(identity: Identity): NodeId {
    return identity.#id
  }
}

/** A node's word that it is who it is, for one exchange and nobody else's: a signature over the transcript. */
export class IdentityProof {
  readonly #id: NodeId
  readonly #context: string
  readonly #transcript: readonly object[]

  /**
   * @param context what the proof is for, so that it serves nothing else
   * @param transcript the objects that both sides have seen
   */
  constructor(identity: Identity, context: string, transcript: readonly object[]) {
    this.#id = Identity.idOf(identity)
    this.#context = context
    this.#transcript = transcript.slice()
  }

  /** Who gave `proof` for this very context and transcript; undefined when nobody did. */
  static verify(proof: unknown, context: string, transcript: readonly object[]): NodeId | undefined {
    if (typeof proof !== 'object' || proof === null || !(#id in proof)) return undefined
    const theirs = proof.#transcript
    if (proof.#context !== context || theirs.length !== transcript.length) return undefined
    return theirs.every((part, i) => part === transcript[i]) ? proof.#id : undefined
  }
}
