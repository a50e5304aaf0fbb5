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

/**
 * Whether an `ip:port` text can be the address of a node as others see it: unicast, and with a port; of the loopback
 * interface only where nothing else counts.
 */
export function isReflexive(address: string, loopbackOnly: boolean): boolean {
  const parsed = parseSocketAddress(address)
  if (!parsed || parsed.port === 0) return false
  const { bytes } = parsed
  const [first = 0, second = 0] = bytes
  // 0.0.0.0/8, link-local, multicast and what is above it; ::, link-local and multicast.
  const isUsable =
    bytes.length === 4
      ? first > 0 && first < 224 && !(first === 169 && second === 254)
      : bytes.some((byte) => byte !== 0) && first !== 0xff && !(first === 0xfe && (second & 0xc0) === 0x80)
  return isUsable && isLoopback(address) === loopbackOnly
}

/** Whether an `ip:port` text is of this machine's loopback: 127.0.0.0/8 (RFC 6890) or ::1. */
export function isLoopback(address: string): boolean {
  const bytes = parseSocketAddress(address)?.bytes
  if (!bytes) return false
  return bytes.length === 4 ? bytes[0] === 127 : bytes.every((byte, i) => byte === (i === 15 ? 1 : 0))
}
