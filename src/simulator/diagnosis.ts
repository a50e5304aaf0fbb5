/**
 * Why a connection could not be made: what nobody on a real network can see at once, but a simulation can.
 *
 * @module
 */
import type { NodeId } from '../core/node-id.ts'
import type { SimHost } from './host.ts'
import type { NetworkInterface } from './network/index.ts'
import type { RelayHost } from './relay-host.ts'
import type { SimWorld, WorldNode } from './sim-world.ts'

/**
 * Why `from` has no way to the node `id`, in words; undefined when there is one as far as can be told, and it was only
 * too slow.
 */
export function whyNoRoute(world: SimWorld, from: WorldNode, id: NodeId): string | undefined {
  const to = world.nodeOf(id)
  if (!to?.endpoint) return whyNobody(world, id)
  for (const { host } of [from, to]) {
    if (!host.network.isUp) return `the network interface of ${host.name} is down`
  }
  const direct = whyNotDirect(from, to)
  if (direct === undefined) return undefined
  const relay = whyNoRelay(world, from, to)
  return relay === undefined ? undefined : `${direct}, and ${relay}`
}

function whyNobody(world: SimWorld, id: NodeId): string {
  const host = world.hosts.find((each) => each.id.equals(id))
  if (!host) return 'there is no node with this id'
  if (!host.isOn) return `${host.name} has no power`
  return `there is no node on ${host.name}: it was not created yet, or closed`
}

/** Why no datagram of the one reaches the other; undefined when one may. */
function whyNotDirect(from: WorldNode, to: WorldNode): string | undefined {
  const cut = whyCut(from.host, to.host)
  if (cut !== undefined) return cut
  if (from.host.network.attachment.realm === to.host.network.attachment.realm) return undefined
  for (const { host } of [from, to]) {
    const name = natsOf(host.network).find((nat) => nat.settings.blocksUdp)?.name
    if (name !== undefined) return `${host.name}'s NAT (${name}) drops UDP`
  }
  const [nat] = natsOf(to.host.network)
  if (!nat) return undefined
  // Somebody it has not asked may get in by a forwarded port, or where nothing is filtered and a mapping is open.
  if (to.host.options.portMapping === true) return undefined
  if (nat.settings.filtering === 'endpoint-independent' && nat.settings.mapping === 'endpoint-independent') {
    return undefined
  }
  return `${to.host.name}'s NAT (${nat.name}) lets nobody in whom it was not told of`
}

function whyCut(from: SimHost, to: SimHost): string | undefined {
  const { graph } = from.world.topology.fabric
  const [there, back] = [graph.findPath(from.name, to.name), graph.findPath(to.name, from.name)]
  if (there && back) return undefined
  const isPartitioned =
    graph.separates(from.network.node, to.network.node) || graph.separates(to.network.node, from.network.node)
  const ways = there ? `from ${to.name} back to ${from.name}` : `from ${from.name} to ${to.name}`
  return isPartitioned ? `a partition cuts the way ${ways}` : `there is no way through the network ${ways}`
}

/** Why no relay introduces the two; undefined when one can. */
function whyNoRelay(world: SimWorld, from: WorldNode, to: WorldNode): string | undefined {
  for (const { host, endpoint } of [from, to]) {
    if (endpoint?.usesRelays !== true) return `relays are disabled on ${host.name}`
  }
  const [home] = to.endpoint?.address().relays ?? []
  if (home === undefined) return `${to.host.name} has reached none of its relays`
  const relay = world.relays.find(({ url }) => url === home)
  if (!relay) return `${to.host.name}'s relay ${home} is not of this internet`
  return whyRelayFails(relay, [from, to])
}

function whyRelayFails({ host, relay }: RelayHost, nodes: readonly WorldNode[]): string | undefined {
  const unreachable = 'no relay is reachable'
  if (!host.isOn || !relay) return `${unreachable}: ${host.name} is off`
  if (relay.isDead) return `${unreachable}: ${host.name} was killed`
  if (!host.network.isUp) return `${unreachable}: the network interface of ${host.name} is down`
  for (const node of nodes) {
    const cut = whyCut(node.host, host)
    if (cut !== undefined) return `${unreachable}: ${cut}`
  }
  for (const node of nodes) {
    if (relay.isAttached(node.id)) continue
    const failure = node.endpoint?.relays().find(({ url }) => url === relay.url)?.failure
    return `${node.host.name} is not attached to the relay ${host.name}${failure === undefined ? '' : `: ${failure}`}`
  }
  return undefined
}

interface NatLike {
  readonly name: string
  readonly settings: { readonly blocksUdp: boolean; readonly filtering: string; readonly mapping: string }
}

/** The NATs on the way out, the innermost first. */
function natsOf(network: NetworkInterface): NatLike[] {
  const nats: NatLike[] = []
  for (let realm = network.attachment.realm; realm.router; realm = realm.router.outside.realm) {
    if (realm.router.nat) nats.push(realm.router.nat)
  }
  return nats
}
