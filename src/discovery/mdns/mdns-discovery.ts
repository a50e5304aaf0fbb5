/**
 * Nodes found on the local network by multicast, as iroh's own nodes find each other there.
 *
 * @module
 */
import type { P2PAddress } from '../../core/address.ts'
import { checkOptions, invalidConfiguration } from '../../core/config.ts'
import { P2PError } from '../../core/errors.ts'
import { NodeId } from '../../core/node-id.ts'
import type { P2PNodeId } from '../../core/node-id.ts'
import type { Runtime } from '../../core/runtime.ts'
import type { WaitOptions } from '../../core/stream.ts'
import type { AnnouncedNode, P2PDiscovery, RegisterOptions } from '../../core/system.ts'
import { checkMilliseconds } from '../options.ts'
import { checkName } from '../signed-name.ts'
import { UserData } from '../user-data.ts'
import { EventQueue } from './browser.ts'
import { multicastOn, whyUnusable } from './link.ts'
import type { LinkState, OpenLink } from './link.ts'
import type { Known, MdnsEvent, MdnsPeer } from './peer-table.ts'
import { Responder } from './responder.ts'
import { MdnsService } from './service.ts'

/** Options of {@link MdnsDiscovery}. */
export interface MdnsOptions {
  /** Names of network interfaces to use, such as `['eth0']`. @default all that lead to other machines, at most 16 */
  readonly interfaces?: readonly string[] | undefined
  /** Whether nodes that use this source make themselves known. @default true */
  readonly publish?: boolean | undefined
  /** Text for others to read, at most 245 bytes of UTF-8; a node with such a text has no name. @default none */
  readonly userData?: string | undefined
  /** How long a look-up waits for an answer, in milliseconds. @default 3000 */
  readonly timeoutMs?: number | undefined
  /** A peer that has been silent for so long is lost, in milliseconds; where there are many, it takes longer. @default 30000 */
  readonly lostAfterMs?: number | undefined
  /** Peers that are kept in mind; who comes when there are so many is only found by id. @default 1024 */
  readonly maxPeers?: number | undefined
}

/** How the local network is, as {@link MdnsDiscovery.status} tells it. */
export interface MdnsStatus {
  /** Each family of addresses on each interface, and why it is not used, if it is not; none while nobody needs them. */
  readonly interfaces: readonly LinkState[]
  /** Names that were claimed with a wrong signature, and are not believed. */
  readonly forgedNames: number
  /** Packets that could not be read. */
  readonly malformedPackets: number
  /** Packets that were passed over in a flood of them. */
  readonly droppedPackets: number
  /** Times that somebody was heard for whom there was no room (`maxPeers`). */
  readonly ignoredPeers: number
}

const OPTIONS: readonly string[] = ['interfaces', 'publish', 'userData', 'timeoutMs', 'lostAfterMs', 'maxPeers']
const DEFAULT_TIMEOUT_MS = 3_000
const DEFAULT_LOST_AFTER_MS = 30_000
const DEFAULT_MAX_PEERS = 1_024
/** A name is believed when nobody else has claimed it for so long. */
const CLAIM_MS = 300

/**
 * Finds nodes on the local network, and makes those that use it known there: by id, by the name they have been
 * registered with, and as a list of who is there. Wire compatible with iroh's mDNS.
 *
 * Anybody on the network can answer for any id; the handshake then fails, as only the node has its key. Names are
 * signed by their nodes, but two nodes can go by the same, and then the name leads to neither.
 *
 * @example
 * ```ts fragment
 * const mdns = new MdnsDiscovery()
 * const p2p = await DefaultP2P.create({ discovery: [mdns] })
 * for await (const { kind, peer } of mdns.browse()) console.log(kind, peer.name ?? peer.id.fmtShort())
 * ```
 */
export class MdnsDiscovery implements P2PDiscovery {
  readonly name = 'mdns'
  readonly #publish: boolean
  readonly #userData: UserData
  readonly #timeoutMs: number
  readonly #lostAfterMs: number
  readonly #maxPeers: number
  readonly #openLink: OpenLink
  readonly #multicast: boolean
  readonly #nodes = new Set<AnnouncedNode>()
  readonly #responders = new Map<string, Responder>()
  readonly #ttlMs = new Map<string, number>()
  readonly #queues = new Set<EventQueue>()
  #service: MdnsService | undefined

  /**
   * @param openLink what carries the packets; another one than multicast is for tests
   * @throws P2PError `invalid-configuration`
   */
  constructor(options: MdnsOptions = {}, openLink?: OpenLink) {
    checkOptions('MdnsDiscovery', options, OPTIONS)
    const { interfaces, maxPeers = DEFAULT_MAX_PEERS } = options
    if (interfaces !== undefined && !(Array.isArray(interfaces) && interfaces.length > 0 && interfaces.every(isText))) {
      throw invalidConfiguration('interfaces', interfaces, "must be names of network interfaces, such as ['eth0']")
    }
    if (!Number.isSafeInteger(maxPeers) || maxPeers < 1) {
      throw invalidConfiguration('maxPeers', maxPeers, 'must be a whole number above 0')
    }
    this.#publish = options.publish ?? true
    this.#userData = new UserData(options.userData)
    this.#timeoutMs = checkMilliseconds('timeoutMs', options.timeoutMs ?? DEFAULT_TIMEOUT_MS)
    this.#lostAfterMs = checkMilliseconds('lostAfterMs', options.lostAfterMs ?? DEFAULT_LOST_AFTER_MS)
    this.#maxPeers = maxPeers
    this.#multicast = openLink === undefined
    this.#openLink = openLink ?? multicastOn(interfaces && [...interfaces])
  }

  /** Called by each node that has this source. */
  attach(node: AnnouncedNode): AsyncDisposable {
    this.#nodes.add(node)
    return {
      [Symbol.asyncDispose]: () => {
        this.#nodes.delete(node)
        this.#userData.forget(node.id)
        this.#ttlMs.delete(node.id.toString())
        if (this.#nodes.size === 0) for (const queue of Array.from(this.#queues)) queue.end()
        return Promise.resolve()
      },
    }
  }

  /**
   * Looks for the node with this id.
   *
   * @throws P2PError `discovery-failed` where there is no network, `unsupported` in a simulation, `aborted`
   */
  async resolveId(id: P2PNodeId, options?: WaitOptions): Promise<P2PAddress | undefined> {
    const service = this.#open()
    const wanted = NodeId.fromBytes(id.asBytes())
    return this.#look(
      service,
      () => service.peers.get(wanted)?.peer.address,
      options?.signal,
      wanted.toString(),
      wanted,
    )
  }

  /**
   * Looks for the node that goes by this name: one that is alone in that for 0.3 s.
   *
   * @throws P2PError `discovery-failed` when several nodes go by it, or one does without having signed it, or there is no
   * network, `unsupported` in a simulation, `aborted`
   */
  async resolveName(name: string, options?: WaitOptions): Promise<P2PAddress | undefined> {
    const service = this.#open()
    const wanted = canonical(name)
    if (wanted === undefined) return undefined
    const decide = (ended: boolean): P2PAddress | number | undefined => {
      const claims = service.peers.all().filter(({ claim }) => claim.kind !== 'none' && claim.name === wanted)
      const signed = claims.filter(({ claim }) => claim.kind === 'signed')
      if (signed.length > 1) throw ambiguous(wanted, signed)
      const [claim] = signed
      if (claim) {
        const sureMs = claim.sinceMs + CLAIM_MS
        return ended || sureMs <= service.runtime.now() ? claim.peer.address : sureMs
      }
      if (ended && claims.length > 0) throw forged(wanted, claims)
      return undefined
    }
    return this.#look(service, decide, options?.signal, wanted)
  }

  /**
   * Names the node that has this address: others on the local network find it by the name from then on. A node has one
   * name; a later one replaces it.
   *
   * @throws P2PError `invalid-configuration` when the name is none, or there is `userData`
   */
  publish(name: string, address: P2PAddress, options?: RegisterOptions): Promise<void> {
    const key = address.id.toString()
    try {
      if (!this.#publish) throw invalidConfiguration('publish', false, 'keeps nodes from being known here by name, too')
      this.#userData.setName(address.id, name)
    } catch (error) {
      return Promise.reject(error)
    }
    if (options?.ttlMs === undefined) this.#ttlMs.delete(key)
    else this.#ttlMs.set(key, checkMilliseconds('ttlMs', options.ttlMs))
    this.#responders.get(key)?.refresh()
    return Promise.resolve()
  }

  announce(node: AnnouncedNode): AsyncDisposable | undefined {
    if (!this.#publish) return undefined
    const key = node.id.toString()
    let service: MdnsService
    try {
      service = this.#open()
    } catch (error) {
      node.onPublished(error)
      return undefined
    }
    const responder = new Responder({
      node,
      service,
      userData: () => this.#userData.of(node),
      ttlMs: () => this.#ttlMs.get(key),
    })
    this.#responders.set(key, responder)
    return {
      [Symbol.asyncDispose]: () => {
        this.#responders.delete(key)
        return responder[Symbol.asyncDispose]()
      },
    }
  }

  /**
   * Who is on the local network, and who comes and goes, until the loop is left or the nodes that have this source are
   * closed. Nodes that announce themselves through this very source are not told of.
   *
   * @throws P2PError `invalid-configuration` when no node has this source, `unsupported` in a simulation, `aborted`
   */
  async *browse(options?: WaitOptions): AsyncGenerator<MdnsEvent, void, void> {
    const service = this.#open()
    const queue = new EventQueue()
    this.#queues.add(queue)
    const push = (event: MdnsEvent): void => {
      if (!service.isOwn(event.peer.id)) queue.push(event)
    }
    await using _ = service.seek(push)
    try {
      for (const { peer } of service.peers.all()) push({ kind: 'found', peer })
      for (;;) {
        const event = await queue.next(options?.signal)
        if (!event) return
        yield event
      }
    } finally {
      this.#queues.delete(queue)
    }
  }

  /** Who has been heard lately: somebody only while a node announces itself, a look-up waits or a loop browses. */
  peers(): readonly MdnsPeer[] {
    const service = this.#service
    return (service?.peers.all() ?? []).map(({ peer }) => peer).filter(({ id }) => service?.isOwn(id) !== true)
  }

  /** How the local network is; for diagnosis. */
  status(): MdnsStatus {
    const service = this.#service
    return {
      interfaces: service?.link?.states() ?? [],
      forgedNames: service?.peers.forged ?? 0,
      malformedPackets: service?.malformed ?? 0,
      droppedPackets: service?.dropped ?? 0,
      ignoredPeers: service?.peers.ignored ?? 0,
    }
  }

  #open(): MdnsService {
    if (this.#service) return this.#service
    const runtime = this.#runtime()
    this.#service = new MdnsService({
      runtime,
      openLink: this.#openLink,
      maxPeers: this.#maxPeers,
      lostAfterMs: this.#lostAfterMs,
    })
    return this.#service
  }

  #runtime(): Runtime {
    const [node] = this.#nodes
    if (!node) {
      throw invalidConfiguration('discovery', 'mdns', 'belongs to no open node: give it to create() as `discovery`')
    }
    if (node.runtime.kind === 'simulated' && this.#multicast) {
      const message = 'mDNS speaks on the real network; in a simulation register and discover names as they are there'
      throw P2PError.of('unsupported', message, { what: 'mdns', backend: 'simulator' })
    }
    return node.runtime
  }

  /**
   * Waits until `answer` has one, and asks it whenever somebody is heard, at a time that it gives instead, and at the
   * end, when it has to decide.
   */
  async #look(
    service: MdnsService,
    answer: (ended: boolean) => P2PAddress | number | undefined,
    signal: AbortSignal | undefined,
    query: string,
    wanted?: NodeId,
  ): Promise<P2PAddress | undefined> {
    const { runtime } = service
    const endMs = runtime.now() + this.#timeoutMs
    let wake = (): void => {}
    await using _ = service.seek(() => wake(), wanted)
    for (;;) {
      if (signal?.aborted === true) throw P2PError.aborted(signal, 'the look-up')
      const nowMs = runtime.now()
      const known = answer(nowMs >= endMs)
      if (typeof known === 'object') return known
      if (nowMs >= endMs) {
        const why = whyUnusable(service.link?.states() ?? [])
        if (why === undefined) return undefined
        throw P2PError.of('discovery-failed', `the local network cannot be asked: ${why}`, { query })
      }
      await new Promise<void>((resolve) => {
        const timer = runtime.setTimer(Math.min(endMs, known ?? endMs) - nowMs, () => wake())
        wake = (): void => {
          timer.cancel()
          signal?.removeEventListener('abort', wake)
          resolve()
        }
        signal?.addEventListener('abort', wake, { once: true })
      })
    }
  }
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== ''
}

function canonical(name: string): string | undefined {
  try {
    return checkName(name)
  } catch {
    return undefined
  }
}

function ambiguous(name: string, claims: readonly Known[]): P2PError {
  const who = claims.map(({ peer }) => peer.id.toString()).sort()
  const what = `${who.length} nodes on the local network go by ${JSON.stringify(name)}: ${who.join(', ')}`
  const message = `${what}; connect by id, or give the one that is meant an alias`
  return P2PError.of('discovery-failed', message, { query: name })
}

function forged(name: string, claims: readonly Known[]): P2PError {
  const who = claims.map(({ peer }) => peer.id.toString()).join(', ')
  const message = `somebody on the local network says that ${who} goes by ${JSON.stringify(name)}, and that node has not signed it`
  return P2PError.of('discovery-failed', message, { query: name })
}
