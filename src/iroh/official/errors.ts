/**
 * What the binding says when something fails, which is Rust's debug text, as errors with codes. The text itself is kept
 * as `cause` only, without the backtrace that it may hold.
 *
 * @module
 */
import type { CarrierClose } from '../../core/carrier.ts'
import { P2PError } from '../../core/errors.ts'
import type { P2PNodeId } from '../../core/node-id.ts'

const TIMED_OUT = 'timed out: no sign of life from the peer'

/** The end of all connections of a node that is closed. */
export const NODE_CLOSED: CarrierClose = { closeCode: 0, reason: 'the node was closed', by: 'local' }

/** The text before Rust's backtrace. */
function headOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  const end = message.indexOf('\n\nStack backtrace:')
  return end < 0 ? message : message.slice(0, end)
}

/** What the binding threw, as `cause`: a backtrace of Rust helps nobody who uses this library. */
function withoutBacktrace(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const head = headOf(error)
  if (head === error.message) return error
  const { code } = error as { readonly code?: unknown }
  return Object.assign(new Error(head), code === undefined ? {} : { code })
}

/** A close that the peer has asked for, or undefined. Without a reason its text is the code alone. */
function parsePeerClose(text: string): CarrierClose | undefined {
  const match = /closed by peer: (?:(\d+)|([\s\S]*) \(code (\d+)\))$/.exec(text)
  if (!match) return undefined
  return { closeCode: Number(match[1] ?? match[3]), reason: match[2] ?? '', by: 'remote' }
}

/**
 * How a connection ended.
 *
 * @param text what `closed()` or `closeReason()` said
 * @param local how this side has closed it, if it was the first to; the text may then tell of the consequences only
 */
export function parseClose(text: string, local: CarrierClose | undefined): CarrierClose {
  if (local) return local
  if (text === 'closed') return NODE_CLOSED
  const close = parsePeerClose(text)
  if (close) return close
  const reason =
    text === 'timed out'
      ? TIMED_OUT
      : text === 'reset by peer'
        ? 'the peer no longer knows this connection: it may have restarted'
        : 'the transport gave the connection up'
  return { closeCode: 0, reason, by: 'transport' }
}

/** The error of everything that waits on a connection that is over. */
export function closeError(close: CarrierClose, cause?: unknown): P2PError {
  const who = close.by === 'local' ? 'this side' : close.by === 'remote' ? 'the peer' : 'the transport'
  const why = close.reason === '' ? '' : `: ${close.reason}`
  return P2PError.of('connection-closed', `${who} closed the connection (code ${close.closeCode})${why}`, close, {
    cause: withoutBacktrace(cause),
  })
}

/** What a call on a stream failed with; `closed` tells how the connection ended, if it has. */
export function streamError(error: unknown, closed: () => CarrierClose | undefined): P2PError {
  const head = headOf(error)
  const options = { cause: withoutBacktrace(error) }
  const match = /^(Stopped|Reset)\((\d+)\)$/.exec(head)
  const streamCode = Number(match?.[2])
  if (match?.[1] === 'Stopped') {
    const message = `the peer wants no more bytes on this stream (code ${streamCode})`
    return P2PError.of('stream-stopped', message, { streamCode }, options)
  }
  if (match?.[1] === 'Reset') {
    const message = `the peer abandoned this stream (code ${streamCode})`
    return P2PError.of('stream-reset', message, { streamCode }, options)
  }
  const close = closed()
  if (close) return closeError(close, error)
  if (head.startsWith('ClosedStream')) {
    const message = 'this side has finished or given up the stream'
    return P2PError.of('stream-stopped', message, { streamCode: 0 }, options)
  }
  return P2PError.of('connection-failed', 'the stream failed', {}, options)
}

/** What sending a datagram of `size` bytes failed with, where the path carries `max` now. */
export function datagramError(
  error: unknown,
  size: number,
  max: number,
  closed: () => CarrierClose | undefined,
): P2PError {
  const close = closed()
  if (close) return closeError(close, error)
  const options = { cause: withoutBacktrace(error) }
  if (size > max) {
    const message = `a datagram of ${size} B does not fit, the path carries ${max} B now`
    return P2PError.of('message-too-large', message, { size, max }, options)
  }
  return P2PError.of('connection-failed', 'the datagram could not be sent', {}, options)
}

/** What an attempt to connect failed with. */
export function connectError(error: unknown, peer: P2PNodeId, alpn: string, afterMs: number): P2PError {
  const head = headOf(error)
  const node = peer.fmtShort()
  const options = { cause: withoutBacktrace(error) }
  const close = parsePeerClose(head)
  if (close) return closeError(close, error)
  const failed = (why: string): P2PError => P2PError.of('connection-failed', why, {}, options)
  // Before all else, as what follows are words of the peer's choice.
  const aborted = /(?:^|\n\s*)aborted by peer: (.*)/.exec(head)?.[1]
  if (aborted !== undefined) {
    // RFC 8446 alert 120, no_application_protocol.
    if (aborted.startsWith('the cryptographic handshake failed: error 120:')) {
      const message = `${node} does not serve the protocol ${JSON.stringify(alpn)}: nobody listens for it there`
      return P2PError.of('refused', message, { node: peer.toString() }, options)
    }
    if (aborted.startsWith('the server refused')) {
      const message = `${node} refused the connection: nobody listens there`
      return P2PError.of('refused', message, { node: peer.toString() }, options)
    }
    return failed(`${node} broke off the handshake`)
  }
  if (head.includes('No addressing information available')) return noRoute(peer, error)
  if (head.includes('Connecting to ourself')) {
    return P2PError.of('self-connect', 'a node cannot connect to itself; call the code directly instead', {}, options)
  }
  if (/(?:^|\n\s*)timed out$/.test(head)) {
    const message = `no answer from ${node} within ${Math.round(afterMs)} ms: is it running, and is its address current?`
    return P2PError.of('timeout', message, { afterMs }, options)
  }
  if (/(?:^|\n\s*)(?:Endpoint is closed|closed$)/.test(head)) {
    return closeError(NODE_CLOSED, error)
  }
  // RFC 8446 alert 48, unknown_ca: the key is not the one that was dialled.
  if (head.includes('handshake failed: error 48:')) {
    return failed(`at that address is somebody else than ${node}: the address may be out of date`)
  }
  return failed(`the handshake with ${node} failed`)
}

/** The error for a peer without any usable address. */
export function noRoute(peer: P2PNodeId, cause?: unknown): P2PError {
  const message = `no way to reach ${peer.fmtShort()}: no address or relay of it is known that this node could use; connect with its ticket`
  return P2PError.of('no-route', message, { node: peer.toString() }, { cause: withoutBacktrace(cause) })
}

/** What binding the sockets failed with. */
export function bindError(error: unknown, addresses: readonly string[]): P2PError {
  const head = headOf(error)
  const where = addresses.length === 0 ? 'all interfaces' : addresses.join(' and ')
  const options = { cause: withoutBacktrace(error) }
  if (head.includes('already in use')) {
    const message = `cannot bind ${where}: a port is in use already; choose another, or 0 for any`
    return P2PError.of('network', message, {}, options)
  }
  if (head.includes('Cannot assign requested address')) {
    return P2PError.of('network', `cannot bind ${where}: this machine has no such address`, {}, options)
  }
  if (head.includes('Permission denied')) {
    return P2PError.of(
      'network',
      `cannot bind ${where}: permission denied; ports below 1024 may need more rights`,
      {},
      options,
    )
  }
  return P2PError.of('network', `cannot bind ${where}`, {}, options)
}

/** Whether a failure to bind says that the machine has no IPv6. */
export function lacksIpv6(error: unknown): boolean {
  return /Cannot assign requested address|not supported|os error (?:97|99|47|49|10047|10049)\)/.test(headOf(error))
}
