/**
 * Asking the router at the edge of a LAN to forward a port, as UPnP, NAT-PMP and PCP do.
 *
 * @module
 */
import { P2PError } from '../core/errors.ts'
import type { SimHost } from './host.ts'

/** How many outside ports are tried before giving up. */
const ATTEMPTS = 64
/** What nodes ask for: a day, as they do not ask again. */
const LIFETIME_MS = 86_400_000

/**
 * Has `port` of the host forwarded, from the same port outside or the next free one.
 *
 * @returns the outside `ip:port`, or undefined where there is no router that does so
 */
export function mapPort(host: SimHost, port: number): string | undefined {
  const { lan, portMapping = false } = host.options
  if (lan?.nat?.settings.portMapping) return lan.mapPort(host.network, port, { lifetimeMs: LIFETIME_MS })
  if (!portMapping || !lan?.nat) return undefined
  for (let i = 0; i < ATTEMPTS; i++) {
    const outside = 1024 + ((port - 1024 + i) % 64_512)
    try {
      return lan.forwardPort(host.network, port, outside)
    } catch (error) {
      if (!P2PError.is(error, 'invalid-configuration')) throw error
    }
  }
  return undefined
}
