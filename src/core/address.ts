/**
 * Where a node can be reached, and its text form: iroh's tickets.
 *
 * @module
 */
import { BASE32, concatBytes, decodeBase32, encodeBase32 } from './encoding.ts'
import { P2PError } from './errors.ts'
import { NodeId } from './node-id.ts'

const PREFIX = 'endpoint'
const MAX_ADDRESSES = 256
const MAX_RELAY_BYTES = 4096
/** An id in base32 could begin like a ticket; it is shorter than any. */
const ID_LENGTH = 52

function malformed(ticket: string, why: string): P2PError {
  const shown = ticket.length > 40 ? `${ticket.slice(0, 40)}…` : ticket
  return P2PError.of('invalid-configuration', `the ticket ${JSON.stringify(shown)} is malformed: ${why}`, {
    setting: 'ticket',
    value: ticket,
  })
}

/** A host, by name or address, and a port as they are written together: an IPv6 address is in brackets. */
export function withPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** An IPv4 or IPv6 socket address (`1.2.3.4:5`, `[::1]:5`) as bytes and port, or undefined. */
export function parseSocketAddress(text: string): { bytes: Uint8Array; port: number } | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([0-9.]+)):(\d{1,5})$/i.exec(text)
  const port = Number(match?.[3])
  if (!match || port > 65_535) return undefined
  const bytes = match[2] === undefined ? parseIPv6(match[1] ?? '') : parseIPv4(match[2])
  return bytes && { bytes, port }
}

function parseIPv4(text: string): Uint8Array | undefined {
  const parts = text.split('.')
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256))
    return undefined
  return Uint8Array.from(parts, Number)
}

function parseIPv6(text: string): Uint8Array | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const groups = halves.map((half, i) => {
    if (half === '') return []
    const parts = half.split(':')
    return parts.flatMap((group, j): (number | undefined)[] => {
      if (group.includes('.') && i === halves.length - 1 && j === parts.length - 1) {
        const v4 = parseIPv4(group)
        return v4 ? [((v4[0] ?? 0) << 8) | (v4[1] ?? 0), ((v4[2] ?? 0) << 8) | (v4[3] ?? 0)] : [undefined]
      }
      return [/^[0-9a-f]{1,4}$/i.test(group) ? Number.parseInt(group, 16) : undefined]
    })
  })
  const [head = [], tail = []] = groups
  const missing = 8 - head.length - tail.length
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined
  const all = [...head, ...Array.from({ length: missing }, () => 0), ...tail]
  const bytes = new Uint8Array(16)
  for (const [i, group] of all.entries()) {
    if (group === undefined) return undefined
    bytes[2 * i] = group >> 8
    bytes[2 * i + 1] = group & 0xff
  }
  return bytes
}

/** RFC 5952: lower case, no leading zeros, the longest run of two or more zero groups as `::`, mapped IPv4 as such. */
export function formatIPv6(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0))
  let best = { start: -1, length: 1 }
  for (let start = 0; start < 8; start++) {
    let length = 0
    while (start + length < 8 && groups[start + length] === 0) length++
    if (length > best.length) best = { start, length }
  }
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    return `::ffff:${bytes.subarray(12, 16).join('.')}`
  }
  const hex = (part: number[]): string => part.map((group) => group.toString(16)).join(':')
  if (best.start < 0) return hex(groups)
  return `${hex(groups.slice(0, best.start))}::${hex(groups.slice(best.start + best.length))}`
}

/**
 * A node's id with the addresses and relays where it can be reached.
 *
 * @example
 * ```ts
 * import { NodeId, P2PAddress } from '@moosicbox/p2p'
 *
 * const id = NodeId.parse('ae58ff8833241ac82d6ff7611046ed67b5072d142c588d0063e942d9a75502b6')
 * const ticket = new P2PAddress(id, ['127.0.0.1:1024'], ['http://derp.me./']).toTicket()
 * console.log(P2PAddress.parse(ticket).relays) // [ 'http://derp.me./' ]
 * ```
 */
export class P2PAddress {
  /** Who is there. */
  readonly id: NodeId
  /** `ip:port` pairs. */
  readonly direct: readonly string[]
  /** URLs of relays. */
  readonly relays: readonly string[]

  /**
   * @throws P2PError `invalid-configuration` when an address is not `ip:port`, a relay is no URL of at most 4096 bytes,
   * or there are more than 256 of both together
   */
  constructor(id: NodeId, direct: readonly string[] = [], relays: readonly string[] = []) {
    const count = direct.length + relays.length
    if (count > MAX_ADDRESSES) {
      throw P2PError.of('invalid-configuration', `a node has at most ${MAX_ADDRESSES} addresses, not ${count}`, {
        setting: 'direct',
        value: count,
      })
    }
    for (const address of direct) {
      if (!parseSocketAddress(address)) {
        throw P2PError.of('invalid-configuration', `${JSON.stringify(address)} is not an ip:port address`, {
          setting: 'direct',
          value: address,
        })
      }
    }
    for (const relay of relays) {
      if (!URL.canParse(relay) || new TextEncoder().encode(relay).length > MAX_RELAY_BYTES) {
        const shown = JSON.stringify(relay.slice(0, 80))
        throw P2PError.of('invalid-configuration', `${shown} is not the URL of a relay`, {
          setting: 'relays',
          value: relay,
        })
      }
    }
    this.id = id
    this.direct = Object.freeze([...direct])
    this.relays = Object.freeze([...relays])
  }

  /**
   * Reads a node id in any form (without addresses) or a ticket.
   *
   * @throws P2PError `invalid-node-id`, or `invalid-configuration` for a malformed ticket
   */
  static parse(text: string): P2PAddress {
    const value = text.trim()
    const isTicket = value.length !== ID_LENGTH && value.toLowerCase().startsWith(PREFIX)
    return isTicket ? parseTicket(value) : new P2PAddress(NodeId.parse(value))
  }

  /** The ticket, in iroh's format: relays first, then addresses. */
  toTicket(): string {
    const parts: Uint8Array[] = [Uint8Array.of(0), this.id.asBytes(), varint(this.relays.length + this.direct.length)]
    for (const relay of this.relays) {
      const url = new TextEncoder().encode(relay)
      parts.push(Uint8Array.of(0), varint(url.length), url)
    }
    for (const address of this.direct) {
      const { bytes, port } = parseSocketAddress(address) ?? { bytes: new Uint8Array(4), port: 0 }
      parts.push(Uint8Array.of(1, bytes.length === 4 ? 0 : 1), bytes, varint(port))
    }
    return PREFIX + encodeBase32(concatBytes(parts), BASE32)
  }

  /** The ticket. */
  toString(): string {
    return this.toTicket()
  }
}

/** Whether both say the same of the same node. */
export function isSameAddress(a: P2PAddress, b: P2PAddress): boolean {
  return (
    a === b ||
    ((a.id === b.id || a.id.equals(b.id)) && isSameList(a.direct, b.direct) && isSameList(a.relays, b.relays))
  )
}

/** Whether both lists hold the same texts in the same order. */
export function isSameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, i) => text === b[i])
}

/** LEB128, as postcard writes integers (the tickets' serialisation), not QUIC's variable-length integers. */
function varint(value: number): Uint8Array {
  const bytes: number[] = []
  let rest = value
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80)
  return Uint8Array.from([...bytes, rest])
}

/** Takes a ticket apart, front to back. */
class TicketReader {
  readonly #ticket: string
  readonly #bytes: Uint8Array
  #offset = 0

  constructor(ticket: string, bytes: Uint8Array) {
    this.#ticket = ticket
    this.#bytes = bytes
  }

  take(length: number): Uint8Array {
    const end = this.#offset + length
    if (end > this.#bytes.length) throw malformed(this.#ticket, 'it ends too early')
    const part = this.#bytes.subarray(this.#offset, end)
    this.#offset = end
    return part
  }

  byte(): number {
    return this.take(1)[0] ?? 0
  }

  varint(max: number): number {
    let value = 0
    for (let shift = 0; shift <= 21; shift += 7) {
      const byte = this.byte()
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) {
        if (value > max) break
        return value
      }
    }
    throw malformed(this.#ticket, `it holds a number above ${max}`)
  }

  socketAddress(): string {
    const isIPv4 = this.varint(1) === 0
    const host = isIPv4 ? this.take(4).join('.') : `[${formatIPv6(this.take(16))}]`
    return `${host}:${this.varint(65_535)}`
  }

  url(): string {
    const bytes = this.take(this.varint(MAX_RELAY_BYTES))
    let url = ''
    try {
      url = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    } catch {
      // As any other text that is no URL.
    }
    if (!URL.canParse(url)) throw malformed(this.#ticket, 'a relay in it is no URL')
    return url
  }

  end(): void {
    if (this.#offset !== this.#bytes.length) throw malformed(this.#ticket, 'it has bytes left over')
  }
}

function parseTicket(ticket: string): P2PAddress {
  const { bytes, why } = decodeBase32(ticket.slice(PREFIX.length), BASE32)
  if (!bytes) throw malformed(ticket, why === 'alphabet' ? 'it has characters outside base32' : 'it was cut or altered')
  const reader = new TicketReader(ticket, bytes)
  const variant = reader.byte()
  if (variant !== 0) throw malformed(ticket, `it is of version ${variant}, and this library reads version 0`)
  const id = NodeId.fromBytes(reader.take(32))
  const direct: string[] = []
  const relays: string[] = []
  for (let left = reader.varint(MAX_ADDRESSES); left > 0; left--) {
    const isRelay = reader.varint(1) === 0
    if (isRelay) relays.push(reader.url())
    else direct.push(reader.socketAddress())
  }
  reader.end()
  return new P2PAddress(id, direct, relays)
}
