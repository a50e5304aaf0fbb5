/**
 * An endpoint over the binding.
 *
 * @module
 */
import type * as iroh from '@number0/iroh'
import { P2PAddress, parseSocketAddress } from '../../core/address.ts'
import type { CarrierCapabilities, CarrierConnection, CarrierTarget } from '../../core/carrier.ts'
import { LIBRARY_CODE } from '../../core/engine/wire.ts'
import { P2PError } from '../../core/errors.ts'
import type { NodeId } from '../../core/node-id.ts'
import type { Runtime, RuntimeTimer } from '../../core/runtime.ts'
import { isLoopback } from '../addresses.ts'
import type { P2PRelay } from '../../core/system.ts'
import type { DoorReport, HomeRelay, IrohAccess, IrohEndpoint } from '../binding.ts'
import { closeError, connectErrors, NODE_CLOSED } from '../errors.ts'
import type { ByteCodec } from './bytes.ts'
import { OfficialConnection } from './connection.ts'
import type { ConnectionHost } from './connection.ts'
import { connectError } from './errors.ts'
import { relayConfig } from './relay-config.ts'
import type { Official } from './load.ts'

/** The binding needs up to 3 s to close while an attempt to connect is under way. */
const CLOSE_MS = 4_000

const ONLINE_POLL_MS = 25

/** How often the address is looked at while somebody wants to know; the binding's own watching aborts the process. */
const ADDRESS_POLL_MS = 2_000

/** What an endpoint is made of. */
export interface OfficialEndpointOptions {
  readonly official: Official
  readonly raw: iroh.Endpoint
  /** The sockets that count: without IPv6 the binding opens one that nothing can reach. */
  readonly bound: readonly string[]
  readonly loopbackOnly: boolean
  readonly nodeId: NodeId
  readonly codec: ByteCodec
  readonly runtime: Runtime
  readonly idleTimeoutMs: number
  /** Handshakes of inbound connections at a time; more are turned away until some are done. */
  readonly maxHandshakes: number
  /** Whether relays can be used. */
  readonly relays: boolean
}

/** One node's transport. */
export class OfficialEndpoint implements IrohEndpoint {
  readonly capabilities: CarrierCapabilities = { abortsBlockedStreams: false, confirmsDelivery: true }
  onIncoming: (connection: CarrierConnection) => void = (connection) => connection.close(0, 'nobody listens')
  readonly #options: Omit<OfficialEndpointOptions, 'raw'>
  readonly #connectionHost: ConnectionHost
  /** The binding keeps its sockets after `close` until this is garbage-collected, so it is let go then. */
  #raw: iroh.Endpoint | undefined
  #lastAddress: P2PAddress
  readonly #connections = new Set<OfficialConnection>()
  #handshakes = 0
  #serves = false
  #access: IrohAccess = {}
  #closing: Promise<void> | undefined

  constructor({ raw, ...options }: OfficialEndpointOptions) {
    this.#options = options
    this.#raw = raw
    this.#lastAddress = new P2PAddress(options.nodeId, [])
    const { codec, runtime, idleTimeoutMs } = options
    this.#connectionHost = { codec, runtime, idleTimeoutMs }
    void this.#acceptAll(raw)
  }

  async connect(target: CarrierTarget): Promise<OfficialConnection> {
    const { official, codec, runtime, loopbackOnly } = this.#options
    const { address, alpn, signal } = target
    if (signal.aborted) throw P2PError.aborted(signal, 'connect')
    const raw = this.#raw
    if (!raw || this.#closing) throw closeError(NODE_CLOSED)
    // Packets to other machines would not leave a loopback socket, but the binding would try.
    const direct = address.direct.filter((remote) => !loopbackOnly || isLoopback(remote))
    const relay = this.#options.relays ? address.relays[0] : undefined
    if (direct.length === 0 && relay === undefined) throw connectErrors.noRoute(address.id)
    const startedMs = runtime.now()
    const id = official.EndpointId.fromBytes(codec.encode(address.id.asBytes()))
    const to = new official.EndpointAddr(id, relay ?? null, direct)
    const attempt = raw.connect(to, codec.encodeText(alpn)).then(
      (connection) => this.#adopt(connection),
      (error: unknown) => Promise.reject(connectError(error, address.id, alpn, runtime.now() - startedMs)),
    )
    return abortable(attempt, signal)
  }

  setAlpns(alpns: readonly string[]): void {
    this.#serves = alpns.length > 0
    this.#raw?.setAlpns(alpns.map((alpn) => this.#options.codec.encodeText(alpn)))
  }

  address(): P2PAddress {
    const address = this.#raw?.addr()
    if (address) {
      const relay = address.relayUrl()
      // Link-local addresses carry the name of an interface here, which means nothing elsewhere.
      const direct = address.directAddresses().filter((text) => parseSocketAddress(text) !== undefined)
      this.#lastAddress = new P2PAddress(this.#options.nodeId, direct, relay === null ? [] : [relay])
    }
    return this.#lastAddress
  }

  watchAddress(listener: () => void): Disposable {
    // It may have changed; who listens looks.
    const tick = (): RuntimeTimer =>
      this.#options.runtime.setTimer(ADDRESS_POLL_MS, () => {
        if (this.#closing) return
        timer = tick()
        listener()
      })
    let timer = tick()
    return { [Symbol.dispose]: () => timer.cancel() }
  }

  setAccess(access: IrohAccess): void {
    this.#access = access
  }

  homeRelays(): readonly HomeRelay[] {
    // The binding says which relay was chosen, and neither whether it is attached nor why not.
    return this.address().relays.map((url) => ({ url, state: 'unknown', reason: undefined }))
  }

  networkReport(): DoorReport {
    // The binding tells nothing of what iroh has found out.
    return {
      udp: { ipv4: undefined, ipv6: undefined },
      mappingVaries: undefined,
      publicAddresses: [],
      captivePortal: undefined,
      portMapping: 'unknown',
      latencies: [],
    }
  }

  setRelay(relay: P2PRelay, add: boolean): void {
    const raw = this.#raw
    if (!raw || this.#closing) return
    const done = add ? raw.insertRelay(relayConfig(relay)) : raw.removeRelay(relay.url)
    // It fails when the endpoint is closed meanwhile.
    Promise.resolve<unknown>(done).catch(() => undefined)
  }

  setExternalAddress(address: string, add: boolean): void {
    const raw = this.#raw
    if (!raw || this.#closing) return
    const done = add ? raw.addExternalAddr(address) : raw.removeExternalAddr(address)
    // It fails when the endpoint is closed meanwhile.
    done.catch(() => undefined)
  }

  boundAddresses(): readonly string[] {
    return this.#options.bound
  }

  async online(timeoutMs: number): Promise<boolean> {
    const { runtime, relays } = this.#options
    // The binding's own `online()` never settles while there is no relay, and keeps the process alive with it.
    for (const startMs = runtime.now(); ; await runtime.sleep(ONLINE_POLL_MS)) {
      if (this.address().relays.length > 0) return true
      if (!relays || this.#closing || runtime.now() - startMs >= timeoutMs) return false
    }
  }

  async close(): Promise<void> {
    const raw = this.#raw
    if (raw) this.#closing ??= this.#close(raw)
    return this.#closing
  }

  async #close(raw: iroh.Endpoint): Promise<void> {
    this.address()
    for (const connection of this.#connections) connection.close(NODE_CLOSED.closeCode, NODE_CLOSED.reason)
    await new Promise<void>((resolve) => {
      const timer = this.#options.runtime.setTimer(CLOSE_MS, resolve)
      const done = (): void => {
        timer.cancel()
        resolve()
      }
      raw.close().then(done, done)
    })
    this.#raw = undefined
  }

  /** The binding's connection as ours, held until it is over. */
  #adopt(raw: iroh.Connection): OfficialConnection {
    const connection = new OfficialConnection(raw, this.#connectionHost)
    this.#connections.add(connection)
    void connection.closed.then(() => this.#connections.delete(connection))
    return connection
  }

  #permits(peer: NodeId): boolean {
    const { allow, deny } = this.#access
    return !deny?.some((id) => peer.equals(id)) && (allow?.some((id) => peer.equals(id)) ?? true)
  }

  /** Runs from the start, also when nothing is served: a peer whose attempt nobody takes up would wait for 30 s. */
  async #acceptAll(raw: iroh.Endpoint): Promise<void> {
    for (;;) {
      const incoming = await raw.acceptNext()
      if (!incoming) return
      void this.#handshake(incoming)
    }
  }

  async #handshake(incoming: iroh.Incoming): Promise<void> {
    this.#handshakes++
    try {
      if (!this.#serves || this.#handshakes > this.#options.maxHandshakes) {
        await incoming.refuse()
        return
      }
      const accepting = await incoming.accept()
      const connection = this.#adopt(await accepting.connect())
      if (this.#permits(connection.remoteId)) this.onIncoming(connection)
      else connection.close(LIBRARY_CODE.refused, 'not authorized')
    } catch {
      // The attempt failed, which is for the one who made it to know: a protocol not served, a network gone.
    } finally {
      this.#handshakes--
    }
  }
}

/** The connection, unless `signal` fires first; the binding cannot cancel, so what comes late is closed. */
async function abortable(attempt: Promise<OfficialConnection>, signal: AbortSignal): Promise<OfficialConnection> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      reject(P2PError.aborted(signal, 'connect'))
      attempt.then(
        (connection) => connection.close(0, 'the caller had given up'),
        () => undefined,
      )
    }
    signal.addEventListener('abort', abort, { once: true })
    attempt.then(
      (connection) => {
        signal.removeEventListener('abort', abort)
        resolve(connection)
      },
      (error: unknown) => {
        signal.removeEventListener('abort', abort)
        reject(error)
      },
    )
  })
}
