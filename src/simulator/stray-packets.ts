/**
 * What an endpoint does with packets for connections that it does not have: it knows its own ids, and answers with
 * stateless resets where there was a connection. It remembers none of those.
 *
 * @module
 */
import { ConnectionIds } from './connection-ids.ts'
import type { RandomStream } from './kernel.ts'
import { DATA } from './transport/packet.ts'
import type { Packet } from './transport/packet.ts'
import { StatelessResets } from './transport/reset.ts'
import type { ResetToken } from './transport/reset.ts'

/** See the module's comment. */
export class StrayPackets {
  readonly #ids: ConnectionIds
  readonly #resets: StatelessResets
  #received = 0

  /**
   * @param random for connection ids
   * @param resetRandom gives what resets are drawn from; called with the first of them
   */
  constructor(random: RandomStream, resetRandom: () => RandomStream) {
    this.#ids = new ConnectionIds(random)
    this.#resets = new StatelessResets(resetRandom)
  }

  /** How many have come. */
  get received(): number {
    return this.#received
  }

  /** Resets sent in answer to some of them. */
  get resetsSent(): number {
    return this.#resets.sent
  }

  /** A connection id for which `isTaken` is false. */
  newId(isTaken: (id: number) => boolean): number {
    return this.#ids.next(isTaken)
  }

  /** What the peer of a connection with this id is told, so that it believes a reset. */
  token(id: number): ResetToken {
    return this.#resets.token(id)
  }

  /** Takes one, and gives the reset that answers it, if any does: no long header is answered, and no id of others'. */
  answer(packet: Packet, nowUs: number): Packet | undefined {
    this.#received++
    if (packet.kind !== DATA || !this.#ids.isOwn(packet.destinationId)) return undefined
    return this.#resets.answer(packet, nowUs)
  }
}
