/**
 * Names from a list: given in the program, in an environment variable, or in a file that others may change.
 *
 * @module
 */
import { P2PAddress } from '../core/address.ts'
import { invalidConfiguration } from '../core/config.ts'
import { P2PError } from '../core/errors.ts'
import { NodeId } from '../core/node-id.ts'
import type { P2PNodeId } from '../core/node-id.ts'
import type { WaitOptions } from '../core/stream.ts'
import type { P2PDiscovery } from '../core/system.ts'
import { NamesFile } from './names-file.ts'

/** What a name may stand for: a ticket, a node id in any form, or either of them as an object. */
export type StaticName = string | P2PAddress | NodeId

/** Options of {@link StaticDiscovery}. */
export interface StaticDiscoveryOptions {
  /** A JSON file `{"name": "ticket or node id"}`, which is read for each look-up: changes to it count at once. */
  readonly file?: string | undefined
  /** Whether `publish` stores names in `file`, which then need not exist. @default false */
  readonly writable?: boolean | undefined
}

/**
 * Finds nodes in a list of names. Names that were given or published here come before those of the file.
 *
 * @example
 * ```ts
 * import { testNodeId } from '@moosicbox/p2p'
 * import { StaticDiscovery } from '@moosicbox/p2p/discovery'
 *
 * const discovery = new StaticDiscovery({ home: testNodeId('home') })
 * console.log((await discovery.resolveName('home'))?.id.equals(testNodeId('home'))) // true
 * ```
 */
export class StaticDiscovery implements P2PDiscovery {
  readonly name = 'static'
  readonly #names = new Map<string, P2PAddress>()
  readonly #file: NamesFile | undefined
  readonly #writable: boolean

  /** @throws P2PError `invalid-configuration` naming the entry that is no ticket and no node id */
  constructor(names: Readonly<Record<string, StaticName>> = {}, options: StaticDiscoveryOptions = {}) {
    for (const [name, value] of Object.entries(names)) this.#names.set(name, addressOf(value, `names.${name}`))
    this.#writable = options.writable ?? false
    if (options.file !== undefined) {
      this.#file = new NamesFile(options.file, this.#writable ? 'is-empty' : 'is-an-error')
    } else if (this.#writable) {
      throw invalidConfiguration('writable', true, 'there is no file to write to; give one as `file`')
    }
  }

  /**
   * Reads a list such as an environment variable holds: `home=<ticket>,studio=<node id>`; spaces and line breaks around
   * names, values and commas do not count.
   *
   * @param variable what the text came from, for errors
   * @throws P2PError `invalid-configuration`
   */
  static parse(text: string, variable: string = 'names'): StaticDiscovery {
    const names = new Map<string, P2PAddress>()
    for (const entry of text.split(/[,\n]/)) {
      if (entry.trim() === '') continue
      const [name = '', value] = entry.split('=', 2).map((part) => part.trim())
      if (name === '' || value === undefined || value === '') {
        throw invalidConfiguration(
          variable,
          entry.trim(),
          'must be name=ticket, or several of them with commas between',
        )
      }
      if (names.has(name)) throw invalidConfiguration(variable, entry.trim(), `gives the name ${name} a second time`)
      names.set(name, addressOf(value, `${variable}: ${name}`))
    }
    return new StaticDiscovery(Object.fromEntries(names))
  }

  /** @throws P2PError `discovery-failed` when the file, or what it says for `name`, makes no sense; `aborted` */
  async resolveName(name: string, options?: WaitOptions): Promise<P2PAddress | undefined> {
    const known = this.#names.get(name)
    if (known || !this.#file) return known
    const names = await this.#read(this.#file, name, options)
    return names.has(name) ? this.#parse(this.#file, name, name, names.get(name)) : undefined
  }

  /**
   * The first entry with this id that has addresses.
   *
   * @throws P2PError `discovery-failed` when there is none but the file, or an entry of it, makes no sense; `aborted`
   */
  async resolveId(id: P2PNodeId, options?: WaitOptions): Promise<P2PAddress | undefined> {
    const known = [...this.#names.values()].find((address) => leadsTo(address, id))
    if (known || !this.#file) return known
    const wanted = id.toString()
    let damage: unknown
    for (const [name, value] of await this.#read(this.#file, wanted, options)) {
      try {
        const address = this.#parse(this.#file, wanted, name, value)
        if (leadsTo(address, id)) return address
      } catch (error) {
        damage ??= error
      }
    }
    if (damage !== undefined) throw damage
    return undefined
  }

  /** @throws P2PError `discovery-failed` when the file cannot be read or written */
  async publish(name: string, address: P2PAddress): Promise<void> {
    if (this.#file && this.#writable) await this.#file.set(name, address.toTicket())
    // Not both: another process may give the name to somebody else later.
    else this.#names.set(name, address)
  }

  async #read(file: NamesFile, name: string, options?: WaitOptions): Promise<ReadonlyMap<string, unknown>> {
    const names = await file.read(name)
    if (options?.signal?.aborted === true) throw P2PError.aborted(options.signal, `looking up ${name}`)
    return names
  }

  #parse(file: NamesFile, wanted: string, name: string, value: unknown): P2PAddress {
    if (typeof value !== 'string') {
      throw file.failure(wanted, `the value of ${JSON.stringify(name)} should be a text: a ticket or a node id`)
    }
    try {
      return P2PAddress.parse(value)
    } catch (error) {
      throw file.failure(wanted, `the value of ${JSON.stringify(name)}: ${(error as Error).message}`, error)
    }
  }
}

function leadsTo(address: P2PAddress, id: P2PNodeId): boolean {
  return address.id.equals(id) && address.direct.length + address.relays.length > 0
}

function addressOf(value: StaticName, name: string): P2PAddress {
  if (value instanceof P2PAddress) return value
  if (value instanceof NodeId) return new P2PAddress(value)
  if (typeof value !== 'string') throw invalidConfiguration(name, value, 'must be a ticket or a node id')
  try {
    return P2PAddress.parse(value)
  } catch (error) {
    throw P2PError.of(
      'invalid-configuration',
      `${name}: ${(error as Error).message}`,
      { setting: name, value },
      { cause: error },
    )
  }
}
