/**
 * The relay is killed and comes back, under connections that have no other way, and under one that has.
 *
 * @module
 */
import { over, whole } from './life.ts'
import type { StoryReport } from './life.ts'
import type { Lab, Peer, Site } from './model.ts'

/** Connections begin this far apart, so that the outage meets each at another moment of its probes. */
const GAP_MS = 370
const SETTLE_MS = 6_000
/** After an outage of 12 s the last have been seen to come back after 24 s. */
const AFTER_MS = 30_000
/**
 * From here on a connection may be idle for too long: probes of 10 s and more apart have one chance or two between the
 * relay's return and the idle time-out of 30 s, and none where an old acknowledgement has put them off (docs/natlab.md).
 */
const LONG_MS = 10_000
/** So many of those that meet an outage that long at a time: of streaming ones 3 to 7 in a hundred end. */
const MAX_ENDED = 2

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
  const finished = await Promise.all(
    pairs.map(async ([client, server]) => {
      const sides = outage.streams ? [client, server] : [client]
      const [mine, theirs] = await Promise.all(sides.map((side) => side.finish()))
      await client.end()
      if (!mine) throw new Error('a client without a report')
      const survived = mine.ended === undefined && theirs?.ended === undefined
      return { client, server, mine, theirs, survived }
    }),
  )
  const mayEnd = outage.forMs >= LONG_MS && finished.filter(({ survived }) => !survived).length <= MAX_ENDED
  return finished.map(({ client, server, mine, theirs, survived }) => ({
    name: `the relay is away for ${outage.forMs / 1000} s`,
    pair: `${client.site.place} x ${server.site.place}`,
    survived,
    stallMs: mine.stallMs,
    awayMs,
    paths: mine.paths,
    events: mine.events,
    packets: mine.packets,
    faults: survived || !mayEnd ? whole(mine, theirs) : [...over(mine), ...(theirs ? over(theirs) : [])],
  }))
}
