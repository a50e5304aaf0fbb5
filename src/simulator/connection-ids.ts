/**
 * The connection ids of one endpoint: it knows its own without remembering any, as noq's do (`HashedConnectionIdGenerator`).
 *
 * @module
 */
import type { RandomStream } from './kernel.ts'

/** Makes ids of 52 bits and recognises them: 32 bits at random, and 20 that follow from those and a secret. */
export class ConnectionIds {
  readonly #random: RandomStream
  /** Drawn with the first id; another endpoint, and the same one after a restart, has another. */
  #secret: number | undefined

  constructor(random: RandomStream) {
    this.#random = random
  }

  /** An id for which `isTaken` is false. */
  next(isTaken: (id: number) => boolean): number {
    for (;;) {
      const nonce = this.#random.nextU32()
      const other = this.#random.nextU32()
      this.#secret ??= other
      const id = nonce * 0x10_0000 + check(nonce, this.#secret)
      if (!isTaken(id)) return id
    }
  }

  /** Whether it was made here; of others' one in a million passes for it. */
  isOwn(id: number): boolean {
    if (this.#secret === undefined) return false
    const nonce = Math.floor(id / 0x10_0000)
    return check(nonce, this.#secret) === id - nonce * 0x10_0000
  }
}

/** 20 bits, as MurmurHash3 ends. */
function check(nonce: number, secret: number): number {
  let hash = Math.imul(nonce ^ secret, 0x85eb_ca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35)
  return (hash ^ (hash >>> 16)) >>> 12
}
