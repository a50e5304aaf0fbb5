/**
 * A realm: a network in which an address means one node. The public internet is one, and each LAN behind a router, so
 * that private addresses may occur in many. IPv6 addresses of a LAN are public ones: every realm around knows the way.
 *
 * @module
 */
import { invalidConfiguration } from '../../core/config.ts'
import { type AddressBook, type AddressPool, type IpAddress, isOfNobody, type SocketAddress } from './addresses.ts'
import type { Firewall } from './firewall.ts'
import type { GraphNode } from './graph-node.ts'
import type { NetworkInterface } from './interface.ts'
import type { Nat } from './nat.ts'

/** Somebody with an address in a realm: a host's interface, or one of the two sides of a router. */
export class Attachment {
  readonly node: GraphNode
  realm: Realm
  ip: IpAddress
  /** The host's interface, where it is one. */
  readonly iface: NetworkInterface | undefined
  /** The router, where it is a side of one. */
  router: LanRouter | undefined

  /** The version of its address. */
  get version(): 4 | 6 {
    return this.ip.version
  }

  constructor(node: GraphNode, realm: Realm, ip: IpAddress, iface: NetworkInterface | undefined) {
    this.node = node
    this.realm = realm
    this.ip = ip
    this.iface = iface
  }
}

/** A router between two realms. */
export interface LanRouter {
  /** Translates addresses of the version of its outside address; undefined in a LAN that has only IPv6. */
  readonly nat: Nat | undefined
  /** Lets IPv6 through untranslated; `open` is without a firewall, undefined without IPv6. */
  readonly ipv6: Firewall | 'open' | undefined
  /** Its side in the LAN, which packets for other realms go to. */
  readonly inside: Attachment
  /** Its side in the realm around, which has the outside address. */
  readonly outside: Attachment
}

/** A realm; see the module's comment. */
export class Realm {
  readonly name: string
  /** The way out; undefined for the public internet. */
  router: LanRouter | undefined
  readonly #book: AddressBook
  /** The first is where addresses come from unless it is said otherwise. */
  readonly #pools: readonly AddressPool[]
  /** By the index of the address; the quickest table there is, and as short as the addresses are few. */
  readonly #attachments: (Attachment | undefined)[] = []

  constructor(name: string, book: AddressBook, pools: readonly AddressPool[]) {
    this.name = name
    this.#book = book
    this.#pools = pools
  }

  /** Who has the address here. */
  owner(ip: IpAddress): Attachment | undefined {
    return this.#attachments[ip.index]
  }

  /** Who a packet for that address goes to: its owner, else the way out. */
  resolve(address: SocketAddress): Attachment | undefined {
    return this.#attachments[address.ipIndex] ?? this.router?.inside
  }

  /** The prefixes that addresses come from. */
  get prefixes(): readonly string[] {
    return this.#pools.map(({ prefix }) => prefix.text)
  }

  /** Whether an address is one of its own, taken or free. */
  contains(ip: IpAddress): boolean {
    return this.#pools.some((pool) => pool.contains(ip))
  }

  /** Whether it has addresses of that version. */
  has(version: 4 | 6): boolean {
    return this.#pools.some(({ prefix }) => prefix.version === version)
  }

  /**
   * The address `text` if it is free, else the next free one of that version.
   *
   * @param mover - whose own address counts as free, as it gives it up
   * @throws P2PError `invalid-configuration` when it is in use, or is none of this LAN's; when it has none of the version
   */
  choose(text: string | undefined, version?: 4 | 6, mover?: GraphNode): IpAddress {
    if (text === undefined) {
      const pool = version === undefined ? this.#pools[0] : this.#pools.find(({ prefix }) => prefix.version === version)
      if (!pool) throw invalidConfiguration('ip', undefined, `${this.name} has no addresses of IPv${version}`)
      return pool.take((ip) => this.owner(ip) !== undefined)
    }
    const ip = this.#book.ip(text)
    if (isOfNobody(ip) || this.#pools.some((pool) => pool.isReserved(ip))) {
      throw invalidConfiguration('ip', text, 'is not an address of a single host')
    }
    const owner = this.owner(ip)
    if (owner && owner.node !== mover) throw invalidConfiguration('ip', text, `belongs to ${owner.node.name} already`)
    if (version !== undefined && ip.version !== version)
      throw invalidConfiguration('ip', text, `is not of IPv${version}`)
    if (this.router && !this.contains(ip)) {
      const prefixes = this.#pools.map(({ prefix }) => prefix.text).join(' or ')
      throw invalidConfiguration('ip', text, `is not in ${prefixes}, the network of ${this.name}`)
    }
    return ip
  }

  add(attachment: Attachment): void {
    const { ip } = attachment
    this.#attachments[ip.index] = attachment
    if (ip.version === 6) this.#tellAround((realm, router) => (realm.#attachments[ip.index] = router.outside))
  }

  remove(attachment: Attachment): void {
    const { ip } = attachment
    if (this.owner(ip) !== attachment) return
    this.#attachments[ip.index] = undefined
    if (ip.version !== 6) return
    this.#tellAround((realm, router) => {
      realm.#attachments[ip.index] = undefined
      if (typeof router.ipv6 === 'object') router.ipv6.forget(ip)
    })
  }

  /** Every realm around as far as IPv6 goes, and the router that leads in from there. */
  #tellAround(tell: (around: Realm, router: LanRouter) => void): void {
    for (let { router } = this; router?.ipv6; router = router.outside.realm.router) tell(router.outside.realm, router)
  }
}
