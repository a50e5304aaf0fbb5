/**
 * The text in a node's record: the application's, or the node's signed name; there is room for one.
 *
 * @module
 */
import { invalidConfiguration } from '../core/config.ts'
import type { P2PNodeId } from '../core/node-id.ts'
import type { AnnouncedNode } from '../core/system.ts'
import { MAX_USER_DATA_BYTES } from './node-record.ts'
import { checkName, signName } from './signed-name.ts'

/** What the nodes of one source say in their records. */
export class UserData {
  readonly #text: string | undefined
  readonly #names = new Map<string, string>()
  /** Signed once; by name and id. */
  readonly #signed = new Map<string, { readonly name: string; readonly text: string }>()

  /** @throws P2PError `invalid-configuration` when the text has over 245 bytes of UTF-8 */
  constructor(text: string | undefined) {
    if (text !== undefined && Buffer.byteLength(text) > MAX_USER_DATA_BYTES) {
      throw invalidConfiguration('userData', text, `has at most ${MAX_USER_DATA_BYTES} bytes of UTF-8`)
    }
    this.#text = text
  }

  /**
   * Names a node; a later name replaces it.
   *
   * @throws P2PError `invalid-configuration` when the name is none, or the application has its own text there
   */
  setName(id: P2PNodeId, name: string): void {
    const text = checkName(name)
    if (this.#text !== undefined) {
      throw invalidConfiguration('userData', this.#text, 'leaves no room in the record for a name: give one of the two')
    }
    this.#names.set(id.toString(), text)
  }

  /** The text in the record of `node`. */
  of(node: AnnouncedNode): string | undefined {
    const key = node.id.toString()
    const name = this.#names.get(key)
    if (name === undefined) return this.#text
    let signed = this.#signed.get(key)
    if (signed?.name !== name) {
      signed = { name, text: signName(name, (message) => node.sign(message)) }
      this.#signed.set(key, signed)
    }
    return signed.text
  }

  /** Forgets a node. */
  forget(id: P2PNodeId): void {
    this.#names.delete(id.toString())
    this.#signed.delete(id.toString())
  }
}
