/**
 * One node's place on the virtual internet: a UDP socket, the connections over it, and the look-up of peers.
 *
 * @module
 */
import type { P2PAddress } from '../core/address.ts'
import type { CarrierCapabilities, CarrierConnection, CarrierEndpoint, CarrierTarget } from '../core/carrier.ts'
import { P2PError } from '../core/errors.ts'
import type { SigningKey } from '../core/keys.ts'
import type { NodeId } from '../core/node-id.ts'
import { NodeAddress } from './node-address.ts'
import type { Kernel, KernelEvent, RandomStream } from './kernel.ts'
import { Attempts, noRoute } from './attempts.ts'
import { ConnectionTable } from './connection-table.ts'
import type { DatagramAddress, DatagramInterface, DatagramSocket, ReceivedDatagram } from './datagrams.ts'
import type { RelayClient, RelayClientSnapshot } from './relay-client.ts'
import { Relays } from './relays.ts'
import type { RelayAnswer } from './relays.ts'
import { Routes } from './routes.ts'
import { SimConnection } from './sim-connection.ts'
import type { ConnectionHost } from './sim-connection.ts'
import { deferred } from './sim-stream.ts'
import type { Deferred } from './sim-stream.ts'
import { StrayPackets } from './stray-packets.ts'
import { resolveTransportConfig } from './transport/config.ts'
import type { TransportConfig } from './transport/config.ts'
import { TransportConnection } from './transport/connection.ts'
import type { TransportClose } from './transport/sink.ts'
import { Identity } from './transport/identity.ts'
import { INITIAL, Packet } from './transport/packet.ts'
import type { Route } from './transport/path.ts'
import type { ResetToken } from './transport/reset.ts'

/** Finds where a node can be reached; undefined when nobody knows. */
type AddressLookup = (id: NodeId) => P2PAddress | undefined | Promise<P2PAddress | undefined>

/** Options of a {@link SimEndpoint}. */
export interface SimEndpointOptions {
  readonly kernel: Kernel
  /** The index of the host, for the history and for waking its code. */
  readonly host: number
  /** The name of the host, for its random numbers. */
  readonly name: string
  readonly key: SigningKey
  readonly network: DatagramInterface
  /** The port to bind. @default 0, which is any */
  readonly port?: number | undefined
  /** Asked for the addresses of a peer when there are none in what is to be connected to. */
  readonly lookup?: AddressLookup | undefined
  /** URLs of relays, the nearest of which makes this node reachable behind a NAT. @default none, and none is used */
  readonly relays?: readonly string[] | undefined
  readonly transport?: Partial<TransportConfig> | undefined
}

/** How long `close` waits for peers to learn of it. */
const CLOSE_WAIT_US = 3_000_000

/** Options that all transports have in common. */
interface Common {
  readonly config: TransportConfig
  readonly random: RandomStream
  readonly resetToken: ResetToken
  readonly routeTo: (address: string) => Route
  readonly nowUs: number
}

const NONE: readonly string[] = Object.freeze([])
const CAPABILITIES: CarrierCapabilities = Object.freeze({ abortsBlockedStreams: true, confirmsDelivery: true })

/** The endpoint; see the module's comment. */
export class SimEndpoint implements CarrierEndpoint, ConnectionHost {
  readonly capabilities: CarrierCapabilities = CAPABILITIES
  readonly kernel: Kernel
  readonly host: number
  readonly strays: StrayPackets
  /** Called for every inbound connection once its handshake is done. */
  onIncoming: (connection: CarrierConnection) => void = () => {}
  readonly #lookup: AddressLookup | undefined
  readonly #network: DatagramInterface
  readonly #relayUrls: readonly string[]
  readonly #relayRandom: RandomStream
  readonly #config: TransportConfig
  readonly #identity: Identity
  readonly #socket: DatagramSocket
  readonly #random: RandomStream
  readonly #connections: ConnectionTable = new ConnectionTable()
  readonly #attempts: Attempts
  readonly #routes: Routes
  /** Undefined while nothing is asked of them. */
  #relays: Relays | undefined
  readonly #address: NodeAddress
  #corrupted = 0
  #alpns: readonly string[] = NONE
  #state: 'open' | 'closing' | 'closed' = 'open'
  #closed: Deferred<void> | undefined
  #closeTimer: KernelEvent | undefined

  /** @throws P2PError `network` when the port is in use, `invalid-configuration` */
  constructor(options: SimEndpointOptions) {
    this.#lookup = options.lookup
    this.#network = options.network
    this.kernel = options.kernel
    this.host = options.host
    this.#config = resolveTransportConfig(options.transport)
    this.#identity = Identity.of(options.key)
    this.#random = options.kernel.random(`transport/${options.name}`)
    this.strays = new StrayPackets(this.#random, () => options.kernel.random(`resets/${options.name}`))
    this.#socket = options.network.bind(options.port ?? 0, (datagram) => this.#receive(datagram))
    this.#address = new NodeAddress(options.key.nodeId, this.#socket)
    this.#attempts = new Attempts(this.kernel)
    this.#routes = new Routes(this)
    this.#relayUrls = options.relays ?? NONE
    this.#relayRandom = options.kernel.random(`relays/${options.name}`)
    if (this.usesRelays) this.#relays = this.#makeRelays()
  }

  #makeRelays(): Relays {
    return new Relays(
      {
        kernel: this.kernel,
        identity: this.#identity,
        network: this.#network,
        random: this.#relayRandom,
        sendProbe: (destination, probe) => this.sendDatagram(destination, probe, probe.sizeBytes),
        onPacket: (client, peer, packet) => this.#onRelayed(client, peer, packet),
        onObserved: (observed) => this.#observe(observed),
        onHomeChange: () => this.kernel.schedule(0, () => this.#addressChanged()),
      },
      this.#relayUrls,
    )
  }

  async connect(target: CarrierTarget): Promise<CarrierConnection> {
    const { signal, alpn } = target
    this.#checkOpen()
    if (signal.aborted) throw P2PError.aborted(signal, 'connect')
    const address = await this.#resolve(target.address)
    if (signal.aborted) throw P2PError.aborted(signal, 'connect')
    this.#checkOpen()
    const peer = address.id.toString()
    // In another home the peer's private address may be this node's own.
    const own = this.boundAddresses()
    const direct = address.direct.filter((text) => !own.includes(text))
    const routes = direct.map((text) => this.#routes.to(text))
    for (const url of this.usesRelays ? address.relays : NONE) {
      const client = this.#relays?.client(url)
      if (client) routes.push(this.#routes.over(client, peer))
    }
    if (routes.length === 0) throw noRoute(address.id, address.relays)
    const localId = this.#newId()
    const remoteId = this.#newId()
    const connection = new SimConnection(
      this,
      (sink) =>
        new TransportConnection({
          role: 'client',
          identity: this.#identity,
          peer: address.id,
          localId,
          remoteId,
          alpns: [alpn],
          routes,
          sink,
          ...this.#common(localId),
        }),
    )
    this.#connections.add(connection, [localId])
    return this.#attempts.add(connection, address.id, alpn, routes.length, signal)
  }

  setAlpns(alpns: readonly string[]): void {
    this.#alpns = alpns
  }

  address(): P2PAddress {
    return this.#address.current(this.homeRelay)
  }

  /** Datagrams that were no use because bits had been flipped on the way. */
  get corruptedDatagrams(): number {
    return this.#corrupted
  }

  /** Tells those who watch it. */
  addressChanged(): void {
    this.#address.changed()
  }

  /** It changes when a relay tells where this node is seen from outside, and when its host moves. */
  watchAddress(listener: () => void): Disposable {
    return this.#address.watch(listener)
  }

  /** Whether it was given relays, over which peers can reach it. */
  get usesRelays(): boolean {
    return this.#relayUrls.length > 0
  }

  /** What its relays say of where they see it; those that do not answer within 3 s say nothing. */
  askRelays(): Promise<readonly RelayAnswer[]> {
    const asked = deferred<readonly RelayAnswer[]>()
    const relays = (this.#relays ??= this.#makeRelays())
    relays.ask((answers) => {
      this.kernel.woke(this.host)
      asked.resolve(answers)
    })
    return asked.promise
  }

  /** The URL of its home relay. */
  get homeRelay(): string | undefined {
    return this.#relays?.home
  }

  /** The relays it is connected to, or tries to be. */
  relays(): readonly RelayClientSnapshot[] {
    return this.#relays?.snapshot() ?? []
  }

  /** The connections that are not over, oldest first. */
  connections(): readonly SimConnection[] {
    return [...this.#connections.all()]
  }

  /** The host is somewhere else, or its interface is up again. */
  onNetworkChange(): void {
    if (this.#state === 'closed') return
    this.#address.forgetObserved()
    this.#relays?.onNetworkChange()
    for (const connection of this.#connections.all()) connection.onNetworkChange(this.#address.candidates())
  }

  boundAddresses(): readonly string[] {
    return this.#address.bound()
  }

  /** Closes every connection, and waits up to 3 s until the peers have heard of it. */
  close(): Promise<void> {
    if (this.#closed) return this.#closed.promise
    this.#closed = deferred<void>()
    if (this.#state === 'closed') {
      this.#closed.resolve()
      return this.#closed.promise
    }
    this.#state = 'closing'
    for (const connection of this.#connections.all()) connection.close(0, 'the node was closed')
    this.#closeTimer = this.kernel.schedule(CLOSE_WAIT_US, () => this.#finishClose())
    this.kernel.schedule(0, () => this.#checkClosed())
    return this.#closed.promise
  }

  /** The host has lost its power: nothing is sent, and nobody who waits hears anything. */
  destroy(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#closeTimer?.cancel()
    for (const connection of this.#connections.all()) connection.destroy()
    this.#connections.clear()
    this.#attempts.clear()
    this.#relays?.destroy()
    this.#socket.close()
  }

  /** Sends a datagram over its socket. */
  sendDatagram(
    destination: DatagramAddress | string,
    payload: unknown,
    sizeBytes: number,
    from?: DatagramAddress,
  ): void {
    if (this.#state !== 'closed') this.#socket.send(destination, payload, sizeBytes, from)
  }

  transmit(route: Route, packet: Packet): void {
    this.#routes.transmit(route, packet)
  }

  onConnected(connection: SimConnection): void {
    this.#connections.endHandshake(connection)
    connection.offer(this.#address.candidates())
    this.kernel.woke(this.host)
    if (this.#attempts.has(connection)) {
      this.kernel.schedule(this.#config.handoverUs, () => {
        if (this.#attempts.succeed(connection)) this.kernel.woke(this.host)
      })
      return
    }
    if (connection.transport.role === 'server' && this.#state === 'open') this.onIncoming(connection)
  }

  onFailed(connection: SimConnection, close: TransportClose): void {
    this.#connections.endHandshake(connection)
    if (this.#attempts.fail(connection, close)) this.kernel.woke(this.host)
  }

  onImpostor(connection: SimConnection): void {
    if (!this.#attempts.onImpostor(connection)) return
    this.kernel.woke(this.host)
    // From inside the transport's own call it cannot be closed.
    this.kernel.schedule(0, () => connection.close(0, ''))
  }

  onRefused(connection: SimConnection): void {
    this.#attempts.onRefused(connection, () => {
      this.kernel.woke(this.host)
      connection.close(0, '')
    })
  }

  onDrained(connection: SimConnection): void {
    this.#connections.remove(connection)
    this.#checkClosed()
  }

  #receive({ source, destination, payload, isCorrupted }: ReceivedDatagram): void {
    if (this.#state === 'closed') return
    if (isCorrupted) {
      this.#corrupted++
      return
    }
    if (Packet.is(payload)) this.#receivePacket(payload, this.#routeBack(source, destination))
    else this.#relays?.receive(source.toString(), payload)
  }

  #routeBack(source: DatagramAddress, own: DatagramAddress | undefined): Route {
    const usual = own && this.#socket.usualSource?.(source)
    return own && usual && usual !== own ? this.#routes.from(source, own) : this.#routes.of(source)
  }

  #onRelayed(client: RelayClient, peer: string, packet: Packet): void {
    if (this.#state !== 'closed') this.#receivePacket(packet, this.#routes.over(client, peer))
  }

  #receivePacket(packet: Packet, route: Route): void {
    const known = this.#connections.find(packet.destinationId)
    if (known) known.receive(packet, route)
    else if (packet.kind === INITIAL) this.#accept(packet, route)
    else this.#onStray(packet, route)
    if (this.#state === 'closing') this.kernel.schedule(0, () => this.#checkClosed())
  }

  /** A packet for no connection that is there: a stateless reset, which ends one, or what is to be answered with one. */
  #onStray(packet: Packet, route: Route): void {
    for (const connection of this.#connections.all()) {
      if (connection.transport.isReset(packet, route)) return connection.receive(packet, route)
    }
    const reset = this.strays.answer(packet, this.kernel.nowUs())
    if (reset) this.transmit(route, reset)
  }

  /** A client's first packet. Without a protocol to serve it is told so by the handshake. */
  #accept(packet: Packet, route: Route): void {
    if (this.#state !== 'open' || !this.#connections.hasRoom) return
    const localId = this.#newId()
    const connection = new SimConnection(
      this,
      (sink) =>
        new TransportConnection({
          role: 'server',
          identity: this.#identity,
          localId,
          remoteId: packet.sourceId,
          firstId: packet.destinationId,
          alpns: this.#alpns,
          routes: [route],
          sink,
          ...this.#common(localId),
        }),
    )
    this.#connections.addInbound(connection, [localId, packet.destinationId])
    connection.receive(packet, route)
  }

  #common(localId: number): Common {
    return {
      config: this.#config,
      random: this.#random,
      resetToken: this.strays.token(localId),
      routeTo: (address) => this.#routes.to(address),
      nowUs: this.kernel.nowUs(),
    }
  }

  #observe(observed: string): void {
    if (!this.#address.observe(observed)) return
    for (const connection of this.#connections.all()) connection.offer([observed])
    this.#addressChanged()
  }

  #addressChanged(): void {
    if (this.#state !== 'open') return
    this.kernel.woke(this.host)
    this.addressChanged()
  }

  #newId(): number {
    return this.strays.newId((id) => this.#connections.find(id) !== undefined)
  }

  async #resolve(address: P2PAddress): Promise<P2PAddress> {
    if (address.direct.length > 0 || address.relays.length > 0) return address
    const found = await this.#lookup?.(address.id)
    if (!found) throw noRoute(address.id, [])
    return found
  }

  #checkOpen(): void {
    if (this.#state === 'open') return
    throw P2PError.of('connection-closed', 'this node was closed', { closeCode: 0, reason: 'closed', by: 'local' })
  }

  /** Done as soon as every peer knows, so that only lost packets make it wait. */
  #checkClosed(): void {
    if (this.#state !== 'closing') return
    for (const connection of this.#connections.all()) if (!connection.transport.isEndKnown) return
    this.#finishClose()
  }

  #finishClose(): void {
    if (this.#state !== 'closing') return
    this.#relays?.close()
    this.destroy()
    this.kernel.woke(this.host)
    this.#closed?.resolve()
  }
}
