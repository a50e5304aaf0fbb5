/**
 * Relays as the addon reads them (`native/src/relays.rs`).
 *
 * @module
 */
import type { P2PRelay } from '../../core/system.ts'

/** A relay as the addon reads it. */
export function relayText({ url, token, quicPort }: P2PRelay): string {
  const port = quicPort === undefined ? '' : ` quic=${quicPort}`
  return `${url}${port}${token === undefined ? '' : ` token=${token}`}`
}

/** Whether it may tell this node's address over QUIC; with TLS it does unless told otherwise. */
export function discoversAddresses({ url, quicPort }: P2PRelay): boolean {
  return (quicPort ?? (url.startsWith('https:') ? 1 : 0)) > 0
}
