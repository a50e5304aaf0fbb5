/**
 * Which pairs of NATs get a direct path, and how fast.
 *
 * @module
 */
import type { Lab, PathReport, Place, Site } from './model.ts'

/** Connections begin this far apart, so that one does not disturb the other's times. */
const GAP_MS = 700
/** After this long a connection that is still relayed stays so: rounds of probes come every 5 s. */
const WATCH_MS = 12_000

/** A pair, client first, and what became of it. */
export interface PairReport extends PathReport {
  readonly client: Place
  readonly server: Place
  /** What is not as it must be; empty when all is well. */
  readonly faults: readonly string[]
}

const siteName = (role: 'client' | 'server', place: Place): string => `${role}-${place}`

/** A client and a server in each of these places. */
export function pairSites(places: readonly Place[]): Site[] {
  const roles = ['client', 'server'] as const
  return places.flatMap((place) => roles.map((role) => ({ name: siteName(role, place), place })))
}

/** Connects every client with every server, one after the other, and watches them all. */
export function pairScenario(places: readonly Place[]): (lab: Lab) => Promise<PairReport[]> {
  return async (lab) => {
    await Promise.all([...lab.peers.values()].map((peer) => peer.start()))
    const watches: Promise<PairReport>[] = []
    for (const client of places) {
      for (const server of places) {
        const watch = lab.peer(siteName('client', client)).watch(lab.peer(siteName('server', server)), WATCH_MS)
        watches.push(watch.then((report) => ({ client, server, ...report, faults: untold(report) })))
        await lab.sleep(GAP_MS)
      }
    }
    return Promise.all(watches)
  }
}

/** A connection that went direct without anybody being told, or at a time that was not then. */
function untold({ directAfterMs, outcome }: PathReport): string[] {
  if (outcome === 'relayed') return []
  if (directAfterMs === undefined) return ['it went direct, and nobody was told that it was upgraded']
  return directAfterMs < WATCH_MS ? [] : [`it is said to be upgraded at ${directAfterMs} ms, and was over before`]
}
