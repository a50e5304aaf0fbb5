/** Names and ids that every node of one world finds. */
import type { P2PAddress } from '../../../src/core/address.ts'
import type { P2PNodeId } from '../../../src/core/node-id.ts'
import type { P2PDiscovery } from '../../../src/core/system.ts'

export class AddressBook implements P2PDiscovery {
  readonly name = 'address book'
  readonly #names = new Map<string, P2PAddress>()
  readonly #ids = new Map<string, P2PAddress>()

  /** Makes a node known by its id. */
  add(address: P2PAddress): void {
    this.#ids.set(address.id.toString(), address)
  }

  async resolveName(name: string): Promise<P2PAddress | undefined> {
    return this.#names.get(name)
  }

  async resolveId(id: P2PNodeId): Promise<P2PAddress | undefined> {
    return this.#ids.get(id.toString())
  }

  async publish(name: string, address: P2PAddress): Promise<void> {
    this.#names.set(name, address)
  }
}
