/**
 * What can go wrong on iroh, in the same words through every door.
 *
 * @module
 */
import type { CarrierClose } from '../core/carrier.ts'
import { P2PError } from '../core/errors.ts'
import type { P2PErrorOf } from '../core/errors.ts'
import type { P2PNodeId } from '../core/node-id.ts'

/** The end of all connections of a node that is closed. */
export const NODE_CLOSED: CarrierClose = { closeCode: 0, reason: 'the node was closed', by: 'local' }

/** An end that neither side has asked for. */
export const TRANSPORT_ENDS: Readonly<Record<'timedOut' | 'reset' | 'lost', CarrierClose>> = {
  timedOut: { closeCode: 0, reason: 'timed out: no sign of life from the peer', by: 'transport' },
  reset: { closeCode: 0, reason: 'the peer no longer knows this connection: it may have restarted', by: 'transport' },
  lost: { closeCode: 0, reason: 'the transport gave the connection up', by: 'transport' },
}

/** The error of everything that waits on a connection that is over. */
export function closeError(close: CarrierClose, options?: ErrorOptions): P2PErrorOf<'connection-closed'> {
  const who = close.by === 'local' ? 'this side' : close.by === 'remote' ? 'the peer' : 'the transport'
  const why = close.reason === '' ? '' : `: ${close.reason}`
  return P2PError.of(
    'connection-closed',
    `${who} closed the connection (code ${close.closeCode})${why}`,
    { closeCode: close.closeCode, reason: close.reason, by: close.by },
    options,
  )
}

/** Errors of streams and datagrams. */
export const streamErrors = {
  stoppedByPeer: (streamCode: number, options?: ErrorOptions): P2PError =>
    P2PError.of(
      'stream-stopped',
      `the peer wants no more bytes on this stream (code ${streamCode})`,
      { streamCode },
      options,
    ),
  resetByPeer: (streamCode: number, options?: ErrorOptions): P2PError =>
    P2PError.of('stream-reset', `the peer abandoned this stream (code ${streamCode})`, { streamCode }, options),
  finished: (options?: ErrorOptions): P2PError =>
    P2PError.of('stream-stopped', 'this side has finished or given up the stream', { streamCode: 0 }, options),
  stoppedHere: (streamCode: number): P2PError =>
    P2PError.of('stream-stopped', `this side stopped reading (code ${streamCode})`, { streamCode }),
  unfinished: (): P2PError =>
    P2PError.of('stream-stopped', 'delivery is confirmed for streams that were finished only', { streamCode: 0 }),
  failed: (options?: ErrorOptions): P2PError => P2PError.of('connection-failed', 'the stream failed', {}, options),
  datagramTooLarge: (size: number, max: number, options?: ErrorOptions): P2PError => {
    const message = `a datagram of ${size} B does not fit, the path carries ${max} B now`
    return P2PError.of('message-too-large', message, { size, max }, options)
  },
  datagramFailed: (options?: ErrorOptions): P2PError =>
    P2PError.of('connection-failed', 'the datagram could not be sent', {}, options),
}

/** Errors of attempts to connect. */
export const connectErrors = {
  noProtocol: (peer: P2PNodeId, alpn: string, options?: ErrorOptions): P2PError => {
    const message = `${peer.fmtShort()} does not serve the protocol ${JSON.stringify(alpn)}: nobody listens for it there`
    return P2PError.of('refused', message, { node: peer.toString() }, options)
  },
  nobodyListens: (peer: P2PNodeId, options?: ErrorOptions): P2PError => {
    const message = `${peer.fmtShort()} refused the connection: nobody listens there`
    return P2PError.of('refused', message, { node: peer.toString() }, options)
  },
  noRoute: (peer: P2PNodeId, options?: ErrorOptions): P2PError => {
    const message = `no way to reach ${peer.fmtShort()}: no address or relay of it is known that this node could use; connect with its ticket`
    return P2PError.of('no-route', message, { node: peer.toString() }, options)
  },
  self: (options?: ErrorOptions): P2PError =>
    P2PError.of('self-connect', 'a node cannot connect to itself; call the code directly instead', {}, options),
  noAnswer: (peer: P2PNodeId, afterMs: number, options?: ErrorOptions): P2PError => {
    const after = Math.round(afterMs)
    const message = `no answer from ${peer.fmtShort()} within ${after} ms: is it running, and is its address current?`
    return P2PError.of('timeout', message, { afterMs }, options)
  },
  brokenOff: (peer: P2PNodeId, options?: ErrorOptions): P2PError =>
    P2PError.of('connection-failed', `${peer.fmtShort()} broke off the handshake`, {}, options),
  wrongPeer: (peer: P2PNodeId, options?: ErrorOptions): P2PError => {
    const message = `at that address is somebody else than ${peer.fmtShort()}: the address may be out of date`
    return P2PError.of('connection-failed', message, {}, options)
  },
  failed: (peer: P2PNodeId, options?: ErrorOptions): P2PError =>
    P2PError.of('connection-failed', `the handshake with ${peer.fmtShort()} failed`, {}, options),
}

/** Errors of binding the sockets; `where` is what was to be bound. */
export const bindErrors = {
  inUse: (where: string, options?: ErrorOptions): P2PError => {
    const message = `cannot bind ${where}: a port is in use already; choose another, or 0 for any`
    return P2PError.of('network', message, {}, options)
  },
  notOurs: (where: string, options?: ErrorOptions): P2PError =>
    P2PError.of('network', `cannot bind ${where}: this machine has no such address`, {}, options),
  notPermitted: (where: string, options?: ErrorOptions): P2PError => {
    const message = `cannot bind ${where}: permission denied; ports below 1024 may need more rights`
    return P2PError.of('network', message, {}, options)
  },
  failed: (where: string, options?: ErrorOptions): P2PError =>
    P2PError.of('network', `cannot bind ${where}`, {}, options),
}

/** The addresses to bind, in words. */
export function whereToBind(addresses: readonly string[]): string {
  return addresses.length === 0 ? 'all interfaces' : addresses.join(' and ')
}
