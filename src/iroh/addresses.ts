/**
 * Socket addresses, as far as binding is concerned.
 *
 * @module
 */
import { parseSocketAddress } from '../core/address.ts'

/** Whether an `ip:port` text is IPv4. */
export function isIpv4(address: string): boolean {
  return parseSocketAddress(address)?.bytes.length === 4
}

/** Whether an `ip:port` text is of this machine's loopback: 127.0.0.0/8 (RFC 6890) or ::1. */
export function isLoopback(address: string): boolean {
  const bytes = parseSocketAddress(address)?.bytes
  if (!bytes) return false
  return bytes.length === 4 ? bytes[0] === 127 : bytes.every((byte, i) => byte === (i === 15 ? 1 : 0))
}
