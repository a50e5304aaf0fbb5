/**
 * Partitions: groups of nodes that cannot reach each other for a while. They lie over the graph and change nothing in
 * it, so that healing restores exactly what is there.
 *
 * @module
 */
import type { GraphNode } from './graph-node.ts'

/** Which way a partition cuts: both, or only packets from the first group to the second. */
export type PartitionDirection = 'both' | 'a-to-b'

/** A partition. Disposing of it, or `heal`, ends it; doing so twice does nothing. */
export class Partition implements Disposable {
  /** Counts a graph's partitions from 0. */
  readonly id: number
  readonly direction: PartitionDirection
  readonly #groupA: ReadonlySet<GraphNode>
  /** Undefined: every host that is not in the first group. */
  readonly #groupB: ReadonlySet<GraphNode> | undefined
  readonly #heal: (partition: Partition) => void

  /** @internal */
  constructor(
    id: number,
    direction: PartitionDirection,
    groupA: ReadonlySet<GraphNode>,
    groupB: ReadonlySet<GraphNode> | undefined,
    heal: (partition: Partition) => void,
  ) {
    this.id = id
    this.direction = direction
    this.#groupA = groupA
    this.#groupB = groupB
    this.#heal = heal
  }

  /** The names of those cut off; a LAN stands for all in it. */
  get groupA(): readonly string[] {
    return namesOf(this.#groupA)
  }

  /** The names of those they are cut off from; undefined for everybody else. */
  get groupB(): readonly string[] | undefined {
    return this.#groupB && namesOf(this.#groupB)
  }

  /** Ends the partition. */
  heal(): void {
    this.#heal(this)
  }

  [Symbol.dispose](): void {
    this.heal()
  }

  /** @internal Whether packets from one node to the other are cut off. */
  blocks(from: GraphNode, to: GraphNode): boolean {
    return this.#cuts(from, to) || (this.direction === 'both' && this.#cuts(to, from))
  }

  #cuts(a: GraphNode, b: GraphNode): boolean {
    if (!isMember(a, this.#groupA)) return false
    if (this.#groupB) return isMember(b, this.#groupB)
    return a.isEnd && b.isEnd && !isMember(b, this.#groupA)
  }
}

/** Without the outsides of routers, which nobody has named. */
function namesOf(group: ReadonlySet<GraphNode>): readonly string[] {
  const outsides = new Set([...group].map((node) => node.outside))
  return [...group].filter((node) => !outsides.has(node)).map((node) => node.name)
}

/** A LAN in a group stands for everything in it, LANs behind it included. */
export function isMember(node: GraphNode, group: ReadonlySet<GraphNode>): boolean {
  if (group.has(node)) return true
  for (let around = node.lan; around; around = (around.outside ?? around).lan) {
    if (group.has(around)) return true
  }
  return false
}
