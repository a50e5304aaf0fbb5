/**
 * Draws topologies.
 *
 * @module
 */
import type { Topology } from '../network/index.ts'
import { mermaid } from './mermaid.ts'
import { svg } from './svg.ts'
import { diagramTree } from './tree.ts'

/** A topology, drawn as it was at one moment. */
export interface Diagram {
  /** An image, for light and dark pages. */
  readonly svg: string
  /** A flowchart for Markdown. */
  readonly mermaid: string
}

/** Draws `topology` as it is now: networks with their NATs, hosts, lines, cuts. The same topology, the same picture. */
export function diagram(topology: Topology): Diagram {
  const tree = diagramTree(topology.fabric)
  return { svg: svg(tree), mermaid: mermaid(tree) }
}
