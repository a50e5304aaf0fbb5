/**
 * What headers add to a payload on the wire.
 *
 * @module
 */

/** What IPv4 (20) and UDP (8) headers add to a datagram on the wire. */
export const IPV4_OVERHEAD_BYTES = 28
/** What IPv6 (40) and UDP (8) headers add to a datagram on the wire. */
export const IPV6_OVERHEAD_BYTES = 48
/** A TCP header (20; RFC 9293, 3.1) with time stamps (12; RFC 7323, appendix A) is so much longer than UDP's. */
const TCP_OVER_UDP_BYTES = 24

/** What the headers of IP and UDP add. */
export function overheadBytes(version: 4 | 6): number {
  return version === 4 ? IPV4_OVERHEAD_BYTES : IPV6_OVERHEAD_BYTES
}

/**
 * A segment of TCP with its headers. One that is larger than fits into `mtuBytes` of UDP counts as so many full ones and
 * a rest, as a network card cuts it; what happens to it on a link happens to all of them.
 */
export function tcpWireBytes(payloadBytes: number, version: 4 | 6, mtuBytes: number): number {
  const packets = Math.max(1, Math.ceil(payloadBytes / (mtuBytes - TCP_OVER_UDP_BYTES)))
  return payloadBytes + packets * (overheadBytes(version) + TCP_OVER_UDP_BYTES)
}
