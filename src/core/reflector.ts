/**
 * The reflector protocol: a node that others can reach tells those who connect to it the addresses they are seen from
 * (`docs/wire.md`). It stands in `core` because both ends need it, and they are rooms apart.
 *
 * @module
 */
import { formatIPv6, parseSocketAddress } from './address.ts'
import { concatBytes } from './encoding.ts'
import { P2PError } from './errors.ts'

/** The protocol, version 1. */
export const REFLECTOR_ALPN = 'moosicbox/p2p-reflector/1'

/** Addresses in one report. */
export const MAX_REPORTED_ADDRESSES = 8

const IPV4 = 4
const IPV6 = 6
const PORT_BYTES = 2

/** An address of the length that its family has, or the IPv4 one that an IPv6 one wraps (RFC 4291, 2.5.5.2). */
function unwrap(bytes: Uint8Array): Uint8Array {
  const isMapped = bytes.length === 16 && bytes.every((byte, i) => i >= 12 || byte === (i < 10 ? 0 : 0xff))
  return isMapped ? bytes.subarray(12) : bytes
}

/** A report of the `ip:port` texts among `addresses`, the first {@link MAX_REPORTED_ADDRESSES} of them. */
export function encodeReport(addresses: readonly string[]): Uint8Array {
  const parts = addresses
    .map((text) => parseSocketAddress(text))
    .filter((address) => address !== undefined)
    .slice(0, MAX_REPORTED_ADDRESSES)
    .map(({ bytes, port }) => {
      const ip = unwrap(bytes)
      return concatBytes([Uint8Array.of(ip.length === 4 ? IPV4 : IPV6), ip, Uint8Array.of(port >> 8, port & 0xff)])
    })
  return concatBytes([Uint8Array.of(parts.length), ...parts])
}

/** Takes reports off a stream of bytes; it holds less than one report, so at most 152 bytes. */
export class ReportReader {
  #rest: Uint8Array = new Uint8Array(0)

  /**
   * The reports that `bytes` complete, oldest first; each takes the place of the one before.
   *
   * @throws P2PError `protocol`
   */
  push(bytes: Uint8Array): readonly (readonly string[])[] {
    this.#rest = concatBytes([this.#rest, bytes])
    const reports: (readonly string[])[] = []
    for (let report = this.#next(); report; report = this.#next()) reports.push(report)
    return reports
  }

  #next(): readonly string[] | undefined {
    const [count] = this.#rest
    if (count === undefined) return undefined
    if (count > MAX_REPORTED_ADDRESSES) {
      throw P2PError.of('protocol', `a report has at most ${MAX_REPORTED_ADDRESSES} addresses, not ${count}`, {})
    }
    const addresses: string[] = []
    let at = 1
    for (let i = 0; i < count; i++) {
      const family = this.#rest[at]
      if (family === undefined) return undefined
      if (family !== IPV4 && family !== IPV6) {
        throw P2PError.of('protocol', `an address is of family 4 or 6, not ${family}`, {})
      }
      const port = at + 1 + (family === IPV4 ? 4 : 16)
      const end = port + PORT_BYTES
      if (end > this.#rest.length) return undefined
      const ip = this.#rest.subarray(at + 1, port)
      const host = family === IPV4 ? ip.join('.') : `[${formatIPv6(ip)}]`
      addresses.push(`${host}:${((this.#rest[port] ?? 0) << 8) | (this.#rest[port + 1] ?? 0)}`)
      at = end
    }
    this.#rest = this.#rest.slice(at)
    return addresses
  }
}
