/**
 * Peers as applications name them: ids, addresses, and the text of either.
 *
 * @module
 */
import { P2PAddress } from '../address.ts'
import { invalidConfiguration } from '../config.ts'
import { NodeId } from '../node-id.ts'

/** Where to connect to; ids and addresses may come from another copy of this package. */
export function toAddress(peer: unknown): P2PAddress {
  if (typeof peer === 'string') return P2PAddress.parse(peer)
  if (peer instanceof P2PAddress) return peer
  const { id, direct, relays } = (peer ?? {}) as Partial<P2PAddress>
  if (id) return new P2PAddress(toNodeId(id), direct, relays)
  return new P2PAddress(toNodeId(peer))
}

function toNodeId(id: unknown): NodeId {
  if (id instanceof NodeId) return id
  const bytes = (id as Partial<NodeId> | null | undefined)?.asBytes?.()
  if (bytes instanceof Uint8Array) return NodeId.fromBytes(bytes)
  throw invalidConfiguration('peer', id, 'connect to a node id, an address, or the text of either')
}

/** The id that a text is, if it is one. */
export function parseId(text: string): NodeId | undefined {
  try {
    return NodeId.parse(text)
  } catch {
    return undefined
  }
}
