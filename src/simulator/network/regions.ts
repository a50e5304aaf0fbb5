/**
 * Regions of the world and how far they are from each other.
 *
 * The figures are the average round trips in milliseconds between the data centres of IBM Cloud as published in the
 * documentation of its Virtual Private Cloud ("Network latency dashboards", 17 August to 15 September 2024), the mean of
 * both directions. They are those of a well-connected backbone: what hangs on it has a line of its own besides.
 *
 * @module
 */
import { invalidConfiguration } from '../../core/config.ts'
import { INTERNET } from './fabric.ts'
import type { NetworkGraph } from './graph.ts'
import type { LinkOptions } from './link-options.ts'

/** The regions' names: cities. */
export type RegionName =
  | 'dallas'
  | 'toronto'
  | 'washington'
  | 'frankfurt'
  | 'london'
  | 'madrid'
  | 'osaka'
  | 'sydney'
  | 'tokyo'
  | 'sao-paulo'

/** All regions. */
export const REGIONS: readonly RegionName[] = Object.freeze([
  'dallas',
  'toronto',
  'washington',
  'frankfurt',
  'london',
  'madrid',
  'osaka',
  'sydney',
  'tokyo',
  'sao-paulo',
])

/** Round trips from each region, in order, to those before it. */
const ROUND_TRIPS_MS: readonly (readonly number[])[] = [
  [],
  [34],
  [31.5, 19.5],
  [123, 92.5, 91],
  [113, 82.5, 75.5, 13],
  [119, 109, 89, 29, 27],
  [150.5, 168.5, 174, 232, 244, 258.5],
  [185.5, 214.5, 215, 250, 261, 275, 122],
  [143, 161.5, 166, 229.5, 242, 256.5, 9, 115],
  [145.5, 130, 118.5, 197.5, 187, 206, 291, 327.5, 284.5],
]

/** Each the same, so that the direct way is taken where a detour would be quicker by a hair, as some figures have it. */
const DIRECT_METRIC_MS = 1000
/** Keeps traffic between regions on the direct links, away from the place where hosts of no region are. */
const DETOUR_METRIC_MS = 1_000_000

/**
 * The average round trip between the backbones of two regions, in milliseconds; 0 within one.
 *
 * @example regionRoundTripMs('london', 'tokyo')
 * @throws P2PError `invalid-configuration` that lists the names
 */
export function regionRoundTripMs(a: RegionName, b: RegionName): number {
  const [first, second] = [indexOf(a), indexOf(b)]
  return ROUND_TRIPS_MS[Math.max(first, second)]?.[Math.min(first, second)] ?? 0
}

function indexOf(region: RegionName): number {
  const index = REGIONS.indexOf(region)
  if (index >= 0) return index
  throw invalidConfiguration('region', region, `there is no such region; known are ${REGIONS.join(', ')}`)
}

/** The region whose node has that name in the graph. */
export function regionOfNode(name: string): RegionName | undefined {
  return REGIONS.find((region) => regionNode(region) === name)
}

/** What the link between two nodes is like as `addRegion` makes it; undefined for those it does not. */
export function regionLink(from: string, to: string): LinkOptions | undefined {
  const [a, b] = [regionOfNode(from), regionOfNode(to)]
  if (a && b) return { latencyMs: regionRoundTripMs(a, b) / 2, metricMs: DIRECT_METRIC_MS }
  return (a && to === INTERNET) || (b && from === INTERNET) ? { metricMs: DETOUR_METRIC_MS } : undefined
}

/** The name of a region's node in the graph. */
export function regionNode(region: RegionName): string {
  return `region:${region}`
}

/**
 * Adds a region's node to the graph, with a link to each that there is and to the internet without a place; returns its
 * name.
 *
 * @throws P2PError `invalid-configuration`
 */
export function addRegion(graph: NetworkGraph, region: RegionName): string {
  indexOf(region)
  const name = regionNode(region)
  if (graph.hasNode(name)) return name
  const others = REGIONS.filter((other) => graph.hasNode(regionNode(other)))
  graph.addNode(name)
  graph.connectNodes(name, INTERNET, regionLink(name, INTERNET))
  for (const other of others) {
    graph.connectNodes(name, regionNode(other), regionLink(name, regionNode(other)))
  }
  return name
}
