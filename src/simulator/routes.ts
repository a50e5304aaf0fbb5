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
  /** Which of its own addresses the node answers from. @default the usual one */
  readonly from?: DatagramAddress | undefined
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

/** What datagrams leave by. */
export interface DatagramSender {
  sendDatagram(
    destination: DatagramAddress | string,
    payload: unknown,
    sizeBytes: number,
    from: DatagramAddress | undefined,
  ): void
}

/** All routes of one endpoint; its maps are made when there is something to put in. */
export class Routes {
  readonly #sender: DatagramSender
  #byText: Map<string, SocketRoute> | undefined
  /** Of those in `#byText` or once in there. The network keeps its addresses for ever, so that a weak map would be no help. */
  #byAddress: Map<DatagramAddress, SocketRoute> | undefined
  /** Those that lead back by another interface than the usual one. */
  #byOwnAddress: Map<DatagramAddress, Map<DatagramAddress, SocketRoute>> | undefined
  #byRelay: Map<RelayClient, Map<string, RelayRoute>> | undefined

  constructor(sender: DatagramSender) {
    this.#sender = sender
  }

  /** The route to an `ip:port`. */
  to(text: string): Route {
    return this.#socketRoute(text)
  }

  /** The route back to where a datagram came from. */
  of(source: DatagramAddress): Route {
    let route = this.#byAddress?.get(source)
    if (!route) {
      const byAddress = (this.#byAddress ??= new Map())
      route = this.#socketRoute(source.toString())
      // Sending to the object spares looking the text up.
      route.destination = source
      if (byAddress.size >= MAX_TEXTS) byAddress.clear()
      byAddress.set(source, route)
    }
    return route
  }

  /**
   * The route back to where a datagram came from that came by another interface than the one that leads there: answers
   * come from the address that was asked, as noq's do (`src_ip`), or a NAT on the way would let none of them in.
   */
  from(source: DatagramAddress, own: DatagramAddress): Route {
    const byOwnAddress = (this.#byOwnAddress ??= new Map())
    let routes = byOwnAddress.get(own)
    if (!routes) byOwnAddress.set(own, (routes = new Map()))
    let route = routes.get(source)
    if (!route) {
      if (routes.size >= MAX_TEXTS) routes.clear()
      route = { ...this.#socketRoute(source.toString()), destination: source, from: own }
      routes.set(source, route)
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
      const { destination, from } = route as SocketRoute
      this.#sender.sendDatagram(destination, packet, packet.datagramBytes, from)
    }
  }

  #socketRoute(text: string): SocketRoute {
    const byText = (this.#byText ??= new Map<string, SocketRoute>())
    let route = byText.get(text)
    if (!route) {
      // Those in use are still found by the addresses that datagrams bring.
      if (byText.size >= MAX_TEXTS) byText.clear()
      route = { kind: 'direct', address: text, destination: text, isPrivate: PRIVATE.test(text) }
      byText.set(text, route)
    }
    return route
  }
}
