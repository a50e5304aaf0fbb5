/**
 * A host's network interface and its sockets.
 *
 * @module
 */
import { invalidConfiguration } from '../../core/config.ts'
import { P2PError } from '../../core/errors.ts'
import { type AddressBook, type IpAddress, SocketAddress } from './addresses.ts'
import type { GraphNode } from './graph-node.ts'
import { Attachment, type Realm } from './realm.ts'
import { SocketTable } from './socket-table.ts'

/**
 * What a packet is part of. NATs and firewalls keep the two apart, and ports of one say nothing about the other. The
 * network carries segments of TCP as it does datagrams: to acknowledge and repeat what is lost is the sockets' matter.
 */
export type PacketProtocol = 'udp' | 'tcp'

/** A datagram of UDP, or a segment of TCP. A receiver may keep it. */
export interface Packet {
  readonly protocol: PacketProtocol
  /** As the receiver sees it: NATs on the way have changed it. */
  readonly source: SocketAddress
  /** As the receiver sees it: its own address. */
  readonly destination: SocketAddress
  /** The size of the UDP or TCP payload that `payload` stands for. */
  readonly sizeBytes: number
  /** Whether bits were flipped on the way: no transport that authenticates its packets takes it for good. */
  readonly isCorrupted: boolean
  /** Whatever the sender gave, by reference: nothing is copied or looked at on the way. */
  readonly payload: unknown
}

/** @internal @throws P2PError `invalid-configuration` */
export function checkProtocol(protocol: PacketProtocol): void {
  if (protocol !== 'udp' && protocol !== 'tcp') throw invalidConfiguration('protocol', protocol, 'must be udp or tcp')
}

/** Called, as an event of the receiving host, for each packet that arrives. */
export type PacketHandler = (packet: Packet) => void

/** @internal Where packets wait for a host that is paused or slow. */
export interface PacketGate {
  readonly isOpen: boolean
  hold(callback: () => void, isPacket: boolean): unknown
}

/** @internal What takes an interface's packets. */
export interface PacketSink {
  send(
    origin: NetworkInterface,
    protocol: PacketProtocol,
    source: SocketAddress,
    destination: SocketAddress,
    payload: unknown,
    sizeBytes: number,
  ): void
}

/** Options of {@link NetworkInterface.bind}. */
export interface BindOptions {
  /** @default 'udp' */
  readonly protocol?: PacketProtocol | undefined
}

/** The largest UDP payload over IPv4: 65535 bytes less the headers. */
export const MAX_DATAGRAM_BYTES = 65_507
const FIRST_EPHEMERAL_PORT = 49_152
const EPHEMERAL_PORTS = 65_536 - FIRST_EPHEMERAL_PORT
const MAX_SOCKETS = 16_384

/** A bound socket. */
export class Socket implements Disposable {
  /** The port it is bound to. */
  readonly port: number
  readonly protocol: PacketProtocol
  /** @internal */
  receivedPackets = 0
  /** @internal */
  sentPackets = 0
  #isClosed = false
  readonly #handler: PacketHandler
  #localAddress: SocketAddress
  readonly #iface: NetworkInterface
  readonly #sink: PacketSink
  readonly #book: AddressBook

  /** @internal */
  constructor(
    iface: NetworkInterface,
    sink: PacketSink,
    book: AddressBook,
    protocol: PacketProtocol,
    port: number,
    handler: PacketHandler,
  ) {
    this.#iface = iface
    this.#sink = sink
    this.#book = book
    this.protocol = protocol
    this.port = port
    this.#handler = handler
    this.#localAddress = book.socket(iface.ip, port)
  }

  /** Where it is bound, all addresses of its interface, IPv4 before IPv6. */
  get localAddresses(): readonly SocketAddress[] {
    return this.#iface.ips.map((ip) => this.#book.socket(ip, this.port))
  }

  /** Where it is bound; the IP address changes when the interface gets another. */
  get localAddress(): SocketAddress {
    const { ip } = this.#iface
    if (this.#localAddress.ip !== ip) this.#localAddress = this.#book.socket(ip, this.port)
    return this.#localAddress
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /**
   * Sends a packet. Like IP it promises nothing: whatever goes wrong on the way is silent here, and counted there.
   *
   * @param destination - an address of this fabric's book (such as a packet's source), or `ip:port`
   * @param payload - anything; it must not change any more
   * @param sizeBytes - how large it is as payload: a whole number 0..65507
   * @throws P2PError `network` when the socket is closed, `invalid-configuration` for a bad size or address
   */
  send(destination: SocketAddress | string, payload: unknown, sizeBytes: number): void {
    if (this.#isClosed)
      throw P2PError.of('network', `the socket ${this.#localAddress.toString()} is closed; bind another`, {})
    if (!Number.isInteger(sizeBytes) || sizeBytes < 0 || sizeBytes > MAX_DATAGRAM_BYTES) {
      throw invalidConfiguration('sizeBytes', sizeBytes, `must be a whole number from 0 to ${MAX_DATAGRAM_BYTES}`)
    }
    const to = typeof destination === 'string' ? this.#book.parse(destination) : destination
    if (!(to instanceof SocketAddress)) {
      throw invalidConfiguration('destination', to, "must be ip:port, or an address such as a packet's source")
    }
    this.sentPackets++
    this.#sink.send(this.#iface, this.protocol, this.sourceFor(to), to, payload, sizeBytes)
  }

  /** Gives up the port; nothing is received any more. Packets under way still arrive elsewhere. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#iface.release(this)
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /** @internal Its address of the destination's version, if it has one. */
  sourceFor(destination: SocketAddress): SocketAddress {
    const { localAddress } = this
    if (destination.version === localAddress.version) return localAddress
    const second = this.#iface.attachment6
    return second ? this.#book.socket(second.ip, this.port) : localAddress
  }

  /** @internal */
  receive(packet: Packet): void {
    const { gate } = this.#iface
    if (!gate || gate.isOpen) this.#take(packet)
    else gate.hold(() => this.#take(packet), true)
  }

  #take(packet: Packet): void {
    if (this.#isClosed) return
    this.receivedPackets++
    this.#handler(packet)
  }
}

/** An interface of a host: one node of the graph, one IP address at a time, or one of each version. */
export class NetworkInterface {
  // What a packet touches comes first, side by side in memory.
  /** The index of its host, under which its events are recorded. */
  readonly host: number
  /** @internal Its place in a realm. */
  readonly attachment: Attachment
  /** @internal Its second address, of IPv6. */
  attachment6: Attachment | undefined
  /** Whether it is up. A host whose interface is down, as in flight mode, sends and receives nothing. */
  isUp = true
  /** @internal What its packets have to pass to be received. */
  gate: PacketGate | undefined
  /** The socket that received last, mostly the only one. */
  #recent: Socket | undefined
  /** Its node in the graph. */
  readonly node: GraphNode
  readonly #sockets = new SocketTable()
  readonly #sink: PacketSink
  readonly #book: AddressBook
  #nextEphemeral = 0
  /** @internal The node it is plugged into. */
  hub = ''

  /** @internal */
  constructor(sink: PacketSink, book: AddressBook, host: number, node: GraphNode, realm: Realm, ip: IpAddress) {
    this.#sink = sink
    this.#book = book
    this.host = host
    this.node = node
    this.attachment = new Attachment(node, realm, ip, this)
  }

  /** The name of its node. */
  get name(): string {
    return this.node.name
  }

  /** Its address, in the network it is in: the IPv4 one where it has two. */
  get ip(): IpAddress {
    return this.attachment.ip
  }

  /** All its addresses, IPv4 before IPv6. */
  get ips(): readonly IpAddress[] {
    return this.attachments().map(({ ip }) => ip)
  }

  /** @internal Whether the destination is in the private network it is plugged into. */
  isInSameNetwork(destination: SocketAddress | string): boolean {
    const { realm } = this.attachment
    const { ip } = typeof destination === 'string' ? this.#book.parse(destination) : destination
    return realm.router !== undefined && realm.contains(ip)
  }

  /** @internal Whether it has an address of the destination's version. */
  hasVersionOf(destination: SocketAddress | string): boolean {
    const { version } = typeof destination === 'string' ? this.#book.parse(destination) : destination
    return this.attachments().some(({ ip }) => ip.version === version)
  }

  /** @internal */
  attachments(): readonly Attachment[] {
    return this.attachment6 ? [this.attachment, this.attachment6] : [this.attachment]
  }

  /**
   * Binds a socket.
   *
   * @example
   * ```ts
   * import { Simulation } from '@moosicbox/p2p/simulator'
   *
   * const sim = new Simulation({ seed: 1 })
   * const client = sim.topology.host('client')
   * const server = sim.topology.host('server')
   * const relay = server.bind(443, ({ protocol, source }) => relay.send(source, `hello over ${protocol}`, 20), { protocol: 'tcp' })
   * const socket = client.bind(0, ({ payload }) => console.log(payload), { protocol: 'tcp' }) // hello over tcp
   * socket.send(relay.localAddress, 'hello', 20)
   * await sim.run()
   * ```
   * @param port - 1..65535, or 0 for a free one from 49152 up
   * @throws P2PError `invalid-configuration` for a bad port, `network` when it is in use, `limit-exceeded` past 16384
   */
  bind(port: number, handler: PacketHandler, options: BindOptions = {}): Socket {
    const { protocol = 'udp' } = options
    checkProtocol(protocol)
    if (typeof handler !== 'function') throw invalidConfiguration('handler', handler, 'must be a function')
    if (!Number.isInteger(port) || port < 0 || port > 65_535) {
      throw invalidConfiguration('port', port, 'must be a whole number from 0 to 65535')
    }
    if (this.#sockets.size >= MAX_SOCKETS) {
      throw P2PError.of('limit-exceeded', `${this.name} has ${MAX_SOCKETS} sockets open; close some`, {
        limit: 'sockets',
        max: MAX_SOCKETS,
      })
    }
    const free = port === 0 ? this.#freePort(protocol) : port
    if (this.#sockets.get(protocol, free)) {
      throw P2PError.of('network', `${protocol} port ${free} of ${this.name} is in use; bind another, or 0 for any`, {})
    }
    const socket = new Socket(this, this.#sink, this.#book, protocol, free, handler)
    this.#sockets.add(socket)
    return socket
  }

  /** The open sockets, oldest first. */
  sockets(): readonly Socket[] {
    return this.#sockets.all()
  }

  /** Closes all sockets, as the end of the host's process does. */
  closeSockets(): void {
    for (const socket of this.#sockets.all()) socket.close()
  }

  /** @internal */
  socketAt(protocol: PacketProtocol, port: number): Socket | undefined {
    const recent = this.#recent
    if (recent?.port === port && recent.protocol === protocol) return recent
    return (this.#recent = this.#sockets.get(protocol, port))
  }

  /** @internal */
  release(socket: Socket): void {
    this.#recent = undefined
    this.#sockets.delete(socket)
  }

  #freePort(protocol: PacketProtocol): number {
    for (let i = 0; i < EPHEMERAL_PORTS; i++) {
      const port = FIRST_EPHEMERAL_PORT + this.#nextEphemeral
      this.#nextEphemeral = (this.#nextEphemeral + 1) % EPHEMERAL_PORTS
      if (!this.#sockets.get(protocol, port)) return port
    }
    throw P2PError.of('limit-exceeded', `${this.name} has no free port left`, { limit: 'ports', max: EPHEMERAL_PORTS })
  }
}
