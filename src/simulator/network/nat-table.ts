/**
 * What a network address translator remembers of one protocol: mappings from inside to outside addresses, and for each
 * the sessions with peers that its filter asks about.
 *
 * Time-outs cost no events: what is over is noticed when a packet meets it.
 *
 * @module
 */
import type { Kernel } from '../kernel.ts'
import type { AddressBook, IpAddress, SocketAddress } from './addresses.ts'
import type { PacketProtocol } from './interface.ts'
import { Drop, type DropCode, NetworkKind } from './kinds.ts'
import type { NatBehaviour, NatSettings } from './nat-options.ts'

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
  readonly protocol: PacketProtocol
  readonly inside: string
  readonly outside: string
  /** Whom it lets in: of peers that the filter does not tell apart the first. */
  readonly peers: readonly string[]
  /** Milliseconds until it is forgotten; infinite for a forwarded port. */
  readonly expiresInMs: number
}

/** What a table is of. */
export interface NatTableOptions {
  readonly protocol: PacketProtocol
  readonly settings: NatSettings
  /** How long an idle mapping lasts, once a reply has come in and before. */
  readonly timeoutUs: number
  readonly unrepliedTimeoutUs: number
  /** The name of the random stream that ports are drawn from. */
  readonly stream: string
  readonly outsideIp: IpAddress
}

/** The table; see the module's comment. */
export class NatTable {
  readonly #kernel: Kernel
  readonly #book: AddressBook
  readonly #options: NatTableOptions
  readonly #mapping: NatBehaviour
  readonly #filtering: NatBehaviour
  readonly #byInside = new Map<SocketAddress, Map<number, Mapping>>()
  readonly #byPort = new Map<number, Mapping>()
  #outsideIp: IpAddress
  /** The mapping used last. */
  #recent: Mapping | undefined
  #nextPort = FIRST_PORT
  #sessions = 0
  #sweepAt = SMALLEST_SWEEP
  /** No session ends before this. */
  #earliestEndUs = 0
  /** Ports that inside addresses had before a rebinding. */
  readonly #avoided = new Map<SocketAddress, number>()

  constructor(kernel: Kernel, book: AddressBook, options: NatTableOptions) {
    this.#kernel = kernel
    this.#book = book
    this.#options = options
    this.#mapping = options.settings.mapping
    this.#filtering = options.settings.filtering
    this.#outsideIp = options.outsideIp
  }

  /** As `Nat.outbound`. */
  outbound(source: SocketAddress, destination: SocketAddress): SocketAddress | DropCode {
    const now = this.#kernel.nowUs()
    const filterKey = keyOf(this.#filtering, destination)
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
    const { timeoutUs, unrepliedTimeoutUs } = this.#options
    session.expiresUs = now + (session.isReplied ? timeoutUs : unrepliedTimeoutUs)
    if (session.expiresUs < this.#earliestEndUs) this.#earliestEndUs = session.expiresUs
    if (session.expiresUs > mapping.expiresUs) mapping.expiresUs = session.expiresUs
    return mapping.outside
  }

  /** As `Nat.inbound`. */
  inbound(source: SocketAddress, outside: SocketAddress): SocketAddress | DropCode {
    const now = this.#kernel.nowUs()
    if (this.#recent?.outside !== outside) this.#recent = this.#byPort.get(outside.port)
    const mapping = this.#recent
    if (!mapping || mapping.expiresUs <= now) return Drop['nat-unmapped']
    const session = findSession(mapping, keyOf(this.#filtering, source))
    if (session && session.expiresUs > now) {
      session.isReplied = true
      if (this.#options.settings.refreshOnInbound) {
        session.expiresUs = now + this.#options.timeoutUs
        if (session.expiresUs > mapping.expiresUs) mapping.expiresUs = session.expiresUs
      }
    } else if (mapping.key !== FORWARDED) {
      return Drop['nat-filtered']
    }
    return mapping.inside
  }

  /**
   * Forwards an outside port to an inside address until a time, for anybody.
   *
   * @returns the outside address; undefined when the port is in use
   */
  forward(inside: SocketAddress, outsidePort: number, untilUs: number): SocketAddress | undefined {
    if (this.#isTaken(outsidePort, this.#kernel.nowUs()) && this.#byPort.get(outsidePort)?.inside !== inside) {
      return undefined
    }
    for (const mapping of this.#byInside.get(inside)?.values() ?? []) this.#close(mapping)
    const { outside } = this.#add(inside, outsidePort, FORWARDED, untilUs)
    this.#kernel.audit.record(NetworkKind.natMapping, -1, inside.index, outside.index, 1)
    this.#trace(inside, outside, 1)
    return outside
  }

  /** As `forward`, from the port that it has been lent already, the same one or the next free one. */
  lease(inside: SocketAddress, untilUs: number): SocketAddress | undefined {
    const now = this.#kernel.nowUs()
    const lent = this.#byInside.get(inside)?.get(FORWARDED)
    if (lent && lent.expiresUs > now) {
      if (untilUs > lent.expiresUs) lent.expiresUs = untilUs
      return lent.outside
    }
    const own = this.#byPort.get(inside.port)
    const port = own?.inside === inside ? inside.port : this.#search(Math.max(inside.port, FIRST_PORT), now)
    return port === undefined ? undefined : this.forward(inside, port, untilUs)
  }

  /** Forgets everything, but ports forwarded for good if they are to be kept; how many mappings. */
  flush(keepForwarded: boolean): number {
    const mappings = [...this.#byPort.values()].filter(
      ({ expiresUs }) => !keepForwarded || expiresUs !== Number.POSITIVE_INFINITY,
    )
    for (const mapping of mappings) this.#close(mapping)
    return mappings.length
  }

  /** Forgets everything but forwarded ports; whoever had a port gets another next time. How many mappings. */
  rebind(): number {
    this.#avoided.clear()
    for (const { inside, outside, key } of this.#byPort.values()) {
      if (key !== FORWARDED) this.#avoided.set(inside, outside.port)
    }
    return this.flush(true)
  }

  /** Forgets everything, and maps to another address from now on. */
  renumber(outsideIp: IpAddress): void {
    this.flush(false)
    this.#outsideIp = outsideIp
  }

  /** The mappings that are alive, oldest first. */
  snapshot(): NatMappingSnapshot[] {
    const now = this.#kernel.nowUs()
    const alive = [...this.#byPort.values()].filter((mapping) => mapping.expiresUs > now)
    const { protocol } = this.#options
    return alive.map((mapping) => ({
      protocol,
      inside: mapping.inside.toString(),
      outside: mapping.outside.toString(),
      peers: [...mapping.sessions.values()].filter((it) => it.expiresUs > now).map((it) => it.remote.toString()),
      expiresInMs: (mapping.expiresUs - now) / 1000,
    }))
  }

  #find(source: SocketAddress, destination: SocketAddress, now: number): Mapping | undefined {
    const key = keyOf(this.#mapping, destination)
    const recent = this.#recent
    if (recent?.inside === source && recent.key === key && recent.expiresUs > now) return recent
    const mappings = this.#byInside.get(source)
    if (!mappings) return undefined
    const forwarded = mappings.get(FORWARDED)
    if (forwarded) {
      if (forwarded.expiresUs > now) return forwarded
      this.#close(forwarded)
    }
    const mapping = mappings.get(key)
    if (mapping) {
      if (mapping.expiresUs > now) return (this.#recent = mapping)
      this.#close(mapping)
    }
    if (this.#options.settings.portAllocation !== 'preserve') return undefined
    // A preserved port is shared by all of one inside address's peers: replies tell them apart.
    const preserved = this.#byPort.get(source.port)
    return preserved?.inside === source && preserved.expiresUs > now ? preserved : undefined
  }

  #trace(inside: SocketAddress, outside: SocketAddress, forwarded: number): void {
    const { trace } = this.#kernel
    if (!trace) return
    const ends = { inside: trace.address(inside), outside: trace.address(outside) }
    trace.record('natMapping', { protocol: this.#options.protocol, ...ends, forwarded })
  }

  #open(source: SocketAddress, destination: SocketAddress, now: number): Mapping | undefined {
    const port = this.#allocate(source.port, now, this.#avoided.get(source))
    if (port === undefined) return undefined
    this.#avoided.delete(source)
    const mapping = this.#add(source, port, keyOf(this.#mapping, destination), now)
    this.#kernel.audit.record(NetworkKind.natMapping, -1, source.index, mapping.outside.index)
    this.#trace(source, mapping.outside, 0)
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

  #allocate(insidePort: number, now: number, avoided: number | undefined): number | undefined {
    const { portAllocation } = this.#options.settings
    if (portAllocation === 'preserve' && insidePort > 0 && insidePort !== avoided && !this.#isTaken(insidePort, now)) {
      return insidePort
    }
    let first = insidePort
    if (portAllocation === 'sequential') first = this.#nextPort
    if (portAllocation === 'random') {
      first = FIRST_PORT + this.#kernel.random(this.#options.stream).nextBelow(PORTS)
    }
    const port = this.#search(Math.max(first, FIRST_PORT), now, avoided)
    if (portAllocation === 'sequential' && port) this.#nextPort = port === 65_535 ? FIRST_PORT : port + 1
    return port
  }

  /** The first free port from there on, round and round. */
  #search(first: number, now: number, avoided?: number): number | undefined {
    for (let i = 0; i < PORTS; i++) {
      const port = FIRST_PORT + ((first - FIRST_PORT + i) % PORTS)
      if (port !== avoided && !this.#isTaken(port, now)) return port
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
    const { maxSessions } = this.#options.settings
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
