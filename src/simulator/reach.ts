/**
 * Why datagrams of one host do not reach a node of another unasked: where its addresses lead from there, what is cut on
 * the way, and what NATs and firewalls say to it. Nothing is sent, and nothing changes.
 *
 * @module
 */
import type { SimHost } from './host.ts'
import type { NetworkInterface, SocketAddress } from './network/index.ts'
import type { LanRouter, Realm } from './network/realm.ts'
import type { WorldNode } from './sim-world.ts'

/** Why none of its interfaces can be used; undefined when one can. */
export function whyDown(host: SimHost): string | undefined {
  if (upOf(host).length > 0) return undefined
  const isOne = host.interfaces.length === 1
  return isOne ? `the network interface of ${host.name} is down` : `all network interfaces of ${host.name} are down`
}

/** Why packets cannot go from one host to the other and back, whatever is at their ends; undefined when they can. */
export function whyCut(from: SimHost, to: SimHost): string | undefined {
  let why: string | undefined
  for (const here of upOf(from)) {
    for (const there of upOf(to)) {
      const reason = whyCutBetween([from, here], [to, there])
      if (reason === undefined) return undefined
      why ??= reason
    }
  }
  return why
}

/** Why no datagram of the one reaches the other unasked; undefined when one may. */
export function whyNotDirect(from: WorldNode, to: WorldNode): string | undefined {
  const cut = whyCut(from.host, to.host)
  if (cut !== undefined) return cut
  const { book } = from.host.world.topology.fabric
  const reasons: Reason[] = []
  for (const text of to.endpoint?.address().direct ?? []) {
    const address = book.parse(text)
    for (const iface of upOf(from.host)) {
      const reason = iface.hasVersionOf(address)
        ? whyNotAt(iface, from.host, to.host, address)
        : {
            rank: Rank.version,
            text: `${from.host.name} has no address of IPv${address.version}, as ${to.host.name} has`,
          }
      if (!reason) return undefined
      reasons.push(reason)
    }
  }
  const [first] = reasons.toSorted((a, b) => a.rank - b.rank)
  if (first && first.rank !== Rank.nowhere) return first.text
  return whyUnknown(to.host)
}

/** What rules have dropped between the two, which may be all; undefined when nothing. */
export function whyRules(from: SimHost, to: SimHost): string | undefined {
  for (const [a, b] of [
    [from, to],
    [to, from],
  ] as const) {
    const links = from.world.topology.fabric.graph.findPath(a.name, b.name)?.links ?? []
    const link = links.find((each) => (each.snapshot().dropped.rule ?? 0) > 0)
    if (link) return `rules or faults drop packets on the link ${link.name}`
  }
  return undefined
}

/** The more telling come first. */
const Rank = { blocked: 0, filtered: 1, version: 2, nowhere: 3 } as const

interface Reason {
  readonly rank: number
  readonly text: string
}

function upOf(host: SimHost): readonly NetworkInterface[] {
  return host.interfaces.filter(({ isUp }) => isUp)
}

type End = readonly [host: SimHost, iface: NetworkInterface]

function whyCutBetween([from, here]: End, [to, there]: End): string | undefined {
  const { graph } = from.world.topology.fabric
  const [out, back] = [graph.findPath(here.name, there.name), graph.findPath(there.name, here.name)]
  const ways = out ? `from ${to.name} back to ${from.name}` : `from ${from.name} to ${to.name}`
  if (!out || !back) {
    const isPartitioned = graph.separates(here.node, there.node) || graph.separates(there.node, here.node)
    return isPartitioned ? `a partition cuts the way ${ways}` : `there is no way through the network ${ways}`
  }
  for (const { name, settings } of [...out.links, ...back.links]) {
    const { packetLoss, corruption } = settings
    if (packetLoss === 1) return `the link ${name} loses every packet`
    if (corruption === 1) return `the link ${name} damages every packet`
  }
  return undefined
}

/** Where a datagram from `iface` to `address` ends; undefined when that is at `to`. */
function whyNotAt(iface: NetworkInterface, from: SimHost, to: SimHost, address: SocketAddress): Reason | undefined {
  const nowhere = { rank: Rank.nowhere, text: '' }
  let { realm } = iface.attachment
  let at = address
  let target = realm.resolve(at)
  // Out, through the routers around the sender.
  for (let router = realm.router; router && target === router.inside; router = realm.router) {
    const { nat, outside, ipv6 } = router
    if (at.version === 6 && outside.version !== 6 && !ipv6) return nowhere
    if (nat?.settings.blocksUdp && at.version === outside.version) {
      return { rank: Rank.blocked, text: `${from.name}'s NAT (${nat.name}) drops UDP` }
    }
    if (nat && at.ip === outside.ip) {
      if (!nat.settings.hairpinning) {
        const text = `${from.name}'s NAT (${nat.name}) does not let its own hosts in by its outside address`
        return { rank: Rank.filtered, text }
      }
      target = outside
      break
    }
    realm = outside.realm
    target = realm.resolve(at)
  }
  // In, through those around the other.
  while (target?.router && target === target.router.outside) {
    const inside = admitted(target.router, to, at)
    if (!isAddress(inside)) return inside
    at = inside
    realm = target.router.inside.realm
    target = realm.resolve(at)
  }
  return target?.iface && to.interfaces.includes(target.iface) ? undefined : nowhere
}

function isAddress(value: SocketAddress | Reason): value is SocketAddress {
  return 'port' in value
}

/** What a router makes of a datagram of somebody who was not asked: where it goes on to, or why it does not. */
function admitted({ nat, ipv6, outside }: LanRouter, to: SimHost, address: SocketAddress): SocketAddress | Reason {
  const { book } = to.world.topology.fabric
  if (nat && address.version === outside.version) {
    const { name, settings } = nat
    if (settings.blocksUdp) return { rank: Rank.blocked, text: `${to.name}'s NAT (${name}) drops UDP` }
    const mapping = nat.snapshot().find(({ protocol, outside: port }) => protocol === 'udp' && port === String(address))
    const isOpen = mapping && (mapping.peers.length === 0 || settings.filtering === 'endpoint-independent')
    return isOpen ? book.parse(mapping.inside) : { rank: Rank.filtered, text: closed(to, `NAT (${name})`) }
  }
  if (!ipv6 || ipv6 === 'open') return address
  const exchanges = ipv6.snapshot().filter(({ protocol, inside }) => protocol === 'udp' && inside === String(address))
  const isOpen = exchanges.some(({ peers }) => peers.length === 0 || ipv6.options.filtering === 'endpoint-independent')
  return isOpen ? address : { rank: Rank.filtered, text: closed(to, `firewall (${ipv6.name})`) }
}

function closed(to: SimHost, what: string): string {
  return `${to.name}'s ${what} lets nobody in whom it was not told of`
}

/** It is known only at addresses that lead nowhere from outside: which of its NATs stands in the way. */
function whyUnknown(to: SimHost): string {
  let { realm, ip }: { realm: Realm; ip: { readonly text: string } } = to.network.attachment
  let last: string | undefined
  for (let { router } = realm; router; router = realm.router) {
    const { nat, outside } = router
    if (nat?.settings.blocksUdp) return `${to.name}'s NAT (${nat.name}) drops UDP`
    const ports = nat?.snapshot().filter(({ inside }) => inside.startsWith(`${ip.text}:`))
    const isForwarded = ports?.some(({ protocol, peers }) => protocol === 'udp' && peers.length === 0) ?? true
    const { mapping, filtering } = nat?.settings ?? {}
    if (nat && !isForwarded && !(mapping === filtering && mapping === 'endpoint-independent')) {
      return closed(to, `NAT (${nat.name})`)
    }
    if (nat) last = nat.name
    realm = outside.realm
    ip = outside.ip
  }
  return last === undefined
    ? `no address is known at which ${to.name} can be reached`
    : `${to.name} does not know its address outside of its NAT (${last})`
}
