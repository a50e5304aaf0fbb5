/**
 * Makes the networks and links of a topology that was read from a file.
 *
 * @module
 */
import { P2PError } from '../../core/errors.ts'
import type { Lan } from './lan.ts'
import { LINK_FIELDS, type LinkOptions } from './link-options.ts'
import type { Topology } from './topology.ts'
import { lanOf, type TopologyFile } from './topology-file.ts'

/** Everything but hosts and links: nodes, then LANs in order, then nodes in those. */
export function loadNetworks(topology: Topology, file: TopologyFile): ReadonlyMap<string, Lan> {
  const { graph } = topology.fabric
  const nodes = file.nodes ?? []
  const add = (isInLan: boolean): void => {
    for (const [i, { name, kind, lan }] of nodes.entries()) {
      if ((lan !== undefined) === isInLan) at(`topology.nodes[${i}]`, () => graph.addNode(name, { kind, lan }))
    }
  }
  add(false)
  const lans = new Map<string, Lan>()
  for (const [i, { behind, ...options }] of (file.lans ?? []).entries()) {
    const lan = at(`topology.lans[${i}]`, () => topology.lan({ ...options, behind: lanOf(behind, lans, options.name) }))
    lans.set(lan.name, lan)
  }
  add(true)
  return lans
}

/** Links of their own, and other options for those that hosts, LANs and regions have brought. */
export function loadLinks(topology: Topology, file: TopologyFile): void {
  const { graph } = topology.fabric
  const defaults = Object.fromEntries(LINK_FIELDS.map((field) => [field, undefined]))
  for (const [i, { from, to, ...options }] of (file.links ?? []).entries()) {
    at(`topology.links[${i}]`, () => {
      const changes: LinkOptions = { ...defaults, ...options }
      if (graph.hasLink(from, to)) graph.updateLink(from, to, changes)
      else graph.connectOneWay(from, to, options)
    })
  }
}

/** Says where in the file a mistake is. */
export function at<T>(where: string, make: () => T): T {
  try {
    return make()
  } catch (error) {
    if (!P2PError.is(error, 'invalid-configuration')) throw error
    const { setting, value, message } = error
    throw P2PError.of('invalid-configuration', `${where}: ${message}`, { setting, value }, { cause: error })
  }
}
