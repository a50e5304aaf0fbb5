/**
 * The addon's failures as errors (`native/src/failure.rs` has the same numbers).
 *
 * @module
 */
import type { CarrierClose } from '../../core/carrier.ts'
import { P2PError } from '../../core/errors.ts'
import type { P2PNodeId } from '../../core/node-id.ts'
import { bindErrors, closeError, connectErrors, NODE_CLOSED, TRANSPORT_ENDS, whereToBind } from '../errors.ts'
import { ENDED_BY } from './records.ts'

/** Why a call with a token failed. */
export const FAILURE = {
  abandoned: 1,
  endpointClosed: 2,
  selfConnect: 3,
  noAddress: 4,
  timedOut: 5,
  noProtocol: 6,
  refused: 7,
  wrongPeer: 8,
  closedByPeer: 9,
  brokenOff: 10,
  handshake: 11,
  addressInUse: 12,
  addressNotAvailable: 13,
  permissionDenied: 14,
  bind: 15,
  handles: 16,
} as const

/** A failure as the addon tells it. */
export interface Failed {
  readonly kind: number
  /** What went wrong, or the reason that the peer gave. */
  readonly text: string
  /** The code that the peer closed with. */
  readonly closeCode: number
}

function causeOf(failed: Failed): ErrorOptions {
  return failed.text === '' ? {} : { cause: new Error(failed.text) }
}

/** The error when there is no handle left. */
export function tooManyHandles(): P2PError {
  const message = 'a million connections and streams are open in this process: close some'
  return P2PError.of('limit-exceeded', message, { limit: 'handles', max: 1_048_575 })
}

/** What the addon cannot do any more for want of handles, or because it broke. */
function exhausted(failed: Failed): P2PError {
  if (failed.kind === FAILURE.handles) return tooManyHandles()
  return P2PError.of('connection-failed', 'the native door gave up the call', {}, causeOf(failed))
}

/** What an attempt to connect failed with. */
export function connectError(failed: Failed, peer: P2PNodeId, alpn: string, afterMs: number): P2PError {
  const options = causeOf(failed)
  switch (failed.kind) {
    case FAILURE.endpointClosed:
      return closeError(NODE_CLOSED)
    case FAILURE.selfConnect:
      return connectErrors.self()
    case FAILURE.noAddress:
      return connectErrors.noRoute(peer, options)
    case FAILURE.timedOut:
      return connectErrors.noAnswer(peer, afterMs, options)
    case FAILURE.noProtocol:
      return connectErrors.noProtocol(peer, alpn, options)
    case FAILURE.refused:
      return connectErrors.nobodyListens(peer, options)
    case FAILURE.wrongPeer:
      return connectErrors.wrongPeer(peer, options)
    case FAILURE.closedByPeer:
      return closeError({ closeCode: failed.closeCode, reason: failed.text, by: 'remote' })
    case FAILURE.brokenOff:
      return connectErrors.brokenOff(peer, options)
    case FAILURE.handshake:
      return connectErrors.failed(peer, options)
    default:
      return exhausted(failed)
  }
}

/** What binding the sockets failed with. */
export function bindError(failed: Failed, addresses: readonly string[]): P2PError {
  const where = whereToBind(addresses)
  const options = causeOf(failed)
  switch (failed.kind) {
    case FAILURE.addressInUse:
      return bindErrors.inUse(where, options)
    case FAILURE.addressNotAvailable:
      return bindErrors.notOurs(where, options)
    case FAILURE.permissionDenied:
      return bindErrors.notPermitted(where, options)
    case FAILURE.bind:
      return bindErrors.failed(where, options)
    default:
      return exhausted(failed)
  }
}

/** How a connection ended; `by` is a number of `ENDED_BY`. */
export function closeOf(by: number, closeCode: number, reason: string): CarrierClose {
  switch (by) {
    case ENDED_BY.local:
      return NODE_CLOSED
    case ENDED_BY.remote:
      return { closeCode, reason, by: 'remote' }
    case ENDED_BY.timedOut:
      return TRANSPORT_ENDS.timedOut
    case ENDED_BY.reset:
      return TRANSPORT_ENDS.reset
    default:
      return TRANSPORT_ENDS.lost
  }
}
