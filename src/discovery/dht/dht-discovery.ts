/**
 * Nodes found by id through the mainline DHT of BitTorrent, where each stores its own signed record (BEP 44).
 *
 * @module
 */
import type { P2PAddress } from '../../core/address.ts'
import { parseSocketAddress } from '../../core/address.ts'
import { checkOptions, invalidConfiguration } from '../../core/config.ts'
import { Waiter } from '../../core/engine/waiting.ts'
import { P2PError } from '../../core/errors.ts'
import { NodeId } from '../../core/node-id.ts'
import type { P2PNodeId } from '../../core/node-id.ts'
import type { WaitOptions } from '../../core/stream.ts'
import type { AnnouncedNode, P2PDiscovery } from '../../core/system.ts'
import { timeLimit } from '../../core/time-limit.ts'
import { realRuntime } from '../../runtime/real-runtime.ts'
import { MAX_USER_DATA_BYTES } from '../node-record.ts'
import { checkMilliseconds } from '../options.ts'
import { LatestPackets } from '../pkarr/latest-packets.ts'
import { readRecord, signRecord } from '../pkarr/signed-packet.ts'
import { Republisher } from '../pkarr/republisher.ts'
import type { NextTimestamp } from '../pkarr/republisher.ts'
import { checkPublish, publishedPart } from '../published.ts'
import type { RecordPublish } from '../published.ts'
import { MainlineNode } from './mainline.ts'
import type { Contact, Place } from './mainline.ts'
import { fired, Search } from './search.ts'
import type { SearchResult } from './search.ts'

/** Options of {@link DhtDiscovery}. */
export interface DhtOptions {
  /**
   * Nodes to begin with, as `host:port`; IPv4 alone. With an empty list nobody is asked.
   * @default the public ones of {@link PUBLIC_BOOTSTRAP}
   */
  readonly bootstrap?: readonly string[] | undefined
  /** The IPv4 address and port to ask from, as `ip:port`. @default 0.0.0.0:0 */
  readonly bind?: string | undefined
  /**
   * What nodes that use this source publish. Everybody can read it who knows their id, and those who store it learn it
   * without: so addresses, which tell where somebody lives, are kept out unless asked for. @default 'relays'
   */
  readonly publish?: RecordPublish | undefined
  /** Text for others to read beside the addresses, at most 245 bytes of UTF-8. @default none */
  readonly userData?: string | undefined
  /** How often an unchanged record is published again, in milliseconds. @default 3600000 */
  readonly republishMs?: number | undefined
  /** Longest search, in milliseconds; what has been found by then counts. @default 4500 */
  readonly timeoutMs?: number | undefined
}

/** Where the public DHT is entered. */
export const PUBLIC_BOOTSTRAP: readonly string[] = Object.freeze([
  'router.bittorrent.com:6881',
  'dht.transmissionbt.com:6881',
  'dht.libtorrent.org:25401',
  'relay.pkarr.org:6881',
])

const OPTIONS: readonly string[] = ['bootstrap', 'bind', 'publish', 'userData', 'republishMs', 'timeoutMs']
const DEFAULT_REPUBLISH_MS = 3_600_000
/** Less than `limits.lookUpTimeoutMs`, after which nobody listens any more. */
const DEFAULT_TIMEOUT_MS = 4_500
/** How long a look-up goes on after a record was found: one that is out of date costs the caller more than that. */
const LATER_RECORD_MS = 300
/** Longest attempt to store a record: a search, and then a word from the nodes that were found. */
const PUBLISH_TIMEOUT_MS = 30_000
/** BEP 44 counts the bencoded form, which is four bytes longer. */
const MAX_RECORD_BYTES = 996
const MAX_BOOTSTRAP = 64
const MAX_SEARCHES = 64
/** Nodes to begin the next search with. */
const MAX_CONTACTS = 128

/**
 * Looks nodes up in the mainline DHT, and publishes those that use it. What is found is believed only when the node's
 * own key has signed it, and never when a later record of it has been seen.
 *
 * A socket is open while there is something to ask or to store, and then no more.
 *
 * @example
 * ```ts fragment
 * const p2p = await DefaultP2P.create({ discovery: [new DhtDiscovery()] })
 * ```
 */
export class DhtDiscovery implements P2PDiscovery {
  readonly name = 'dht'
  readonly #bootstrap: readonly Place[]
  readonly #bind: Place
  readonly #publish: RecordPublish
  readonly #userData: string | undefined
  readonly #republishMs: number
  readonly #timeoutMs: number
  #contacts: readonly Contact[] = []
  readonly #seen = new LatestPackets()
  #node: Promise<MainlineNode> | undefined
  #users = 0
  #closing: Promise<void> = Promise.resolve()

  /** @throws P2PError `invalid-configuration` */
  constructor(options: DhtOptions = {}) {
    checkOptions('DhtDiscovery', options, OPTIONS)
    const { bootstrap = PUBLIC_BOOTSTRAP, bind = '0.0.0.0:0', publish, userData } = options
    if (!Array.isArray(bootstrap) || bootstrap.length > MAX_BOOTSTRAP) {
      throw invalidConfiguration(
        'bootstrap',
        bootstrap,
        `must be a list of at most ${MAX_BOOTSTRAP} nodes as host:port`,
      )
    }
    this.#bootstrap = bootstrap.map((text: unknown) => parsePlace(text))
    this.#bind = parseBind(bind)
    if (userData !== undefined && new TextEncoder().encode(userData).length > MAX_USER_DATA_BYTES) {
      throw invalidConfiguration('userData', userData, `has at most ${MAX_USER_DATA_BYTES} bytes of UTF-8`)
    }
    this.#publish = checkPublish(publish)
    this.#userData = userData
    this.#republishMs = checkMilliseconds('republishMs', options.republishMs ?? DEFAULT_REPUBLISH_MS)
    this.#timeoutMs = checkMilliseconds('timeoutMs', options.timeoutMs ?? DEFAULT_TIMEOUT_MS)
  }

  /** Names are not what the DHT knows. */
  resolveName(): Promise<undefined> {
    return Promise.resolve(undefined)
  }

  /**
   * The address in the latest record of the node.
   *
   * @throws P2PError `discovery-failed` when no node of the DHT answers, or what they have is not valid; `unsupported`
   * without the package, `network`, `limit-exceeded` beyond 64 searches at a time, `aborted`
   */
  async resolveId(id: P2PNodeId, options?: WaitOptions): Promise<P2PAddress | undefined> {
    const node = NodeId.fromBytes(id.asBytes())
    const { latest, why } = await this.#use('the look-up', this.#timeoutMs, options?.signal, (dht, signal) =>
      this.#search(dht, node, signal, LATER_RECORD_MS),
    )
    if (why !== undefined) throw failure(node, `a record that is not valid was found, and no other: ${why}`)
    if (!latest) return undefined
    try {
      const { address } = readRecord(latest)
      return address.direct.length + address.relays.length > 0 ? address : undefined
    } catch (error) {
      throw failure(node, (error as Error).message, error)
    }
  }

  announce(node: AnnouncedNode): AsyncDisposable | undefined {
    if (this.#publish === 'nothing') return undefined
    const republisher = new Republisher({
      node,
      republishMs: this.#republishMs,
      put: (nextUs, signal) =>
        this.#use('publishing', PUBLISH_TIMEOUT_MS, signal, (dht, ownSignal) =>
          this.#store(dht, node, nextUs, ownSignal),
        ),
    })
    return {
      [Symbol.asyncDispose]: async () => {
        await republisher[Symbol.asyncDispose]()
        await this.#closing
      },
    }
  }

  /** Throws when nobody has answered: what is not known then is not unknown. */
  async #search(dht: MainlineNode, id: NodeId, signal: AbortSignal, laterMs?: number): Promise<SearchResult> {
    const result = await new Search(id, this.#seen.get(id)).run(dht, signal, laterMs)
    if (result.latest) return { ...result, latest: this.#seen.note(result.latest) }
    if (result.answers > 0) return result
    if (this.#bootstrap.length === 0) throw failure(id, 'there is nobody to ask: give some nodes as `bootstrap`')
    const places = this.#bootstrap.map(({ host, port }) => `${host}:${port}`).join(', ')
    throw failure(id, `no node has answered; those to begin with are ${places}`)
  }

  async #store(dht: MainlineNode, node: AnnouncedNode, nextUs: NextTimestamp, signal: AbortSignal): Promise<void> {
    const id = NodeId.fromBytes(node.id.asBytes())
    const address = publishedPart(node.address(), this.#publish, failure)
    // This finds the nodes that are to store it, and what they have: by a clock that was ahead, perhaps.
    const { latest: before } = await this.#search(dht, id, signal)
    const record = { address, userData: this.#userData }
    const timestampUs = nextUs(before?.timestampUs)
    const packet = signRecord(record, timestampUs, (message) => node.sign(message), MAX_RECORD_BYTES)
    const late = fired(signal).then(() => {
      throw new Error('its nodes have not answered in time')
    })
    try {
      await Promise.race([dht.put(packet), late])
    } catch (error) {
      throw failure(id, (error as Error).message, error)
    }
    this.#seen.note(packet)
  }

  /** Runs `work` with the node, which is there for as long as somebody uses it. */
  async #use<T>(
    what: string,
    timeoutMs: number,
    signal: AbortSignal | undefined,
    work: (dht: MainlineNode, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    if (signal?.aborted === true) throw P2PError.aborted(signal, what)
    if (this.#users >= MAX_SEARCHES) {
      const message = `the DHT is busy: ${MAX_SEARCHES} searches at a time are the most; try again later`
      throw P2PError.of('limit-exceeded', message, { limit: 'searches', max: MAX_SEARCHES })
    }
    this.#users++
    const waiter = new Waiter<T>().abortWith(signal, what)
    try {
      const limit = timeLimit(realRuntime(), timeoutMs)
      this.#node ??= this.#open()
      this.#node
        .then((dht) => work(dht, signal ? AbortSignal.any([signal, limit]) : limit))
        .then(
          (value) => waiter.resolve(value),
          (error: unknown) => waiter.reject(error),
        )
      return await waiter.promise
    } finally {
      if (--this.#users === 0) this.#close()
    }
  }

  async #open(): Promise<MainlineNode> {
    await this.#closing
    return MainlineNode.open({ bind: this.#bind, bootstrap: this.#bootstrap, contacts: this.#contacts })
  }

  #close(): void {
    const node = this.#node
    this.#node = undefined
    this.#closing = this.#closing.then(async () => {
      const dht = await node?.catch(() => undefined)
      if (!dht) return
      const contacts = dht.contacts()
      if (contacts.length > 0) this.#contacts = contacts.slice(0, MAX_CONTACTS)
      await dht.close()
    })
  }
}

function failure(id: NodeId, why: string, cause?: unknown): P2PError {
  return P2PError.of('discovery-failed', `the DHT: ${why}`, { query: id.toString() }, { cause })
}

function parsePlace(text: unknown): Place {
  const match = typeof text === 'string' ? /^([a-z0-9](?:[a-z0-9.-]{0,252}[a-z0-9])?):(\d{1,5})$/i.exec(text) : null
  const port = Number(match?.[2])
  if (match?.[1] === undefined || !(port > 0 && port <= 65_535)) {
    throw invalidConfiguration('bootstrap', text, 'must be host:port, a name or an IPv4 address')
  }
  return { host: match[1], port }
}

function parseBind(text: unknown): Place {
  const parsed = typeof text === 'string' ? parseSocketAddress(text) : undefined
  if (parsed?.bytes.length !== 4)
    throw invalidConfiguration('bind', text, 'must be an IPv4 address and port, as 0.0.0.0:0')
  return { host: parsed.bytes.join('.'), port: parsed.port }
}
