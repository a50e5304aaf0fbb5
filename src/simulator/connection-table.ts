/**
 * The connections of one endpoint, found by the ids that their packets carry.
 *
 * @module
 */
import type { SimConnection } from './sim-connection.ts'

/** Inbound handshakes under way at a time; more are ignored, as an overloaded node would. */
const MAX_INBOUND_HANDSHAKES = 1_024

/**
 * 30 bits of a connection id: small numbers are found several times as fast. Where two ids have the same, the connection
 * itself drops what is not for it.
 */
function keyOf(id: number): number {
  return id & 0x3fff_ffff
}

/** The table; see the module's comment. Its maps are made for the first connection, as most hosts may have none. */
export class ConnectionTable {
  /** By {@link keyOf} every connection id that their packets may carry. */
  #byKey: Map<number, SimConnection> | undefined
  #ids: Map<SimConnection, readonly number[]> | undefined
  #inbound: Set<SimConnection> | undefined

  /** Whether another inbound handshake may begin. */
  get hasRoom(): boolean {
    return (this.#inbound?.size ?? 0) < MAX_INBOUND_HANDSHAKES
  }

  /** The connection that a packet with this id is for. */
  find(id: number): SimConnection | undefined {
    return this.#byKey?.get(keyOf(id))
  }

  /** Oldest first. */
  all(): Iterable<SimConnection> {
    return this.#ids?.keys() ?? []
  }

  /** Adds one whose packets carry any of `ids`. */
  add(connection: SimConnection, ids: readonly number[]): void {
    const byKey = (this.#byKey ??= new Map())
    ;(this.#ids ??= new Map()).set(connection, ids)
    for (const id of ids) byKey.set(keyOf(id), connection)
  }

  /** Adds one that a peer has begun; it counts as a handshake until {@link endHandshake}. */
  addInbound(connection: SimConnection, ids: readonly number[]): void {
    ;(this.#inbound ??= new Set()).add(connection)
    this.add(connection, ids)
  }

  /** Its handshake is over, one way or the other. */
  endHandshake(connection: SimConnection): void {
    this.#inbound?.delete(connection)
  }

  remove(connection: SimConnection): void {
    for (const id of this.#ids?.get(connection) ?? []) this.#byKey?.delete(keyOf(id))
    this.#ids?.delete(connection)
    this.#inbound?.delete(connection)
  }

  /** Forgets all of them. */
  clear(): void {
    this.#byKey?.clear()
    this.#ids?.clear()
    this.#inbound = undefined
  }
}
