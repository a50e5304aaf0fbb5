/**
 * A network address translator (RFC 4787). Whether two hosts can punch through is written down nowhere: it follows from
 * packets meeting mappings and filters.
 *
 * Time-outs cost no events: what is over is noticed when a packet meets it.
 *
 * @module
 */
import { invalidConfiguration } from '../../core/config.ts'
import type { Kernel } from '../kernel.ts'
import type { AddressBook, IpAddress, SocketAddress } from './addresses.ts'
import { Drop, type DropCode, NetworkKind } from './kinds.ts'
import { type NatBehaviour, type NatOptions, type NatSettings, resolveNatOptions } from './nat-options.ts'

const FIRST_PORT = 1024
const PORTS = 65_536 - FIRST_PORT
/** Sessions below which cleaning up is not worth the time. */
const SMALLEST_SWEEP = 256
/** Set apart from all peers: a forwarded port's mapping is for everybody. */
const FORWARDED = -1

/** Packets between a mapping and whom its filter lets in. */
interface Session {
  /** Whom the filter takes it for, as `keyOf` says. */
  readonly key: number
  /** Who that was first. */
  readonly remote: SocketAddress
  expiresUs: number
  /** Whether anything has come back. */
  isReplied: boolean
}

/** An inside address's way out: its outside address, for all peers or for some. */
interface Mapping {
  readonly inside: SocketAddress
  readonly outside: SocketAddress
  /** Which peers it is for, as `keyOf` says. */
  readonly key: number
  /** Whom the filter lets in, by `keyOf`. */
  readonly sessions: Map<number, Session>
  /** The session used last, mostly the only one. */
  recent: Session | undefined
  /** The latest of the sessions; infinite for a forwarded port. */
  expiresUs: number
}

/** A mapping as plain data. */
export interface NatMappingSnapshot {
  readonly inside: string
  readonly outside: string
  /** Whom it lets in: of peers that the filter does not tell apart the first. */
  readonly peers: readonly string[]
  /** Milliseconds until it is forgotten; infinite for a forwarded port. */
  readonly expiresInMs: number
}

/** A NAT with one outside address. */
export class Nat {
  readonly name: string
  readonly settings: NatSettings
  readonly #kernel: Kernel
  readonly #book: AddressBook
  #outsideIp: IpAddress
  readonly #byInside = new Map<SocketAddress, Map<number, Mapping>>()
  readonly #byPort = new Map<number, Mapping>()
  /** The mapping used last. */
  #recent: Mapping | undefined
  #nextPort = FIRST_PORT
  #sessions = 0
  #sweepAt = SMALLEST_SWEEP
  /** No session ends before this. */
  #earliestEndUs = 0

  /** @throws P2PError `invalid-configuration` */
  constructor(kernel: Kernel, book: AddressBook, name: string, options: NatOptions, outsideIp: IpAddress) {
    this.name = name
    this.settings = resolveNatOptions(options, `the NAT of ${name}`)
    this.#kernel = kernel
    this.#book = book
    this.#outsideIp = outsideIp
  }

  /** Its outside address. */
  get outsideIp(): IpAddress {
    return this.#outsideIp
  }

  /**
   * A packet leaves: the outside address it goes on with, opening a mapping where there is none, or why it is dropped.
   */
  outbound(source: SocketAddress, destination: SocketAddress): SocketAddress | DropCode {
    const { settings } = this
    if (settings.blocksUdp) return Drop['udp-blocked']
    if (source.ip.version !== this.#outsideIp.version) return Drop['no-route']
    const now = this.#kernel.nowUs()
    const filterKey = keyOf(settings.filtering, destination)
    let mapping = this.#find(source, destination, now)
    let session = mapping && findSession(mapping, filterKey)
    if (!mapping || !session) {
      if (!this.#hasRoom(now)) return Drop['nat-full']
      mapping ??= this.#open(source, destination, now)
      if (!mapping) return Drop['nat-full']
      session = { key: filterKey, remote: destination, expiresUs: 0, isReplied: false }
      mapping.sessions.set(filterKey, session)
      this.#sessions++
    } else if (session.expiresUs <= now) {
      session.isReplied = false
    }
    session.expiresUs = now + (session.isReplied ? settings.mappingTimeoutUs : settings.unrepliedTimeoutUs)
    if (session.expiresUs < this.#earliestEndUs) this.#earliestEndUs = session.expiresUs
    if (session.expiresUs > mapping.expiresUs) mapping.expiresUs = session.expiresUs
    return mapping.outside
  }

  /** A packet arrives at an outside address: the inside address it goes on to, or why it is dropped. */
  inbound(source: SocketAddress, outside: SocketAddress): SocketAddress | DropCode {
    const { settings } = this
    if (settings.blocksUdp) return Drop['udp-blocked']
    const now = this.#kernel.nowUs()
    if (this.#recent?.outside !== outside) this.#recent = this.#byPort.get(outside.port)
    const mapping = this.#recent
    if (!mapping || mapping.expiresUs <= now) return Drop['nat-unmapped']
    const session = findSession(mapping, keyOf(settings.filtering, source))
    if (session && session.expiresUs > now) {
      session.isReplied = true
      if (settings.refreshOnInbound) {
        session.expiresUs = now + settings.mappingTimeoutUs
        if (session.expiresUs > mapping.expiresUs) mapping.expiresUs = session.expiresUs
      }
    } else if (mapping.expiresUs !== Number.POSITIVE_INFINITY) {
      return Drop['nat-filtered']
    }
    return mapping.inside
  }

  /**
   * Forwards an outside port to a host inside for good, as a port mapping protocol or a person does, open to anybody.
   * The host's packets leave by it too.
   *
   * @returns the outside address
   * @throws P2PError `invalid-configuration` when a port is bad or in use
   */
  forwardPort(insideIp: IpAddress, insidePort: number, outsidePort: number): SocketAddress {
    for (const [name, port] of Object.entries({ port: insidePort, outsidePort })) {
      if (Number.isInteger(port) && port >= 1 && port <= 65_535) continue
      throw invalidConfiguration(name, port, 'must be a port from 1 to 65535')
    }
    const inside = this.#book.socket(insideIp, insidePort)
    if (this.#isTaken(outsidePort, this.#kernel.nowUs()) && this.#byPort.get(outsidePort)?.inside !== inside) {
      throw invalidConfiguration('outsidePort', outsidePort, `is in use on the NAT of ${this.name}`)
    }
    for (const mapping of this.#byInside.get(inside)?.values() ?? []) this.#close(mapping)
    const { outside } = this.#add(inside, outsidePort, FORWARDED, Number.POSITIVE_INFINITY)
    this.#kernel.audit.record(NetworkKind.natMapping, -1, inside.index, outside.index, 1)
    return outside
  }

  /** Forgets everything but forwarded ports, as a restart does: hosts inside come out of other ports afterwards. */
  flush(): void {
    const mappings = [...this.#byPort.values()].filter((mapping) => mapping.key !== FORWARDED)
    for (const mapping of mappings) this.#close(mapping)
    this.#kernel.audit.record(NetworkKind.natFlush, -1, this.#outsideIp.index, mappings.length)
  }

  /** Takes another outside address; forgets everything, forwarded ports included. */
  renumber(outsideIp: IpAddress): void {
    for (const mapping of this.#byPort.values()) this.#close(mapping)
    this.#outsideIp = outsideIp
    this.#kernel.audit.record(NetworkKind.natFlush, -1, outsideIp.index)
  }

  /** The mappings that are alive, oldest first. */
  snapshot(): NatMappingSnapshot[] {
    const now = this.#kernel.nowUs()
    const alive = [...this.#byPort.values()].filter((mapping) => mapping.expiresUs > now)
    return alive.map((mapping) => ({
      inside: mapping.inside.toString(),
      outside: mapping.outside.toString(),
      peers: [...mapping.sessions.values()].filter((it) => it.expiresUs > now).map((it) => it.remote.toString()),
      expiresInMs: (mapping.expiresUs - now) / 1000,
    }))
  }

  #find(source: SocketAddress, destination: SocketAddress, now: number): Mapping | undefined {
    const key = keyOf(this.settings.mapping, destination)
    const recent = this.#recent
    if (recent?.inside === source && recent.key === key && recent.expiresUs > now) return recent
    const mappings = this.#byInside.get(source)
    if (!mappings) return undefined
    const forwarded = mappings.get(FORWARDED)
    if (forwarded) return forwarded
    const mapping = mappings.get(key)
    if (mapping) {
      if (mapping.expiresUs > now) return (this.#recent = mapping)
      this.#close(mapping)
    }
    if (this.settings.portAllocation !== 'preserve') return undefined
    // A preserved port is shared by all of one inside address's peers: replies tell them apart.
    const preserved = this.#byPort.get(source.port)
    return preserved?.inside === source && preserved.expiresUs > now ? preserved : undefined
  }

  #open(source: SocketAddress, destination: SocketAddress, now: number): Mapping | undefined {
    const port = this.#allocate(source.port, now)
    if (port === undefined) return undefined
    const mapping = this.#add(source, port, keyOf(this.settings.mapping, destination), now)
    this.#kernel.audit.record(NetworkKind.natMapping, -1, source.index, mapping.outside.index)
    return mapping
  }

  #add(inside: SocketAddress, port: number, key: number, expiresUs: number): Mapping {
    const outside = this.#book.socket(this.#outsideIp, port)
    const mapping: Mapping = { inside, outside, key, sessions: new Map(), recent: undefined, expiresUs }
    this.#byPort.set(port, mapping)
    let mappings = this.#byInside.get(inside)
    if (!mappings) this.#byInside.set(inside, (mappings = new Map()))
    mappings.set(key, mapping)
    return mapping
  }

  #close(mapping: Mapping): void {
    this.#byPort.delete(mapping.outside.port)
    const mappings = this.#byInside.get(mapping.inside)
    mappings?.delete(mapping.key)
    if (mappings?.size === 0) this.#byInside.delete(mapping.inside)
    this.#sessions -= mapping.sessions.size
    if (this.#recent === mapping) this.#recent = undefined
  }

  #allocate(insidePort: number, now: number): number | undefined {
    const { portAllocation } = this.settings
    if (portAllocation === 'preserve' && insidePort > 0 && !this.#isTaken(insidePort, now)) return insidePort
    let first = insidePort
    if (portAllocation === 'sequential') first = this.#nextPort
    if (portAllocation === 'random') {
      first = FIRST_PORT + this.#kernel.random(`nat/${this.name}/ports`).nextBelow(PORTS)
    }
    for (let i = 0; i < PORTS; i++) {
      const port = FIRST_PORT + ((Math.max(first, FIRST_PORT) - FIRST_PORT + i) % PORTS)
      if (this.#isTaken(port, now)) continue
      if (portAllocation === 'sequential') this.#nextPort = port === 65_535 ? FIRST_PORT : port + 1
      return port
    }
    return undefined
  }

  /** Whether a live mapping has the port; a dead one is closed. */
  #isTaken(port: number, now: number): boolean {
    const mapping = this.#byPort.get(port)
    if (!mapping) return false
    if (mapping.expiresUs > now) return true
    this.#close(mapping)
    return false
  }

  /** Whether one more session fits, after throwing out what is over, from time to time. */
  #hasRoom(now: number): boolean {
    const { maxSessions } = this.settings
    const isFull = this.#sessions >= maxSessions
    if (isFull ? now >= this.#earliestEndUs : this.#sessions >= this.#sweepAt) this.#sweep(now)
    return this.#sessions < maxSessions
  }

  #sweep(now: number): void {
    let earliest = Number.POSITIVE_INFINITY
    for (const mapping of this.#byPort.values()) {
      for (const [key, session] of mapping.sessions) {
        if (session.expiresUs <= now) {
          mapping.sessions.delete(key)
          mapping.recent = undefined
          this.#sessions--
        } else if (session.expiresUs < earliest) {
          earliest = session.expiresUs
        }
      }
      if (mapping.expiresUs <= now) this.#close(mapping)
    }
    this.#earliestEndUs = earliest
    this.#sweepAt = Math.max(SMALLEST_SWEEP, 2 * this.#sessions)
  }
}

function findSession(mapping: Mapping, key: number): Session | undefined {
  if (mapping.recent?.key !== key) mapping.recent = mapping.sessions.get(key)
  return mapping.recent
}

/** What a NAT of that behaviour keeps peers apart by. */
function keyOf(behaviour: NatBehaviour, peer: SocketAddress): number {
  if (behaviour === 'endpoint-independent') return 0
  return behaviour === 'address-dependent' ? peer.ip.index : peer.index
}
