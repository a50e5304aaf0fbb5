/**
 * Requests and transfers over lines that lose packets, with a relay between and without.
 *
 * @module
 */
import type { Load, LoadReport } from './load.ts'
import type { Lab, Place, Site } from './model.ts'

/** The connections of a kind of path together. */
export interface LossyReport extends LoadReport {
  readonly pair: string
}

/** How much there is of it. */
export interface Lossy extends Load {
  /** Connections of each kind, at the same time. */
  readonly pairs: number
}

/** Between NATs of this kind there is no direct path, and between public hosts no other. */
const KINDS: readonly Place[] = ['symmetric', 'none']

const siteName = (role: 'client' | 'server', place: Place, index: number): string => `${role}-${place}-${index}`
const indices = ({ pairs }: Lossy): number[] => Array.from({ length: pairs }, (_, index) => index)

export function lossySites(lossy: Lossy): Site[] {
  const roles = ['client', 'server'] as const
  return KINDS.flatMap((place) =>
    indices(lossy).flatMap((index) => roles.map((role) => ({ name: siteName(role, place, index), place }))),
  )
}

export function lossyScenario(lossy: Lossy): (lab: Lab) => Promise<LossyReport[]> {
  return async (lab) => {
    await Promise.all([...lab.peers.values()].map((peer) => peer.start()))
    const reports: LossyReport[] = []
    for (const place of KINDS) {
      const all = await Promise.all(
        indices(lossy).map((index) => {
          const [client, server] = [siteName('client', place, index), siteName('server', place, index)]
          return lab.peer(client).load(lab.peer(server), lossy)
        }),
      )
      const outcomes = [...new Set(all.map(({ outcome }) => outcome))]
      if (outcomes.length !== 1) throw new Error(`${place} x ${place}: ${outcomes.join(' and ')}`)
      reports.push({
        pair: `${place} x ${place}`,
        outcome: outcomes[0] as LoadReport['outcome'],
        requestMs: all.flatMap(({ requestMs }) => requestMs),
        transferMs: all.flatMap(({ transferMs }) => transferMs),
      })
    }
    return reports
  }
}
