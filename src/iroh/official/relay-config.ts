/**
 * Relays as the binding takes them.
 *
 * @module
 */
import type { RelayConfig } from '@number0/iroh'
import type { P2PRelay } from '../../core/system.ts'

/** iroh's own port. */
const QUIC_PORT = 7842

/** Address discovery over QUIC, on its standard port, comes with TLS; asking a plain relay for it costs 3 s. */
export function relayConfig({ url, token, quicPort }: P2PRelay): RelayConfig {
  const port = quicPort ?? (url.startsWith('https:') ? QUIC_PORT : 0)
  return { url, ...(port > 0 && { quicPort: port }), ...(token !== undefined && { authToken: token }) }
}
