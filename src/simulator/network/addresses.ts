/**
 * IP addresses, socket addresses and prefixes of the virtual internet: text at the edges, interned objects inside.
 *
 * One {@link AddressBook} belongs to one fabric. It hands out the same object for the same address, so that equality is
 * `===`, and each object has an `index`, a small whole number counted from the first use, which tables and the audit
 * use as a key.
 *
 * @module
 */
import { formatIPv6, parseSocketAddress, withPort } from '../../core/address.ts'
import { invalidConfiguration } from '../../core/config.ts'
import { P2PError } from '../../core/errors.ts'

/** An IPv4 or IPv6 address. Made by an {@link AddressBook}; equal addresses of one book are the same object. */
export class IpAddress {
  /** Counts the book's addresses from 0, in the order of their first use. */
  readonly index: number
  readonly version: 4 | 6
  /** The address as a whole number, for ordering and prefixes. */
  readonly value: bigint
  /** `10.0.0.1` or `fd00::1` (RFC 5952). */
  readonly text: string
  /** @internal The first of its socket addresses: most have no other. */
  firstSocket: SocketAddress | undefined
  /** @internal The others, by port. */
  otherSockets: Map<number, SocketAddress> | undefined

  /** @internal */
  constructor(index: number, version: 4 | 6, value: bigint, text: string) {
    this.index = index
    this.version = version
    this.value = value
    this.text = text
  }

  toString(): string {
    return this.text
  }
}

/** An IP address and a UDP port. Made by an {@link AddressBook}; equal ones of one book are the same object. */
export class SocketAddress {
  /** Counts the book's socket addresses from 0, in the order of their first use. */
  readonly index: number
  readonly ip: IpAddress
  readonly port: number
  /** @internal Of the IP address: so that a packet touches one object less. */
  readonly version: 4 | 6
  /** @internal */
  readonly ipIndex: number

  /** @internal */
  constructor(index: number, ip: IpAddress, port: number) {
    this.index = index
    this.ip = ip
    this.port = port
    this.version = ip.version
    this.ipIndex = ip.index
  }

  /** `10.0.0.1:53` or `[fd00::1]:53`. */
  toString(): string {
    return this.ip.version === 4 ? `${this.ip.text}:${this.port}` : `[${this.ip.text}]:${this.port}`
  }
}

/** Orders IPv4 before IPv6, then by number: negative, 0 or positive. */
export function compareIpAddresses(a: IpAddress, b: IpAddress): number {
  if (a.version !== b.version) return a.version - b.version
  if (a.value === b.value) return 0
  return a.value < b.value ? -1 : 1
}

/** Orders by IP address, then by port: negative, 0 or positive. */
export function compareSocketAddresses(a: SocketAddress, b: SocketAddress): number {
  return compareIpAddresses(a.ip, b.ip) || a.port - b.port
}

/** A block of addresses, such as `192.168.1.0/24`. */
export interface Prefix {
  readonly version: 4 | 6
  /** The first address, as a whole number. */
  readonly base: bigint
  /** How many leading bits are fixed. */
  readonly bits: number
  readonly text: string
}

const LEADING_BYTES_OF_NOBODY: readonly number[] = [0, 127]

/** Whether no host can have the address: unspecified, loopback, multicast and what is above it (RFC 6890, 4291). */
export function isOfNobody({ version, value }: IpAddress): boolean {
  if (version === 6) return value <= 1n || value >> 120n === 0xffn
  const first = Number(value >> 24n)
  return LEADING_BYTES_OF_NOBODY.includes(first) || first >= 224
}

/** The most addresses a book holds; past it the simulation is leaking addresses. */
const MAX_ADDRESSES = 8_388_608

function toVersion(bytes: Uint8Array): 4 | 6 {
  return bytes.length === 4 ? 4 : 6
}

function toValue(bytes: Uint8Array): bigint {
  return bytes.reduce((value, byte) => value * 256n + BigInt(byte), 0n)
}

function parseIp(text: string): Uint8Array | undefined {
  return parseSocketAddress(withPort(text, 0))?.bytes
}

function formatIp(version: 4 | 6, value: bigint): string {
  const bytes = new Uint8Array(version === 4 ? 4 : 16)
  let rest = value
  for (let i = bytes.length - 1; i >= 0; i--) {
    bytes[i] = Number(rest & 255n)
    rest >>= 8n
  }
  return version === 4 ? bytes.join('.') : formatIPv6(bytes)
}

/**
 * Reads `address/bits`; bits of the address past the prefix must be 0.
 *
 * @throws P2PError `invalid-configuration` that names `name`
 */
export function parsePrefix(text: string, name: string): Prefix {
  const [address = '', length = ''] = typeof text === 'string' ? text.split('/') : []
  const bytes = parseIp(address)
  const bits = /^\d{1,3}$/.test(length) ? Number(length) : -1
  if (!bytes || bits < 0 || bits > bytes.length * 8) {
    throw invalidConfiguration(name, text, 'must be a prefix such as 192.168.1.0/24')
  }
  const base = toValue(bytes)
  if (base % (1n << BigInt(bytes.length * 8 - bits)) !== 0n) {
    throw invalidConfiguration(name, text, `has bits set past the first ${bits}`)
  }
  return { version: toVersion(bytes), base, bits, text }
}

/** Every address of one virtual internet. */
export class AddressBook {
  readonly #ips = new Map<string, IpAddress>()
  readonly #parsed = new Map<string, SocketAddress>()
  #sockets = 0

  /**
   * The address that `text` writes, in any of its forms.
   *
   * @throws P2PError `invalid-configuration`
   */
  ip(text: string): IpAddress {
    const known = this.#ips.get(text)
    if (known) return known
    const bytes = typeof text === 'string' ? parseIp(text) : undefined
    if (!bytes) throw invalidConfiguration('ip', text, 'is no IPv4 or IPv6 address')
    return this.ipOf(toVersion(bytes), toValue(bytes))
  }

  /** The address of that number. */
  ipOf(version: 4 | 6, value: bigint): IpAddress {
    const text = formatIp(version, value)
    const known = this.#ips.get(text)
    if (known) return known
    this.#checkRoom(this.#ips.size)
    const ip = new IpAddress(this.#ips.size, version, value, text)
    this.#ips.set(text, ip)
    return ip
  }

  /** The socket address of that port (0..65535; checked by the callers that take it from outside). */
  socket(ip: IpAddress, port: number): SocketAddress {
    const first = ip.firstSocket
    if (first?.port === port) return first
    const known = ip.otherSockets?.get(port)
    if (known) return known
    this.#checkRoom(this.#sockets)
    const socket = new SocketAddress(this.#sockets++, ip, port)
    if (!first) return (ip.firstSocket = socket)
    ip.otherSockets ??= new Map()
    ip.otherSockets.set(port, socket)
    return socket
  }

  /**
   * Reads `10.0.0.1:53` or `[fd00::1]:53`.
   *
   * @throws P2PError `invalid-configuration`
   */
  parse(text: string): SocketAddress {
    const known = this.#parsed.get(text)
    if (known) return known
    const parsed = parseSocketAddress(text)
    if (!parsed) throw invalidConfiguration('address', text, 'must be ip:port, such as 10.0.0.1:53 or [fd00::1]:53')
    const socket = this.socket(this.ipOf(toVersion(parsed.bytes), toValue(parsed.bytes)), parsed.port)
    // The cache is only for texts that are written often; other spellings are read anew.
    if (socket.toString() === text) this.#parsed.set(text, socket)
    return socket
  }

  #checkRoom(used: number): void {
    if (used < MAX_ADDRESSES) return
    throw P2PError.of(
      'limit-exceeded',
      `the virtual internet has used ${MAX_ADDRESSES} addresses; is a loop making new ones?`,
      {
        limit: 'addresses',
        max: MAX_ADDRESSES,
      },
    )
  }
}

/** Hands out a prefix's addresses in order, without its first (the network) and its last (broadcast). */
export class AddressPool {
  readonly prefix: Prefix
  readonly #book: AddressBook
  readonly #end: bigint
  #next: bigint

  constructor(book: AddressBook, prefix: Prefix) {
    this.prefix = prefix
    this.#book = book
    this.#next = prefix.base + 1n
    this.#end = prefix.base + (1n << BigInt((prefix.version === 4 ? 32 : 128) - prefix.bits)) - 1n
  }

  /** Whether `ip` is the first or the last of the prefix of IPv4, which no host has: the network's own, and broadcast. */
  isReserved(ip: IpAddress): boolean {
    return this.prefix.bits < 31 && ip.version === 4 && (ip.value === this.prefix.base || ip.value === this.#end)
  }

  /** Whether `ip` is inside the prefix. */
  contains(ip: IpAddress): boolean {
    return ip.version === this.prefix.version && ip.value >= this.prefix.base && ip.value <= this.#end
  }

  /**
   * The next address that `isTaken` does not know. Addresses given up are not handed out again: a host that moves gets
   * a new one.
   *
   * @throws P2PError `limit-exceeded` when there is none left
   */
  take(isTaken: (ip: IpAddress) => boolean): IpAddress {
    while (this.#next < this.#end) {
      const ip = this.#book.ipOf(this.prefix.version, this.#next++)
      if (!isTaken(ip)) return ip
    }
    const max = Number(this.#end - this.prefix.base) - 1
    throw P2PError.of('limit-exceeded', `${this.prefix.text} has no free address left; give it a shorter prefix`, {
      limit: 'addresses',
      max,
    })
  }
}
