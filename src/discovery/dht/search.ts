/**
 * One search of the DHT for the latest record of a node.
 *
 * @module
 */
import { copyBytes } from '../../core/encoding.ts'
import { verifySignature } from '../../core/keys.ts'
import type { NodeId } from '../../core/node-id.ts'
import { timeLimit } from '../../core/time-limit.ts'
import { realRuntime } from '../../runtime/real-runtime.ts'
import type { SignedPacket } from '../pkarr/signed-packet.ts'
import type { MainlineNode } from './mainline.ts'

/** What a search came to. */
export interface SearchResult {
  /** The latest record that was found; one that was known before when that is later. */
  readonly latest: SignedPacket | undefined
  /** Nodes that answered, to this search or another at the same time. */
  readonly answers: number
  /** What was wrong with a record that was found, when none was right. */
  readonly why: string | undefined
}

/** A search for the record of one id. */
export class Search {
  readonly #id: NodeId
  readonly #key: Uint8Array
  #latest: SignedPacket | undefined
  #found = false
  #why: string | undefined
  #onFound: () => void = () => {}

  /** @param known the latest record that was seen before: an older one does not count */
  constructor(id: NodeId, known: SignedPacket | undefined) {
    this.#id = id
    this.#key = id.asBytes()
    this.#latest = known
  }

  /**
   * Runs until no node is closer to the record, until `signal` fires, or for `laterMs` after a record was found, in case
   * another node has a later one.
   */
  async run(dht: MainlineNode, signal: AbortSignal, laterMs?: number): Promise<SearchResult> {
    const before = dht.answers
    const finding = new Promise<void>((resolve) => (this.#onFound = resolve))
    const searching = dht.get(this.#key, (...item) => this.#inspect(...item))
    const enough = laterMs === undefined ? [] : [finding.then(() => fired(timeLimit(realRuntime(), laterMs)))]
    await Promise.race([searching, ...enough, fired(signal)])
    return {
      latest: this.#found ? this.#latest : undefined,
      answers: dht.answers - before,
      why: this.#found ? undefined : this.#why,
    }
  }

  /** Whether a record is the node's own; if so, and there is no later one, it is what was looked for. */
  #inspect(signature: Uint8Array, message: Uint8Array, key: Uint8Array): boolean {
    const packet = parseItem(this.#id, signature, message)
    if (!packet || !Buffer.from(key).equals(this.#key) || !verifySignature(this.#id, message, signature)) {
      this.#why = `the signature is not that of ${this.#id.fmtShort()}`
      return false
    }
    if (!this.#latest || packet.timestampUs > this.#latest.timestampUs) this.#latest = packet
    this.#found = true
    this.#onFound()
    return true
  }
}

/** The record in what BEP 44 signs, `3:seqi<timestamp>e1:v<length>:<dns>`. */
function parseItem(id: NodeId, signature: Uint8Array, message: Uint8Array): SignedPacket | undefined {
  const head = /^3:seqi(\d{1,16})e1:v(\d{1,4}):/.exec(Buffer.from(message.subarray(0, 40)).toString('latin1'))
  if (!head?.[1] || head[0].length + Number(head[2]) !== message.length) return undefined
  const dns = copyBytes(message.subarray(head[0].length))
  return { id, timestampUs: BigInt(head[1]), dns, signature: copyBytes(signature) }
}

/** Resolves when `signal` has fired. */
export function fired(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
