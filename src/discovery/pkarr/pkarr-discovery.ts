/**
 * Nodes found by id through a pkarr server: a store of signed records that is asked over HTTP.
 *
 * @module
 */
import type { P2PAddress } from '../../core/address.ts'
import { checkOptions, invalidConfiguration } from '../../core/config.ts'
import { P2PError } from '../../core/errors.ts'
import { NodeId } from '../../core/node-id.ts'
import type { P2PNodeId } from '../../core/node-id.ts'
import type { WaitOptions } from '../../core/stream.ts'
import type { AnnouncedNode, P2PDiscovery } from '../../core/system.ts'
import { timeLimit } from '../../core/time-limit.ts'
import { realRuntime } from '../../runtime/real-runtime.ts'
import type { NodeRecord } from '../node-record.ts'
import { checkMilliseconds } from '../options.ts'
import { checkPublish, publishedPart } from '../published.ts'
import type { RecordPublish } from '../published.ts'
import { readName } from '../signed-name.ts'
import { UserData } from '../user-data.ts'
import { LatestPackets } from './latest-packets.ts'
import { decodeBody, encodeBody, MAX_BODY_BYTES, readRecord, signRecord } from './signed-packet.ts'
import type { SignedPacket } from './signed-packet.ts'
import { Republisher } from './republisher.ts'

/** Options of {@link PkarrDiscovery}. */
export interface PkarrOptions {
  /** The server, such as `https://dns.example.org`; records are at `<server>/pkarr/<id>`. */
  readonly server: string
  /**
   * What nodes that use this source publish. The server learns it, and everybody who asks it for their id: so addresses,
   * which tell where somebody lives, and how the network there is made, are kept out unless asked for. @default 'relays'
   */
  readonly publish?: RecordPublish | undefined
  /** Text for others to read, at most 245 bytes of UTF-8; a node with such a text has no name. @default none */
  readonly userData?: string | undefined
  /** How often an unchanged record is published again, in milliseconds. @default 300000 */
  readonly republishMs?: number | undefined
  /** Longest wait for one answer of the server, in milliseconds. @default 5000 */
  readonly timeoutMs?: number | undefined
}

const OPTIONS: readonly string[] = ['server', 'publish', 'userData', 'republishMs', 'timeoutMs']
const DEFAULT_REPUBLISH_MS = 300_000
const DEFAULT_TIMEOUT_MS = 5_000

/**
 * Looks nodes up at a pkarr server, and publishes those that use it. What the server says is believed only when the
 * node's own key has signed it, and never when a later record of it has been seen; it can withhold a record, and show an old
 * one to who has seen none.
 *
 * @example
 * ```ts fragment
 * const pkarr = new PkarrDiscovery({ server: 'https://dns.example.org' })
 * const p2p = await DefaultP2P.create({ discovery: [pkarr] })
 * ```
 */
export class PkarrDiscovery implements P2PDiscovery {
  readonly name = 'pkarr'
  readonly #server: URL
  readonly #publish: RecordPublish
  readonly #userData: UserData
  readonly #seen = new LatestPackets()
  readonly #republishers = new Map<string, Republisher>()
  readonly #republishMs: number
  readonly #timeoutMs: number

  /** @throws P2PError `invalid-configuration` */
  constructor(options: PkarrOptions) {
    checkOptions('PkarrDiscovery', options, OPTIONS)
    const { server } = options
    if (!URL.canParse(server) || !/^https?:$/.test(new URL(server).protocol)) {
      throw invalidConfiguration('server', server, 'must be the URL of a pkarr server, such as https://dns.example.org')
    }
    this.#server = new URL(server.endsWith('/') ? server : `${server}/`)
    this.#publish = checkPublish(options.publish)
    this.#userData = new UserData(options.userData)
    this.#republishMs = checkMilliseconds('republishMs', options.republishMs ?? DEFAULT_REPUBLISH_MS)
    this.#timeoutMs = checkMilliseconds('timeoutMs', options.timeoutMs ?? DEFAULT_TIMEOUT_MS)
  }

  /** Called by each node that has this source. */
  attach(node: AnnouncedNode): AsyncDisposable {
    return { [Symbol.asyncDispose]: () => Promise.resolve(this.#userData.forget(node.id)) }
  }

  /** A pkarr server finds nobody by a name; whose it is, {@link nameOf} tells. */
  resolveName(): Promise<undefined> {
    return Promise.resolve(undefined)
  }

  /** @throws P2PError `discovery-failed` when the server cannot be asked or its answer is not valid, `aborted` */
  async resolveId(id: P2PNodeId, options?: WaitOptions): Promise<P2PAddress | undefined> {
    const record = await this.#record(NodeId.fromBytes(id.asBytes()), options?.signal)
    if (!record) return undefined
    const { address } = record
    return address.direct.length + address.relays.length > 0 ? address : undefined
  }

  /**
   * The name that the node has been registered with, signed by itself.
   *
   * @throws P2PError `discovery-failed` when the server cannot be asked or its answer is not valid, `aborted`
   */
  async nameOf(id: P2PNodeId, options?: WaitOptions): Promise<string | undefined> {
    const record = await this.#record(NodeId.fromBytes(id.asBytes()), options?.signal)
    const claim = readName(id, record?.userData)
    return claim.kind === 'signed' ? claim.name : undefined
  }

  /**
   * Names the node that has this address: the name is in its record from then on. A node has one name; a later one
   * replaces it.
   *
   * @throws P2PError `invalid-configuration` when the name is none, or there is `userData`, or nothing is published
   */
  publish(name: string, address: P2PAddress): Promise<void> {
    try {
      if (this.#publish === 'nothing') {
        throw invalidConfiguration('publish', this.#publish, 'keeps names from being published, too')
      }
      this.#userData.setName(address.id, name)
    } catch (error) {
      return Promise.reject(error)
    }
    this.#republishers.get(address.id.toString())?.refresh()
    return Promise.resolve()
  }

  announce(node: AnnouncedNode): AsyncDisposable | undefined {
    if (this.#publish === 'nothing') return undefined
    const key = node.id.toString()
    let hasAsked = false
    const republisher = new Republisher({
      node,
      republishMs: this.#republishMs,
      put: async (nextUs, signal) => {
        const address = publishedPart(node.address(), this.#publish, (id, why) => this.#failure(id, why))
        // What is there may be of a clock that was ahead: the server would say that it takes ours, and keep the other.
        const stored = hasAsked ? undefined : await this.#stored(address.id, signal)
        hasAsked = true
        await this.#put(node, address, nextUs(stored?.timestampUs), signal)
      },
    })
    this.#republishers.set(key, republisher)
    return {
      [Symbol.asyncDispose]: () => {
        this.#republishers.delete(key)
        return republisher[Symbol.asyncDispose]()
      },
    }
  }

  async #record(node: NodeId, signal: AbortSignal | undefined): Promise<NodeRecord | undefined> {
    const body = await this.#get(node, signal)
    try {
      return body && readRecord(this.#seen.note(decodeBody(node, body)))
    } catch (error) {
      throw this.#failure(node, (error as Error).message, error)
    }
  }

  /** The record that the server has of a node of ours; one that is not the node's own is none. */
  async #stored(id: NodeId, signal: AbortSignal): Promise<SignedPacket | undefined> {
    const body = await this.#get(id, signal)
    try {
      return body && this.#seen.note(decodeBody(id, body))
    } catch {
      return undefined
    }
  }

  /** What the server has for an id, whatever it is. */
  async #get(id: NodeId, signal: AbortSignal | undefined): Promise<Uint8Array | undefined> {
    const response = await this.#ask(id, { method: 'GET' }, signal)
    if (response.status === 200) return this.#body(id, response)
    if (response.status !== 404) throw await this.#refusal(id, response)
    await response.body?.cancel()
    return undefined
  }

  async #put(node: AnnouncedNode, address: P2PAddress, timestampUs: bigint, signal: AbortSignal): Promise<void> {
    const record = { address, userData: this.#userData.of(node) }
    const packet = signRecord(record, timestampUs, (message) => node.sign(message))
    const response = await this.#ask(packet.id, { method: 'PUT', body: encodeBody(packet) }, signal)
    if (!response.ok) throw await this.#refusal(packet.id, response)
    await response.body?.cancel()
    this.#seen.note(packet)
  }

  async #ask(id: NodeId, init: RequestInit, signal: AbortSignal | undefined): Promise<Response> {
    const url = new URL(`pkarr/${id.toString()}`, this.#server)
    const limit = timeLimit(realRuntime(), this.#timeoutMs)
    try {
      return await fetch(url, { ...init, redirect: 'error', signal: signal ? AbortSignal.any([signal, limit]) : limit })
    } catch (error) {
      if (signal?.aborted === true) throw P2PError.aborted(signal, 'the look-up')
      const why = limit.aborted ? `no answer within ${this.#timeoutMs} ms` : 'it cannot be reached'
      throw this.#failure(id, why, error)
    }
  }

  /** The body; of one that is longer than a record can be, no more than shows that. */
  async #body(id: NodeId, response: Response): Promise<Uint8Array> {
    const parts: Uint8Array[] = []
    let length = 0
    try {
      for await (const part of (response.body ?? []) as AsyncIterable<Uint8Array>) {
        parts.push(part)
        length += part.length
        if (length > MAX_BODY_BYTES) break
      }
    } catch (error) {
      throw this.#failure(id, 'its answer broke off', error)
    }
    return Buffer.concat(parts)
  }

  async #refusal(id: NodeId, response: Response): Promise<P2PError> {
    await response.body?.cancel()
    return this.#failure(id, `it answered with status ${response.status}`)
  }

  #failure(id: NodeId, why: string, cause?: unknown): P2PError {
    const message = `the pkarr server ${this.#server.origin}: ${why}`
    return P2PError.of('discovery-failed', message, { query: id.toString() }, { cause })
  }
}
