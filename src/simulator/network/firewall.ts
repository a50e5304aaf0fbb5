/**
 * The stateful firewall that a home router has for IPv6, where addresses are translated no more: what was not asked for
 * from inside stays outside (RFC 6092, "simple security").
 *
 * It works as a NAT that maps each inside address to itself, one for each host, so that time-outs, filters and leases
 * follow the same rules.
 *
 * @module
 */
import { checkOptions } from '../../core/config.ts'
import type { Kernel } from '../kernel.ts'
import { fieldsOf } from '../check-fields.ts'
import type { AddressBook, IpAddress } from './addresses.ts'
import type { NatMappingSnapshot } from './nat-table.ts'
import { Nat } from './nat.ts'
import { type NatOptions, resolveNatOptions } from './nat-options.ts'

/** A firewall: what of a NAT's options has a meaning without translation. */
export interface FirewallOptions extends Omit<NatOptions, 'mapping' | 'filtering' | 'portAllocation' | 'hairpinning'> {
  /**
   * Who may send in once a host has sent out from a port: `endpoint-independent` is what RFC 6092, REC-11 recommends,
   * `address-and-port-dependent` what Linux' connection tracking does. @default 'address-and-port-dependent'
   */
  readonly filtering?: NatOptions['filtering'] | undefined
}

const FIREWALL_FIELDS = fieldsOf<FirewallOptions>({
  filtering: true,
  mappingTimeoutMs: true,
  unrepliedTimeoutMs: true,
  tcpTimeoutMs: true,
  tcpTransitoryTimeoutMs: true,
  refreshOnInbound: true,
  maxSessions: true,
  portMapping: true,
  blocksUdp: true,
})

/** A firewall; see the module's comment. */
export class Firewall {
  readonly name: string
  /** What it was made with. */
  readonly options: FirewallOptions
  readonly #kernel: Kernel
  readonly #book: AddressBook
  readonly #options: NatOptions
  readonly #hosts = new Map<IpAddress, Nat>()

  /** @throws P2PError `invalid-configuration` */
  constructor(kernel: Kernel, book: AddressBook, name: string, options: FirewallOptions) {
    this.name = name
    this.options = options
    this.#kernel = kernel
    this.#book = book
    checkOptions(`the firewall of ${name}`, options, FIREWALL_FIELDS)
    const filtering = options.filtering ?? 'address-and-port-dependent'
    this.#options = { ...options, mapping: 'endpoint-independent', filtering, portAllocation: 'preserve' }
    resolveNatOptions(this.#options, `the firewall of ${name}`)
  }

  /** What it remembers of the host inside that has this address. */
  at(ip: IpAddress): Nat {
    let nat = this.#hosts.get(ip)
    if (!nat) this.#hosts.set(ip, (nat = new Nat(this.#kernel, this.#book, this.name, this.#options, ip)))
    return nat
  }

  /** Forgets what it knows of an address that nobody has any more. */
  forget(ip: IpAddress): void {
    this.#hosts.delete(ip)
  }

  /** Forgets every exchange, as a restart does, but opened ports. */
  flush(): void {
    for (const nat of this.#hosts.values()) nat.flush()
  }

  /** The exchanges that are alive, in the order of their hosts' first packets. */
  snapshot(): NatMappingSnapshot[] {
    return [...this.#hosts.values()].flatMap((nat) => nat.snapshot())
  }
}
