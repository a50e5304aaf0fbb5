/**
 * What of a node's address goes into records that everybody can read who has its id.
 *
 * @module
 */
import { P2PAddress } from '../core/address.ts'
import { invalidConfiguration } from '../core/config.ts'
import type { P2PError } from '../core/errors.ts'
import type { NodeId } from '../core/node-id.ts'

/** What a node tells the world: its relays, its own addresses too, or nothing. */
export type RecordPublish = 'relays' | 'all' | 'nothing'

/** @throws P2PError `invalid-configuration` unless it is a {@link RecordPublish} */
export function checkPublish(publish: RecordPublish = 'relays'): RecordPublish {
  if (publish === 'relays' || publish === 'all' || publish === 'nothing') return publish
  throw invalidConfiguration('publish', publish, "must be 'relays', 'all' or 'nothing'")
}

/**
 * The part of an address that is published.
 *
 * @param failure what is thrown when that is nothing: nobody can reach a node by such a record
 */
export function publishedPart(
  { id, direct, relays }: P2PAddress,
  publish: RecordPublish,
  failure: (id: NodeId, why: string) => P2PError,
): P2PAddress {
  const part = new P2PAddress(id, publish === 'all' ? direct : [], relays)
  if (part.direct.length + part.relays.length > 0) return part
  const why =
    direct.length === 0
      ? 'this node has no address yet'
      : "this node has no relay, and its own addresses are kept out of its record unless `publish` is 'all'"
  throw failure(part.id, `there is nothing to publish: ${why}`)
}
