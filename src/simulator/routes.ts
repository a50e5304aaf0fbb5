/**
 * Where an endpoint's packets go and come from: addresses, and nodes behind relays. The transport tells routes apart by
 * identity, so that the same place is always the same object.
 *
 * @module
 */
import type { DatagramAddress } from './datagrams.ts'
import type { RelayClient } from './relay-client.ts'
import type { Packet } from './transport/packet.ts'
import type { Route } from './transport/path.ts'

interface SocketRoute extends Route {
  readonly kind: 'direct'
  destination: DatagramAddress | string
}

interface RelayRoute extends Route {
  readonly kind: 'relay'
  readonly client: RelayClient
  readonly peer: string
}

/** Ranges that occur in many networks: RFC 1918, 6598, 3927, 4193, and IPv6's link-local addresses. */
const PRIVATE =
  /^(?:10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.|169\.254\.|\[f[cd]|\[fe[89ab])/
/** Addresses remembered by their text. */
const MAX_TEXTS = 65_536
/** Nodes remembered of each relay. */
const MAX_PEERS = 65_536

/** All routes of one endpoint. */
export class Routes {
  readonly #send: (destination: DatagramAddress | string, payload: unknown, sizeBytes: number) => void
  readonly #byText = new Map<string, SocketRoute>()
  /** Of those in `#byText` or once in there. The network keeps its addresses for ever, so that a weak map would be no help. */
  readonly #byAddress = new Map<DatagramAddress, SocketRoute>()
  #byRelay: Map<RelayClient, Map<string, RelayRoute>> | undefined

  /** @param send sends a datagram over the socket */
  constructor(send: (destination: DatagramAddress | string, payload: unknown, sizeBytes: number) => void) {
    this.#send = send
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
      if (this.#byAddress.size >= MAX_TEXTS) this.#byAddress.clear()
      this.#byAddress.set(source, route)
    }
    return route
  }

  /** The route to a node over a relay. */
  over(client: RelayClient, peer: string): Route {
    const byRelay = (this.#byRelay ??= new Map())
    let routes = byRelay.get(client)
    if (!routes) byRelay.set(client, (routes = new Map()))
    let route = routes.get(peer)
    if (!route) {
      if (routes.size >= MAX_PEERS) routes.clear()
      route = { kind: 'relay', address: client.url, client, peer }
      routes.set(peer, route)
    }
    return route
  }

  /** Puts a packet on its way. */
  transmit(route: Route, packet: Packet): void {
    if (route.kind === 'relay') {
      const { client, peer } = route as RelayRoute
      client.send(peer, packet)
    } else {
      this.#send((route as SocketRoute).destination, packet, packet.datagramBytes)
    }
  }

  #socketRoute(text: string): SocketRoute {
    let route = this.#byText.get(text)
    if (!route) {
      // Those in use are still found by the addresses that datagrams bring.
      if (this.#byText.size >= MAX_TEXTS) this.#byText.clear()
      route = { kind: 'direct', address: text, destination: text, isPrivate: PRIVATE.test(text) }
      this.#byText.set(text, route)
    }
    return route
  }
}
