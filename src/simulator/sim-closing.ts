/**
 * How the end of a transport is told: to the engine, and to whoever waits.
 *
 * @module
 */
import type { CarrierClose } from '../core/carrier.ts'
import { P2PError } from '../core/errors.ts'
import type { NodeId } from '../core/node-id.ts'
import type { TransportClose } from './transport/sink.ts'

/** In the carrier's words: only an application's code is a code, and what the transports do to each other is neither's. */
export function carrierClose(close: TransportClose): CarrierClose {
  if (close.application) return { closeCode: close.code, reason: close.reason, by: close.by }
  return { closeCode: 0, reason: close.reason, by: 'transport' }
}

/** What everything that waits on the connection fails with. */
export function closedError(info: CarrierClose, peer: NodeId | undefined): P2PError {
  const who = { local: 'this side', remote: 'the peer', transport: 'the transport' }[info.by]
  const reason = info.reason === '' ? '' : `: ${info.reason}`
  const message = `the connection to ${peer?.fmtShort() ?? 'the peer'} was closed by ${who}${reason}`
  return P2PError.ofEnd('connection-closed', message, { ...info })
}
