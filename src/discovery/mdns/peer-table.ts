/**
 * Who has been heard on the local network: bounded, and forgetful.
 *
 * @module
 */
import { P2PAddress } from '../../core/address.ts'
import type { NodeId } from '../../core/node-id.ts'
import { readName } from '../signed-name.ts'
import type { NameClaim } from '../signed-name.ts'
import type { LocalRecord, Sighting } from './wire.ts'

/** A node on the local network. */
export interface MdnsPeer {
  readonly id: NodeId
  /** Where it can be reached; `p2p.connect` takes it. */
  readonly address: P2PAddress
  /** The name that it has given itself, with its signature; undefined when it has none. */
  readonly name: string | undefined
  /** Whatever text it has in its record. */
  readonly userData: string | undefined
}

/** What has become of a peer. */
export interface MdnsEvent {
  readonly kind: 'found' | 'changed' | 'lost'
  /** What is known of it; of one that is lost, what was. */
  readonly peer: MdnsPeer
}

/** A peer in the table. */
export interface Known {
  readonly record: LocalRecord
  readonly peer: MdnsPeer
  readonly claim: NameClaim
  /** Since when it has said what it says of its name. */
  readonly sinceMs: number
  untilMs: number
}

/** Options of a {@link PeerTable}. */
export interface PeerTableOptions {
  readonly maxPeers: number
  /** How long a peer may be silent. */
  readonly lostAfterMs: number
  /** Called when a peer comes, changes or goes. */
  readonly onEvent: (event: MdnsEvent) => void
}

/** RFC 6762, 10.1: a goodbye takes this long to count, so that who is there can say so. */
const GOODBYE_MS = 1_000
/** iroh's nodes speak one after the other, in turns of up to so long. */
const TURN_MS = 2_500

/** All peers that have been heard lately. */
export class PeerTable {
  readonly #options: PeerTableOptions
  readonly #known = new Map<string, Known>()
  #ignored = 0
  #forged = 0

  constructor(options: PeerTableOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#known.size
  }

  /** Sightings for which there was no room. */
  get ignored(): number {
    return this.#ignored
  }

  /** Names whose signature was wrong. */
  get forged(): number {
    return this.#forged
  }

  get(id: NodeId): Known | undefined {
    return this.#known.get(id.toString())
  }

  all(): readonly Known[] {
    return [...this.#known.values()]
  }

  /**
   * Takes note of what somebody said.
   *
   * @param wanted whether somebody looks for this very peer, who then is noted however many there are
   * @returns when the peer will be forgotten, if it is not heard again; undefined when it is not known
   */
  see({ id, record, ttlMs }: Sighting, nowMs: number, wanted: boolean): number | undefined {
    const key = id.toString()
    const known = this.#known.get(key)
    if (!record) {
      if (known) known.untilMs = Math.min(known.untilMs, nowMs + GOODBYE_MS)
      return known?.untilMs
    }
    if (!known && this.#known.size >= this.#options.maxPeers && !wanted) {
      this.#ignored++
      return undefined
    }
    const untilMs = nowMs + Math.min(ttlMs, Math.max(this.#options.lostAfterMs, this.#known.size * TURN_MS))
    if (known && sameRecord(known.record, record)) {
      known.untilMs = untilMs
      return untilMs
    }
    const before = known?.record.userData === record.userData ? known : undefined
    const entry = this.#describe(record, before?.claim, before?.sinceMs ?? nowMs, untilMs)
    this.#known.set(key, entry)
    this.#options.onEvent({ kind: known ? 'changed' : 'found', peer: entry.peer })
    return untilMs
  }

  /** Forgets those who have been silent for too long, and tells when the next would be, if there is one. */
  expire(nowMs: number): number | undefined {
    let next: number | undefined
    for (const [key, known] of this.#known) {
      if (known.untilMs > nowMs) {
        next = Math.min(next ?? known.untilMs, known.untilMs)
        continue
      }
      this.#known.delete(key)
      this.#options.onEvent({ kind: 'lost', peer: known.peer })
    }
    return next
  }

  /** Forgets everybody without a word. */
  clear(): void {
    this.#known.clear()
  }

  #describe(record: LocalRecord, known: NameClaim | undefined, sinceMs: number, untilMs: number): Known {
    const { id, direct, relay, userData } = record
    // Verified once for each text that a peer has, not for each packet.
    const claim = known ?? readName(id, userData)
    if (!known && claim.kind === 'forged') this.#forged++
    const name = claim.kind === 'signed' ? claim.name : undefined
    const address = new P2PAddress(id, direct, relay === undefined ? [] : [relay])
    return { record, claim, sinceMs, untilMs, peer: { id, address, name, userData } }
  }
}

function sameRecord(a: LocalRecord, b: LocalRecord): boolean {
  return a.relay === b.relay && a.userData === b.userData && a.direct.join() === b.direct.join()
}
