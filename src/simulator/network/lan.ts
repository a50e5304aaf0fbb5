/**
 * A local network: what hosts are plugged into, behind a NAT or not.
 *
 * @module
 */
import { P2PError } from '../../core/errors.ts'
import type { GraphNode } from './graph-node.ts'
import type { NetworkInterface, PacketProtocol } from './interface.ts'
import type { Nat } from './nat.ts'
import type { NatRouter, Realm } from './realm.ts'

/** A LAN. Made by a fabric or a topology. */
export class Lan {
  readonly name: string
  /** @internal The node its hosts are linked to. */
  readonly hub: GraphNode
  /** @internal The realm its hosts' addresses are in. */
  readonly realm: Realm
  readonly #router: NatRouter | undefined

  /** @internal */
  constructor(name: string, hub: GraphNode, realm: Realm, router: NatRouter | undefined) {
    this.name = name
    this.hub = hub
    this.realm = realm
    this.#router = router
  }

  /** The NAT at its edge, where it has one. */
  get nat(): Nat | undefined {
    return this.#router?.nat
  }

  /** The node with its outside address, `<name>/wan` behind a NAT, else the hub. */
  get edge(): string {
    return this.#router?.outside.node.name ?? this.name
  }

  /**
   * Forwards an outside port to a host of this LAN, for anybody.
   *
   * @param outsidePort - @default the inside port
   * @returns the outside address, which others can send to (if no other NAT is around this one)
   * @throws P2PError `unsupported` without a NAT, `invalid-configuration` when a port is bad or in use
   */
  forwardPort(
    host: NetworkInterface,
    port: number,
    outsidePort: number = port,
    protocol: PacketProtocol = 'udp',
  ): string {
    const router = this.#router
    if (!router || host.attachment.realm !== this.realm) {
      const why = router ? `${host.name} is not in the LAN ${this.name}` : `the LAN ${this.name} has no NAT`
      throw P2PError.of('unsupported', `no port can be forwarded: ${why}`, {
        what: 'forwardPort',
        backend: 'simulator',
      })
    }
    return router.nat.forwardPort(host.ip, port, outsidePort, protocol).toString()
  }
}
