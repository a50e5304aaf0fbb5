/**
 * A relay on the virtual internet: nodes attach to it with the proof of their id, over TCP, and it forwards sealed
 * packets between those that are attached. It sees who sends how much to whom, and nothing else. It also tells nodes the
 * address at which they are seen, over UDP.
 *
 * @module
 */
import { invalidConfiguration } from '../core/config.ts'
import type { NodeId } from '../core/node-id.ts'
import { checkFields, fieldsOf } from './check-fields.ts'
import { ADDRESS_PROBE_PORT, AddressProbe, AddressReport } from './address-probe.ts'
import type { DatagramInterface, DatagramSocket, ReceivedDatagram } from './datagrams.ts'
import type { Kernel } from './kernel.ts'
import { RelayAttachment } from './relay-attachment.ts'
import type {
  RelayAttachmentHost,
  RelayAttachmentSnapshot,
  RelayRateLimit,
  ResolvedRateLimit,
} from './relay-attachment.ts'
import { TcpListener } from './tcp/socket.ts'
import type { TcpAddress, TcpEvents } from './tcp/socket.ts'
import type { TcpConnection } from './tcp/connection.ts'
import type { Packet } from './transport/packet.ts'

/** How a relay is set up. */
export interface RelaySettings {
  /** `http` attaches a round trip sooner, as `iroh-relay --dev` does. @default 'https' */
  readonly scheme?: 'http' | 'https' | undefined
  /** @default 443, or 3340 with `http` */
  readonly port?: number | undefined
  /** What each node may send. @default no limit */
  readonly rateLimit?: RelayRateLimit | undefined
  /** Which nodes may attach. @default all */
  readonly allow?: ((id: NodeId) => boolean) | undefined
}

/** @internal The names of all {@link RelaySettings}. */
export const RELAY_SETTINGS: readonly string[] = fieldsOf<RelaySettings>({
  scheme: true,
  port: true,
  rateLimit: true,
  allow: true,
})

/** Options of a {@link SimRelay}. */
export interface SimRelayOptions extends RelaySettings {
  readonly kernel: Kernel
  readonly network: DatagramInterface
  /** The index of its host, for traces. @default -1 */
  readonly host?: number | undefined
  /** Its name, for its random numbers. @default 'relay' */
  readonly name?: string | undefined
}

/** A relay as netstat shows it. */
export interface RelaySnapshot {
  readonly url: string
  readonly forwardedPackets: number
  readonly droppedPackets: number
  readonly attachments: readonly RelayAttachmentSnapshot[]
}

const MAX_CLIENTS = 100_000
const RATE_LIMIT_FIELDS: readonly string[] = ['bytesPerSecond', 'burstBytes']

/** The relay; see the module's comment. */
export class SimRelay {
  readonly #kernel: Kernel
  readonly #index: number
  readonly #listener: TcpListener
  readonly #probes: DatagramSocket
  readonly #scheme: 'http' | 'https'
  readonly #host: RelayAttachmentHost
  /** Whoever has a connection, whether it has proven an id or not. */
  readonly #connected = new Set<RelayAttachment>()
  /** The one of each node that gets its packets: the last to come. */
  readonly #active = new Map<string, RelayAttachment>()
  /** The one that each node had before, should the new one go. */
  readonly #displaced = new Map<string, RelayAttachment>()
  #forwarded = 0
  #dropped = 0
  #isDead = false

  /** @throws P2PError `network` when a port is in use, `invalid-configuration` */
  constructor(options: SimRelayOptions) {
    const { kernel, network, scheme = 'https', allow } = options
    const random = kernel.random(`relay/${options.name ?? 'relay'}`)
    this.#kernel = kernel
    this.#index = options.host ?? -1
    this.#scheme = scheme
    this.#host = {
      kernel,
      isTls: scheme === 'https',
      rateLimit: checkRateLimit(options.rateLimit),
      refusal: (id) => (allow && !allow(id) ? 'this node may not use it' : undefined),
      onAttached: (attachment) => this.#onAttached(attachment),
      onPacket: (from, peer, packet) => this.#forward(from, peer, packet),
      onGone: (attachment) => this.#onGone(attachment),
      jitterUs: (boundUs) => random.nextBelow(boundUs),
    }
    this.#listener = new TcpListener(kernel, network, random, {
      port: options.port ?? defaultPort(scheme),
      maxConnections: MAX_CLIENTS,
      accept: (tcp, remote) => this.#accept(tcp, remote),
    })
    this.#probes = network.bind(ADDRESS_PROBE_PORT, (datagram) => this.#answer(datagram))
  }

  /** The URL to attach to. */
  get url(): string {
    return relayUrl(this.#scheme, this.#listener.localAddress.toString())
  }

  /** Whether its process was killed. */
  get isDead(): boolean {
    return this.#isDead
  }

  /** How many nodes are attached. */
  get clients(): number {
    return this.#active.size
  }

  /** Packets forwarded so far. */
  get forwarded(): number {
    return this.#forwarded
  }

  /** Packets dropped so far, because too many waited for their receiver, or it was not attached. */
  get dropped(): number {
    return this.#dropped
  }

  /** Whether that node is attached. */
  isAttached(id: NodeId): boolean {
    return this.#active.has(id.toString())
  }

  /** Plain data. */
  snapshot(): RelaySnapshot {
    return {
      url: this.url,
      forwardedPackets: this.#forwarded,
      droppedPackets: this.#dropped,
      attachments: [...this.#connected].map((attachment) => attachment.snapshot()),
    }
  }

  /** The process is killed: its operating system resets all connections and refuses others, until `close`. */
  kill(): void {
    this.#isDead = true
    this.#listener.refuse()
    this.#forgetAll()
  }

  /** Ends it without a word to anyone, as when the machine loses its power. */
  close(): void {
    this.#forgetAll()
    this.#listener.close()
    this.#probes.close()
  }

  #accept(tcp: TcpConnection, remote: TcpAddress): TcpEvents {
    const attachment = new RelayAttachment(this.#host, tcp, remote.toString())
    this.#connected.add(attachment)
    return {
      onOpen: () => {},
      onMessage: (payload) => attachment.receive(payload),
      onWritable: () => attachment.onWritable(),
      onClosed: () => this.#onGone(attachment),
    }
  }

  #onAttached(attachment: RelayAttachment): void {
    const before = this.#active.get(attachment.id)
    if (before) {
      before.displace()
      this.#displaced.set(attachment.id, before)
    }
    this.#active.set(attachment.id, attachment)
    this.#trace(attachment.id, 'attached')
  }

  #onGone(attachment: RelayAttachment): void {
    attachment.destroy()
    this.#connected.delete(attachment)
    const { id } = attachment
    if (id !== '') this.#trace(id, 'detached')
    const before = this.#displaced.get(id)
    if (before === attachment) this.#displaced.delete(id)
    if (this.#active.get(id) !== attachment) return
    this.#active.delete(id)
    if (!before) return
    this.#displaced.delete(id)
    this.#active.set(id, before)
  }

  #forward(from: RelayAttachment, peer: string, packet: Packet): void {
    // Whoever is not attached gets nothing, and nobody is told.
    if (this.#active.get(peer)?.forward(from.id, packet) === true) this.#forwarded++
    else this.#dropped++
  }

  #answer({ source, payload, isCorrupted }: ReceivedDatagram): void {
    if (this.#isDead || isCorrupted === true || !(payload instanceof AddressProbe)) return
    const report = new AddressReport(payload, source.toString())
    this.#probes.send(source, report, report.sizeBytes)
  }

  #trace(id: string, what: 'attached' | 'detached'): void {
    this.#kernel.trace?.record('relay', { host: this.#index, id, what })
  }

  #forgetAll(): void {
    for (const attachment of this.#connected) attachment.destroy()
    this.#connected.clear()
    this.#active.clear()
    this.#displaced.clear()
  }
}

/** Where iroh's relays listen, and where they do in development. */
export function defaultPort(scheme: 'http' | 'https'): number {
  return scheme === 'https' ? 443 : 3_340
}

/** The URL of the relay at an `ip:port`; the port that its scheme has anyway is left out. */
export function relayUrl(scheme: 'http' | 'https', address: string): string {
  return `${scheme}://${scheme === 'https' ? address.replace(/:443$/, '') : address}/`
}

/** @throws P2PError `invalid-configuration` */
export function checkRelaySettings({ scheme, port, rateLimit, allow }: RelaySettings): void {
  if (scheme !== undefined && scheme !== 'http' && scheme !== 'https') {
    throw invalidConfiguration('scheme', scheme, 'must be http or https')
  }
  if (port !== undefined && (!Number.isInteger(port) || port < 1 || port > 65_535)) {
    throw invalidConfiguration('port', port, 'must be a port from 1 to 65535')
  }
  if (allow !== undefined && typeof allow !== 'function') {
    throw invalidConfiguration('allow', allow, 'must be a function that is given the id of a node')
  }
  checkRateLimit(rateLimit)
}

function checkRateLimit(limit: RelayRateLimit | undefined): ResolvedRateLimit | undefined {
  if (limit === undefined) return undefined
  checkFields('rateLimit', limit, RATE_LIMIT_FIELDS)
  const { bytesPerSecond } = limit
  const burstBytes = limit.burstBytes ?? Math.ceil(bytesPerSecond / 10)
  for (const [name, value] of Object.entries({ bytesPerSecond, burstBytes })) {
    if (!(Number.isSafeInteger(value) && value > 0)) {
      throw invalidConfiguration(`rateLimit.${name}`, value, 'must be a whole number of bytes above 0')
    }
  }
  return { bytesPerSecond, burstBytes }
}
