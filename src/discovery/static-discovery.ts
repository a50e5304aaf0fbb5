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
  /**
   * A JSON file `{"name": "ticket or node id"}`, which is read for each look-up: changes to it count at once. When the
   * file, or an entry of it, makes no sense any more, what it said before goes on counting; what it did not say before
   * cannot be found, and the error says why.
   */
  readonly file?: string | undefined
  /** Told once each time that the file, or an entry of it, has come to make no sense. @default nobody */
  readonly onProblem?: ((problem: P2PError) => void) | undefined
  /** Whether `publish` stores names in `file`, which then need not exist. @default false */
  readonly writable?: boolean | undefined
}

/** What the file says, as far as it makes sense. */
interface Listed {
  /** What it was read from. */
  readonly names: ReadonlyMap<string, unknown> | undefined
  readonly addresses: ReadonlyMap<string, P2PAddress>
  /** Names whose values make no sense now; some may have an address from before. */
  readonly bad: readonly string[]
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
  /** Known by their ids alone. */
  readonly #unnamed: P2PAddress[] = []
  #listed: Listed = { names: undefined, addresses: new Map(), bad: [] }
  #problem: P2PError | undefined
  readonly #onProblem: (problem: P2PError) => void
  readonly #file: NamesFile | undefined
  readonly #writable: boolean

  /** @throws P2PError `invalid-configuration` naming the entry that is no ticket and no node id */
  constructor(names: Readonly<Record<string, StaticName>> = {}, options: StaticDiscoveryOptions = {}) {
    for (const [name, value] of Object.entries(names)) this.#names.set(name, addressOf(value, `names.${name}`))
    this.#writable = options.writable ?? false
    this.#onProblem = options.onProblem ?? ((): void => {})
    if (options.file !== undefined) {
      this.#file = new NamesFile(options.file, this.#writable ? 'is-empty' : 'is-an-error')
    } else if (this.#writable) {
      throw invalidConfiguration('writable', true, 'there is no file to write to; give one as `file`')
    }
  }

  /**
   * Reads a list such as an environment variable holds: `home=<ticket>,studio=<node id>,<ticket>`; spaces and line breaks
   * around names, values and commas do not count. A ticket without a name makes its node known by its id.
   *
   * @param variable what the text came from, for errors
   * @throws P2PError `invalid-configuration`
   */
  static parse(text: string, variable: string = 'names'): StaticDiscovery {
    const names = new Map<string, P2PAddress>()
    const unnamed: P2PAddress[] = []
    for (const entry of text.split(/[,\n]/)) {
      if (entry.trim() === '') continue
      if (entry.trim().startsWith('endpoint') && !entry.includes('=')) {
        unnamed.push(addressOf(entry.trim(), variable))
        continue
      }
      const [name = '', value] = entry.split('=', 2).map((part) => part.trim())
      if (name === '' || value === undefined || value === '') {
        throw invalidConfiguration(
          variable,
          entry.trim(),
          'must be name=ticket or a ticket, or several of them with commas between',
        )
      }
      if (names.has(name)) throw invalidConfiguration(variable, entry.trim(), `gives the name ${name} a second time`)
      names.set(name, addressOf(value, `${variable}: ${name}`))
    }
    const discovery = new StaticDiscovery(Object.fromEntries(names))
    discovery.#unnamed.push(...unnamed)
    return discovery
  }

  /** What is wrong with the file, as far as it was seen when it was read last. */
  get problem(): P2PError | undefined {
    return this.#problem
  }

  /**
   * The address under a name.
   *
   * @throws P2PError `discovery-failed` when there is none but the file, or what it says for `name`, makes no sense;
   * `aborted`
   */
  async resolveName(name: string, options?: WaitOptions): Promise<P2PAddress | undefined> {
    const known = this.#names.get(name)
    if (known || !this.#file) return known
    const failure = await this.#read(this.#file, name, options)
    const listed = this.#listed.addresses.get(name)
    if (listed) return listed
    if (failure) throw failure
    const { bad, names } = this.#listed
    if (bad.includes(name)) throw this.#badEntry(this.#file, name, name, names?.get(name))
    return undefined
  }

  /**
   * The first entry with this id that has addresses.
   *
   * @throws P2PError `discovery-failed` when there is none but the file, or an entry of it, makes no sense; `aborted`
   */
  async resolveId(id: P2PNodeId, options?: WaitOptions): Promise<P2PAddress | undefined> {
    const known = [...this.#names.values(), ...this.#unnamed].find((address) => leadsTo(address, id))
    if (known || !this.#file) return known
    const wanted = id.toString()
    const failure = await this.#read(this.#file, wanted, options)
    const listed = [...this.#listed.addresses.values()].find((address) => leadsTo(address, id))
    if (listed) return listed
    if (failure) throw failure
    const { bad, names } = this.#listed
    const [first] = bad
    if (first !== undefined) throw this.#badEntry(this.#file, wanted, first, names?.get(first))
    return undefined
  }

  /** @throws P2PError `discovery-failed` when the file cannot be read or written */
  async publish(name: string, address: P2PAddress): Promise<void> {
    if (this.#file && this.#writable) await this.#file.set(name, address.toTicket())
    // Not both: another process may give the name to somebody else later.
    else this.#names.set(name, address)
  }

  /** Takes over what the file says; resolves with what is wrong with it as a whole. */
  async #read(file: NamesFile, query: string, options?: WaitOptions): Promise<P2PError | undefined> {
    let failure: P2PError | undefined
    try {
      const names = await file.read(query)
      if (names !== this.#listed.names) this.#listed = this.#list(names)
      const [bad] = this.#listed.bad
      this.#note(bad === undefined ? undefined : this.#badEntry(file, bad, bad, names.get(bad)))
    } catch (error) {
      failure = P2PError.from(error, 'discovery-failed', `the file of names ${file.path}`, { query }) as P2PError
      this.#note(failure)
    }
    if (options?.signal?.aborted === true) throw P2PError.aborted(options.signal, `looking up ${query}`)
    return failure
  }

  /** What makes sense of `names`, and what they said before where that does not. */
  #list(names: ReadonlyMap<string, unknown>): Listed {
    const addresses = new Map<string, P2PAddress>()
    const bad: string[] = []
    for (const [name, value] of names) {
      let address: P2PAddress | undefined
      try {
        address = typeof value === 'string' ? P2PAddress.parse(value) : undefined
      } catch {
        // Told when somebody asks for it.
      }
      if (!address) bad.push(name)
      address ??= this.#listed.addresses.get(name)
      if (address) addresses.set(name, address)
    }
    return { names, addresses, bad }
  }

  #note(problem: P2PError | undefined): void {
    const isNew = problem !== undefined && problem.message !== this.#problem?.message
    this.#problem = problem
    if (isNew) this.#onProblem(problem)
  }

  #badEntry(file: NamesFile, query: string, name: string, value: unknown): P2PError {
    const what = `the value of ${JSON.stringify(name)}`
    if (typeof value !== 'string') return file.failure(query, `${what} should be a text: a ticket or a node id`)
    try {
      P2PAddress.parse(value)
      return file.failure(query, what)
    } catch (error) {
      return file.failure(query, `${what}: ${(error as Error).message}`, error)
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
