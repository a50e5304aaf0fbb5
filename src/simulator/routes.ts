/**
 * Where an endpoint's packets go and come from: addresses, and nodes behind relays. The transport tells routes apart by
 * identity, so that the same place is always the same object.
 *
 * @module
 */
import type { Kernel } from './kernel.ts'
import { RelayClient } from './relay-client.ts'
import { relayAddress, RelayDatagram } from './relay-wire.ts'
import type { Identity } from './transport/identity.ts'
import type { Packet } from './transport/packet.ts'
import type { Route } from './transport/path.ts'

/** The address of a socket: equal ones of one network are the same object. */
export interface DatagramAddress {
  /** `ip:port` */
  toString(): string
}

/** What routes need of their endpoint. */
export interface RoutesHost {
  readonly kernel: Kernel
  readonly identity: Identity
  /** Sends a datagram over the socket. */
  send(destination: DatagramAddress | string, payload: unknown, sizeBytes: number): void
  /** A packet has arrived along `route`. */
  onPacket(packet: Packet, route: Route): void
  /** This node is seen at `observed` (`ip:port`) from outside. */
  onObserved(observed: string): void
}

interface SocketRoute extends Route {
  readonly kind: 'direct'
  destination: DatagramAddress | string
}

interface RelayRoute extends Route {
  readonly kind: 'relay'
  readonly link: RelayLink
  readonly peer: string
}

/** A relay that this node is attached to, and the nodes it reaches over it. */
interface RelayLink {
  readonly url: string
  readonly client: RelayClient
  readonly routes: Map<string, RelayRoute>
}

/** Addresses remembered by their text. */
const MAX_TEXTS = 65_536

/** All routes of one endpoint. */
export class Routes {
  readonly #host: RoutesHost
  readonly #byText = new Map<string, SocketRoute>()
  readonly #byAddress = new WeakMap<DatagramAddress, SocketRoute>()
  /** By `ip:port` of the relay. */
  readonly #relays = new Map<string, RelayLink>()

  constructor(host: RoutesHost) {
    this.#host = host
  }

  /** The route to an `ip:port`. */
  to(text: string): Route {
    return this.#socketRoute(text)
  }

  /** The route back to where a datagram came from. */
  of(source: DatagramAddress): Route {
    let route = this.#byAddress.get(source)
    if (!route) {
      route = this.#socketRoute(source.toString())
      // Sending to the object spares looking the text up.
      route.destination = source
      this.#byAddress.set(source, route)
    }
    return route
  }

  /** The route to a node over a relay, to which this one is then attached. */
  over(url: string, peer: string): Route {
    return relayRoute(this.#link(url), peer)
  }

  /** Attaches to a relay. */
  attach(url: string): void {
    this.#link(url)
  }

  /** Puts a packet on its way. */
  transmit(route: Route, packet: Packet): void {
    if (route.kind === 'relay') {
      const { link, peer } = route as RelayRoute
      link.client.send(peer, packet)
    } else {
      this.#host.send((route as SocketRoute).destination, packet, packet.datagramBytes)
    }
  }

  /** A datagram that is no packet of the transport: a relay's, or garbage. */
  receiveOther(source: DatagramAddress, payload: unknown): void {
    const message = RelayDatagram.messageOf(payload)
    if (message) this.#relays.get(source.toString())?.client.receive(message)
  }

  /** Takes leave of the relays. */
  close(): void {
    for (const { client } of this.#relays.values()) client.close()
  }

  /** Ends it without a word. */
  destroy(): void {
    for (const { client } of this.#relays.values()) client.destroy()
    this.#relays.clear()
    this.#byText.clear()
  }

  #socketRoute(text: string): SocketRoute {
    let route = this.#byText.get(text)
    if (!route) {
      // Those in use are still found by the addresses that datagrams bring.
      if (this.#byText.size >= MAX_TEXTS) this.#byText.clear()
      route = { kind: 'direct', address: text, destination: text }
      this.#byText.set(text, route)
    }
    return route
  }

  #link(url: string): RelayLink {
    const address = relayAddress(url)
    const known = this.#relays.get(address)
    if (known) return known
    const { kernel, identity } = this.#host
    const client = new RelayClient({
      kernel,
      identity,
      transmit: (datagram) => this.#host.send(address, datagram, datagram.sizeBytes),
      onPacket: (peer, packet) => this.#host.onPacket(packet, relayRoute(link, peer)),
      onObserved: (observed) => this.#host.onObserved(observed),
    })
    const link: RelayLink = { url, client, routes: new Map() }
    this.#relays.set(address, link)
    return link
  }
}

function relayRoute(link: RelayLink, peer: string): RelayRoute {
  let route = link.routes.get(peer)
  if (!route) {
    route = { kind: 'relay', address: link.url, link, peer }
    link.routes.set(peer, route)
  }
  return route
}
