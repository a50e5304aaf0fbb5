/**
 * A network address translator (RFC 4787 for UDP, RFC 5382 for TCP). Whether two hosts can punch through is written down
 * nowhere: it follows from packets meeting mappings and filters.
 *
 * @module
 */
import { invalidConfiguration } from '../../core/config.ts'
import type { Kernel } from '../kernel.ts'
import type { AddressBook, IpAddress, SocketAddress } from './addresses.ts'
import type { PacketProtocol } from './interface.ts'
import { Drop, type DropCode, NetworkKind } from './kinds.ts'
import { type NatOptions, type NatSettings, resolveNatOptions } from './nat-options.ts'
import { type NatMappingSnapshot, NatTable } from './nat-table.ts'

/** A NAT with one outside address. */
export class Nat {
  readonly name: string
  /** What it was made with. */
  readonly options: NatOptions
  readonly settings: NatSettings
  readonly #kernel: Kernel
  readonly #book: AddressBook
  readonly #udp: NatTable
  #tcp: NatTable | undefined
  #outsideIp: IpAddress

  /** @throws P2PError `invalid-configuration` */
  constructor(kernel: Kernel, book: AddressBook, name: string, options: NatOptions, outsideIp: IpAddress) {
    this.name = name
    this.options = options
    this.settings = resolveNatOptions(options, `the NAT of ${name}`)
    this.#kernel = kernel
    this.#book = book
    this.#outsideIp = outsideIp
    const { settings } = this
    const { mappingTimeoutUs, unrepliedTimeoutUs } = settings
    const stream = `nat/${name}/ports`
    this.#udp = new NatTable(kernel, book, {
      protocol: 'udp',
      settings,
      timeoutUs: mappingTimeoutUs,
      unrepliedTimeoutUs,
      stream,
      outsideIp,
    })
  }

  /** Its outside address. */
  get outsideIp(): IpAddress {
    return this.#outsideIp
  }

  /**
   * A packet leaves: the outside address it goes on with, opening a mapping where there is none, or why it is dropped.
   */
  outbound(protocol: PacketProtocol, source: SocketAddress, destination: SocketAddress): SocketAddress | DropCode {
    if (protocol === 'udp' && this.settings.blocksUdp) return Drop['udp-blocked']
    if (source.version !== this.#outsideIp.version) return Drop['no-route']
    return this.#table(protocol).outbound(source, destination)
  }

  /** A packet arrives at an outside address: the inside address it goes on to, or why it is dropped. */
  inbound(protocol: PacketProtocol, source: SocketAddress, outside: SocketAddress): SocketAddress | DropCode {
    if (protocol === 'udp' && this.settings.blocksUdp) return Drop['udp-blocked']
    return this.#table(protocol).inbound(source, outside)
  }

  /**
   * Forwards an outside port to a host inside for good, as a person does, open to anybody. The host's packets leave by it
   * too.
   *
   * @returns the outside address
   * @throws P2PError `invalid-configuration` when a port is bad or in use
   */
  forwardPort(
    insideIp: IpAddress,
    insidePort: number,
    outsidePort: number,
    protocol: PacketProtocol = 'udp',
  ): SocketAddress {
    for (const [name, port] of Object.entries({ port: insidePort, outsidePort })) {
      if (Number.isInteger(port) && port >= 1 && port <= 65_535) continue
      throw invalidConfiguration(name, port, 'must be a port from 1 to 65535')
    }
    const inside = this.#book.socket(insideIp, insidePort)
    const outside = this.#table(protocol).forward(inside, outsidePort, Number.POSITIVE_INFINITY)
    if (outside) return outside
    throw invalidConfiguration('outsidePort', outsidePort, `is in use on the NAT of ${this.name}`)
  }

  /**
   * A host asks for a port to be forwarded for a while, as UPnP, NAT-PMP (RFC 6886) and PCP (RFC 6887) do; asking again
   * in time extends it.
   *
   * @param lifetimeUs - at most a day
   * @returns the outside address, on the same port where it is free, else the next free one; undefined when the router
   *   does not do so, or has no port left
   */
  mapPort(
    insideIp: IpAddress,
    insidePort: number,
    protocol: PacketProtocol,
    lifetimeUs: number,
  ): SocketAddress | undefined {
    if (!this.settings.portMapping) return undefined
    const inside = this.#book.socket(insideIp, insidePort)
    return this.#table(protocol).lease(inside, this.#kernel.nowUs() + lifetimeUs)
  }

  /** Forgets everything but ports forwarded for good, as a restart does: hosts inside come out of other ports afterwards. */
  flush(): void {
    const count = this.#udp.flush(true) + (this.#tcp?.flush(true) ?? 0)
    this.#kernel.audit.record(NetworkKind.natFlush, -1, this.#outsideIp.index, count)
    this.#kernel.trace?.record('natFlush', { nat: this.name })
  }

  /**
   * Forgets everything but forwarded ports, and gives every inside address another port than it had: what a router does
   * that rebinds as it likes.
   */
  rebind(): void {
    const count = this.#udp.rebind() + (this.#tcp?.rebind() ?? 0)
    this.#kernel.audit.record(NetworkKind.natFlush, -1, this.#outsideIp.index, count)
  }

  /** Takes another outside address; forgets everything, forwarded ports included. */
  renumber(outsideIp: IpAddress): void {
    this.#udp.renumber(outsideIp)
    this.#tcp?.renumber(outsideIp)
    this.#outsideIp = outsideIp
    this.#kernel.audit.record(NetworkKind.natFlush, -1, outsideIp.index)
    this.#kernel.trace?.record('natFlush', { nat: this.name })
  }

  /** The mappings that are alive, oldest first, UDP before TCP. */
  snapshot(): NatMappingSnapshot[] {
    return [...this.#udp.snapshot(), ...(this.#tcp?.snapshot() ?? [])]
  }

  #table(protocol: PacketProtocol): NatTable {
    if (protocol === 'udp') return this.#udp
    const { settings } = this
    const { tcpTimeoutUs, tcpTransitoryTimeoutUs } = settings
    return (this.#tcp ??= new NatTable(this.#kernel, this.#book, {
      protocol: 'tcp',
      settings,
      timeoutUs: tcpTimeoutUs,
      unrepliedTimeoutUs: tcpTransitoryTimeoutUs,
      stream: `nat/${this.name}/tcp-ports`,
      outsideIp: this.#outsideIp,
    }))
  }
}
