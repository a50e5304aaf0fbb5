/**
 * A node of the graph, and which network it is in.
 *
 * @module
 */
import { appended } from '../../core/small-list.ts'
import type { Link } from './link.ts'

/**
 * - `host`: an interface of a host; where datagrams come from and go to
 * - `relay`, `name-server`: hosts with that task
 * - `router`: what a LAN's hosts are plugged into, and its outside
 * - `core`: the public internet, or a part of it
 */
export type GraphNodeKind = 'host' | 'relay' | 'name-server' | 'router' | 'core'

/** All {@link GraphNodeKind}s. */
export const NODE_KINDS: readonly GraphNodeKind[] = ['host', 'relay', 'name-server', 'router', 'core']

const NO_LINKS: readonly Link[] = Object.freeze([])

/** Above this links are added in place: the public internet's node has one for each host. */
const FEW_LINKS = 4

function extended(links: readonly Link[], link: Link): readonly Link[] {
  if (links.length < FEW_LINKS) return appended(links, link)
  // Not the frozen one, which is empty.
  ;(links as Link[]).push(link)
  return links
}

/** @internal What a fabric knows of nodes. */
export interface NodeUsers {
  /** Why it cannot be removed. */
  useOf(name: string): string | undefined
  /** The nodes that it stands for besides itself, in a partition. */
  standsFor(name: string): readonly string[]
}

/** A node. The fields are the graph's to change. */
export class GraphNode {
  /** Counts the graph's nodes from 0, in the order they were added; never used again. */
  readonly index: number
  readonly name: string
  readonly kind: GraphNodeKind
  /** @internal The router (its inside) of the LAN it is in; undefined on the public internet. */
  lan: GraphNode | undefined
  /** @internal For the inside of a router with a NAT: its outside, a node of the network around it. */
  outside: GraphNode | undefined
  /** @internal Change them with `link` and `unlink`. */
  outbound: readonly Link[] = NO_LINKS
  /** @internal */
  inbound: readonly Link[] = NO_LINKS
  /** @internal The only link that leads out, or in, where there is exactly one, as for nearly all nodes. */
  onlyOutbound: Link | undefined
  /** @internal */
  onlyInbound: Link | undefined
  /** @internal Whether no path between two others can lead through here. */
  isLeaf = true
  /** @internal The first link of the best path to each node, as of `routesVersion`. */
  routes: Map<GraphNode, Link> | undefined
  /** @internal */
  routesVersion = -1

  /** @internal */
  constructor(index: number, name: string, kind: GraphNodeKind, lan: GraphNode | undefined) {
    this.index = index
    this.name = name
    this.kind = kind
    this.lan = lan
  }

  /** Whether datagrams come from it and go to it: it is a host, with whatever task. */
  get isEnd(): boolean {
    return this.kind !== 'router' && this.kind !== 'core'
  }

  /** @internal Adds a link that begins or ends here. */
  link(link: Link): void {
    if (link.from === this) this.outbound = extended(this.outbound, link)
    else this.inbound = extended(this.inbound, link)
    this.#findOnly()
  }

  /** @internal Takes a link away. */
  unlink(link: Link): void {
    if (link.from === this) this.outbound = this.outbound.filter((other) => other !== link)
    else this.inbound = this.inbound.filter((other) => other !== link)
    this.#findOnly()
  }

  #findOnly(): void {
    this.onlyOutbound = this.outbound.length === 1 ? this.outbound[0] : undefined
    this.onlyInbound = this.inbound.length === 1 ? this.inbound[0] : undefined
    const [out] = this.outbound
    const [into] = this.inbound
    const hasFew = this.outbound.length <= 1 && this.inbound.length <= 1
    this.isLeaf = hasFew && (!out || !into || out.to === into.from)
  }

  /**
   * @internal The network it is in, as the inside of that network's router, which is in its own; undefined on the public
   * internet. A LAN without a NAT is part of the network around it.
   */
  get network(): GraphNode | undefined {
    return this.outside ? this : this.lan?.network
  }
}
