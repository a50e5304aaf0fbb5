/**
 * What of the graph enters the history's hash and the trace.
 *
 * @module
 */
import type { Kernel } from '../kernel.ts'
import type { GraphNode } from './graph-node.ts'
import { NetworkKind } from './kinds.ts'
import type { BurstSettings } from './link-options.ts'
import type { Link } from './link.ts'
import type { PartitionDirection } from './partitions.ts'

/** A node is there, or in another network. */
export function recordNode({ trace }: Kernel, { index, name, kind, lan }: GraphNode): void {
  trace?.record('node', { node: index, name, type: kind, lan: lan ? lan.index + 1 : 0 })
}

/** A link is there, or has changed. */
export function recordLink({ audit, trace }: Kernel, link: Link): void {
  const { isActive, latencyUs } = link.settings
  audit.record(NetworkKind.link, -1, link.from.index, link.to.index, isActive ? 1 : 0, latencyUs)
  trace?.record('link', {
    from: link.from.index,
    to: link.to.index,
    active: isActive ? 1 : 0,
    latencyUs,
    jitterUs: link.settings.jitterUs,
    loss: averageLoss(link.settings.packetLoss),
    bitsPerSecond: link.settings.bandwidthLimitBitsPerSecond,
  })
}

/** A link is gone. */
export function recordUnlink({ audit, trace }: Kernel, { from, to }: Link): void {
  audit.record(NetworkKind.unlink, -1, from.index, to.index)
  trace?.record('unlink', { from: from.index, to: to.index })
}

/** A partition begins. */
export function recordPartition(
  { audit, trace }: Kernel,
  { id, direction }: { readonly id: number; readonly direction: PartitionDirection },
  groups: readonly [ReadonlySet<GraphNode>, ReadonlySet<GraphNode> | undefined],
): void {
  audit.record(NetworkKind.partition, -1, id)
  const [groupA = [], groupB = []] = groups.map((group) => [...(group ?? [])].map(({ index }) => index))
  trace?.record('partition', { partition: id, direction, groupA, groupB })
}

function averageLoss(loss: number | BurstSettings): number {
  if (typeof loss === 'number') return loss
  const { goodToBad, badToGood, lossInGood, lossInBad } = loss
  const changes = goodToBad + badToGood
  return changes === 0 ? lossInGood : (goodToBad * lossInBad + badToGood * lossInGood) / changes
}
