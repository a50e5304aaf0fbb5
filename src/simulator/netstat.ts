/**
 * The state of a simulation at one moment, as data and as text.
 *
 * @module
 */
import { formatTables, netstat, type NetworkSnapshot, networkTables } from './network/index.ts'
import type { SimWorld } from './sim-world.ts'
import { worldSnapshot, worldTables } from './world-netstat.ts'
import type { NodeSnapshot, RelayHostSnapshot } from './world-netstat.ts'

/** See `Simulation.netstat`. */
export class Netstat {
  /** Virtual milliseconds. */
  readonly atMs: number
  readonly network: NetworkSnapshot
  readonly relays: readonly RelayHostSnapshot[]
  /** The nodes that are alive, with their relays and connections. */
  readonly nodes: readonly NodeSnapshot[]

  /** @internal */
  constructor(atMs: number, world: SimWorld) {
    this.atMs = atMs
    this.network = netstat(world.topology.fabric)
    const { relays, nodes } = worldSnapshot(world)
    this.relays = relays
    this.nodes = nodes
  }

  /**
   * Tables for people: packets, hosts with their sockets, mappings, links that wait or drop, partitions, relays with
   * who is attached, connections with their paths (`*` is the one that data takes).
   */
  toString(): string {
    const tables = [...networkTables(this.network), ...worldTables(this)]
    return `at ${this.atMs} ms of virtual time\n\n${formatTables(tables)}\n`
  }
}
