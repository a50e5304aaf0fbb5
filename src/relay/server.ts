/**
 * The relay server: it carries the encrypted packets of iroh endpoints that cannot reach each other directly.
 *
 * @module
 */
import { createServer } from 'node:http'
import type { IncomingMessage, Server } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { Server as SecureServer } from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { WebSocket, WebSocketServer } from 'ws'
import { withPort } from '../core/address.ts'
import { checkOptions } from '../core/config.ts'
import { P2PError } from '../core/errors.ts'
import type { NodeId } from '../core/node-id.ts'
import type { RuntimeTimer } from '../core/runtime.ts'
import { Addresses } from './addresses.ts'
import { RelayClient } from './client.ts'
import { Clients } from './clients.ts'
import { encodeRestarting, MAX_CONTENT_BYTES, SUBPROTOCOLS } from './frames.ts'
import { Greeting } from './greeting.ts'
import { loadPackages } from './handshake.ts'
import type { RelayPackages } from './handshake.ts'
import { answer } from './http.ts'
import { newCounters } from './metrics.ts'
import type { RelayMetrics } from './metrics.ts'
import type { RelayAdmission, RelayOptions } from './options.ts'
import { resolveRelayOptions } from './settings.ts'
import type { RelaySettings } from './settings.ts'

/** How often pings and time-outs are looked after. They are late by up to this. */
const TICK_MS = 250
/** More than a browser sends, and less than Node's default. */
const MAX_HEADER_BYTES = 8192
const GOING_AWAY = 1001

/** How a relay ends. */
export interface RelayCloseOptions {
  /** Clients are told to come back after a random time up to this, so that they do not all come at once. @default 0 */
  readonly reconnectWithinMs?: number
  /** And for how long to try. @default 5000 */
  readonly tryForMs?: number
  /** How long the connections may take to end. @default 1000 */
  readonly graceMs?: number
}

/**
 * A relay that unmodified iroh endpoints can use: versions 1 and 2 of iroh's relay protocol, over http or https.
 *
 * @example
 * ```ts
 * import { RelayServer } from '@moosicbox/p2p/relay'
 *
 * const relay = await RelayServer.start({ host: '127.0.0.1', port: 0 })
 * console.log((await fetch(`${relay.url}/healthz`)).status) // 200
 * await relay.close()
 * ```
 */
export class RelayServer implements AsyncDisposable {
  readonly #settings: RelaySettings
  readonly #packages: RelayPackages
  readonly #counters = newCounters()
  readonly #clients: Clients
  readonly #addresses: Addresses
  readonly #server: Server | SecureServer
  readonly #webSockets: WebSocketServer
  readonly #sockets = new Set<Socket>()
  readonly #greetings = new Set<Greeting>()
  #port = 0
  #tick: RuntimeTimer | undefined
  #closing: Promise<void> | undefined

  private constructor(settings: RelaySettings, packages: RelayPackages) {
    const { limits, tls } = settings
    this.#settings = settings
    this.#packages = packages
    this.#clients = new Clients(this.#counters, limits.maxConnectionsPerId)
    this.#addresses = new Addresses(limits.maxConnectionsPerAddress)
    this.#webSockets = new packages.ws.WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      // Its own pongs would wait without bound for a client that does not read.
      autoPong: false,
      maxPayload: 1 + MAX_CONTENT_BYTES,
      handleProtocols: (offered) => [...SUBPROTOCOLS.keys()].find((name) => offered.has(name)) ?? false,
    })
    const options = {
      noDelay: true,
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: limits.handshakeTimeoutMs,
      requestTimeout: limits.handshakeTimeoutMs,
      connectionsCheckingInterval: Math.min(1000, limits.handshakeTimeoutMs),
    }
    try {
      this.#server = tls
        ? createSecureServer({ ...options, ...tls, handshakeTimeout: limits.handshakeTimeoutMs })
        : createServer(options)
    } catch (cause) {
      throw badCertificate(cause)
    }
    this.#server.on('connection', (socket: Socket) => this.#connected(socket))
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head))
    this.#server.on('request', (request, response) => {
      this.#counters.httpRequests++
      answer(request, response, {
        isClosing: this.#closing !== undefined,
        reflectors: settings.reflectors,
        metrics: settings.metrics ? () => this.metrics() : undefined,
      })
    })
    // A client that speaks no TLS, or none of ours; Node ends its connection.
    this.#server.on('tlsClientError', (_error, socket) => socket.destroy())
    this.#server.on('clientError', (_error, socket) => socket.destroy())
  }

  /**
   * Starts a relay.
   *
   * @throws P2PError `network` when the port cannot be had, `invalid-configuration`, `invalid-node-id`, and
   * `unsupported` when the packages `ws` and `@noble/hashes` are not installed
   */
  static async start(options: RelayOptions): Promise<RelayServer> {
    const settings = resolveRelayOptions(options)
    const relay = new RelayServer(settings, await loadPackages())
    await relay.#listen()
    return relay
  }

  /** The TCP port it listens on, or listened on. */
  get port(): number {
    return this.#port
  }

  /** Its URL as this machine can reach it; others need the machine's name in its place when `host` is a wildcard. */
  get url(): string {
    const { host, tls } = this.#settings
    const name = host === undefined || host === '0.0.0.0' || host === '::' ? 'localhost' : host
    return `${tls ? 'https' : 'http'}://${withPort(name, this.port)}`
  }

  /** What it has counted. */
  metrics(): RelayMetrics {
    return { ...this.#counters }
  }

  /** Cuts off every connection of a node id, as when it has been denied since; whether there was one. */
  disconnect(id: NodeId): boolean {
    const clients = [...this.#clients].filter((client) => client.asked.id.equals(id))
    for (const client of clients) client.terminate()
    return clients.length > 0
  }

  /**
   * Lets in by other rules from now on, and cuts off clients that these would not have let in; how many, when all have
   * been looked at. A callback is asked for each of them.
   *
   * @throws P2PError `invalid-configuration`, `invalid-node-id`, and the old rules go on counting
   */
  async setAdmission(options: RelayAdmission): Promise<number> {
    checkOptions('setAdmission', options, ['access', 'tokens'])
    const { admission } = this.#settings
    admission.change(options)
    const verdicts = [...this.#clients].map(async (client) => {
      if ((await admission.decide(client.asked)) === true) return 0
      this.#counters.denied++
      client.terminate()
      return 1
    })
    return (await Promise.all(verdicts)).reduce((sum: number, count) => sum + count, 0)
  }

  /**
   * Uses another certificate for connections to come; those that stand keep theirs.
   *
   * @throws P2PError `invalid-configuration` when they are none, and the old ones stay in use
   */
  setCertificate(tls: { readonly cert: string | Uint8Array; readonly key: string | Uint8Array }): void {
    if (!('setSecureContext' in this.#server)) {
      throw P2PError.of('invalid-configuration', 'this relay was started without tls, so it has no certificate', {
        setting: 'tls',
        value: undefined,
      })
    }
    try {
      this.#server.setSecureContext({ cert: Buffer.from(tls.cert), key: Buffer.from(tls.key) })
    } catch (cause) {
      throw badCertificate(cause)
    }
  }

  /**
   * Ends the relay: no new connections, clients are told that it restarts, what waits for them is sent, and what has
   * not ended after `graceMs` is cut off. A second call waits for the first.
   */
  close(options: RelayCloseOptions = {}): Promise<void> {
    checkOptions('close', options, ['reconnectWithinMs', 'tryForMs', 'graceMs'])
    return (this.#closing ??= this.#close(options))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close({ reconnectWithinMs = 0, tryForMs = 5000, graceMs = 1000 }: RelayCloseOptions): Promise<void> {
    const { runtime } = this.#settings
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#server.closeIdleConnections()
    for (const greeting of this.#greetings) greeting.terminate()
    for (const client of this.#clients) {
      client.sendControl(encodeRestarting(Math.floor(runtime.random() * (reconnectWithinMs + 1)), tryForMs))
      client.close(GOING_AWAY, 'the relay restarts')
    }
    const grace = runtime.setTimer(graceMs, () => {
      for (const socket of this.#sockets) socket.destroy()
    })
    await closed
    // Sockets that were upgraded are no longer the HTTP server's to wait for.
    await Promise.all([...this.#sockets].map((socket) => new Promise((resolve) => socket.once('close', resolve))))
    grace.cancel()
    this.#tick?.cancel()
  }

  async #listen(): Promise<void> {
    const { port, host } = this.#settings
    const server = this.#server
    await new Promise<void>((resolve, reject) => {
      server.once('error', (cause) => {
        const where = host === undefined ? `port ${port}` : `${host}:${port}`
        reject(P2PError.of('network', `the relay cannot listen on ${where}: ${cause.message}`, {}, { cause }))
      })
      server.listen({ port, host }, resolve)
    })
    const address = server.address()
    if (typeof address === 'object' && address !== null) this.#port = address.port
    server.removeAllListeners('error')
    // What accepting fails for, such as too many open files, passes; the relay serves on.
    server.on('error', () => {})
    this.#arm()
  }

  #arm(): void {
    const { runtime } = this.#settings
    this.#tick = runtime.setTimer(TICK_MS, () => {
      const nowMs = runtime.now()
      for (const client of this.#clients) client.tick(nowMs)
      for (const greeting of this.#greetings) greeting.tick(nowMs)
      this.#arm()
    })
  }

  /** A TCP connection; what it is for is not known yet. */
  #connected(socket: Socket): void {
    const address = socket.remoteAddress
    const counters = this.#counters
    if (counters.connections >= this.#settings.limits.maxConnections || !this.#addresses.enter(address)) {
      counters.connectionsRefused++
      socket.destroy()
      return
    }
    counters.connections++
    this.#sockets.add(socket)
    socket.once('close', () => {
      counters.connections--
      this.#addresses.leave(address)
      this.#sockets.delete(socket)
    })
  }

  #upgrade(request: IncomingMessage, transport: Duplex, head: Buffer): void {
    transport.on('error', () => transport.destroy())
    const url = urlOf(request.url)
    const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim())
    const version = [...SUBPROTOCOLS].find(([name]) => offered.includes(name))?.[1]
    if (url?.pathname !== '/relay' || version === undefined || this.#closing) {
      const status =
        url?.pathname !== '/relay' ? '404 Not Found' : this.#closing ? '503 Service Unavailable' : '400 Bad Request'
      transport.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`)
      return
    }
    this.#webSockets.handleUpgrade(request, transport, head, (socket: WebSocket) => {
      // A frame that WebSocket does not allow; ws closes the connection itself.
      socket.on('error', () => {
        this.#counters.protocolErrors++
      })
      const greeting = new Greeting({
        socket,
        request,
        url,
        settings: this.#settings,
        counters: this.#counters,
        deriveKey: this.#packages.deriveKey,
        onAccepted: (asked) => {
          this.#counters.accepted++
          this.#clients.add(
            new RelayClient({
              asked,
              version,
              socket,
              transport,
              settings: this.#settings,
              counters: this.#counters,
              events: {
                onPacket: (client, frame) => this.#clients.forward(client, frame),
                onGone: (client) => this.#clients.remove(client),
              },
            }),
          )
        },
        onOver: () => this.#greetings.delete(greeting),
      })
      this.#greetings.add(greeting)
    })
  }
}

function urlOf(path = ''): URL | undefined {
  try {
    return new URL(path, 'http://relay')
  } catch {
    return undefined
  }
}

function badCertificate(cause: unknown): P2PError {
  const why = cause instanceof Error ? cause.message : String(cause)
  const message = `tls: the certificate and its key cannot be used (${why}); both must be PEM, and belong together`
  return P2PError.of('invalid-configuration', message, { setting: 'tls', value: '…' }, { cause })
}
