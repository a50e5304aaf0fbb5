/**
 * Whole ways through the graph, from host to host and across NATs: for those who ask where packets go. Packets themselves
 * are sent on link by link.
 *
 * @module
 */
import type { GraphNode } from './graph-node.ts'
import type { Link } from './link.ts'

/** A way through the graph. */
export interface GraphPath {
  /** From the first to the last. */
  readonly nodes: readonly string[]
  /** The links between them; crossing a NAT is no link. */
  readonly links: readonly Link[]
  readonly latencyMs: number
}

/** What is asked of the graph. */
export interface PathGraph {
  /** How many links there are. */
  readonly linkCount: number
  nextLink(from: GraphNode, to: GraphNode): Link | undefined
  separates(from: GraphNode, to: GraphNode): boolean
}

/** More ways than this are not remembered. */
const MAX_REMEMBERED = 10_000

/** The ways through one graph, remembered until it changes. */
export class GraphPaths {
  readonly #graph: PathGraph
  readonly #known = new Map<string, GraphPath | undefined>()

  constructor(graph: PathGraph) {
    this.#graph = graph
  }

  /** The graph has changed. */
  forget(): void {
    this.#known.clear()
  }

  /** The way packets take, through NATs as if they let everything in; undefined when there is none. */
  find(source: GraphNode, target: GraphNode): GraphPath | undefined {
    const key = `${source.name}>${target.name}`
    if (!this.#known.has(key)) {
      if (this.#known.size >= MAX_REMEMBERED) this.#known.clear()
      this.#known.set(key, this.#search(source, target))
    }
    return this.#known.get(key)
  }

  #search(source: GraphNode, target: GraphNode): GraphPath | undefined {
    if (this.#graph.separates(source, target)) return undefined
    const up = networksAround(source)
    const down = networksAround(target)
    const common = up.find((network) => down.includes(network))
    const nodes: GraphNode[] = [source]
    const links: Link[] = []
    const walk = (to: GraphNode): boolean => {
      for (let at = nodes.at(-1); at && at !== to; at = nodes.at(-1)) {
        const link = this.#graph.nextLink(at, to)
        if (!link?.isActive || this.#graph.separates(link.from, link.to) || links.length > this.#graph.linkCount)
          return false
        links.push(link)
        nodes.push(link.to)
      }
      return true
    }
    for (const network of up.slice(0, up.indexOf(common))) {
      if (!network?.outside || !walk(network)) return undefined
      nodes.push(network.outside)
    }
    for (const network of down.slice(0, down.indexOf(common)).toReversed()) {
      if (!network?.outside || !walk(network.outside)) return undefined
      nodes.push(network)
    }
    if (!walk(target)) return undefined
    const latencyUs = links.reduce((sum, link) => sum + link.settings.latencyUs, 0)
    return { nodes: nodes.map((node) => node.name), links, latencyMs: latencyUs / 1000 }
  }
}

/** The networks a node is in, from the innermost to the public internet (undefined). */
function networksAround(node: GraphNode): (GraphNode | undefined)[] {
  const networks: (GraphNode | undefined)[] = []
  for (let network = node.network; network; network = network.outside?.network) networks.push(network)
  return [...networks, undefined]
}
