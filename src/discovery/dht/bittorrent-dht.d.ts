/**
 * As much of the package as is used here; it comes without types.
 *
 * @module
 */
declare module 'bittorrent-dht' {
  import type { EventEmitter } from 'node:events'

  interface Place {
    readonly host: string
    readonly port: number
  }

  interface Contact extends Place {
    readonly id: Buffer
  }

  interface Options {
    /** Who is asked when no contacts are known. */
    readonly nodes: readonly Place[]
    /** Whether to look for contacts before there is a question. */
    readonly bootstrap: boolean
    /** A bound UDP socket. */
    readonly socket: EventEmitter
    /** Longest wait for one node, in milliseconds. */
    readonly timeout: number
  }

  interface Item {
    readonly k: Buffer
    readonly v: Buffer
    readonly seq: number
    readonly sig: Buffer
  }

  /** Whether `signature` is `key`'s over `message`, which is the number and the value of an item, bencoded. */
  type Verify = (signature: Uint8Array, message: Uint8Array, key: Uint8Array) => boolean

  export default class DHT extends EventEmitter {
    constructor(options: Options)
    readonly nodes: { toArray(): readonly Contact[] }
    addNode(contact: Contact): void
    get(key: Buffer, options: { cache: boolean; verify: Verify }, done: (error: Error | null) => void): void
    put(
      item: Item,
      done: (error: (Error & { readonly code?: unknown }) | null, key: Buffer, nodes: number) => void,
    ): void
    destroy(done: () => void): void
  }
}
