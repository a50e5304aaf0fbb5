/**
 * The ports that the nodes of a host had, by id: they survive a restart, as a port in a configuration does. A list, as a
 * host mostly has one node.
 *
 * @module
 */

interface KnownPort {
  readonly id: string
  port: number
  readonly next: KnownPort | undefined
}

/** The ports; see the module's comment. */
export class HostPorts {
  #first: KnownPort | undefined

  /** The port that the node of this id had last. */
  get(id: string): number | undefined {
    return this.#find(id)?.port
  }

  set(id: string, port: number): void {
    const known = this.#find(id)
    if (known) known.port = port
    else this.#first = { id, port, next: this.#first }
  }

  #find(id: string): KnownPort | undefined {
    let known = this.#first
    while (known && known.id !== id) known = known.next
    return known
  }
}
