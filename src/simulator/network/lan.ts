/**
 * A local network: what hosts are plugged into, behind a NAT or not.
 *
 * @module
 */
import { invalidConfiguration } from '../../core/config.ts'
import { P2PError } from '../../core/errors.ts'
import type { Firewall } from './firewall.ts'
import type { GraphNode } from './graph-node.ts'
import { checkProtocol, NetworkInterface, type PacketProtocol } from './interface.ts'
import type { Nat } from './nat.ts'
import type { LanRouter, Realm } from './realm.ts'

/** Options of {@link Lan.mapPort}. */
export interface PortMappingOptions {
  /** @default 'udp' */
  readonly protocol?: PacketProtocol | undefined
  /** @default 7200000 */
  readonly lifetimeMs?: number | undefined
}

/** @internal What a LAN is made of. */
export interface LanParts {
  readonly name: string
  readonly hub: GraphNode
  readonly realm: Realm
  readonly behind: Lan | undefined
  readonly around: string
  readonly router?: LanRouter | undefined
}

const MAX_LEASE_MS = 86_400_000

/** A LAN. Made by a fabric or a topology. */
export class Lan {
  readonly name: string
  /** @internal The node its hosts are linked to. */
  readonly hub: GraphNode
  /** @internal The realm its hosts' addresses are in. */
  readonly realm: Realm
  readonly #router: LanRouter | undefined

  /** @internal The LAN it is behind. */
  readonly behind: Lan | undefined
  /** @internal The node that its router is connected to. */
  readonly around: string

  /** @internal */
  constructor(parts: LanParts) {
    this.name = parts.name
    this.hub = parts.hub
    this.realm = parts.realm
    this.behind = parts.behind
    this.around = parts.around
    this.#router = parts.router
  }

  /** @internal */
  get router(): LanRouter | undefined {
    return this.#router
  }

  /** The NAT at its edge, where it has one. */
  get nat(): Nat | undefined {
    return this.#router?.nat
  }

  /** The firewall that its IPv6 passes, where it has one. */
  get firewall(): Firewall | undefined {
    const ipv6 = this.#router?.ipv6
    return ipv6 === 'open' ? undefined : ipv6
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
    checkMapping(host, protocol)
    const router = this.#router
    if (!router?.nat || host.attachment.realm !== this.realm) {
      const why = router?.nat ? `${host.name} is not in the LAN ${this.name}` : `the LAN ${this.name} has no NAT`
      throw P2PError.of('unsupported', `no port can be forwarded: ${why}`, {
        what: 'forwardPort',
        backend: 'simulator',
      })
    }
    return router.nat.forwardPort(host.ip, port, outsidePort, protocol).toString()
  }

  /**
   * A host asks the router to forward a port to it for a while, as UPnP, NAT-PMP and PCP do: the same port where it is
   * free, else the next free one. Asking again in time extends it. Behind another NAT the answer is an address of the
   * network in between, which is of no use outside.
   *
   * @example
   * ```ts
   * import { Simulation } from '@moosicbox/p2p/simulator'
   *
   * const sim = new Simulation({ seed: 1 })
   * const home = sim.lan({ nat: 'symmetric', portMapping: true })
   * const box = sim.topology.host('box', { lan: home })
   * console.log(home.mapPort(box, 7000)) // 198.18.0.1:7000
   * ```
   * @param options.lifetimeMs - @default 7200000 (RFC 6886, 3.3), at most a day
   * @returns the outside address; undefined when the router does not do so, or has no port left
   * @throws P2PError `invalid-configuration` for a bad port or time, `unsupported` for a host of another LAN
   */
  mapPort(host: NetworkInterface, port: number, options: PortMappingOptions = {}): string | undefined {
    const { protocol = 'udp', lifetimeMs = 7_200_000 } = options
    checkMapping(host, protocol)
    if (host.attachment.realm !== this.realm) {
      const why = `no port can be mapped: ${host.name} is not in the LAN ${this.name}`
      throw P2PError.of('unsupported', why, { what: 'mapPort', backend: 'simulator' })
    }
    if (!Number.isInteger(port) || port < 1 || port > 65_535) {
      throw invalidConfiguration('port', port, 'must be a port from 1 to 65535')
    }
    if (!(lifetimeMs > 0 && lifetimeMs <= MAX_LEASE_MS)) {
      throw invalidConfiguration('lifetimeMs', lifetimeMs, `must be milliseconds above 0 and up to ${MAX_LEASE_MS}`)
    }
    return this.nat?.mapPort(host.ip, port, protocol, Math.ceil(lifetimeMs * 1000))?.toString()
  }
}

function checkMapping(host: NetworkInterface, protocol: PacketProtocol): void {
  if (!(host instanceof NetworkInterface)) {
    throw invalidConfiguration('host', host, "must be a host's interface, such as `host.network`")
  }
  checkProtocol(protocol)
}
