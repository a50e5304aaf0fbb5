/**
 * The sockets of an interface by protocol and port. Nearly all hosts have one or two, for which a list is smaller than a
 * map, and with many hosts size is speed.
 *
 * @module
 */
import { appended } from '../../core/small-list.ts'
import type { PacketProtocol, Socket } from './interface.ts'

/** Above this a map is quicker. */
const MAX_LISTED = 4

const NO_SOCKETS: readonly Socket[] = Object.freeze([])

/** The table; see the module's comment. */
export class SocketTable {
  #list: readonly Socket[] = NO_SOCKETS
  #map: Map<number, Socket> | undefined

  get size(): number {
    return this.#map ? this.#map.size : this.#list.length
  }

  /** Oldest first. */
  all(): readonly Socket[] {
    return this.#map ? [...this.#map.values()] : [...this.#list]
  }

  get(protocol: PacketProtocol, port: number): Socket | undefined {
    return this.#map
      ? this.#map.get(keyOf(protocol, port))
      : this.#list.find((socket) => socket.port === port && socket.protocol === protocol)
  }

  /** Adds one whose place is free. */
  add(socket: Socket): void {
    if (this.#map) {
      this.#map.set(keyOf(socket.protocol, socket.port), socket)
      return
    }
    this.#list = appended(this.#list, socket)
    if (this.#list.length <= MAX_LISTED) return
    this.#map = new Map(this.#list.map((it) => [keyOf(it.protocol, it.port), it]))
    this.#list = NO_SOCKETS
  }

  delete(socket: Socket): void {
    if (this.get(socket.protocol, socket.port) !== socket) return
    if (this.#map) this.#map.delete(keyOf(socket.protocol, socket.port))
    else this.#list = this.#list.filter((other) => other !== socket)
  }
}

/** By port, and by minus the port for TCP. */
function keyOf(protocol: PacketProtocol, port: number): number {
  return protocol === 'udp' ? port : -port
}
