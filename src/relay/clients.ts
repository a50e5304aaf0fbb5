/**
 * Who is connected, and who has sent to whom.
 *
 * @module
 */
import type { RelayClient } from './client.ts'
import { encodeFrame, FRAME, forwarded, ID_BYTES, STATUS } from './frames.ts'
import type { RelayCounters } from './metrics.ts'

/** Destinations that are remembered of a client, to tell them when it is gone; beyond it the oldest is forgotten. */
const MAX_SENT_TO = 1024
/** The code of a connection whose place another has taken (RFC 6455, 7.4.1). */
const GOING_AWAY = 1001

interface Entry {
  /** The one that gets packets. */
  active: RelayClient
  /** Others of the same id, the latest last. */
  readonly inactive: RelayClient[]
  readonly sentTo: Set<string>
}

/** The clients of a relay. */
export class Clients {
  readonly #entries = new Map<string, Entry>()
  readonly #counters: RelayCounters
  readonly #maxPerId: number

  constructor(counters: RelayCounters, maxPerId: number) {
    this.#counters = counters
    this.#maxPerId = maxPerId
  }

  *[Symbol.iterator](): Generator<RelayClient> {
    for (const { active, inactive } of this.#entries.values()) {
      yield active
      yield* inactive
    }
  }

  /** A new client becomes the active one of its id. */
  add(client: RelayClient): void {
    this.#counters.clients++
    const entry = this.#entries.get(client.key)
    if (!entry) {
      this.#entries.set(client.key, { active: client, inactive: [], sentTo: new Set() })
      return
    }
    entry.active.sendStatus(STATUS.sameIdElsewhere)
    entry.inactive.push(entry.active)
    entry.active = client
    if (entry.inactive.length >= this.#maxPerId) entry.inactive[0]?.close(GOING_AWAY, 'too many connections of this id')
  }

  /** A client is gone: the one before it takes its place, or those that it has sent to are told. */
  remove(client: RelayClient): void {
    const entry = this.#entries.get(client.key)
    if (!entry) return
    this.#counters.clients--
    if (entry.active !== client) {
      const at = entry.inactive.indexOf(client)
      if (at >= 0) entry.inactive.splice(at, 1)
      return
    }
    const next = entry.inactive.pop()
    if (next) {
      entry.active = next
      next.sendStatus(STATUS.healthy)
      return
    }
    this.#entries.delete(client.key)
    const frame = encodeFrame(FRAME.endpointGone, client.idBytes)
    for (const peer of entry.sentTo) this.#entries.get(peer)?.active.sendControl(frame)
  }

  /** Sends a client's packet on. */
  forward(from: RelayClient, frame: Buffer): void {
    const key = frame.toString('latin1', 1, 1 + ID_BYTES)
    const to = this.#entries.get(key)
    if (!to) {
      this.#counters.packetsUnknown++
      return
    }
    const packet = forwarded(frame, from.idBytes)
    if (!packet) return
    if (!to.active.sendPacket(packet)) {
      this.#counters.packetsOverflowed++
      return
    }
    const sentTo = this.#entries.get(from.key)?.sentTo
    if (!sentTo || sentTo.has(key)) return
    if (sentTo.size >= MAX_SENT_TO) {
      const [oldest] = sentTo
      if (oldest !== undefined) sentTo.delete(oldest)
    }
    sentTo.add(key)
  }
}
