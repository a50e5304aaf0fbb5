/**
 * All listeners of a node: which protocols they share out among them, and who is let in to which.
 *
 * @module
 */
import type { CarrierConnection, CarrierEndpoint } from '../carrier.ts'
import { invalidConfiguration } from '../config.ts'
import type { P2PLimits } from '../config.ts'
import type { StreamKind } from '../connection.ts'
import { P2PError } from '../errors.ts'
import type { Runtime } from '../runtime.ts'
import { appended } from '../small-list.ts'
import { P2P_ALPN } from '../system.ts'
import type { ListenOptions } from '../system.ts'
import { refusalOf, toAuthorize } from './authorizing.ts'
import type { EngineConnection } from './connection.ts'
import { EngineListener } from './listener.ts'
import { LIBRARY_CODE } from './wire.ts'

const ALL_KINDS: readonly StreamKind[] = ['stream', 'request']
const NONE: readonly never[] = Object.freeze([])
const STREAM_KIND: readonly StreamKind[] = Object.freeze(['stream'])
const OUR_ALPNS: readonly string[] = Object.freeze([P2P_ALPN])
const MAX_ALPN_BYTES = 255

/** A protocol's name, if it is one. */
export function checkAlpn(alpn: string): string {
  const length = typeof alpn === 'string' ? new TextEncoder().encode(alpn).length : 0
  if (length < 1 || length > MAX_ALPN_BYTES) {
    throw invalidConfiguration('alpn', alpn, `a protocol name has 1 to ${MAX_ALPN_BYTES} bytes`)
  }
  return alpn
}

/** What listeners need of their node. */
export interface ListenersOptions {
  readonly endpoint: CarrierEndpoint
  readonly runtime: Runtime
  readonly limits: P2PLimits
}

/** The listeners of one node. */
export class Listeners<Connection extends EngineConnection> {
  readonly #options: ListenersOptions
  #all: readonly EngineListener<Connection>[] = NONE

  constructor(options: ListenersOptions) {
    this.#options = options
  }

  /** Begins to listen; `addr` and `options` are an application's, and are checked here. */
  listen(addr: string, options: ListenOptions): EngineListener<Connection> {
    const { endpoint, limits, runtime } = this.#options
    const bound = endpoint.boundAddresses()
    if (addr !== '' && !bound.includes(addr)) {
      throw invalidConfiguration('addr', addr, `this node is bound to ${bound.join(', ')}; '' listens on all of them`)
    }
    const alpns = options.alpns?.map((alpn) => checkAlpn(alpn)) ?? OUR_ALPNS
    const kinds = options.kinds ?? STREAM_KIND
    const authorize = toAuthorize(options.authorize)
    if (alpns.length === 0) throw invalidConfiguration('alpns', alpns, 'a listener needs at least one protocol')
    if (kinds.length === 0 || !kinds.every((kind) => ALL_KINDS.includes(kind))) {
      throw invalidConfiguration('kinds', kinds, `a listener takes some of ${ALL_KINDS.join(', ')}`)
    }
    for (const alpn of alpns) this.#checkFree(alpn, kinds)
    const listener: EngineListener<Connection> = new EngineListener({
      alpns,
      kinds,
      earlyData: options.earlyData === true,
      authorize,
      localAddr: addr === '' ? (bound[0] ?? '') : addr,
      acceptBacklog: limits.acceptBacklog,
      maxConnections: limits.maxConnections,
      maxConnectionsPerPeer: limits.maxConnectionsPerPeer,
      waits: runtime.waits,
      onClose: () => {
        runtime.leaks?.forget(listener)
        this.#all = this.#all.filter((other) => other !== listener)
        this.#announceAlpns()
      },
    })
    this.#all = appended(this.#all, listener)
    runtime.leaks?.hold(listener, `a listener for ${alpns.join(', ')}`, () => listener.listening)
    this.#announceAlpns()
    return listener
  }

  /** Closes all of them. */
  close(): void {
    for (let listener = this.#all[0]; listener; listener = this.#all[0]) listener.close()
  }

  /**
   * Lets an inbound connection in to every listener of its protocol that has room and whose `authorize` agrees; where
   * there is none, it is closed.
   *
   * @param letIn is called with those listeners while they are known to listen, before anything else can happen
   */
  async handle(
    carrier: CarrierConnection,
    letIn: (willing: readonly EngineListener<Connection>[]) => void,
  ): Promise<void> {
    let candidates = this.#listenersFor(carrier.alpn)
    if (carrier.handshake && !candidates.every(({ options }) => options.earlyData)) {
      // One that takes no early data has come meanwhile.
      await carrier.handshake
      candidates = this.#listenersFor(carrier.alpn)
    }
    const refusals = await Promise.all(candidates.map((listener) => this.#admit(listener, carrier)))
    const willing: EngineListener<Connection>[] = []
    let why = candidates.length === 0 ? 'nobody listens for this protocol' : 'the listener was closed'
    for (const [i, listener] of candidates.entries()) {
      const refusal = refusals[i]
      if (refusal !== undefined) why = refusal
      else if (listener.listening) willing.push(listener)
      else listener.leave(carrier.remoteId)
    }
    if (willing.length > 0) {
      letIn(willing)
      return
    }
    // Before, it could not learn why.
    if (carrier.handshake) await carrier.handshake
    carrier.close(LIBRARY_CODE.refused, why)
  }

  #checkFree(alpn: string, kinds: readonly StreamKind[]): void {
    const taken = this.#all.find(
      ({ options }) =>
        options.alpns.includes(alpn) && (alpn !== P2P_ALPN || options.kinds.some((kind) => kinds.includes(kind))),
    )
    if (!taken) return
    const what = alpn === P2P_ALPN ? `${alpn} (${taken.options.kinds.join(', ')})` : alpn
    throw P2PError.of('already-listening', `this node listens for ${what} already: close that listener first`, { alpn })
  }

  #announceAlpns(): void {
    const alpns = [...new Set(this.#all.flatMap(({ options }) => options.alpns))].sort()
    const early = alpns.filter((alpn) => this.#listenersFor(alpn).every(({ options }) => options.earlyData))
    const { endpoint, limits } = this.#options
    // Each listener counts for itself; together they take no more than this.
    const connections = limits.maxConnections * this.#all.length
    const connectionsPerPeer = limits.maxConnectionsPerPeer * this.#all.length
    endpoint.setAlpns(alpns, { connections, connectionsPerPeer }, early)
  }

  #listenersFor(alpn: string): EngineListener<Connection>[] {
    return this.#all.filter(({ options }) => options.alpns.includes(alpn))
  }

  /** Takes a place at `listener`; or says why there is none for this peer. */
  async #admit(listener: EngineListener<Connection>, carrier: CarrierConnection): Promise<string | undefined> {
    const full = listener.enter(carrier.remoteId)
    if (full !== undefined) return full
    const { authorize } = listener.options
    if (!authorize) return undefined
    const { limits, runtime } = this.#options
    const refusal = await refusalOf(authorize, carrier, runtime, limits.authorizeTimeoutMs)
    if (refusal !== undefined) listener.leave(carrier.remoteId)
    return refusal
  }
}
