/**
 * The network as a host's programs see it: sockets that are bound on all of its interfaces, and packets that leave by the
 * one that routing says.
 *
 * @module
 */
import { invalidConfiguration } from '../../core/config.ts'
import type { SocketAddress } from './addresses.ts'
import type { BindOptions, NetworkInterface, PacketHandler, Socket } from './interface.ts'

/** A socket on one or several interfaces. */
export type HostSocket = Pick<Socket, 'localAddress' | 'localAddresses' | 'port' | 'close'> & {
  /** As a socket's `send`; by the interface that has the address `from`, where there is one that is up. */
  send(destination: SocketAddress | string, payload: unknown, sizeBytes: number, from?: SocketAddress): void
  /** Where packets to that address come from by themselves; only with several interfaces. */
  usualSource?(destination: SocketAddress): SocketAddress
}

/** Binds on every interface that a host has at that moment. */
export class HostNetwork {
  readonly #host: { readonly interfaces: readonly NetworkInterface[] }

  constructor(host: { readonly interfaces: readonly NetworkInterface[] }) {
    this.#host = host
  }

  /**
   * Binds a socket, on the same port of all interfaces.
   *
   * @throws P2PError as `NetworkInterface.bind`
   */
  bind(port: number, handler: PacketHandler, options: BindOptions = {}): HostSocket {
    const [first, ...others] = this.#host.interfaces
    if (!first) throw invalidConfiguration('interfaces', 0, 'a host needs an interface at least')
    const socket = first.bind(port, handler, options)
    if (others.length === 0) return socket
    const own = { iface: first, socket }
    const bound: Bound[] = [own]
    try {
      for (const iface of others) bound.push({ iface, socket: iface.bind(socket.port, handler, options) })
    } catch (error) {
      for (const { socket: other } of bound) other.close()
      throw error
    }
    return new MultiSocket(own, bound)
  }
}

interface Bound {
  readonly iface: NetworkInterface
  readonly socket: Socket
}

class MultiSocket implements HostSocket {
  readonly #first: Bound
  readonly #bound: readonly Bound[]

  constructor(first: Bound, bound: readonly Bound[]) {
    this.#first = first
    this.#bound = bound
  }

  get port(): number {
    return this.#default().socket.port
  }

  get localAddress(): SocketAddress {
    return this.#default().socket.localAddress
  }

  /** Those of interfaces that are up. */
  get localAddresses(): readonly SocketAddress[] {
    return this.#bound.filter(({ iface }) => iface.isUp).flatMap(({ socket }) => socket.localAddresses)
  }

  usualSource(destination: SocketAddress): SocketAddress {
    return this.#towards(destination).socket.sourceFor(destination)
  }

  send(destination: SocketAddress | string, payload: unknown, sizeBytes: number, from?: SocketAddress): void {
    const pinned = from && this.#bound.find(({ iface, socket }) => iface.isUp && socket.localAddresses.includes(from))
    const { socket } = pinned ?? this.#towards(destination)
    socket.send(destination, payload, sizeBytes)
  }

  close(): void {
    for (const { socket } of this.#bound) socket.close()
  }

  /** The first that is up, as the one of the lowest metric in a host's routing table. */
  #default(): Bound {
    return this.#bound.find(({ iface }) => iface.isUp) ?? this.#first
  }

  /** A network that it is in comes before a default route; without any the first says what is wrong. */
  #towards(destination: SocketAddress | string): Bound {
    const up = this.#bound.filter(({ iface }) => iface.isUp)
    const near = up.find(({ iface }) => iface.isInSameNetwork(destination))
    return near ?? up.find(({ iface }) => iface.hasVersionOf(destination)) ?? this.#default()
  }
}
