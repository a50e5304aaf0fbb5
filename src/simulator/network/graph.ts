/**
 * The graph of the virtual internet: nodes, directed links, routing, partitions.
 *
 * Every node forwards. A packet goes from node to node along the path of the least metric, which is the latency where
 * nothing else is said (then the fewest links, then the names in order), decided anew at each node, so that a link that
 * goes down is routed around at once where there is another way. A LAN behind a NAT is a network of its own; its router
 * has an inside and an outside node, and packets cross between them in the fabric.
 *
 * @module
 */
import { invalidConfiguration } from '../../core/config.ts'
import type { Kernel } from '../kernel.ts'
import { checkFields, fieldsOf } from '../check-fields.ts'
import { GraphNode, type GraphNodeKind, NODE_KINDS, type NodeUsers } from './graph-node.ts'
import { type GraphPath, GraphPaths } from './graph-paths.ts'
import { recordLink, recordNode, recordPartition, recordUnlink } from './graph-records.ts'
import { NetworkKind } from './kinds.ts'
import { Link } from './link.ts'
import { type CheckedLinkOptions, type LinkOptions, LinkOptionsChecker } from './link-options.ts'
import { isMember, Partition, type PartitionDirection } from './partitions.ts'
import { computeRoutes } from './routes.ts'

/** Options of {@link NetworkGraph.addNode}. */
export interface NodeOptions {
  /** @default 'core' */
  readonly kind?: GraphNodeKind | undefined
  /** The LAN it is in, by the name of its router. On the public internet when left out. */
  readonly lan?: string | undefined
}

const MAX_NAME_LENGTH = 200
const PARTITION_FIELDS: readonly string[] = ['direction']
const NODE_FIELDS = fieldsOf<NodeOptions>({ kind: true, lan: true })

/** The graph; see the module's comment. */
export class NetworkGraph {
  readonly #kernel: Kernel
  readonly #nodes = new Map<string, GraphNode>()
  readonly #links = new Set<Link>()
  readonly #checker = new LinkOptionsChecker()
  readonly #partitions: Partition[] = []
  readonly #paths = new GraphPaths(this)
  /** @internal Who made more of nodes than they are here. */
  users: NodeUsers | undefined
  #nextNode = 0
  #nextPartition = 0
  #routesVersion = 0
  #changes = 0

  constructor(kernel: Kernel) {
    this.#kernel = kernel
  }

  /**
   * Adds a node.
   *
   * @param name - up to 200 characters without `>` and control characters
   * @throws P2PError `invalid-configuration` for a bad or known name, or an unknown LAN
   */
  addNode(name: string, options: NodeOptions = {}): GraphNode {
    // oxlint-disable-next-line no-control-regex -- names are printed, and part of the names of random streams
    if (typeof name !== 'string' || name === '' || name.length > MAX_NAME_LENGTH || /[>\u0000-\u001f]/.test(name)) {
      throw invalidConfiguration('node', name, `must be a name of 1 to ${MAX_NAME_LENGTH} characters without ">"`)
    }
    if (this.#nodes.has(name)) throw invalidConfiguration('node', name, 'there is a node of this name already')
    checkFields('a node', options, NODE_FIELDS)
    const { kind = 'core' } = options
    if (!NODE_KINDS.includes(kind)) throw invalidConfiguration('kind', kind, `must be ${NODE_KINDS.join(', ')}`)
    const lan = options.lan === undefined ? undefined : this.node(options.lan)
    if (lan && lan.kind !== 'router') throw invalidConfiguration('lan', options.lan, 'is no LAN')
    const node = new GraphNode(this.#nextNode++, name, kind, lan)
    this.#nodes.set(name, node)
    recordNode(this.#kernel, node)
    return node
  }

  /**
   * Removes a node and its links; does nothing when there is none.
   *
   * @throws P2PError `invalid-configuration` when a LAN of that name still has hosts, and for what is more than a node:
   *   the public internet, a host's interface, a LAN's router
   */
  removeNode(name: string): void {
    const node = this.#nodes.get(name)
    if (!node) return
    for (const other of this.#nodes.values()) {
      if (other.lan === node) throw invalidConfiguration('node', name, `${other.name} is still in it`)
    }
    const use = this.users?.useOf(name)
    if (use !== undefined) throw invalidConfiguration('node', name, use)
    this.dropNode(node)
  }

  /** @internal Removes a node, whatever it is used for. */
  dropNode(node: GraphNode): void {
    const { name } = node
    this.isolateNode(node)
    this.#nodes.delete(name)
    this.#paths.forget()
    this.#kernel.trace?.record('nodeRemoved', { node: node.index })
  }

  /**
   * The node of that name.
   *
   * @throws P2PError `invalid-configuration` when there is none
   */
  node(name: string): GraphNode {
    const node = this.#nodes.get(name)
    if (!node) throw invalidConfiguration('node', name, 'there is no node of this name')
    return node
  }

  /** Whether there is a node of that name. */
  hasNode(name: string): boolean {
    return this.#nodes.has(name)
  }

  /** All nodes, in the order they were added. */
  nodes(): readonly GraphNode[] {
    return [...this.#nodes.values()]
  }

  /** All links, in the order they were added. */
  links(): readonly Link[] {
    return [...this.#links]
  }

  /** @internal */
  get linkCount(): number {
    return this.#links.size
  }

  /** @internal Makes `outside` the outside of the LAN that `inside` is the router of. */
  setOutside(inside: GraphNode, outside: GraphNode): void {
    inside.outside = outside
    inside.lan = undefined
    this.#paths.forget()
  }

  /**
   * @internal What link options come to.
   *
   * @throws P2PError `invalid-configuration` that begins with `where`
   */
  checkLink(options: LinkOptions, where: string): CheckedLinkOptions {
    return this.#checker.check(options, where)
  }

  /** @internal Removes all links of a node. */
  isolateNode(node: GraphNode): void {
    for (const link of [...node.outbound, ...node.inbound]) this.#removeLink(link)
  }

  /** @internal Puts a node without links into another network. */
  moveNode(node: GraphNode, lan: GraphNode | undefined): void {
    node.lan = lan
    this.#paths.forget()
    recordNode(this.#kernel, node)
  }

  /**
   * Connects two nodes both ways.
   *
   * @param there - the link from `a` to `b`
   * @param back - the link from `b` to `a`; like `there` when left out
   * @throws P2PError `invalid-configuration`
   */
  connectNodes(a: string, b: string, there: LinkOptions = {}, back: LinkOptions = there): void {
    const link = this.connectOneWay(a, b, there)
    try {
      this.connectOneWay(b, a, back)
    } catch (error) {
      this.#removeLink(link)
      throw error
    }
  }

  /**
   * Adds a link from `from` to `to`. A LAN's name means its outside where the other node is not in it.
   *
   * @throws P2PError `invalid-configuration` for unknown or equal nodes, a second link, nodes in different networks
   */
  connectOneWay(from: string, to: string, options: LinkOptions = {}): Link {
    const [source, target] = this.#ends(from, to)
    if (source === target) throw invalidConfiguration('link', `${from}>${to}`, 'a node cannot be linked to itself')
    if (source.network !== target.network) {
      const why = 'the nodes are in different networks; connect the router of the LAN instead'
      throw invalidConfiguration('link', `${from}>${to}`, why)
    }
    const checked = this.checkLink(options, `link ${source.name}>${target.name}`)
    if (linkBetween(source, target)) {
      throw invalidConfiguration(
        'link',
        `${source.name}>${target.name}`,
        'there is one already; change it with updateLink',
      )
    }
    const link = new Link(this.#kernel, source, target, checked)
    this.#rewire(link, () => {
      this.#links.add(link)
      source.link(link)
      target.link(link)
    })
    this.#recordChange(link)
    return link
  }

  /** Removes the links between two nodes, both ways; does nothing where there are none. */
  disconnectNodes(a: string, b: string): void {
    for (const [from, to] of [this.#ends(a, b), this.#ends(b, a)]) {
      const link = linkBetween(from, to)
      if (link) this.#removeLink(link)
    }
  }

  /** Whether there is a link from `from` to `to`. */
  hasLink(from: string, to: string): boolean {
    const [source, target] = this.#ends(from, to)
    return linkBetween(source, target) !== undefined
  }

  /**
   * The link from `from` to `to`.
   *
   * @throws P2PError `invalid-configuration` when there is none
   */
  link(from: string, to: string): Link {
    const [source, target] = this.#ends(from, to)
    const link = linkBetween(source, target)
    if (!link) throw invalidConfiguration('link', `${from}>${to}`, 'there is no such link')
    return link
  }

  /**
   * Changes some of a link's options; the others stay. A field given as undefined goes back to its default.
   *
   * @example graph.updateLink('alice', 'internet', { isActive: false })
   * @throws P2PError `invalid-configuration`
   */
  updateLink(from: string, to: string, changes: LinkOptions): void {
    const link = this.link(from, to)
    if (typeof changes !== 'object' || changes === null) {
      throw invalidConfiguration(`link ${link.name}`, changes, 'must be an object of link options')
    }
    const { metricUs, isActive } = link.settings
    link.configure(changes)
    this.#changes++
    if (metricUs !== link.settings.metricUs || isActive !== link.isActive) this.#forgetRoutes(link.from, link.to)
    this.#recordChange(link)
  }

  /** @internal Keeps a link down, whatever its options say, until each that holds it has let go. */
  holdDown(link: Link, isHeld: boolean): void {
    const { isActive } = link
    link.hold(isHeld)
    if (isActive === link.isActive || !this.#links.has(link)) return
    this.#changes++
    this.#forgetRoutes(link.from, link.to)
    this.#recordChange(link)
  }

  /**
   * The way packets take from one node to another, through NATs as if they let everything in; undefined when there is
   * none.
   *
   * @throws P2PError `invalid-configuration` for unknown nodes
   */
  findPath(from: string, to: string): GraphPath | undefined {
    return this.#paths.find(this.node(from), this.node(to))
  }

  /**
   * Cuts every host and LAN of `groupA` off from those of `groupB`, both ways or one way; without `groupB`, from every
   * host that is not in `groupA`. A LAN stands for all hosts in it, now and later; a host for all interfaces that it has;
   * a node of the public internet, such as a region's, for the hosts and LANs that hang on it now. Packets under way when
   * it starts are cut as well. Partitions may overlap.
   *
   * @throws P2PError `invalid-configuration` for unknown nodes, an empty group, or a node in both
   */
  addPartition(
    groupA: readonly string[],
    groupB?: readonly string[],
    options: { readonly direction?: PartitionDirection | undefined } = {},
  ): Partition {
    checkFields('a partition', options, PARTITION_FIELDS)
    const { direction = 'both' } = options
    if (direction !== 'both' && direction !== 'a-to-b') {
      throw invalidConfiguration('direction', direction, 'must be both, or a-to-b')
    }
    const a = this.#group(groupA, 'groupA')
    const b = groupB && this.#group(groupB, 'groupB')
    if (!b && ![...a].some(({ isEnd, kind }) => isEnd || kind === 'router')) {
      throw invalidConfiguration('groupA', groupA.join(), 'has no host and no LAN to be cut off from everybody else')
    }
    const shared = b && ([...a].find((node) => isMember(node, b)) ?? [...b].find((node) => isMember(node, a)))
    if (shared) throw invalidConfiguration('groupB', shared.name, 'is in both groups')
    const partition = new Partition(this.#nextPartition++, direction, a, b, (it) => this.healPartition(it))
    this.#partitions.push(partition)
    this.#changes++
    this.#routesVersion++
    this.#paths.forget()
    recordPartition(this.#kernel, partition, [a, b])
    return partition
  }

  /** Ends a partition; does nothing when it has ended. Everything else stays as it is. */
  healPartition(partition: Partition): void {
    const index = this.#partitions.indexOf(partition)
    if (index < 0) return
    this.#partitions.splice(index, 1)
    this.#routesVersion++
    this.#paths.forget()
    this.#kernel.audit.record(NetworkKind.heal, -1, partition.id)
    this.#kernel.trace?.record('heal', { partition: partition.id })
  }

  /** The partitions that are on, oldest first. */
  partitions(): readonly Partition[] {
    return [...this.#partitions]
  }

  /** Whether a partition cuts packets from one node to another. */
  separates(from: GraphNode, to: GraphNode): boolean {
    for (const partition of this.#partitions) if (partition.blocks(from, to)) return true
    return false
  }

  /** Whether any partition is on; lets the hot path skip the rest. */
  get isPartitioned(): boolean {
    return this.#partitions.length > 0
  }

  /** @internal Grows with every change that may stop a packet under way. */
  get changes(): number {
    return this.#changes
  }

  /** @internal The link on which a packet at `from` goes on to `to`, a node of the same network. */
  nextLink(from: GraphNode, to: GraphNode): Link | undefined {
    // Nearly all nodes hang on one link: no search is needed from there, nor for the last step to there.
    const only = from.onlyOutbound
    if (only) return only.to === to || !only.to.isLeaf ? only : undefined
    let target = to
    const last = to.onlyInbound
    if (last) {
      if (last.from === from) return last
      target = last.from
    }
    if (from.routesVersion !== this.#routesVersion || !from.routes) {
      from.routes = computeRoutes(from, (link) => link.isActive && !this.separates(link.from, link.to))
      from.routesVersion = this.#routesVersion
    }
    return from.routes.get(target)
  }

  #ends(from: string, to: string): [GraphNode, GraphNode] {
    const source = this.node(from)
    const target = this.node(to)
    if (source.network === target.network) return [source, target]
    if (source.outside && source.outside.network === target.network) return [source.outside, target]
    if (target.outside && target.outside.network === source.network) return [source, target.outside]
    if (source.outside && target.outside && source.outside.network === target.outside.network) {
      return [source.outside, target.outside]
    }
    return [source, target]
  }

  #group(names: readonly string[], option: string): Set<GraphNode> {
    if (!Array.isArray(names)) throw invalidConfiguration(option, names, 'must be a list of names')
    if (names.length === 0) throw invalidConfiguration(option, '[]', 'must name at least one node')
    const group = new Set<GraphNode>()
    for (const name of names.flatMap((each) => [each, ...(this.users?.standsFor(each) ?? [])])) {
      const node = this.node(name)
      group.add(node)
      if (node.outside) group.add(node.outside)
    }
    return group
  }

  #removeLink(link: Link): void {
    this.#rewire(link, () => {
      this.#links.delete(link)
      link.from.unlink(link)
      link.to.unlink(link)
    })
    link.remove()
    this.#changes++
    this.#paths.forget()
    recordUnlink(this.#kernel, link)
  }

  #recordChange(link: Link): void {
    this.#paths.forget()
    recordLink(this.#kernel, link)
  }

  /**
   * A link comes or goes. Routes are kept where one of its ends is a leaf, which nobody's route leads through, before and
   * after; not where an end has become one or is none any more, as routes lead to leaves otherwise than to others.
   */
  #rewire({ from, to }: Link, change: () => void): void {
    const [wasLeaf, wasOtherLeaf] = [from.isLeaf, to.isLeaf]
    change()
    if (from.isLeaf !== wasLeaf || to.isLeaf !== wasOtherLeaf) this.#routesVersion++
    else this.#forgetRoutes(from, to)
  }

  /** Forgets the routes, unless only a leaf is concerned, which nobody's route leads through. */
  #forgetRoutes(from: GraphNode, to: GraphNode): void {
    if (!from.isLeaf && !to.isLeaf) this.#routesVersion++
  }
}

/** The link from one to the other: looked for where fewer are. */
function linkBetween(from: GraphNode, to: GraphNode): Link | undefined {
  return from.outbound.length < to.inbound.length
    ? from.outbound.find((link) => link.to === to)
    : to.inbound.find((link) => link.from === from)
}
