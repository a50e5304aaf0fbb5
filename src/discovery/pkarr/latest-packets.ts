/**
 * The latest signed record that was seen of each node: who shows an older one later is not believed.
 *
 * @module
 */
import type { NodeId } from '../../core/node-id.ts'
import type { SignedPacket } from './signed-packet.ts'

/** Ids whose last record is remembered. */
const MAX_IDS = 1024

/** Remembers so many; those that were asked for longest ago are forgotten first. */
export class LatestPackets {
  readonly #packets = new Map<string, SignedPacket>()

  /** The latest record of `id` that was seen. */
  get(id: NodeId): SignedPacket | undefined {
    return this.#packets.get(id.toString())
  }

  /** Takes note of a record, whose signature is that of its node. The result is the later of it and what was seen before. */
  note(packet: SignedPacket): SignedPacket {
    const key = packet.id.toString()
    const before = this.#packets.get(key)
    const latest = before && before.timestampUs >= packet.timestampUs ? before : packet
    this.#packets.delete(key)
    this.#packets.set(key, latest)
    for (const oldest of this.#packets.keys()) {
      if (this.#packets.size <= MAX_IDS) break
      this.#packets.delete(oldest)
    }
    return latest
  }
}
