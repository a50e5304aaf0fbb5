/**
 * Why a connection could not be made: what nobody on a real network can see at once, but a simulation can.
 *
 * @module
 */
import type { NodeId } from '../core/node-id.ts'
import { whyCut, whyDown, whyNotDirect, whyRules } from './reach.ts'
import type { RelayHost } from './relay-host.ts'
import type { SimWorld, WorldNode } from './sim-world.ts'

/**
 * Why `from` has no way to the node `id`, in words; undefined when there is one as far as can be told, and it was only
 * too slow.
 *
 * @param isUnknown - whether no address of it was found
 */
export function whyNoRoute(world: SimWorld, from: WorldNode, id: NodeId, isUnknown: boolean): string | undefined {
  const to = world.nodeOf(id)
  if (!to?.endpoint) return whyNobody(world, id)
  for (const { host } of [from, to]) {
    const down = whyDown(host)
    if (down !== undefined) return down
  }
  if (to.host.isPaused) return `${to.host.name} is asleep`
  const direct = whyNotDirect(from, to)
  const relay = direct === undefined ? undefined : whyNoRelay(world, from, to)
  if (direct !== undefined && relay !== undefined) return `${direct}, and ${relay}`
  return isUnknown ? whyNotFound(world, from) : whyRules(from.host, to.host)
}

/** Why it cannot be looked up where a node is; undefined when it can. */
function whyNotFound(world: SimWorld, from: WorldNode): string | undefined {
  if (world.ids.isDown) return 'its address cannot be looked up: the name service is down'
  let why: string | undefined
  for (const { host } of world.nameServers) {
    const reason = host.isOn ? (whyDown(host) ?? whyCut(from.host, host)) : `${host.name} has no power`
    if (reason === undefined) return undefined
    why ??= `its address cannot be looked up, as no name server answers: ${reason}`
  }
  return why
}

function whyNobody(world: SimWorld, id: NodeId): string {
  const host = world.hosts.find((each) => each.id.equals(id))
  if (!host) return 'there is no node with this id'
  if (!host.isOn) return `${host.name} has no power`
  return `there is no node on ${host.name}: it was not created yet, or closed`
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
  const down = whyDown(host)
  if (down !== undefined) return `${unreachable}: ${down}`
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
