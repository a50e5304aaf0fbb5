/**
 * A topology as a tree for drawing: the internet, what hangs on it, and what hangs on that. Links that do not fit into
 * the tree are kept apart.
 *
 * @module
 */
import {
  type Fabric,
  INTERNET,
  type Lan,
  type Link,
  type LinkSettings,
  type NetworkInterface,
} from '../network/index.ts'

/** What a box stands for, which decides how it looks. */
type DiagramKind = 'core' | 'lan' | 'host' | 'relay' | 'more'

/** A box. */
export interface DiagramNode {
  readonly name: string
  readonly kind: DiagramKind
  /** Lines of text below the name: addresses, the NAT, the line to the node above. */
  readonly details: readonly string[]
  /** Whether nothing gets over its line: that is down, or the interface is. */
  readonly isCut: boolean
  readonly children: DiagramNode[]
}

/** A link between boxes besides the tree's. */
export interface DiagramLink {
  readonly from: string
  readonly to: string
  readonly label: string
  readonly isCut: boolean
}

/** What is drawn. */
export interface DiagramTree {
  readonly root: DiagramNode
  readonly links: readonly DiagramLink[]
  /** Partitions that are on, as sentences. */
  readonly notes: readonly string[]
}

/** Hosts at one place that are drawn one by one; of more the first are, and the others counted. */
const MAX_SIBLINGS = 8

/** Builds the tree of `fabric` as it is now, in the order in which things were added. */
export function diagramTree(fabric: Fabric): DiagramTree {
  const { graph } = fabric
  const boxes = new Map<string, DiagramNode>()
  const inTree = new Set<Link>()
  const root = box(INTERNET, 'core', [], false)
  boxes.set(INTERNET, root)
  const linesOf = (a: string, b: string): Link[] =>
    [[a, b] as const, [b, a] as const].flatMap((ends) => (graph.hasLink(...ends) ? [graph.link(...ends)] : []))
  const hang = (node: DiagramNode, at: string, from: string, to = at): void => {
    boxes.set(node.name, node)
    ;(boxes.get(at) ?? root).children.push(node)
    for (const link of linesOf(from, to)) inTree.add(link)
  }
  const line = (from: string, at: string): { readonly text: string; readonly isCut: boolean } => {
    const up = graph.hasLink(from, at) ? graph.link(from, at) : undefined
    const down = graph.hasLink(at, from) ? graph.link(at, from) : undefined
    return { text: lineText(up?.settings, down?.settings), isCut: !up?.isActive || !down?.isActive }
  }
  /** The LAN of a router's outside, which is in the same box. */
  const edges = new Map(fabric.lans().flatMap(({ name, edge }) => (edge === name ? [] : [[edge, name] as const])))
  // Whatever is between hosts, as soon as what it hangs on is there; what hangs on nothing comes last, at the internet.
  const lans = new Map(fabric.lans().map((lan) => [lan.name, lan]))
  const waiting = new Set(graph.nodes().filter(({ isEnd, name }) => !isEnd && name !== INTERNET && !edges.has(name)))
  const isThere = (name: string): boolean => boxes.has(edges.get(name) ?? name)
  const place = (isLast: boolean): boolean => {
    const before = waiting.size
    for (const node of waiting) {
      const lan = lans.get(node.name)
      const near = [...node.outbound.map(({ to }) => to.name), ...node.inbound.map(({ from }) => from.name)]
      const above = lan ? lan.around : (near.find((name) => isThere(name)) ?? (isLast ? INTERNET : ''))
      if (!isThere(above) && !isLast) continue
      const from = lan?.edge ?? node.name
      const { text, isCut } = line(from, above)
      const details = lan ? [...lanText(lan), text] : [text]
      hang(box(node.name, lan ? 'lan' : 'core', details, isCut), edges.get(above) ?? above, from, above)
      waiting.delete(node)
    }
    return waiting.size < before
  }
  while (place(false));
  place(true)
  const hosts = new Map<string, NetworkInterface[]>()
  for (const iface of fabric.interfaces()) {
    const siblings = hosts.get(iface.hub)
    if (siblings) siblings.push(iface)
    else hosts.set(iface.hub, [iface])
  }
  for (const [hub, all] of hosts) {
    for (const [i, iface] of all.entries()) {
      const { text, isCut } = line(iface.name, hub)
      const kind = iface.node.kind === 'relay' ? 'relay' : 'host'
      const details = [iface.ips.map((ip) => ip.text).join(' '), iface.isUp ? text : `${text}, interface down`]
      const node = box(iface.name, kind, details, isCut || !iface.isUp)
      if (i < MAX_SIBLINGS || all.length === MAX_SIBLINGS + 1) hang(node, hub, iface.name)
      else for (const link of linesOf(iface.name, hub)) inTree.add(link)
    }
    const hidden = all.length > MAX_SIBLINGS + 1 ? all.length - MAX_SIBLINGS : 0
    if (hidden > 0) boxes.get(hub)?.children.push(box(`${hidden} more hosts`, 'more', [], false))
  }
  const { drawn, hidden } = otherLinks(graph.links(), inTree, (name) => {
    const own = edges.get(name) ?? name
    return boxes.has(own) ? own : undefined
  })
  const more = hidden > 0 ? [`${hidden} more links, of hosts that are not drawn`] : []
  return { root, links: drawn, notes: [...more, ...partitionNotes(fabric)] }
}

function box(name: string, kind: DiagramKind, details: readonly string[], isCut: boolean): DiagramNode {
  return { name, kind, details: details.filter((line) => line !== ''), isCut, children: [] }
}

/** Those between boxes, and how many there are besides, of hosts that have no box. */
function otherLinks(
  links: readonly Link[],
  inTree: ReadonlySet<Link>,
  boxOf: (node: string) => string | undefined,
): { readonly drawn: readonly DiagramLink[]; readonly hidden: number } {
  const byName = new Map(links.map((link) => [link.name, link]))
  const seen = new Set<Link>(inTree)
  const drawn: DiagramLink[] = []
  let hidden = 0
  for (const link of links) {
    if (seen.has(link)) continue
    const back = byName.get(`${link.to.name}>${link.from.name}`)
    for (const each of back ? [link, back] : [link]) seen.add(each)
    const [from, to] = [boxOf(link.from.name), boxOf(link.to.name)]
    const label = lineText(link.settings, back?.settings)
    if (from === undefined || to === undefined) hidden++
    else drawn.push({ from, to, label, isCut: !link.isActive || back?.isActive === false })
  }
  return { drawn, hidden }
}

function lanText({ nat, firewall, router, realm }: Lan): string[] {
  if (!router) return ['no NAT']
  const name = nat && 'name' in nat.options ? `${String(nat.options.name)}: ` : ''
  const short = (behaviour: string): string => SHORT[behaviour] ?? behaviour
  const { mapping = '', filtering = '', portAllocation = '' } = nat?.settings ?? {}
  const blocks = nat?.settings.blocksUdp ? ', blocks UDP' : ''
  const natText = nat ? `NAT ${name}${short(mapping)}M ${short(filtering)}F ${portAllocation}${blocks}` : 'IPv6 only'
  const ipv6 = firewall ? 'IPv6 firewall' : router.ipv6 && 'IPv6 open'
  return [natText, [router.outside.ip.text, realm.prefixes[0], ipv6].filter(Boolean).join(' | ')]
}

/** As RFC 4787 speaks of EIM and APDF. */
const SHORT: Readonly<Record<string, string>> = {
  'endpoint-independent': 'EI',
  'address-dependent': 'AD',
  'address-and-port-dependent': 'APD',
}

function partitionNotes(fabric: Fabric): string[] {
  return fabric.graph.partitions().map(({ id, groupA, groupB, direction }) => {
    const to = groupB ? listed(groupB) : 'everybody else'
    return `partition ${id}: ${listed(groupA)} ${direction === 'both' ? 'cut off from' : 'cannot send to'} ${to}`
  })
}

function listed(names: readonly string[]): string {
  return names.length > 6 ? `${names.slice(0, 6).join(', ')} and ${names.length - 6} more` : names.join(', ')
}

/** What a line is like in a few words: latency, rates up and down, loss. */
function lineText(up: LinkSettings | undefined, down: LinkSettings | undefined): string {
  const ways = [up, down].filter((way) => way !== undefined)
  if (ways.length === 0) return 'unplugged'
  const parts = [
    both(
      ways,
      ({ latencyUs, jitterUs }) =>
        latencyUs + jitterUs === 0
          ? ''
          : `${round(latencyUs / 1000)}${jitterUs > 0 ? `±${round(jitterUs / 1000)}` : ''}`,
      'ms',
    ),
    both(ways, ({ bandwidthLimitBitsPerSecond: rate }) => (rate > 0 ? round(rate / 1_000_000) : ''), 'Mbit/s'),
    both(ways, ({ packetLoss }) => lossText(packetLoss), 'loss'),
  ]
  if (ways.some(({ isActive }) => !isActive)) parts.push('down')
  return parts.filter((part) => part !== '').join(', ') || 'no delay'
}

/** What is written for one way when only the other has something to say. */
const NOTHING: Readonly<Record<string, string>> = { ms: '0', 'Mbit/s': '∞', loss: '0 %' }

function both(ways: readonly LinkSettings[], text: (way: LinkSettings) => string, unit: string): string {
  const texts = ways.map((way) => text(way))
  if (texts.every((it) => it === '')) return ''
  const [first = '', second = first] = texts
  return first === second ? `${first} ${unit}` : `${first || NOTHING[unit]}/${second || NOTHING[unit]} ${unit}`
}

function lossText(loss: LinkSettings['packetLoss']): string {
  if (typeof loss !== 'number') return 'bursty'
  return loss > 0 ? `${round(loss * 100)} %` : ''
}

/** Three significant digits, without zeros at the end. */
function round(value: number): string {
  return String(Number(value.toPrecision(3)))
}
