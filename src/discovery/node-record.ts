/**
 * What a node says of itself in DNS: one TXT string a value, `key=value`, at `_iroh.<z-base-32 id>.<origin>`. The
 * names and rules are iroh's, so that its programs find ours and ours find them.
 *
 * @module
 */
import { P2PAddress, parseSocketAddress } from '../core/address.ts'
import type { NodeId } from '../core/node-id.ts'

/** The first label of a record's name. */
export const RECORD_LABEL = '_iroh'
/** What iroh allows for `user-data`, in bytes of UTF-8. */
export const MAX_USER_DATA_BYTES = 245
/** Values of one record that are looked at; more is not what a node has. */
const MAX_VALUES = 64

/** What is known of a node. */
export interface NodeRecord {
  readonly address: P2PAddress
  /** Text of the application's choice. */
  readonly userData: string | undefined
}

/** The TXT strings of a record: relays first, as they are what helps most when not everything fits. */
export function recordStrings({ address, userData }: NodeRecord): string[] {
  return [
    ...address.relays.map((url) => `relay=${url}`),
    ...address.direct.map((direct) => `addr=${direct}`),
    ...(userData === undefined ? [] : [`user-data=${userData}`]),
  ]
}

/** Reads TXT strings; what makes no sense in them is passed over, as a newer version may have put it there. */
export function parseRecord(id: NodeId, strings: readonly string[]): NodeRecord {
  const direct = new Set<string>()
  const relays = new Set<string>()
  let userData: string | undefined
  for (const text of strings.slice(0, MAX_VALUES)) {
    const at = text.indexOf('=')
    const value = text.slice(at + 1)
    switch (at < 0 ? '' : text.slice(0, at)) {
      case 'relay':
        if (/^https?:/.test(value) && URL.canParse(value)) relays.add(value)
        break
      case 'addr':
        if (parseSocketAddress(value)) direct.add(value)
        break
      case 'user-data':
        if (new TextEncoder().encode(value).length <= MAX_USER_DATA_BYTES) userData = value
        break
      default:
    }
  }
  return { address: new P2PAddress(id, [...direct], [...relays]), userData }
}
