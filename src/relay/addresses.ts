/**
 * How many connections an address has.
 *
 * @module
 */
import { parseSocketAddress } from '../core/address.ts'

/** Who counts as one: an IPv4 address, or the /64 that an IPv6 host commonly has to itself. */
export function groupOf(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '')
  if (!plain.includes(':')) return plain
  const bytes = parseSocketAddress(`[${plain}]:1`)?.bytes
  return bytes ? Buffer.from(bytes.subarray(0, 8)).toString('hex') : plain
}

/** Counts connections by address. */
export class Addresses {
  readonly #counts = new Map<string, number>()
  readonly #max: number

  constructor(max: number) {
    this.#max = max
  }

  /** Counts a connection from `address`; false when it has too many. One that is closed already has no address. */
  enter(address: string | undefined): boolean {
    if (address === undefined) return false
    const group = groupOf(address)
    const count = this.#counts.get(group) ?? 0
    if (count >= this.#max) return false
    this.#counts.set(group, count + 1)
    return true
  }

  /** Takes back an `enter`. */
  leave(address: string | undefined): void {
    if (address === undefined) return
    const group = groupOf(address)
    const count = (this.#counts.get(group) ?? 0) - 1
    if (count > 0) this.#counts.set(group, count)
    else this.#counts.delete(group)
  }
}
