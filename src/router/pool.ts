/**
 * Connections for requests: one a peer, shared, kept for a while.
 *
 * @module
 */
import { P2PAddress } from '../core/address.ts'
import { resolveBounds } from '../core/config.ts'
import type { P2PConnection } from '../core/connection.ts'
import { P2PError } from '../core/errors.ts'
import type { P2PNodeId } from '../core/node-id.ts'
import type { RuntimeTimer } from '../core/runtime.ts'
import type { P2PSystem } from '../core/system.ts'
import { AbortHub } from './abort-hub.ts'
import { ClientExchange } from './client-exchange.ts'
import type { P2PClientRequest, RequestPoolLimits } from './client-options.ts'
import { DEFAULT_POOL_LIMITS, prepareRequest } from './client-options.ts'
import type { P2PClientResponse } from './client-response.ts'
import { Deadlines } from '../core/deadlines.ts'
import { LinkedList } from '../core/linked-list.ts'
import type { BodyBounds } from './incoming-body.ts'

/** Whom to ask: an id, an address, or the text of either. */
export type P2PPeer = P2PNodeId | P2PAddress | string

interface Connecting {
  readonly promise: Promise<P2PConnection>
  readonly giveUp: AbortController
  waiting: number
}

/** A peer's connection, and the requests that use it or wait to. */
export class PooledPeer {
  readonly id: P2PNodeId
  /** The id, short, for messages. */
  readonly name: string
  readonly limits: RequestPoolLimits
  readonly system: P2PSystem
  readonly bodies: BodyBounds
  /** Requests that were sent and not answered. */
  readonly heads: Deadlines<ClientExchange>
  readonly aborts: AbortHub = new AbortHub()
  readonly #onUnused: () => void
  readonly #waiting = new LinkedList<ClientExchange>()
  #target: P2PNodeId | P2PAddress
  #connection: P2PConnection | undefined
  #connecting: Connecting | undefined
  #answers = 0
  /** Connections that take no more requests, with answers still to come. */
  readonly #retired = new Set<P2PConnection>()
  #inFlight = 0
  #idleSinceMs = 0
  #timer: RuntimeTimer | undefined

  constructor(system: P2PSystem, target: P2PNodeId | P2PAddress, limits: RequestPoolLimits, onUnused: () => void) {
    this.system = system
    this.limits = limits
    this.heads = new Deadlines(system.runtime, limits.headTimeoutMs, (exchange) => exchange.headLate())
    const { POSITIVE_INFINITY } = Number
    this.bodies = { runtime: system.runtime, maxBytes: POSITIVE_INFINITY, idleTimeoutMs: POSITIVE_INFINITY }
    this.#target = target
    this.#onUnused = onUnused
    this.id = target instanceof P2PAddress ? target.id : target
    this.name = this.id.fmtShort()
  }

  /** Where to connect next time; an address says more than an id. */
  set target(target: P2PNodeId | P2PAddress) {
    if (target instanceof P2PAddress || !(this.#target instanceof P2PAddress)) this.#target = target
  }

  /**
   * Takes a place among the requests in flight, or in the queue for one; `begin` of the request is called when it is given.
   *
   * @throws P2PError `limit-exceeded` when too many wait already
   */
  enter(exchange: ClientExchange): 'entered' | 'waiting' {
    if (this.#inFlight < this.limits.maxRequestsInFlight) {
      this.#inFlight++
      return 'entered'
    }
    const max = this.limits.maxRequestsWaiting
    if (this.#waiting.size >= max) {
      const message = `${max} requests to ${this.name} wait their turn already: await some before the next`
      throw P2PError.of('limit-exceeded', message, { limit: 'maxRequestsWaiting', max })
    }
    this.#waiting.push(exchange)
    return 'waiting'
  }

  /** Waits no longer. */
  leaveQueue(exchange: ClientExchange): void {
    this.#waiting.delete(exchange)
  }

  /** Gives the place to the next in line, or back. */
  leave(): void {
    const next = this.#waiting.oldest
    if (next) {
      this.#waiting.delete(next)
      next.begin()
      return
    }
    this.#inFlight--
    if (this.#inFlight === 0) this.#idle()
  }

  /** The connection, when there is one that can be used. */
  get ready(): P2PConnection | undefined {
    return this.#connection?.isConnected() === true ? this.#connection : undefined
  }

  /** Sends no more requests over a connection; it ends once nothing is in flight. */
  retire(connection: P2PConnection): void {
    if (this.#connection !== connection) return
    this.#connection = undefined
    this.#retired.add(connection)
  }

  /** How many answers, or beginnings of them, have come so far. */
  get answers(): number {
    return this.#answers
  }

  /** An answer, or the beginning of one, has come. */
  answered(): void {
    this.#answers++
  }

  /**
   * A request over `connection` was not answered in its time, and `answers` was this when it was sent. When nothing has come
   * since then, the peer may have forgotten the connection, of which this side would hear only when the connection has
   * been idle for too long: the next request gets another one.
   */
  doubt(connection: P2PConnection, answers: number): void {
    if (answers === this.#answers) this.retire(connection)
  }

  /** A connection; those who ask while one is being made share it. @throws P2PError as `P2PSystem.connect` */
  connect(earlyData: boolean): Promise<P2PConnection> {
    const connecting = (this.#connecting ??= this.#startConnecting(earlyData))
    connecting.waiting++
    return connecting.promise
  }

  /** One who waited in `connect` waits no longer; the last one ends the attempt. */
  giveUpConnecting(): void {
    const connecting = this.#connecting
    if (!connecting) return
    connecting.waiting--
    if (connecting.waiting > 0) return
    this.#connecting = undefined
    connecting.giveUp.abort()
  }

  /** Ends the connection; requests in flight fail as they would with any lost connection. */
  async close(): Promise<void> {
    if (this.#inFlight === 0) this.heads.clear()
    this.#timer?.cancel()
    this.#timer = undefined
    this.#connecting?.giveUp.abort()
    const connection = this.#connection
    this.#connection = undefined
    this.#endRetired()
    await connection?.end()
  }

  #startConnecting(earlyData: boolean): Connecting {
    const giveUp = new AbortController()
    const promise = this.system.connect(this.#target, { signal: giveUp.signal, earlyData }).then(
      (connection) => {
        if (this.#connecting === connecting) {
          this.#connecting = undefined
          this.#connected(connection)
        } else {
          // It was there before the attempt could be ended, and nobody waits for it.
          connection.end().catch(() => {})
        }
        return connection
      },
      (error: unknown) => {
        if (this.#connecting === connecting) this.#connecting = undefined
        throw error
      },
    )
    const connecting = { promise, giveUp, waiting: 0 }
    return connecting
  }

  #connected(connection: P2PConnection): void {
    // The one before, if any, was found broken.
    this.#connection?.end().catch(() => {})
    this.#connection = connection
    void connection.closed.then(() => {
      if (this.#connection !== connection) return
      this.#connection = undefined
      if (this.#inFlight === 0) this.#unused()
    })
    // Whoever asked for it may have given up.
    if (this.#inFlight === 0) this.#idle()
  }

  #endRetired(): void {
    for (const connection of this.#retired) connection.end().catch(() => {})
    this.#retired.clear()
  }

  #idle(): void {
    this.#endRetired()
    if (!this.#connection) {
      if (!this.#connecting) this.#unused()
      return
    }
    this.#idleSinceMs = this.system.runtime.now()
    if (this.limits.idleTimeoutMs !== Number.POSITIVE_INFINITY) this.#armTimer(this.limits.idleTimeoutMs)
  }

  #armTimer(delayMs: number): void {
    this.#timer ??= this.system.runtime.setTimer(delayMs, () => {
      this.#timer = undefined
      if (this.#inFlight > 0) return
      const leftMs = this.#idleSinceMs + this.limits.idleTimeoutMs - this.system.runtime.now()
      if (leftMs > 0) {
        this.#armTimer(leftMs)
        return
      }
      this.close().catch(() => {})
      this.#unused()
    })
  }

  #unused(): void {
    this.heads.clear()
    this.#timer?.cancel()
    this.#timer = undefined
    this.#onUnused()
  }
}

/** Texts whose ids are remembered, so that parsing them (a check on the curve) is paid for once. */
const MAX_NAMES = 1024

/** The pools that `request` and `fetch` use. Each lives as long as its node. */
const pools = new WeakMap<P2PSystem, RequestPool>()

/**
 * Sends requests from one node, over one connection a peer. `request` and `fetch` use the node's own pool; make another
 * for other limits.
 *
 * @example
 * ```ts
 * import { DefaultP2P, P2PResponse, RequestPool, serve } from '@moosicbox/p2p'
 *
 * await using home = await DefaultP2P.create()
 * await using player = await DefaultP2P.create()
 * await serve(home, () => P2PResponse.text('hello'))
 * await using pool = new RequestPool(player, { headTimeoutMs: 5_000 })
 * const answer = await pool.request(home.address(), { path: '/' })
 * console.log(await answer.text(), pool.size) // hello 1
 * ```
 */
export class RequestPool implements AsyncDisposable {
  readonly #system: P2PSystem
  readonly #limits: RequestPoolLimits
  /** By id, in the order of the first request. */
  readonly #peers = new Map<string, PooledPeer>()
  readonly #addresses = new Map<string, P2PAddress>()
  #closed = false

  /** @throws P2PError `invalid-configuration` */
  constructor(system: P2PSystem, limits: Partial<RequestPoolLimits> = {}) {
    this.#system = system
    this.#limits = resolveBounds('pool', DEFAULT_POOL_LIMITS, limits, { mayBeInfinite: true })
  }

  /** The pool of a node, with default limits. */
  static of(system: P2PSystem): RequestPool {
    let pool = pools.get(system)
    if (!pool) {
      pool = new RequestPool(system)
      pools.set(system, pool)
    }
    return pool
  }

  /** Peers with a connection, or requests on their way to one. */
  get size(): number {
    return this.#peers.size
  }

  /** As the function `request`. */
  request(peer: P2PPeer, init: P2PClientRequest): Promise<P2PClientResponse> {
    try {
      if (this.#closed) {
        const fields = { closeCode: 0, reason: 'pool closed', by: 'local' as const }
        throw P2PError.of('connection-closed', 'this pool is closed: make another', fields)
      }
      const prepared = prepareRequest(init)
      return new ClientExchange(this.#peer(peer), prepared).run()
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Ends every connection. Requests in flight fail with `connection-closed`. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.allSettled([...this.#peers.values()].map((peer) => peer.close()))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #peer(peer: P2PPeer): PooledPeer {
    const target = typeof peer === 'string' ? this.#parse(peer) : peer
    const key = (target instanceof P2PAddress ? target.id : target).toString()
    let pooled = this.#peers.get(key)
    if (pooled) {
      pooled.target = target
    } else {
      pooled = new PooledPeer(this.#system, target, this.#limits, () => this.#peers.delete(key))
      this.#peers.set(key, pooled)
    }
    return pooled
  }

  #parse(text: string): P2PAddress {
    let address = this.#addresses.get(text)
    if (!address) {
      address = P2PAddress.parse(text)
      if (this.#addresses.size >= MAX_NAMES) this.#addresses.clear()
      this.#addresses.set(text, address)
    }
    return address
  }
}
