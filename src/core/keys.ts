/**
 * Ed25519 keys (RFC 8032): derivation, signatures, and the well-known keys of tests. Nothing here draws randomness or
 * touches a disk; `runtime` adds that in `SecretKey`.
 *
 * @module
 */
import { createHash, createPrivateKey, createPublicKey, sign, verify } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { copyBytes } from './encoding.ts'
import { P2PError } from './errors.ts'
import { NodeId } from './node-id.ts'

/** RFC 8410: the fixed head of a PKCS #8 document around 32 secret bytes. */
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex')

/**
 * A node's secret: 32 bytes from which its public key, and so its id, follows. Never printed, never serialised.
 *
 * @example
 * ```ts
 * import { SecretKey, verifySignature } from '@moosicbox/p2p'
 *
 * const key = SecretKey.generate()
 * const message = new TextEncoder().encode('the album is complete')
 * console.log(verifySignature(key.nodeId, message, key.sign(message))) // true
 * ```
 */
export class SigningKey {
  readonly #secret: Uint8Array
  #isDestroyed = false
  /** Until the first signature; after that it costs less to make it anew than to keep its kilobyte for each key. */
  #key: KeyObject | undefined
  /** The public half. */
  readonly nodeId: NodeId

  /** @throws P2PError `invalid-configuration` when there are not 32 bytes */
  constructor(secret: Uint8Array) {
    if (secret.length !== 32) {
      throw P2PError.of('invalid-configuration', `a secret key has 32 bytes, not ${secret.length}`, {
        setting: 'secretKey',
        value: `${secret.length} bytes`,
      })
    }
    this.#secret = copyBytes(secret)
    const key = privateKey(secret)
    this.#key = key
    this.nodeId = NodeId.fromPublicKey(Buffer.from(key.export({ format: 'jwk' }).x ?? '', 'base64url'))
  }

  /**
   * The 64-byte signature of `message`.
   *
   * @throws P2PError `invalid-configuration` when the key was destroyed
   */
  sign(message: Uint8Array): Uint8Array {
    this.#checkAlive()
    const key = this.#key ?? privateKey(this.#secret)
    this.#key = undefined
    return new Uint8Array(sign(null, message, key))
  }

  /**
   * The 32 secret bytes, a copy. Keep them where nobody else can read them, and fill it with zeros when it is done with.
   *
   * @throws P2PError `invalid-configuration` when the key was destroyed
   */
  secretBytes(): Uint8Array {
    this.#checkAlive()
    return copyBytes(this.#secret)
  }

  /** The public id: a secret key that is logged by accident gives nothing away. */
  toString(): string {
    return `SecretKey(of ${this.nodeId.toString()})`
  }

  /** Overwrites the secret with zeros: nothing can be signed with this key any more. */
  protected wipe(): void {
    this.#secret.fill(0)
    this.#isDestroyed = true
    this.#key = undefined
  }

  #checkAlive(): void {
    if (!this.#isDestroyed) return
    const message = `the key of ${this.nodeId.fmtShort()} was destroyed: load it again`
    throw P2PError.of('invalid-configuration', message, { setting: 'secretKey', value: this.toString() })
  }

  /** As `toString`. */
  toJSON(): string {
    return this.toString()
  }
}

Object.defineProperty(SigningKey.prototype, Symbol.for('nodejs.util.inspect.custom'), {
  value(this: SigningKey): string {
    return this.toString()
  },
})

/**
 * Checks that `key` is a secret key, of this copy of the package or another.
 *
 * @throws P2PError `invalid-configuration`, which does not have the value: it may well be a secret in another form
 */
export function checkSigningKey(key: unknown): void {
  const { sign: signs, secretBytes, nodeId } = (key ?? {}) as Partial<Record<keyof SigningKey, unknown>>
  if (typeof signs === 'function' && typeof secretBytes === 'function' && nodeId !== undefined) return
  const message = 'secretKey must be a SecretKey: SecretKey.loadOrCreate(path), or SecretKey.fromBytes(bytes)'
  throw P2PError.of('invalid-configuration', message, { setting: 'secretKey', value: typeof key })
}

/** Whether `signature`, 64 bytes, is `signer`'s over `message`; see {@link SigningKey}. False for any other length. */
export function verifySignature(signer: NodeId, message: Uint8Array, signature: Uint8Array): boolean {
  const x = Buffer.from(signer.asBytes()).toString('base64url')
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
  return verify(null, message, key, signature)
}

/**
 * The key of a secret. OpenSSL takes half a millisecond to read one from a document; what comes as a JWK is handed over as
 * it is, in a tenth of that. Node does not look at the public half there, which follows from the secret one anyway; should
 * some version want it after all, there is the document.
 */
function privateKey(secret: Uint8Array): KeyObject {
  try {
    const d = Buffer.from(secret).toString('base64url')
    return createPrivateKey({ key: { kty: 'OKP', crv: 'Ed25519', d, x: '' }, format: 'jwk' })
  } catch {
    return createPrivateKey({ key: Buffer.concat([PKCS8_HEAD, secret]), format: 'der', type: 'pkcs8' })
  }
}

/** The domain of test keys, so that no name's key is the hash of something else. */
const TEST_KEY_DOMAIN = 'moosicbox/p2p test key\0'

/**
 * Deriving a key costs 50 microseconds, proving it twice that, and a sweep asks for the same few names thousands of times.
 * The map is bounded and holds a pure function's results, so it carries nothing from one simulation to the next.
 */
const testKeys = new Map<string, SigningKey>()
const MAX_TEST_KEYS = 131_072

/**
 * The same secret key for the same name, always and everywhere. For tests and simulations: it protects nothing.
 *
 * @example
 * ```ts
 * import { testNodeId, testSigningKey } from '@moosicbox/p2p'
 *
 * console.log(testSigningKey('alice').nodeId.equals(testNodeId('alice'))) // true
 * ```
 */
export function testSigningKey(name: string): SigningKey {
  let key = testKeys.get(name)
  if (!key) {
    key = new SigningKey(createHash('sha256').update(TEST_KEY_DOMAIN).update(name).digest())
    if (testKeys.size < MAX_TEST_KEYS) testKeys.set(name, key)
  }
  return key
}

/**
 * The id of {@link testSigningKey}, the id of the simulated host of that name.
 *
 * @example
 * ```ts
 * import { testNodeId } from '@moosicbox/p2p'
 *
 * console.log(testNodeId('alice').equals(testNodeId('alice'))) // true
 * ```
 */
export function testNodeId(name: string): NodeId {
  return testSigningKey(name).nodeId
}
