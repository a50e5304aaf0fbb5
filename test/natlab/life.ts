/**
 * What happens to connections in life: routers forget, addresses change, machines stop and processes die, while both
 * sides send without a pause.
 *
 * @module
 */
import type { Lab, PacketCounts, PathEvent, Peer, Place, Site, TrafficReport } from './model.ts'

/** By then a connection has found its way. */
const SETTLE_MS = 4_000
/** A connection without a sign of life is over after this long: `limits.idleTimeoutMs`. */
const IDLE_MS = 30_000
/** What a timer, a probe and a busy machine may add. */
const MARGIN_MS = 6_000
/** Of a hundred packets one, each way: dozens in the time for which it is watched. */
const LOSS = 0.01
/** Longer than it takes to notice. */
const BLOCKED_MS = 18_000
/** iroh goes on after 15 to 16 s, or, where a late acknowledgement makes it wait, after 66 (docs/natlab.md). */
const AFTER_BLOCKED_MS = 90_000

/** Something that happens to a connection. */
export interface Story {
  readonly name: string
  readonly client: Place
  readonly server: Place
  /** What happens, and for how long it is waited afterwards. */
  readonly happens: (lab: Lab, client: Peer, server: Peer) => Promise<void>
  readonly afterMs: number
  /** Nothing is lost, and nothing came for no longer than this; or the survivor is told of the end within this. */
  readonly expected: {
    readonly survives: boolean
    readonly withinMs: number
    /** What both sides are told of their paths, from the beginning to the end. @default anything */
    readonly events?: readonly PathEvent['kind'][]
    /** Whether either side must have found that packets of its own were lost. @default it may */
    readonly loses?: boolean
  }
}

/** How a story went. */
export interface StoryReport {
  readonly name: string
  readonly pair: string
  readonly survived: boolean
  /** The longest time without an answer; for one that has ended, from what happened to the error. */
  readonly stallMs: number
  /** How long the relay did not serve, where that is what happened. */
  readonly awayMs?: number
  readonly paths: readonly string[]
  /** What the client was told of them. */
  readonly events: readonly PathEvent[]
  /** What the client counted. */
  readonly packets: PacketCounts | undefined
  /** What is not as it must be; empty when all is well. */
  readonly faults: readonly string[]
}

export const STORIES: readonly Story[] = [
  {
    name: 'a NAT forgets its mappings',
    client: 'home',
    server: 'home',
    happens: (lab, client) => lab.forget(client.site),
    afterMs: 20_000,
    expected: { survives: true, withinMs: IDLE_MS },
  },
  {
    name: 'a symmetric NAT forgets its mappings',
    client: 'symmetric',
    server: 'restricted-cone',
    happens: (lab, client) => lab.forget(client.site),
    afterMs: 25_000,
    expected: { survives: true, withinMs: IDLE_MS },
  },
  {
    name: 'a home gets another address',
    client: 'home',
    server: 'full-cone',
    happens: (lab, client) => lab.renumber(client.site),
    afterMs: 25_000,
    expected: { survives: true, withinMs: IDLE_MS },
  },
  {
    name: 'an interface is down for 5 s',
    client: 'home',
    server: 'none',
    happens: async (lab, client) => {
      await lab.setInterface(client.site, false)
      await lab.sleep(5000)
      await lab.setInterface(client.site, true)
    },
    afterMs: 25_000,
    expected: { survives: true, withinMs: IDLE_MS },
  },
  {
    name: 'the server is stopped for 10 s',
    client: 'restricted-cone',
    server: 'home',
    happens: async (lab, _client, server) => {
      const goOn = server.pause()
      await lab.sleep(10_000)
      goOn()
    },
    afterMs: 20_000,
    expected: { survives: true, withinMs: IDLE_MS },
  },
  {
    name: `UDP is blocked for ${BLOCKED_MS / 1000} s`,
    client: 'home',
    server: 'home',
    happens: async (lab, client) => {
      await lab.setUdp(client.site, false)
      await lab.sleep(BLOCKED_MS)
      await lab.setUdp(client.site, true)
    },
    afterMs: 20_000,
    expected: { survives: true, withinMs: AFTER_BLOCKED_MS, events: ['upgraded', 'fell-back', 'upgraded'] },
  },
  {
    name: `a line loses ${LOSS * 100} %`,
    client: 'full-cone',
    server: 'none',
    happens: (lab, client) => lab.setLoss(client.site, LOSS),
    afterMs: 20_000,
    expected: { survives: true, withinMs: IDLE_MS, loses: true },
  },
  {
    name: 'the server is killed',
    client: 'home',
    server: 'full-cone',
    happens: async (_lab, _client, server) => server.kill(),
    afterMs: IDLE_MS + MARGIN_MS,
    expected: { survives: false, withinMs: IDLE_MS + MARGIN_MS },
  },
]

const sitesOf = (index: number, { client, server }: Story): [Site, Site] => [
  { name: `client${index}`, place: client },
  { name: `server${index}`, place: server },
]

/** The sites of all stories. */
export function lifeSites(stories: readonly Story[]): Site[] {
  return stories.flatMap((story, index) => sitesOf(index, story))
}

/** All stories at once, each between two sites of its own. */
export function lifeScenario(stories: readonly Story[]): (lab: Lab) => Promise<StoryReport[]> {
  return async (lab) => {
    await Promise.all([...lab.peers.values()].map((peer) => peer.start()))
    return Promise.all(
      stories.map((story, index) => {
        const [client, server] = sitesOf(index, story).map(({ name }) => lab.peer(name)) as [Peer, Peer]
        return tell(lab, story, client, server)
      }),
    )
  }
}

async function tell(lab: Lab, story: Story, client: Peer, server: Peer): Promise<StoryReport> {
  const beganMs = lab.now()
  await client.begin(server, true)
  await lab.sleep(SETTLE_MS)
  const happenedMs = lab.now() - beganMs
  await story.happens(lab, client, server)
  await lab.sleep(story.afterMs)
  const { survives, withinMs, events, loses = false } = story.expected
  const reports = await Promise.all(survives ? [client.finish(), server.finish()] : [client.finish()])
  const [mine, theirs] = reports
  if (survives) await client.end()
  if (!mine) throw new Error('a client without a report')
  const survived = mine.ended === undefined && (theirs === undefined || theirs.ended === undefined)
  // The clocks of both began with the connection, give or take the round trips of its beginning.
  const stallMs = mine.ended ? mine.ended.atMs - happenedMs : mine.stallMs
  const faults = survives ? whole(mine, theirs) : [...over(mine)]
  if (survived !== survives) faults.push(survives ? 'it has ended' : 'it has not ended')
  if (stallMs > withinMs) faults.push(`${Math.round(stallMs)} ms are more than ${withinMs}`)
  if (events) faults.push(...reports.flatMap((report) => differs(report.events, events)))
  const pair = `${story.client} x ${story.server}`
  if (loses) faults.push(...reports.flatMap(uncounted))
  const { paths, events: told, packets } = mine
  return { name: story.name, pair, survived, stallMs, paths, events: told, packets, faults }
}

function uncounted({ packets }: TrafficReport): string[] {
  if (!packets) return ['nobody has counted packets']
  const { sent, lost } = packets
  return lost > 0 && lost < sent ? [] : [`${lost} of ${sent} packets are said to be lost`]
}

function differs(told: readonly PathEvent[], expected: readonly PathEvent['kind'][]): string[] {
  const kinds = told.map(({ kind }) => kind).filter((kind) => kind !== 'switched')
  return kinds.join() === expected.join()
    ? []
    : [`told were ${kinds.join(', ') || 'nothing'}, and not ${expected.join(', ')}`]
}

/** What is missing, or too much, on either side. */
export function whole(mine: TrafficReport, theirs?: TrafficReport): string[] {
  const faults = halves(mine, theirs, 'the client')
  return theirs ? [...faults, ...halves(theirs, mine, 'the server')] : faults
}

function halves(to: TrafficReport, from: TrafficReport | undefined, who: string): string[] {
  const faults: string[] = []
  if (to.wrong !== undefined) faults.push(`${who}: ${to.wrong}`)
  if (to.ended) faults.push(`${who}: ${describeEnd(to)}`)
  else if (!to.complete) faults.push(`${who} waits for the end of what was sent`)
  if (from && to.receivedBytes !== from.sentBytes) {
    faults.push(`${who} has ${to.receivedBytes} of ${from.sentBytes} bytes`)
  }
  const upgraded = to.paths[0] === 'relay' && to.paths.at(-1) === 'direct'
  if (upgraded && !to.events.some(({ kind }) => kind === 'upgraded')) {
    faults.push(`${who} went direct, and was not told that it was upgraded`)
  }
  return faults
}

/** Whether the end is told as it should be: nobody closed it, the transport gave it up. */
export function over(report: TrafficReport): string[] {
  const { ended, wrong } = report
  const faults = wrong === undefined ? [] : [wrong]
  if (ended && (ended.code !== 'connection-closed' || ended.by !== 'transport')) faults.push(describeEnd(report))
  return faults
}

function describeEnd({ ended }: TrafficReport): string {
  return ended ? `${ended.code} by ${ended.by} after ${Math.round(ended.atMs)} ms: ${ended.reason}` : 'no end'
}
