/**
 * The relay is killed and comes back, under connections that have no other way, and under one that has.
 *
 * @module
 */
import { whole } from './life.ts'
import type { StoryReport } from './life.ts'
import type { Lab, Peer, Site } from './model.ts'

/** Connections begin this far apart, so that the outage meets each at another moment of its probes. */
const GAP_MS = 370
const SETTLE_MS = 6_000
/** After an outage of 12 s the last have been seen to come back after 24 s. */
const AFTER_MS = 30_000

/** An outage. */
export interface Outage {
  /** From the kill to the start of the new process. */
  readonly forMs: number
  /** Connections that stay relayed: both sides behind symmetric NATs. */
  readonly pairs: number
  /** Whether both sides send all the time; else there are just requests, one after the other. */
  readonly streams: boolean
  /** How often, with new connections each time. */
  readonly times: number
}

const relayed = (index: number): [Site, Site] => [
  { name: `client${index}`, place: 'symmetric' },
  { name: `server${index}`, place: 'symmetric' },
]
const DIRECT: [Site, Site] = [
  { name: 'client-direct', place: 'home' },
  { name: 'server-direct', place: 'home' },
]

function pairsOf({ pairs }: Outage): [Site, Site][] {
  return [...Array.from({ length: pairs }, (_, index) => relayed(index)), DIRECT]
}

export function outageSites(outage: Outage): Site[] {
  return pairsOf(outage).flat()
}

/** Kills the relay as often as was asked for; a report for each connection, the one with a direct path last. */
export function outageScenario(outage: Outage): (lab: Lab) => Promise<StoryReport[]> {
  return async (lab) => {
    await Promise.all([...lab.peers.values()].map((peer) => peer.start()))
    const reports: StoryReport[] = []
    for (let i = 0; i < outage.times; i++) reports.push(...(await once(lab, outage)))
    return reports
  }
}

async function once(lab: Lab, outage: Outage): Promise<StoryReport[]> {
  const pairs = pairsOf(outage).map((sites) => sites.map(({ name }) => lab.peer(name)) as [Peer, Peer])
  for (const [client, server] of pairs) {
    await client.begin(server, outage.streams)
    await lab.sleep(GAP_MS)
  }
  await lab.sleep(SETTLE_MS)
  const killedMs = lab.now()
  lab.killRelay()
  await lab.sleep(outage.forMs)
  await lab.startRelay()
  const awayMs = lab.now() - killedMs
  await lab.sleep(AFTER_MS)
  return Promise.all(
    pairs.map(async ([client, server]) => {
      const sides = outage.streams ? [client, server] : [client]
      const [mine, theirs] = await Promise.all(sides.map((side) => side.finish()))
      await client.end()
      if (!mine) throw new Error('a client without a report')
      return {
        name: `the relay is away for ${outage.forMs / 1000} s`,
        pair: `${client.site.place} x ${server.site.place}`,
        survived: mine.ended === undefined && theirs?.ended === undefined,
        stallMs: mine.stallMs,
        awayMs,
        paths: mine.paths.map(({ kind }) => kind),
        faults: whole(mine, theirs),
      }
    }),
  )
}
