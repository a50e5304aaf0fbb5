/**
 * What the lab consists of, whether its network is the machine's or simulated: peers behind NATs around a relay, and what
 * can be done to them.
 *
 * @module
 */

import type { P2PPathChange } from '@moosicbox/p2p'
import type { Load, LoadReport } from './load.ts'

/** Where a peer is: on the public internet, or at home behind a NAT of this kind. The names are the simulator's presets. */
export type Place = 'none' | 'full-cone' | 'restricted-cone' | 'home' | 'symmetric'
export const PLACES: readonly Place[] = ['none', 'full-cone', 'restricted-cone', 'home', 'symmetric']

/** One end of the lab: a home with one machine in it, or a public machine. */
export interface Site {
  readonly name: string
  readonly place: Place
}

/** What the lines are like: the relays are next to the core of the network. */
export interface LineSettings {
  /** One way, over the line of one site. */
  readonly delayMs: number
  /** Probability that a packet is lost on the line, each way. */
  readonly loss: number
}

/** Packets of a connection, as it counts them: `packetsSent` and `packetsLost` of its `stats()`. */
export interface PacketCounts {
  readonly sent: number
  readonly lost: number
}

/** What a connection has told of the path in use. */
export interface PathEvent {
  readonly kind: Exclude<P2PPathChange['kind'], 'candidates'>
  /** Since the connection was made, as it is told. */
  readonly atMs: number
}

/** What becomes of a connection's paths. */
export interface PathReport {
  readonly connectMs: number
  /** After `connect`; 0 when it began directly, undefined when nobody was told that it had become so. */
  readonly directAfterMs: number | undefined
  /** At the end of the watch. */
  readonly outcome: 'direct' | 'relayed'
}

/** What a connection went through while both sides sent without a pause. */
export interface TrafficReport {
  /** Bytes that came, every one of which was the one that was due. */
  readonly receivedBytes: number
  readonly sentBytes: number
  /** What came was not what was due: how it began. */
  readonly wrong: string | undefined
  /** The longest time in which no answer to a request came. */
  readonly stallMs: number
  readonly requests: number
  /** How the connection ended, where it did before its time: the error's code, and when (milliseconds after the start). */
  readonly ended:
    | { readonly code: string; readonly by: string; readonly reason: string; readonly atMs: number }
    | undefined
  /** Kinds of the selected path, in the order in which they came, the one at the end included. */
  readonly paths: readonly string[]
  readonly events: readonly PathEvent[]
  /** At the end; undefined where the connection was over before, or does not count. */
  readonly packets: PacketCounts | undefined
  /** All that was sent has come, and the peer has said so. */
  readonly complete: boolean
}

/** A program at a site: one node. */
export interface Peer {
  readonly site: Site
  /** Creates the node; resolves when its relay is known and it listens. */
  start(): Promise<void>
  /** Connects to another, and watches the paths until `watchMs` after that. */
  watch(to: Peer, watchMs: number): Promise<PathReport>
  /** Connects to another, asks it so many questions, and sends it so much; then ends the connection. */
  load(to: Peer, load: Load): Promise<LoadReport>
  /**
   * Connects to another, and asks it again and again; with `streams` both send besides, from then on. Resolves when the
   * first answer has come.
   */
  begin(to: Peer, streams: boolean): Promise<void>
  /**
   * Sends no more, waits for what the other has sent, and tells how it went. For both sides, at once; without `streams`
   * only the client has something to tell.
   */
  finish(): Promise<TrafficReport>
  /** Ends the connection of {@link begin}. */
  end(): Promise<void>
  /** The process is killed, and says nothing to anyone. */
  kill(): void
  /** The process stops, and goes on when the result is called. */
  pause(): () => void
}

/** A lab: what {@link Peer}s cannot do to themselves. Times are milliseconds of its own clock. */
export interface Lab {
  readonly kind: 'real' | 'simulated'
  readonly peers: ReadonlyMap<string, Peer>
  /** The peer of that name; throws when there is none. */
  peer(name: string): Peer
  now(): number
  sleep(forMs: number): Promise<void>
  /** The process of the relay is killed; it has no state that survives. */
  killRelay(): void
  /** Resolves when it serves again. */
  startRelay(): Promise<void>
  /** The NAT of a site forgets all its mappings. */
  forget(site: Site): Promise<void>
  /** A site gets another public address; its NAT begins anew. */
  renumber(site: Site): Promise<void>
  /** The network interface of a peer's machine goes down, or up again. */
  setInterface(site: Site, isUp: boolean): Promise<void>
  /** The line of a site loses packets with this probability from now on, each way. */
  setLoss(site: Site, loss: number): Promise<void>
  /** What stands between a site and the internet lets no UDP through, or does again. */
  setUdp(site: Site, passes: boolean): Promise<void>
}
