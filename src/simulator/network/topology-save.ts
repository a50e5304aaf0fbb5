/**
 * A topology as plain data, as it is at the moment.
 *
 * @module
 */
import { type Fabric, INTERNET } from './fabric.ts'
import type { NetworkGraph } from './graph.ts'
import type { NetworkInterface } from './interface.ts'
import type { Lan } from './lan.ts'
import type { LinkOptions } from './link-options.ts'
import type { Link } from './link.ts'
import type { NatOptions } from './nat-options.ts'
import { natPresets } from './nat-presets.ts'
import { regionLink, regionNode, regionOfNode, type RegionName, REGIONS } from './regions.ts'
import {
  TOPOLOGY_FILE_VERSION,
  type TopologyFile,
  type TopologyFileHost,
  type TopologyFileInterface,
  type TopologyFileLan,
  type TopologyFileLink,
  type TopologyFileNode,
} from './topology-file.ts'
import type { Topology } from './topology.ts'

/** A line that somebody has taken away. */
const GONE: LinkOptions = Object.freeze({ isActive: false })

/** See `Topology.toJSON`. */
export function saveTopology({ fabric }: Topology): TopologyFile {
  return new Saver(fabric.graph).save(fabric)
}

class Saver {
  readonly #graph: NetworkGraph
  /** Links that are part of a host's or a LAN's line. */
  readonly #lines = new Set<Link>()

  constructor(graph: NetworkGraph) {
    this.#graph = graph
  }

  save(fabric: Fabric): TopologyFile {
    const lans = fabric.lans()
    return {
      version: TOPOLOGY_FILE_VERSION,
      lans: lans.map((lan) => this.#lan(lan)),
      hosts: this.#hosts(fabric.interfaces(), fabric.otherInterfaces()),
      nodes: this.#nodes(new Set([INTERNET, ...lans.flatMap(({ name, edge }) => [name, edge])])),
      links: [...this.#links(), ...this.#missingRegionLinks()].toSorted(byEnds),
    }
  }

  #lan(lan: Lan): TopologyFileLan {
    const { router, behind } = lan
    const nat = router?.nat
    const ipv6 = router?.ipv6
    const { prefixes } = lan.realm
    return withoutUndefined({
      name: lan.name,
      nat: nat ? saveNat(nat.options) : ('none' as const),
      link: this.#line(lan.edge, lan.around),
      behind: behind?.name,
      ...placeOf(behind ? INTERNET : lan.around),
      prefix: nat && prefixes[0],
      ip: router?.outside.ip.text,
      ipv6: typeof ipv6 === 'object' ? withoutUndefined({ ...ipv6.options }) : ipv6,
      prefix6: ipv6 && prefixes.at(-1),
    })
  }

  #hosts(
    interfaces: readonly NetworkInterface[],
    others: ReadonlyMap<string, readonly NetworkInterface[]>,
  ): TopologyFileHost[] {
    const seconds = new Set([...others.values()].flat())
    const firsts = interfaces.filter((iface) => !seconds.has(iface))
    return firsts.map((first, i) => {
      const own = [first, ...(others.get(first.name) ?? [])]
      const { name, node, host } = first
      const kind = node.kind === 'relay' || node.kind === 'name-server' ? node.kind : undefined
      const head = { name, kind, host: host === i ? undefined : host }
      const [only, ...more] = own.map((iface) => this.#interface(iface, name))
      return withoutUndefined(more.length === 0 ? { ...head, ...only } : { ...head, interfaces: [only, ...more] })
    }) as TopologyFileHost[]
  }

  #interface(iface: NetworkInterface, host: string): TopologyFileInterface {
    const lan = iface.node.lan?.name
    return withoutUndefined({
      name: iface.name === host ? undefined : iface.name.slice(host.length + 1),
      lan,
      ...placeOf(lan === undefined ? iface.hub : INTERNET),
      link: this.#line(iface.name, iface.hub),
      ip: iface.ip.text,
      ip6: iface.attachment6?.ip.text ?? false,
    })
  }

  /** Nodes that hosts, LANs and regions have not brought. */
  #nodes(known: ReadonlySet<string>): TopologyFileNode[] {
    return this.#graph
      .nodes()
      .filter(({ isEnd, name }) => !isEnd && !known.has(name) && !regionOfNode(name))
      .map(({ name, kind, lan }) =>
        withoutUndefined({ name, kind: kind === 'router' ? kind : undefined, lan: lan?.name }),
      )
  }

  #links(): TopologyFileLink[] {
    return this.#graph
      .links()
      .filter((link) => !this.#lines.has(link) && !isSame(link.options, regionLink(link.from.name, link.to.name)))
      .map(({ from, to, options }) => withoutUndefined(Object.assign({ from: from.name, to: to.name }, options)))
  }

  #missingRegionLinks(): TopologyFileLink[] {
    const graph = this.#graph
    const nodes = [INTERNET, ...REGIONS.map((region: RegionName) => regionNode(region))].filter((it) =>
      graph.hasNode(it),
    )
    return nodes.flatMap((from) =>
      nodes.filter((to) => from !== to && !graph.hasLink(from, to)).map((to) => ({ from, to, isActive: false })),
    )
  }

  #line(from: string, to: string): { readonly up: LinkOptions; readonly down: LinkOptions } {
    return { up: this.#way(from, to), down: this.#way(to, from) }
  }

  #way(from: string, to: string): LinkOptions {
    if (!this.#graph.hasLink(from, to)) return GONE
    const link = this.#graph.link(from, to)
    this.#lines.add(link)
    return withoutUndefined({ ...link.options })
  }
}

/** Regions come in the order of their first use, which a file does not keep. */
function byEnds(a: TopologyFileLink, b: TopologyFileLink): number {
  return `${a.from}>${a.to}` < `${b.from}>${b.to}` ? -1 : 1
}

function placeOf(node: string): { readonly region?: RegionName | undefined; readonly core?: string | undefined } {
  if (node === INTERNET) return {}
  const region = regionOfNode(node)
  return region ? { region } : { core: node }
}

/** The name of a preset where it is one. */
function saveNat(options: NatOptions): TopologyFileLan['nat'] {
  const { name: _name, ...own } = withoutUndefined({ name: undefined, ...options })
  const preset = natPresets.find(({ name: _ignored, ...fields }) => isSame(fields, own))
  return preset?.name ?? own
}

function isSame(a: object, b: object | undefined): boolean {
  return b !== undefined && stable(a) === stable(b)
}

/** The same text for the same fields, whatever their order. */
function stable(value: object): string {
  return JSON.stringify(Object.entries(withoutUndefined(value)).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

/** Its fields that have a value, as JSON has them. */
export function withoutUndefined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as T
}
