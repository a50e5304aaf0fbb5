/**
 * What a peer does for others: takes messages, and tells what they lack.
 *
 * @module
 */
import { P2PResponse } from '@moosicbox/p2p'
import type { P2PRouter, P2PService } from '@moosicbox/p2p'
import { readMessage } from './message.ts'
import type { ChatMessage } from './message.ts'
import type { Have } from './history.ts'

/** The most messages in one request or answer; the next one brings the rest. */
export const BATCH = 100
/** As many messages of the longest texts, with room to spare. */
const MAX_BODY_BYTES = 2_000_000

/** What a peer tells another when they compare what they have. */
export interface SyncAnswer {
  readonly messages: readonly ChatMessage[]
  readonly have: Have
  /** The ids of others that are in the room. */
  readonly members: readonly string[]
}

/** The rooms of a peer, as far as others may ask. */
export interface ServedRooms {
  /** Undefined for a room that this peer is not in. */
  sync(room: string, peer: string, have: Have): SyncAnswer | undefined
  /** Resolves once they are on the disk; false for a room that this peer is not in. */
  take(room: string, peer: string, messages: readonly ChatMessage[]): Promise<boolean>
}

/**
 * - `POST /rooms/:room/sync` with `{ have }`: a {@link SyncAnswer}
 * - `POST /rooms/:room/messages` with `{ messages }`
 */
export class ChatService implements P2PService {
  readonly #rooms: ServedRooms

  constructor(rooms: ServedRooms) {
    this.#rooms = rooms
  }

  registerRoutes(router: P2PRouter): void {
    router.route('POST', '/rooms/:room/sync', async (req) => {
      const { have } = Object(await req.json(MAX_BODY_BYTES)) as { readonly have?: unknown }
      const answer = this.#rooms.sync(req.params.room ?? '', req.remoteNodeId.toString(), Object(have) as Have)
      return answer ? P2PResponse.json(answer) : P2PResponse.error(404, 'not in this room')
    })
    router.route('POST', '/rooms/:room/messages', async (req) => {
      const { messages } = Object(await req.json(MAX_BODY_BYTES)) as { readonly messages?: unknown }
      const taken = await this.#rooms.take(req.params.room ?? '', req.remoteNodeId.toString(), readMessages(messages))
      return taken ? P2PResponse.empty() : P2PResponse.error(404, 'not in this room')
    })
  }
}

/** The genuine ones of what a peer has sent. */
export function readMessages(value: unknown): ChatMessage[] {
  if (!Array.isArray(value)) return []
  return value.slice(0, BATCH).flatMap((entry) => readMessage(entry) ?? [])
}
