/**
 * A realm: a network in which an address means one node. The public internet is one, and each LAN behind a NAT, so that
 * private addresses may occur in many.
 *
 * @module
 */
import { invalidConfiguration } from '../../core/config.ts'
import type { AddressBook, AddressPool, IpAddress } from './addresses.ts'
import type { GraphNode } from './graph-node.ts'
import type { NetworkInterface } from './interface.ts'
import type { Nat } from './nat.ts'

/** Somebody with an address in a realm: a host's interface, or one of the two sides of a NAT. */
export class Attachment {
  readonly node: GraphNode
  realm: Realm
  ip: IpAddress
  /** The host's interface, where it is one. */
  readonly iface: NetworkInterface | undefined
  /** The router, where it is a side of one. */
  router: NatRouter | undefined

  constructor(node: GraphNode, realm: Realm, ip: IpAddress, iface: NetworkInterface | undefined) {
    this.node = node
    this.realm = realm
    this.ip = ip
    this.iface = iface
  }
}

/** A router with a NAT between two realms. */
export interface NatRouter {
  readonly nat: Nat
  /** Its side in the LAN, which packets for other realms go to. */
  readonly inside: Attachment
  /** Its side in the realm around, which has the outside address. */
  readonly outside: Attachment
}

/** A realm; see the module's comment. */
export class Realm {
  readonly name: string
  /** The way out; undefined for the public internet. */
  router: NatRouter | undefined
  readonly #book: AddressBook
  readonly #pool: AddressPool
  /** By the index of the address; the quickest table there is, and as short as the addresses are few. */
  readonly #attachments: (Attachment | undefined)[] = []

  constructor(name: string, book: AddressBook, pool: AddressPool) {
    this.name = name
    this.#book = book
    this.#pool = pool
  }

  /** Who has the address here. */
  owner(ip: IpAddress): Attachment | undefined {
    return this.#attachments[ip.index]
  }

  /** Who a packet for that address goes to: its owner, else the way out. */
  resolve(ip: IpAddress): Attachment | undefined {
    return this.#attachments[ip.index] ?? this.router?.inside
  }

  /**
   * The address `text` if it is free, else the next free one.
   *
   * @throws P2PError `invalid-configuration` when it is in use, or is none of this LAN's
   */
  choose(text: string | undefined): IpAddress {
    if (text === undefined) return this.#pool.take((ip) => this.owner(ip) !== undefined)
    const ip = this.#book.ip(text)
    const owner = this.owner(ip)
    if (owner) throw invalidConfiguration('ip', text, `belongs to ${owner.node.name} already`)
    const isInside = this.#pool.contains(ip)
    if (this.router && !isInside) {
      throw invalidConfiguration('ip', text, `is not in ${this.#pool.prefix.text}, the network of ${this.name}`)
    }
    return ip
  }

  add(attachment: Attachment): void {
    this.#attachments[attachment.ip.index] = attachment
  }

  remove(attachment: Attachment): void {
    if (this.owner(attachment.ip) === attachment) this.#attachments[attachment.ip.index] = undefined
  }
}
