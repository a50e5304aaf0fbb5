/**
 * A virtual internet in few words: hosts, LANs, presets, and the default link for everything that says nothing else.
 *
 * @module
 */
import { invalidConfiguration } from '../../core/config.ts'
import type { Kernel } from '../kernel.ts'
import { checkFields, fieldsOf } from '../check-fields.ts'
import { type AttachOptions, Fabric } from './fabric.ts'
import type { FirewallOptions } from './firewall.ts'
import type { NetworkInterface } from './interface.ts'
import type { Lan } from './lan.ts'
import { delayUs, probability } from './link-options.ts'
import { type LinePair, type LinkInput, resolveLine } from './link-presets.ts'
import type { NatOptions } from './nat-options.ts'
import { type NatPresetName, natPreset } from './nat-presets.ts'
import { addRegion, type RegionName } from './regions.ts'
import { checkTopologyFile, hostPlugs, type TopologyFile } from './topology-file.ts'
import { at, loadLinks, loadNetworks } from './topology-load.ts'
import { saveTopology } from './topology-save.ts'

/** Options of a {@link Topology}. */
export interface TopologyOptions {
  /** One-way latency from host to host over the default link, in milliseconds. @default 50 */
  readonly defaultLatencyMs?: number | undefined
  /** Probability that a packet is lost from host to host over the default link. @default 0.01 */
  readonly defaultPacketLoss?: number | undefined
  /** Where public addresses come from. @default '198.18.0.0/15' */
  readonly publicPrefix?: string | undefined
}

/** Options of {@link Topology.lan}. */
export interface TopologyLanOptions {
  /** @default 'lan-1', 'lan-2' and so on */
  readonly name?: string | undefined
  /** The NAT at its edge: a preset's name, options, or `none`. @default 'home' */
  readonly nat?: NatPresetName | 'none' | NatOptions | undefined
  /** The line from its router to the network around. @default half of the default link */
  readonly link?: LinkInput | undefined
  /** Where in the world it is; nowhere in particular when left out. Not together with `behind`. */
  readonly region?: RegionName | undefined
  /** The node of the public internet it hangs on, where there are several. Not together with `region` or `behind`. */
  readonly core?: string | undefined
  /** The LAN it is behind, such as a provider's (`nat: 'cgnat'`). On the public internet when left out. */
  readonly behind?: Lan | undefined
  /** Its addresses. @default '192.168.1.0/24', or '100.64.0.0/10' (RFC 6598) for `cgnat` */
  readonly prefix?: string | undefined
  /** The outside address of its NAT. @default the next free one */
  readonly ip?: string | undefined
  /**
   * Gives its hosts public IPv6 addresses besides: behind a stateful firewall (`true`, or its options), or `open`. With
   * `nat: 'none'` they have no others. @default false
   */
  readonly ipv6?: boolean | 'open' | FirewallOptions | undefined
  /** Its IPv6 addresses. @default the next /64 of 2001:db8::/32 */
  readonly prefix6?: string | undefined
  /** Whether its router forwards ports when hosts ask (UPnP, NAT-PMP, PCP). @default what the NAT's options say: false */
  readonly portMapping?: boolean | undefined
}

/** Options of {@link Topology.host}. */
export interface TopologyHostOptions {
  /** The LAN it is in. Public when left out. */
  readonly lan?: Lan | undefined
  /** Where in the world it is when it is public; nowhere in particular when left out. */
  readonly region?: RegionName | undefined
  /** The node of the public internet it hangs on, where there are several. Not together with `region` or `lan`. */
  readonly core?: string | undefined
  /** Its line. @default half of the default link when public, a data centre's wire in a region, a quick one in a LAN */
  readonly link?: LinkInput | undefined
  /** IPv4 or IPv6. @default the next free one */
  readonly ip?: string | undefined
  /** An IPv6 address besides; `true` is the next free one. @default the next free one in a LAN with IPv6, none elsewhere */
  readonly ip6?: string | boolean | undefined
  /** Its index in the history. @default counted from 0 in the order of adding */
  readonly host?: number | undefined
  /** What it is. @default 'host' */
  readonly kind?: AttachOptions['kind']
}

const LAN_FIELDS = fieldsOf<TopologyLanOptions>({
  name: true,
  nat: true,
  link: true,
  region: true,
  core: true,
  behind: true,
  prefix: true,
  ip: true,
  ipv6: true,
  prefix6: true,
  portMapping: true,
})
/** @internal Those of {@link TopologyHostOptions} that say where it is plugged in, for lists of fields. */
export const PLUG_FIELDS = { lan: true, region: true, core: true, link: true, ip: true, ip6: true } as const
const HOST_FIELDS = fieldsOf<TopologyHostOptions>({ ...PLUG_FIELDS, host: true, kind: true })

/**
 * A wire in a LAN: 0.2 ms, all of it on the way to the host, so that packets that leave reach the router at once, which
 * saves an event a packet and changes nothing that can be measured from outside.
 */
const LAN_WIRE: LinePair = Object.freeze({ up: Object.freeze({}), down: Object.freeze({ latencyMs: 0.2 }) })
/** From a server to the backbone of its region, each way, in a data centre with several buildings. */
const REGION_WIRE: LinePair = Object.freeze({
  up: Object.freeze({ latencyMs: 0.25 }),
  down: Object.freeze({ latencyMs: 0.25 }),
})
/** Shared address space between a provider's NAT and its customers' (RFC 6598). */
const CGNAT_PREFIX = '100.64.0.0/10'

/** The topology; see the module's comment. */
export class Topology {
  readonly fabric: Fabric
  /** @internal What it was made with. */
  readonly options: TopologyOptions
  /** What a host or LAN without a line of its own is connected by: two of them make the default link. */
  readonly defaultLine: LinePair
  #lans = 0

  /** @throws P2PError `invalid-configuration` */
  constructor(kernel: Kernel, options: TopologyOptions = {}) {
    this.options = options
    this.fabric = new Fabric(kernel, { publicPrefix: options.publicPrefix })
    this.defaultLine = halfLine(options.defaultLatencyMs ?? 50, options.defaultPacketLoss ?? 0.01)
  }

  /**
   * Adds a LAN.
   *
   * @example
   * ```ts
   * import { Simulation } from '@moosicbox/p2p/simulator'
   *
   * const { topology } = new Simulation({ seed: 1 })
   * const home = topology.lan({ nat: 'home', link: 'cable' })
   * const provider = topology.lan({ nat: 'cgnat' })
   * const flat = topology.lan({ nat: 'home', behind: provider })
   * topology.host('laptop', { lan: home })
   * topology.host('phone', { lan: flat, link: 'wifi' })
   * ```
   * @throws P2PError `invalid-configuration`
   */
  lan(options: TopologyLanOptions = {}): Lan {
    checkFields('a LAN', options, LAN_FIELDS)
    const { nat = 'home', link, behind, ip, portMapping, prefix6 } = options
    const name = options.name ?? this.#nextLanName()
    const { up, down } = link === undefined ? this.defaultLine : resolveLine(link)
    const core = this.#coreOf(options, behind)
    const ipv6 = checkIpv6(options.ipv6)
    if (prefix6 !== undefined && !ipv6) throw invalidConfiguration('prefix6', prefix6, `has no meaning without ipv6`)
    if (nat === 'none') {
      const pointless = { prefix: options.prefix, ip: ipv6 ? undefined : ip, portMapping }
      for (const [field, value] of Object.entries(pointless)) {
        if (value !== undefined) throw invalidConfiguration(field, value, `has no meaning for ${name}, without a NAT`)
      }
      return this.fabric.addLan(name, { lan: behind, core, ip, ipv6, prefix6, up, down })
    }
    const prefix = options.prefix ?? (nat === 'cgnat' ? CGNAT_PREFIX : undefined)
    const preset = typeof nat === 'string' ? natPreset(nat) : nat
    const natOptions = portMapping === undefined ? preset : { ...preset, portMapping }
    return this.fabric.addLan(name, { lan: behind, core, nat: natOptions, prefix, ip, ipv6, prefix6, up, down })
  }

  /**
   * Adds a host with one interface.
   *
   * @throws P2PError `invalid-configuration`
   */
  host(name: string, options: TopologyHostOptions = {}): NetworkInterface {
    checkFields('a host', options, HOST_FIELDS)
    const { lan, ip, ip6, host, kind } = options
    const core = this.#coreOf(options, lan)
    return this.fabric.attach(name, { lan, core, ip, ip6, host, kind, ...this.#hostLine(options) })
  }

  /**
   * Moves a host to another network or line: it gets another address and keeps its sockets.
   *
   * @throws P2PError `invalid-configuration`
   */
  move(iface: NetworkInterface, options: Omit<TopologyHostOptions, 'host' | 'kind'>): void {
    checkFields('a host', options, HOST_FIELDS)
    const { lan, ip, ip6 } = options
    this.fabric.move(iface, { lan, core: this.#coreOf(options, lan), ip, ip6, ...this.#hostLine(options) })
  }

  /**
   * This topology as plain data, for JSON: networks, hosts, nodes and links as they are now. What passes is not in it:
   * mappings, forwarded ports, partitions, rules, packets.
   */
  toJSON(): TopologyFile {
    return saveTopology(this)
  }

  /**
   * Adds what a file describes.
   *
   * @param file - what `JSON.parse` has given; checked
   * @returns the interfaces of the hosts, in the file's order
   * @throws P2PError `invalid-configuration` that names the place in the file
   */
  load(file: unknown): readonly NetworkInterface[] {
    const checked = checkTopologyFile(file)
    const lans = loadNetworks(this, checked)
    const interfaces = checked.hosts.flatMap((host, i) =>
      at(`topology.hosts[${i}]`, () =>
        hostPlugs(host, lans).map(({ name, options }) => this.host(name, { ...options, host: host.host ?? i })),
      ),
    )
    loadLinks(this, checked)
    return interfaces
  }

  #hostLine(options: TopologyHostOptions): LinePair {
    if (options.link !== undefined) {
      const { up, down } = resolveLine(options.link)
      return { up, down }
    }
    if (options.lan) return LAN_WIRE
    return options.region ? REGION_WIRE : this.defaultLine
  }

  #coreOf({ region, core }: Pick<TopologyHostOptions, 'region' | 'core'>, lan: Lan | undefined): string | undefined {
    if (region === undefined) return core
    if (core !== undefined) throw invalidConfiguration('core', core, 'cannot be given together with region')
    if (lan) throw invalidConfiguration('region', region, `has no meaning in ${lan.name}, which is where that is`)
    return addRegion(this.fabric.graph, region)
  }

  #nextLanName(): string {
    let name = ''
    do name = `lan-${++this.#lans}`
    while (this.fabric.graph.hasNode(name))
    return name
  }
}

/** What `ipv6` of a LAN comes to: the options of a firewall, `open`, or none. */
function checkIpv6(ipv6: TopologyLanOptions['ipv6']): FirewallOptions | 'open' | undefined {
  if (ipv6 === true) return {}
  if (ipv6 === undefined || ipv6 === false) return undefined
  if (ipv6 === 'open' || (typeof ipv6 === 'object' && !Array.isArray(ipv6))) return ipv6
  throw invalidConfiguration('ipv6', ipv6, 'must be true, false, open, or the options of a firewall')
}

/** Half of a link: up and down of two of these have its latency, to the microsecond, and its loss. */
function halfLine(latencyMs: number, packetLoss: number): LinePair {
  const totalUs = delayUs(latencyMs, 'defaultLatencyMs')
  const upUs = Math.ceil(totalUs / 2)
  const half = 1 - Math.sqrt(1 - probability(packetLoss, 'defaultPacketLoss'))
  return Object.freeze({
    up: Object.freeze({ latencyMs: upUs / 1000, packetLoss: half }),
    down: Object.freeze({ latencyMs: (totalUs - upUs) / 1000, packetLoss: half }),
  })
}
