/**
 * A node of the mainline DHT that asks and stores, and serves nobody (BEP 43); it lives as long as there is something
 * to ask.
 *
 * @module
 */
import { lookup } from 'node:dns/promises'
import type DHT from 'bittorrent-dht'
import { P2PError } from '../../core/errors.ts'
import { timeLimit } from '../../core/time-limit.ts'
import { realRuntime } from '../../runtime/real-runtime.ts'
import type { SignedPacket } from '../pkarr/signed-packet.ts'
import { GuardedSocket, targetOf } from './guarded-socket.ts'

/** Where a node is. */
export interface Place {
  /** A name, or an IPv4 address. */
  readonly host: string
  readonly port: number
}

/** A node that has answered, and its id. */
export type Contact = ReturnType<DHT['nodes']['toArray']>[number]

/** Looks at an item that a node has for a key; true when it is what it says. */
export type Inspect = (signature: Uint8Array, message: Uint8Array, key: Uint8Array) => boolean

/** What a node needs. */
export interface MainlineOptions {
  readonly bind: Place
  readonly bootstrap: readonly Place[]
  /** Nodes that answered a former one. */
  readonly contacts: readonly Contact[]
}

/** Longest wait for one node: dead ones are many, and others know the same. */
const QUERY_TIMEOUT_MS = 1_000
/** What other names of bootstrap nodes get when one has been resolved. */
const MORE_NAMES_MS = 200
/** BEP 44: the store has a later item than the one that was to be stored. */
const LATER_ITEM = 302

/** A node; see the module's comment. */
export class MainlineNode {
  readonly #dht: DHT
  readonly #socket: GuardedSocket
  #closing: Promise<void> | undefined

  private constructor(dht: DHT, socket: GuardedSocket) {
    this.#dht = dht
    this.#socket = socket
    // Warnings of the library are about packets of others.
    dht.on('warning', () => {})
    dht.on('error', () => {})
  }

  /**
   * Opens one.
   *
   * @throws P2PError `unsupported` when the package is not installed, `network` when the address cannot be bound
   */
  static async open({ bind, bootstrap, contacts }: MainlineOptions): Promise<MainlineNode> {
    const Library = await loadLibrary()
    const nodes = await resolveAll(bootstrap)
    const socket = await bindSocket(bind)
    const dht = new Library({ nodes, bootstrap: false, socket, timeout: QUERY_TIMEOUT_MS })
    for (const contact of contacts) dht.addNode(contact)
    return new MainlineNode(dht, socket)
  }

  /** How many nodes have answered until now. */
  get answers(): number {
    return this.#socket.answers
  }

  /** Nodes that have answered. */
  contacts(): readonly Contact[] {
    return this.#dht.nodes.toArray()
  }

  /** Asks ever closer nodes for the item of `publicKey`, and shows each one to `inspect`, until none is closer. */
  get(publicKey: Uint8Array, inspect: Inspect): Promise<void> {
    return new Promise((resolve, reject) => {
      const options = { cache: false, verify: inspect }
      this.#dht.get(targetOf(publicKey), options, (error) => (error ? reject(error) : resolve()))
    })
  }

  /** Stores the item at the nodes that the last `get` for its key has found closest; rejects when none takes it. */
  put({ id, dns, timestampUs, signature }: SignedPacket): Promise<void> {
    const item = {
      k: Buffer.from(id.asBytes()),
      v: Buffer.from(dns),
      seq: Number(timestampUs),
      sig: Buffer.from(signature),
    }
    return new Promise((resolve, reject) => {
      this.#dht.put(item, (error) => {
        if (!error) resolve()
        else if (error.code === LATER_ITEM)
          reject(new Error('the nodes that store it have a later record', { cause: error }))
        else reject(new Error('no node that could store it has taken it', { cause: error }))
      })
    })
  }

  /** Frees the socket and the timers; what is under way never ends. */
  close(): Promise<void> {
    return (this.#closing ??= new Promise((resolve) => this.#dht.destroy(resolve)))
  }
}

async function loadLibrary(): Promise<typeof DHT> {
  try {
    const { default: Library } = await import('bittorrent-dht')
    return Library
  } catch (cause) {
    const message = 'the DHT needs the optional package bittorrent-dht: npm install bittorrent-dht'
    throw P2PError.of('unsupported', message, { what: 'DhtDiscovery', backend: 'dht' }, { cause })
  }
}

async function bindSocket({ host, port }: Place): Promise<GuardedSocket> {
  try {
    return await GuardedSocket.open(host, port)
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code ?? 'unknown error'
    throw P2PError.of(
      'network',
      `the DHT cannot bind UDP ${host}:${port} (${why}): choose another address`,
      {},
      { cause },
    )
  }
}

/** IPv4 addresses of `places`, without those whose name nobody knows; the first one found waits little for the others. */
async function resolveAll(places: readonly Place[]): Promise<readonly Place[]> {
  const found: Place[] = []
  const looking = places.map(async ({ host, port }) => {
    const { address } = await lookup(host, { family: 4 })
    found.push({ host: address, port })
  })
  await Promise.any(looking).catch(() => undefined)
  const late = timeLimit(realRuntime(), MORE_NAMES_MS)
  await Promise.race([
    Promise.allSettled(looking),
    new Promise((resolve) => late.addEventListener('abort', resolve, { once: true })),
  ])
  return [...found]
}
