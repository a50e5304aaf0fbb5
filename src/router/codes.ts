/**
 * The codes with which either side gives up the stream of a request, in RESET (its own half) and STOP_SENDING (the
 * other's). `docs/wire.md` lists them.
 *
 * @module
 */
import { describeCode, LIBRARY_CODE, MAX_APPLICATION_CODE } from '../core/engine/wire.ts'
import { P2PError } from '../core/errors.ts'
import type { P2PNodeId } from '../core/node-id.ts'

/** Codes of RESET and STOP_SENDING on the stream of a request. */
export const REQUEST_CODE = {
  /** Nothing is wrong: the rest of this half is not needed, as the answer is complete without it. */
  none: 0,
  /** The caller gave up, or the server is closing. */
  cancelled: 1,
  /** The other side's bytes are no request, or no answer. */
  malformed: 2,
  /** The head or the body is over this side's limit. */
  tooLarge: 3,
  /** Not looked at, as too many requests are in flight. Safe to send again, later. */
  refused: 4,
  /** This side failed after it had sent the head. */
  internal: 5,
  /** The other side took too long: to send its head, or to send or take more of a body. */
  timeout: 6,
  /** Not looked at, as the server has closed. Safe to send again, on another connection. */
  closing: 7,
} as const

const MEANINGS: Readonly<Record<number, string>> = {
  [REQUEST_CODE.none]: 'it wants no more of it',
  [REQUEST_CODE.cancelled]: 'it was cancelled there',
  [REQUEST_CODE.malformed]: 'it could not be decoded there',
  [REQUEST_CODE.tooLarge]: 'it is over a limit there',
  [REQUEST_CODE.internal]: 'it failed there',
  [REQUEST_CODE.timeout]: 'it took too long for it',
}

/** Explains an error of the stream of a request to `node`: RESET and STOP_SENDING become words. */
export function explainStreamError(error: unknown, what: string, peer: P2PNodeId): P2PError {
  const node = peer.fmtShort()
  if (P2PError.is(error, 'stream-reset') || P2PError.is(error, 'stream-stopped')) {
    const code = error.streamCode
    const options = { cause: error }
    if (code === REQUEST_CODE.refused) {
      const why = 'it has too many requests of this node in flight; try again later'
      return P2PError.of('refused', `${node} refused ${what}: ${why}`, { node: peer.toString() }, options)
    }
    if (code === REQUEST_CODE.closing || code === LIBRARY_CODE.unclaimed) {
      return P2PError.of(
        'refused',
        `${node} refused ${what}: it serves no requests`,
        { node: peer.toString() },
        options,
      )
    }
    const meaning = code > MAX_APPLICATION_CODE ? describeCode(code) : (MEANINGS[code] ?? 'it did not say why')
    const message = `${node} gave up ${what}: ${meaning} (code ${code})`
    return P2PError.of('stream-reset', message, { streamCode: code }, options)
  }
  return P2PError.from(error, 'connection-failed', `${what} to ${node} failed`, {}) as P2PError
}
