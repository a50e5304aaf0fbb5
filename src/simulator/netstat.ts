/**
 * The state of a simulation at one moment, as data and as text.
 *
 * @module
 */
import {
  formatTables,
  netstat,
  type NetworkSnapshot,
  networkTables,
  type TextTable,
  type Topology,
} from './network/index.ts'

/** See `Simulation.netstat`. */
export class Netstat {
  /** Virtual milliseconds. */
  readonly atMs: number
  readonly network: NetworkSnapshot
  readonly #more: readonly TextTable[]

  /** @internal */
  constructor(atMs: number, topology: Topology, more: readonly TextTable[] = []) {
    this.atMs = atMs
    this.network = netstat(topology.fabric)
    this.#more = more
  }

  /** Tables for people: packets, hosts with their sockets, mappings, links that wait or drop, partitions. */
  toString(): string {
    return `at ${this.atMs} ms of virtual time\n\n${formatTables([...networkTables(this.network), ...this.#more])}\n`
  }
}
