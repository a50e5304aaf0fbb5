/**
 * Relays of a test file, on ports of their own.
 *
 * @module
 */
import { RelayServer } from '../../src/relay/index.ts'
import type { RelayOptions } from '../../src/relay/index.ts'

/** Starts a relay, and hands it to those that are closed when the test is over. */
export async function startRelay(
  open: { close(): unknown }[],
  options: Partial<RelayOptions> = {},
): Promise<RelayServer> {
  const relay = await RelayServer.start({ host: '127.0.0.1', port: 0, ...options })
  open.push(relay)
  return relay
}
