/**
 * Shortest paths: Dijkstra's algorithm by metric, which is the latency unless a link says otherwise, then number of links,
 * then names.
 *
 * @module
 */
import type { GraphNode } from './graph-node.ts'
import type { Link } from './link.ts'

/** The best way found to a node so far. */
interface Candidate {
  readonly node: GraphNode
  readonly metricUs: number
  readonly hops: number
  /** The first link of the way. */
  readonly first: Link | undefined
}

/**
 * The first link of the best path from `source` to each node that more than one link leads to, or through which paths
 * may lead; the others are found through their only neighbour.
 *
 * Counting links after the metric makes the cost grow at each step even over links without latency, so that following the
 * first link of each node in turn always arrives.
 */
export function computeRoutes(source: GraphNode, isUsable: (link: Link) => boolean): Map<GraphNode, Link> {
  const routes = new Map<GraphNode, Link>()
  const best = new Map<GraphNode, Candidate>()
  const settled = new Set<GraphNode>()
  const queue: Candidate[] = []
  const start: Candidate = { node: source, metricUs: 0, hops: 0, first: undefined }
  push(queue, start)
  for (let current = pop(queue); current; current = pop(queue)) {
    if (settled.has(current.node)) continue
    settled.add(current.node)
    if (current.first) routes.set(current.node, current.first)
    for (const link of current.node.outbound) {
      const { to } = link
      if (settled.has(to) || to.isLeaf || !isUsable(link)) continue
      const candidate: Candidate = {
        node: to,
        metricUs: current.metricUs + link.settings.metricUs,
        hops: current.hops + 1,
        first: current.first ?? link,
      }
      const known = best.get(to)
      if (known && compare(known, candidate) <= 0) continue
      best.set(to, candidate)
      push(queue, candidate)
    }
  }
  return routes
}

/** Total order; the way whose first step has the smaller name wins among equals. */
function compare(a: Candidate, b: Candidate): number {
  if (a.metricUs !== b.metricUs) return a.metricUs - b.metricUs
  if (a.hops !== b.hops) return a.hops - b.hops
  const nameA = a.first?.to.name ?? ''
  const nameB = b.first?.to.name ?? ''
  if (nameA !== nameB) return nameA < nameB ? -1 : 1
  return a.node.index - b.node.index
}

function push(heap: Candidate[], item: Candidate): void {
  let index = heap.length
  heap.push(item)
  while (index > 0) {
    const above = (index - 1) >> 1
    const parent = heap[above]
    if (!parent || compare(parent, item) <= 0) break
    heap[index] = parent
    index = above
  }
  heap[index] = item
}

function pop(heap: Candidate[]): Candidate | undefined {
  const [top] = heap
  const last = heap.pop()
  if (!last || heap.length === 0) return top
  let index = 0
  for (;;) {
    let child = 2 * index + 1
    const left = heap[child]
    if (!left) break
    const right = heap[child + 1]
    if (right && compare(right, left) < 0) child++
    const smaller = heap[child]
    if (!smaller || compare(last, smaller) <= 0) break
    heap[index] = smaller
    index = child
  }
  heap[index] = last
  return top
}
