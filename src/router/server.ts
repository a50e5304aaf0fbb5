/**
 * Serving an application to peers.
 *
 * @module
 */
import { invalidConfiguration } from '../core/config.ts'
import type { P2PConnection, PromptConnection } from '../core/connection.ts'
import type { RuntimeTimer } from '../core/runtime.ts'
import type { P2PStream } from '../core/stream.ts'
import type { P2PListener, P2PSystem } from '../core/system.ts'
import { REQUEST_CODE } from './codes.ts'
import { Deadlines } from '../core/deadlines.ts'
import { LinkedList } from '../core/linked-list.ts'
import { Exchange } from './exchange.ts'
import type { ExchangeHost, ExchangeOutcome, ExchangeOwner } from './exchange-host.ts'
import type { P2PFetchApp } from './fetch-app.ts'
import { fetchAppHandler } from './fetch-app.ts'
import { P2PRouter } from './router.ts'
import type { P2PHandler, P2PService } from './router.ts'
import type { ServeOptions, ServerErrorContext } from './server-options.ts'
import { earlyMethods, serverLimits } from './server-options.ts'

/** What can be served: a router, a service, a handler for everything, or an application with a WHATWG `fetch`. */
export type P2PApp = P2PRouter | P2PService | P2PHandler | P2PFetchApp

/** Counters of a server since it began. */
export interface ServerStats {
  readonly connections: number
  /** Of these, the ones whose selected path leads through a relay. */
  readonly relayedConnections: number
  /** Since the server began, in milliseconds. */
  readonly uptimeMs: number
  readonly requestsInFlight: number
  readonly requestsAnswered: number
  /** Given up by the peer, by a limit on the way, or as the server closed. */
  readonly requestsCancelled: number
  /** Turned away because the peer had too many in flight, or the server was closing. */
  readonly requestsRefused: number
  /** Whose head was malformed, too large, or late. */
  readonly requestsMalformed: number
}

/** Options of {@link P2PServer.close}. */
export interface ServerCloseOptions {
  /** Whether requests in flight may end first; otherwise they are cancelled. @default true */
  readonly graceful?: boolean | undefined
  /** Longest wait for them; 0 for none, Infinity for as long as it takes. @default 5000 */
  readonly timeoutMs?: number | undefined
}

/** A running server. Disposing of it is `close()`. */
export interface P2PServer extends AsyncDisposable {
  /** The address that it was bound to. */
  localAddr(): string
  stats(): ServerStats
  /**
   * Takes no more connections and requests, lets those in flight end, ends the connections, and stops the services.
   * A second call waits for the first, and makes it hurry when it is not graceful.
   */
  close(options?: ServerCloseOptions): Promise<void>
  /** Resolves, never rejects, when the server has closed, by `close` or with its node. */
  readonly closed: Promise<void>
}

interface Peer {
  connections: number
  inFlight: number
}

/** A connection, and the requests on it that are being answered. */
class Connected implements ExchangeOwner {
  readonly connection: P2PConnection & PromptConnection
  readonly peer: Peer
  readonly exchanges: LinkedList<Exchange> = new LinkedList()
  readonly #ended: (outcome: ExchangeOutcome) => void

  /** `ended` is called when one of its exchanges is over. */
  constructor(connection: P2PConnection, peer: Peer, ended: (outcome: ExchangeOutcome) => void) {
    this.connection = connection
    this.peer = peer
    this.#ended = ended
  }

  exchangeEnded(exchange: Exchange, outcome: ExchangeOutcome): void {
    this.exchanges.delete(exchange)
    this.peer.inFlight--
    this.#ended(outcome)
  }
}

const REQUEST = { kind: 'request' } as const

/** What answers requests, and what has to be started before and stopped after. */
function partsOf(app: P2PApp): { handler: P2PHandler; services: readonly P2PService[] } {
  if (app instanceof P2PRouter) return { handler: (request) => app.handle(request), services: app.services }
  if (typeof app === 'function') return { handler: app, services: [] }
  if (typeof app === 'object' && app !== null) {
    if ('registerRoutes' in app) return partsOf(new P2PRouter().use(app))
    if ('fetch' in app && typeof app.fetch === 'function') return { handler: fetchAppHandler(app), services: [] }
  }
  const why = 'serve takes a P2PRouter, a P2PService, a handler, or an application with fetch(Request)'
  throw invalidConfiguration('app', typeof app, why)
}

function printError(error: unknown, context: ServerErrorContext): void {
  console.error(`${context.method} ${context.target} failed:`, error)
}

/** See {@link serve}. */
class Server implements P2PServer {
  readonly closed: Promise<void>
  readonly #system: P2PSystem
  readonly #listener: P2PListener<P2PConnection>
  readonly #host: ExchangeHost
  readonly #maxInFlight: number
  readonly #services: readonly P2PService[]
  readonly #peers = new Map<string, Peer>()
  readonly #connected = new Set<Connected>()
  readonly #startedMs: number
  #inFlight = 0
  #answered = 0
  #cancelled = 0
  #refused = 0
  #malformed = 0
  #closing: Promise<void> | undefined
  /** Ends the grace period of a close. */
  #hurry: (() => void) | undefined
  #resolveClosed!: () => void

  constructor(
    system: P2PSystem,
    listener: P2PListener<P2PConnection>,
    handler: P2PHandler,
    services: readonly P2PService[],
    options: ServeOptions,
  ) {
    const limits = serverLimits(options)
    this.#system = system
    this.#startedMs = system.runtime.now()
    this.#listener = listener
    this.#services = services
    this.#maxInFlight = limits.maxRequestsInFlight
    this.#host = {
      runtime: system.runtime,
      limits,
      bodies: {
        runtime: system.runtime,
        maxBytes: limits.maxBodyBytes,
        idleTimeoutMs: limits.bodyIdleTimeoutMs,
      },
      handler,
      early: earlyMethods(options.earlyData),
      onError: options.onError ?? printError,
      heads: new Deadlines(system.runtime, limits.headerTimeoutMs, (exchange) => exchange.headLate()),
      handlers: new Deadlines(system.runtime, limits.handlerTimeoutMs, (exchange) => exchange.handlerLate()),
      writes: new Deadlines(system.runtime, limits.bodyIdleTimeoutMs, (exchange) => exchange.writeLate()),
      lingering: new Deadlines(system.runtime, limits.headerTimeoutMs, (body) => body.giveUp()),
    }
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve
    })
    void this.#acceptLoop()
  }

  localAddr(): string {
    return this.#listener.localAddr()
  }

  stats(): ServerStats {
    return {
      connections: this.#connected.size,
      relayedConnections: [...this.#connected].filter(({ connection }) => connection.stats().path === 'relay').length,
      uptimeMs: this.#system.runtime.now() - this.#startedMs,
      requestsInFlight: this.#inFlight,
      requestsAnswered: this.#answered,
      requestsCancelled: this.#cancelled,
      requestsRefused: this.#refused,
      requestsMalformed: this.#malformed,
    }
  }

  close(options: ServerCloseOptions = {}): Promise<void> {
    if (options.graceful === false) this.#hurry?.()
    this.#closing ??= this.#close(options.graceful === false ? 0 : (options.timeoutMs ?? 5000)).finally(() => {
      this.#resolveClosed()
    })
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #acceptLoop(): Promise<void> {
    try {
      for await (const connection of this.#listener) void this.#serveConnection(connection)
    } catch {
      // The listener is closed, by `close` or with its node.
    }
    // With its node gone, services must be stopped although nobody may ever call `close`; what they throw is for who does.
    if (!this.#closing) this.close({ graceful: false }).catch(() => {})
  }

  async #serveConnection(connection: P2PConnection): Promise<void> {
    const id = connection.remoteNodeId().toString()
    const peer = this.#peers.get(id) ?? { connections: 0, inFlight: 0 }
    this.#peers.set(id, peer)
    peer.connections++
    const connected = new Connected(connection, peer, this.#exchangeEnded)
    this.#connected.add(connected)
    try {
      for (;;) {
        const stream = connected.connection.acceptStreamNow?.(REQUEST) ?? (await connection.acceptStream(REQUEST))
        this.#serveStream(connected, stream)
      }
    } catch {
      // The connection is over.
    }
    for (const exchange of connected.exchanges.members()) exchange.cancel('the connection is over')
    this.#connected.delete(connected)
    peer.connections--
    if (peer.connections === 0) this.#peers.delete(id)
    connection.end().catch(() => {})
  }

  readonly #exchangeEnded = (outcome: ExchangeOutcome): void => {
    this.#inFlight--
    if (outcome === 'answered') this.#answered++
    else if (outcome === 'cancelled') this.#cancelled++
    else this.#malformed++
    if (this.#inFlight === 0) this.#hurry?.()
  }

  #serveStream(connected: Connected, stream: P2PStream): void {
    const { peer, exchanges } = connected
    if (this.#closing || peer.inFlight >= this.#maxInFlight) {
      this.#refused++
      const code = this.#closing ? REQUEST_CODE.closing : REQUEST_CODE.refused
      stream.reset(code)
      stream.stop(code)
      return
    }
    peer.inFlight++
    this.#inFlight++
    const exchange = new Exchange(this.#host, stream, connected)
    exchanges.push(exchange)
    exchange.begin()
  }

  async #close(graceMs: number): Promise<void> {
    this.#listener.close()
    if (graceMs > 0 && this.#inFlight > 0) await this.#drained(graceMs)
    for (const { exchanges } of this.#connected) {
      for (const exchange of exchanges.members()) exchange.cancel('the server is closing')
    }
    const { heads, handlers, writes, lingering } = this.#host
    for (const deadlines of [heads, handlers, writes, lingering]) deadlines.clear()
    await Promise.allSettled([...this.#connected].map(({ connection }) => connection.end()))
    const stops = await Promise.allSettled(this.#services.toReversed().map(async (service) => service.stop?.()))
    const failed = stops.find((stop) => stop.status === 'rejected')
    if (failed) throw failed.reason
  }

  /** Waits until nothing is in flight, or the time is up. */
  #drained(graceMs: number): Promise<void> {
    return new Promise((resolve) => {
      let timer: RuntimeTimer | undefined
      this.#hurry = (): void => {
        timer?.cancel()
        resolve()
      }
      if (graceMs !== Number.POSITIVE_INFINITY) timer = this.#system.runtime.setTimer(graceMs, this.#hurry)
    })
  }
}

/**
 * Serves an application to peers, until the server or the node is closed. Services are started first.
 *
 * @example
 * ```ts
 * import { DefaultP2P, P2PResponse, P2PRouter, serve } from '@moosicbox/p2p'
 *
 * await using p2p = await DefaultP2P.create()
 * const router = new P2PRouter().route('GET', '/hello', () => P2PResponse.text('hello'))
 * await using server = await serve(p2p, router, { maxRequestsInFlight: 32 })
 * console.log(server.stats().requestsInFlight) // 0
 * ```
 *
 * @throws P2PError `already-listening`, `invalid-configuration`, and whatever a service's `start` throws
 */
export async function serve(system: P2PSystem, app: P2PApp, options: ServeOptions = {}): Promise<P2PServer> {
  const { handler, services } = partsOf(app)
  serverLimits(options)
  const earlyData = earlyMethods(options.earlyData).size > 0
  const started: P2PService[] = []
  try {
    for (const service of services) {
      await service.start?.()
      started.push(service)
    }
    const listener = await system.listen('', { kinds: ['request'], authorize: options.authorize, earlyData })
    return new Server(system, listener, handler, services, options)
  } catch (error) {
    await Promise.allSettled(started.toReversed().map(async (service) => service.stop?.()))
    throw error
  }
}
