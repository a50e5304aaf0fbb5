/**
 * What the binding says when something fails, which is Rust's debug text, as errors with codes. The text itself is kept
 * as `cause` only, without the backtrace that it may hold.
 *
 * @module
 */
import type { CarrierClose } from '../../core/carrier.ts'
import type { P2PError } from '../../core/errors.ts'
import type { P2PNodeId } from '../../core/node-id.ts'
import {
  bindErrors,
  closeError,
  connectErrors,
  NODE_CLOSED,
  streamErrors,
  TRANSPORT_ENDS,
  whereToBind,
} from '../errors.ts'

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
  if (text === 'timed out') return TRANSPORT_ENDS.timedOut
  return text === 'reset by peer' ? TRANSPORT_ENDS.reset : TRANSPORT_ENDS.lost
}

/** What a call on a stream failed with; `closed` makes an error of the connection's end, if it has ended. */
export function streamError(error: unknown, closed: (options: ErrorOptions) => P2PError | undefined): P2PError {
  const head = headOf(error)
  const options = { cause: withoutBacktrace(error) }
  const match = /^(Stopped|Reset)\((\d+)\)$/.exec(head)
  const streamCode = Number(match?.[2])
  if (match?.[1] === 'Stopped') return streamErrors.stoppedByPeer(streamCode, options)
  if (match?.[1] === 'Reset') return streamErrors.resetByPeer(streamCode, options)
  const ended = closed(options)
  if (ended) return ended
  return head.startsWith('ClosedStream') ? streamErrors.finished(options) : streamErrors.failed(options)
}

/** What sending a datagram of `size` bytes failed with, where the path carries `max` now. */
export function datagramError(
  error: unknown,
  size: number,
  max: number,
  closed: () => CarrierClose | undefined,
): P2PError {
  const options = { cause: withoutBacktrace(error) }
  const close = closed()
  if (close) return closeError(close, options)
  return size > max ? streamErrors.datagramTooLarge(size, max, options) : streamErrors.datagramFailed(options)
}

/** What an attempt to connect failed with. */
export function connectError(error: unknown, peer: P2PNodeId, alpn: string, afterMs: number): P2PError {
  const head = headOf(error)
  const options = { cause: withoutBacktrace(error) }
  const close = parsePeerClose(head)
  if (close) return closeError(close, options)
  // Before all else, as what follows are words of the peer's choice.
  const aborted = /(?:^|\n\s*)aborted by peer: (.*)/.exec(head)?.[1]
  if (aborted !== undefined) {
    // RFC 8446 alert 120, no_application_protocol.
    if (aborted.startsWith('the cryptographic handshake failed: error 120:')) {
      return connectErrors.noProtocol(peer, alpn, options)
    }
    if (aborted.startsWith('the server refused')) return connectErrors.nobodyListens(peer, options)
    return connectErrors.brokenOff(peer, options)
  }
  if (head.includes('No addressing information available')) return connectErrors.noRoute(peer, options)
  if (head.includes('Connecting to ourself')) return connectErrors.self(options)
  if (/(?:^|\n\s*)timed out$/.test(head)) return connectErrors.noAnswer(peer, afterMs, options)
  if (/(?:^|\n\s*)(?:Endpoint is closed|closed$)/.test(head)) return closeError(NODE_CLOSED, options)
  // RFC 8446 alert 48, unknown_ca: the key is not the one that was dialled.
  if (head.includes('handshake failed: error 48:')) return connectErrors.wrongPeer(peer, options)
  return connectErrors.failed(peer, options)
}

/** What binding the sockets failed with. */
export function bindError(error: unknown, addresses: readonly string[]): P2PError {
  const head = headOf(error)
  const where = whereToBind(addresses)
  const options = { cause: withoutBacktrace(error) }
  if (head.includes('already in use')) return bindErrors.inUse(where, options)
  if (head.includes('Cannot assign requested address')) return bindErrors.notOurs(where, options)
  if (head.includes('Permission denied')) return bindErrors.notPermitted(where, options)
  return bindErrors.failed(where, options)
}

/** Whether a failure to bind says that the machine has no IPv6. */
export function lacksIpv6(error: unknown): boolean {
  return /Cannot assign requested address|not supported|os error (?:97|99|47|49|10047|10049)\)/.test(headOf(error))
}
