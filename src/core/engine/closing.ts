/**
 * How the end of a connection is told: codes of the library become words, and what waits fails with the reason.
 *
 * @module
 */
import type { CarrierClose } from '../carrier.ts'
import type { CloseInfo } from '../connection.ts'
import { P2PError } from '../errors.ts'
import type { P2PNodeId } from '../node-id.ts'
import { LIBRARY_CODE, MAX_APPLICATION_CODE } from './wire.ts'

/** The end of what a peer sends that has said END and not closed yet. */
export const ENDED_BY_PEER: CloseInfo = { closeCode: 0, reason: 'ended', by: 'remote', refused: false }

/** A carrier's close as the application sees it: on our protocol the library's own codes become 0. */
export function describeClose(close: CarrierClose, ours: boolean): CloseInfo {
  const { closeCode, reason, by } = close
  const refused = closeCode === LIBRARY_CODE.refused
  return { closeCode: refused || (ours && closeCode > MAX_APPLICATION_CODE) ? 0 : closeCode, reason, by, refused }
}

/** The error that everything waiting on a connection fails with when it is over. */
export function closedError(info: CloseInfo, peer: P2PNodeId): P2PError {
  const remote = peer.fmtShort()
  if (info.refused && info.by === 'remote') {
    return P2PError.ofEnd('refused', `${remote} refused the connection: ${info.reason}`, { node: peer.toString() })
  }
  const who = info.by === 'local' ? 'this side' : info.by === 'remote' ? remote : 'the transport'
  const why = info.reason === '' ? '' : `: ${info.reason}`
  return P2PError.ofEnd('connection-closed', `${who} closed the connection (code ${info.closeCode})${why}`, {
    closeCode: info.closeCode,
    reason: info.reason,
    by: info.by,
  })
}
