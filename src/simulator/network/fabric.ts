/**
 * The virtual internet: hosts and LANs on a graph. Packets travel in `forwarder.ts`.
 *
 * @module
 */
import { invalidConfiguration } from '../../core/config.ts'
import type { Kernel } from '../kernel.ts'
import { AddressBook, AddressPool, type IpAddress, parsePrefix, type Prefix } from './addresses.ts'
import { Forwarder, type PacketCounters } from './forwarder.ts'
import { NetworkGraph } from './graph.ts'
import type { GraphNode } from './graph-node.ts'
import { NetworkInterface } from './interface.ts'
import { type DropCounts, NetworkKind } from './kinds.ts'
import { Lan } from './lan.ts'
import { Firewall, type FirewallOptions } from './firewall.ts'
import type { LinkOptions } from './link-options.ts'
import { Nat } from './nat.ts'
import { type NatOptions, resolveNatOptions } from './nat-options.ts'
import { Attachment, type LanRouter, Realm } from './realm.ts'
import { LinkRules } from './rules.ts'

/** The node that everything public hangs on. */
export const INTERNET = 'internet'

/** Where public addresses come from: the range set aside for benchmarks (RFC 2544), 131,070 of them. */
export const DEFAULT_PUBLIC_PREFIX = '198.18.0.0/15'
/**
 * Where public IPv6 addresses come from, and the /64s of LANs: the range set aside for documentation (RFC 3849). The
 * first /64 is that of public hosts.
 */
const PUBLIC_PREFIX_6 = '2001:db8::/32'
/** What most home routers use; nobody's is special. */
export const DEFAULT_LAN_PREFIX = '192.168.1.0/24'

// Read once: a sweep makes an internet for each seed, and each LAN has a prefix.
const PUBLIC = parsePrefix(DEFAULT_PUBLIC_PREFIX, 'publicPrefix')
const PUBLIC_6 = parsePrefix(PUBLIC_PREFIX_6, 'prefix')
const LAN = parsePrefix(DEFAULT_LAN_PREFIX, 'prefix')

/** A link without any options. */
const PERFECT: LinkOptions = Object.freeze({})
const END_KINDS: readonly string[] = ['host', 'relay', 'name-server']

/** Options of a {@link Fabric}. */
export interface FabricOptions {
  /** @default '198.18.0.0/15' */
  readonly publicPrefix?: string | undefined
}

/** Where something is plugged in, and over what. */
export interface PlugOptions {
  /** The LAN; on the public internet when left out. */
  readonly lan?: Lan | undefined
  /** Its address, IPv4 or IPv6; the next free one when left out. */
  readonly ip?: string | undefined
  /**
   * An IPv6 address besides an IPv4 one; `true` is the next free one. @default the next free one in a LAN with IPv6,
   * none elsewhere
   */
  readonly ip6?: string | boolean | undefined
  /** The node of the public internet that it hangs on, when it is in no LAN. @default 'internet' */
  readonly core?: string | undefined
  /** The link from it to the network. @default a perfect one */
  readonly up?: LinkOptions | undefined
  /** The link from the network to it. @default a perfect one */
  readonly down?: LinkOptions | undefined
}

/** Options of {@link Fabric.attach}. */
export interface AttachOptions extends PlugOptions {
  /** The index of the host, for the history. @default counted from 0 in the order of attaching */
  readonly host?: number | undefined
  /** What it is. @default 'host' */
  readonly kind?: 'host' | 'relay' | 'name-server' | undefined
}

/** Options of {@link Fabric.addLan}; `lan` is the one it is behind, `ip` the outside address of its NAT. */
export interface LanOptions extends Omit<PlugOptions, 'ip6'> {
  /** The NAT at its edge. Without one its hosts have addresses of the network around. */
  readonly nat?: NatOptions | undefined
  /** Its addresses, with a NAT. @default '192.168.1.0/24' */
  readonly prefix?: string | undefined
  /** Gives it public IPv6 addresses of its own, without a NAT: behind a firewall, or `open`. Without one it has none. */
  readonly ipv6?: FirewallOptions | 'open' | undefined
  /** Its IPv6 addresses. @default the next /64 of 2001:db8::/32 */
  readonly prefix6?: string | undefined
}

/** The fabric; see the module's comment. */
export class Fabric {
  readonly graph: NetworkGraph
  /** Every address in use. */
  readonly book: AddressBook
  /** Rules about packets on links. */
  readonly rules: LinkRules
  readonly #kernel: Kernel
  readonly #public: Realm
  readonly #interfaces = new Map<string, NetworkInterface>()
  readonly #lans = new Map<string, Lan>()
  readonly #forwarder: Forwarder
  #hosts = 0
  #lans6 = 0
  /** See `otherInterfaces`; forgotten when interfaces come and go. */
  #others: ReadonlyMap<string, readonly NetworkInterface[]> | undefined

  constructor(kernel: Kernel, options: FabricOptions = {}) {
    this.#kernel = kernel
    this.graph = new NetworkGraph(kernel)
    this.book = new AddressBook()
    this.rules = new LinkRules()
    const { publicPrefix } = options
    const prefix = publicPrefix === undefined ? PUBLIC : parsePrefix(publicPrefix, 'publicPrefix')
    const first64 = { ...PUBLIC_6, bits: 64, text: '2001:db8::/64' }
    this.#public = new Realm('the public internet', this.book, [
      new AddressPool(this.book, prefix),
      new AddressPool(this.book, first64),
    ])
    this.graph.addNode(INTERNET)
    this.graph.users = this
    this.#forwarder = new Forwarder(kernel, this.graph, this.rules)
  }

  /**
   * Plugs a host in.
   *
   * @param name - the name of the host, or of one of several interfaces of a host (`phone`, `phone/4g`)
   * @throws P2PError `invalid-configuration` for a known name, an address in use, bad link options;
   *   `limit-exceeded` when the network has no free address
   */
  attach(name: string, options: AttachOptions = {}): NetworkInterface {
    this.#checkPlug(name, options)
    const { lan } = options
    const realm = lan?.realm ?? this.#public
    const [ip, ip6] = chooseAddresses(realm, options)
    const node = this.graph.addNode(name, { kind: options.kind ?? 'host', lan: lan?.name })
    const iface = new NetworkInterface(this.#forwarder, this.book, options.host ?? this.#hosts, node, realm, ip)
    if (ip6) iface.attachment6 = new Attachment(node, realm, ip6, iface)
    this.#hosts++
    this.#interfaces.set(name, iface)
    this.#others = undefined
    this.#plug(iface, lan, options)
    return iface
  }

  /**
   * Unplugs an interface and plugs it in elsewhere: it gets another address, and its sockets stay bound.
   *
   * @throws P2PError as {@link attach}; the interface then stays where it is
   */
  move(iface: NetworkInterface, options: PlugOptions): void {
    if (this.#interfaces.get(iface.name) !== iface) {
      throw invalidConfiguration('interface', iface.name, 'is not attached any more')
    }
    this.#checkPlug(iface.name, options)
    const realm = options.lan?.realm ?? this.#public
    const [ip, ip6] = chooseAddresses(realm, options, iface.node)
    const { attachment } = iface
    this.#unplug(iface)
    this.graph.moveNode(iface.node, options.lan?.hub)
    attachment.realm = realm
    attachment.ip = ip
    iface.attachment6 = ip6 && new Attachment(iface.node, realm, ip6, iface)
    this.#plug(iface, options.lan, options)
  }

  /** Unplugs an interface for good and closes its sockets; does nothing when that has happened. */
  detach(iface: NetworkInterface): void {
    if (this.#interfaces.get(iface.name) !== iface) return
    iface.closeSockets()
    this.#unplug(iface)
    this.#interfaces.delete(iface.name)
    this.#others = undefined
    this.graph.dropNode(iface.node)
  }

  /**
   * Adds a LAN, behind a NAT or not, on the public internet or behind another LAN.
   *
   * @throws P2PError `invalid-configuration`
   */
  addLan(name: string, options: LanOptions = {}): Lan {
    this.#checkPlug(name, options)
    const around = options.lan?.realm ?? this.#public
    if (!options.nat && !options.ipv6) {
      const hub = this.graph.addNode(name, { kind: 'router', lan: options.lan?.name })
      return this.#addLan(
        new Lan({ name, hub, realm: around, behind: options.lan, around: aroundOf(options) }),
        hub,
        options,
      )
    }
    const prefixes = this.#lanPrefixes(options)
    const nat = options.nat && resolveNatOptions(options.nat, `the NAT of ${name}`) && options.nat
    const ipv6 =
      typeof options.ipv6 === 'object' ? new Firewall(this.#kernel, this.book, name, options.ipv6) : options.ipv6
    if (ipv6 && !around.has(6)) throw invalidConfiguration('ipv6', options.ipv6, `${around.name} has no IPv6`)
    const pools = prefixes.map((prefix) => new AddressPool(this.book, prefix))
    const realm = new Realm(name, this.book, pools)
    const insideIp = realm.choose(undefined)
    const outsideIp = around.choose(options.ip, insideIp.version)
    const [hub, outside] = this.#addRouter(name, options.lan)
    if (prefixes.some(({ version }) => version === 6) && options.ipv6) this.#lans6++
    const router: LanRouter = {
      nat: nat && new Nat(this.#kernel, this.book, name, nat, outsideIp),
      ipv6,
      inside: new Attachment(hub, realm, insideIp, undefined),
      outside: new Attachment(outside, around, outsideIp, undefined),
    }
    router.inside.router = router
    router.outside.router = router
    realm.add(router.inside)
    around.add(router.outside)
    realm.router = router
    this.#traceRouter(name, router)
    return this.#addLan(
      new Lan({ name, hub, realm, router, behind: options.lan, around: aroundOf(options) }),
      outside,
      options,
    )
  }

  /**
   * Gives the NAT of a LAN another outside address, as a provider does when a line dials in anew. All its mappings are
   * gone.
   *
   * @throws P2PError `invalid-configuration` for a LAN without a NAT, `limit-exceeded` when there is no free address
   */
  renumber(lan: Lan): void {
    const outside = lan.nat && lan.realm.router?.outside
    if (!outside) throw invalidConfiguration('lan', lan.name, 'has no NAT, and so no address of its own')
    const ip = outside.realm.choose(undefined, outside.ip.version)
    outside.realm.remove(outside)
    outside.ip = ip
    outside.realm.add(outside)
    lan.nat?.renumber(ip)
  }

  /** The interfaces, in the order they were attached. */
  interfaces(): readonly NetworkInterface[] {
    return [...this.#interfaces.values()]
  }

  /** Whether nobody is plugged in. */
  get isEmpty(): boolean {
    return this.#interfaces.size === 0
  }

  /** The LANs, in the order they were added. */
  lans(): readonly Lan[] {
    return [...this.#lans.values()]
  }

  /** The packets so far. */
  get counters(): PacketCounters {
    return this.#forwarder.counters
  }

  /** The drops so far, by reason. */
  get dropped(): DropCounts {
    return this.#forwarder.dropped.snapshot()
  }

  /** The two nodes of a router with a NAT: none of them is left when the other cannot be. */
  #addRouter(name: string, around: Lan | undefined): [inside: GraphNode, outside: GraphNode] {
    const inside = this.graph.addNode(name, { kind: 'router' })
    try {
      const outside = this.graph.addNode(`${name}/wan`, { kind: 'router', lan: around?.name })
      this.graph.setOutside(inside, outside)
      return [inside, outside]
    } catch (error) {
      this.graph.dropNode(inside)
      throw error
    }
  }

  #traceRouter(name: string, { nat, ipv6, inside, outside }: LanRouter): void {
    const { trace } = this.#kernel
    if (!trace) return
    const nodes = { inside: inside.node.index, outside: outside.node.index }
    const { mapping = '', filtering = '', portAllocation: ports = '' } = nat?.settings ?? {}
    const firewall = ipv6 === undefined || ipv6 === 'open' ? (ipv6 ?? '') : 'firewall'
    trace.record('router', { ...nodes, name, mapping, filtering, ports, ipv6: firewall })
    for (const { node, ip } of [inside, outside]) trace.record('attach', { host: -1, node: node.index, ip: ip.text })
  }

  #addLan(lan: Lan, edge: GraphNode, options: LanOptions): Lan {
    this.#lans.set(lan.name, lan)
    this.graph.connectNodes(edge.name, lan.around, options.up ?? PERFECT, options.down ?? PERFECT)
    return lan
  }

  /** The prefixes of a LAN behind a router, IPv4 first. */
  #lanPrefixes({ nat, prefix, ipv6, prefix6 }: LanOptions): readonly Prefix[] {
    const prefixes: Prefix[] = []
    if (nat) prefixes.push(prefix === undefined ? LAN : parsePrefix(prefix, 'prefix'))
    if (ipv6) {
      const next = { ...PUBLIC_6, bits: 64, base: PUBLIC_6.base + (BigInt(this.#lans6 + 1) << 64n) }
      prefixes.push(
        prefix6 === undefined
          ? { ...next, text: `${this.book.ipOf(6, next.base).text}/64` }
          : parsePrefix(prefix6, 'prefix6'),
      )
      if (prefixes.some(({ version }, i) => i === prefixes.length - 1 && version !== 6)) {
        throw invalidConfiguration('prefix6', prefix6, 'is no prefix of IPv6')
      }
    }
    return prefixes
  }

  #plug(iface: NetworkInterface, lan: Lan | undefined, options: PlugOptions): void {
    const { node, host } = iface
    iface.hub = lan?.name ?? options.core ?? INTERNET
    this.graph.connectNodes(node.name, iface.hub, options.up ?? PERFECT, options.down ?? PERFECT)
    for (const attachment of iface.attachments()) {
      attachment.realm.add(attachment)
      this.#kernel.audit.record(NetworkKind.attach, host, attachment.ip.index, node.index)
      this.#kernel.trace?.record('attach', { host, node: node.index, ip: attachment.ip.text })
    }
  }

  #unplug(iface: NetworkInterface): void {
    const { node, host } = iface
    this.graph.isolateNode(node)
    for (const attachment of iface.attachments()) {
      attachment.realm.remove(attachment)
      this.#kernel.audit.record(NetworkKind.detach, host, attachment.ip.index, node.index)
      this.#kernel.trace?.record('detach', { host, node: node.index, ip: attachment.ip.text })
    }
  }

  /** @internal Why a node cannot be taken out of the graph: what else there is of it would be left. */
  useOf(node: string): string | undefined {
    if (node === INTERNET) return 'is what everything public hangs on'
    if (this.#interfaces.has(node)) return "is a host's interface: unplug it with `fabric.detach`, or crash the host"
    const lan = this.lans().find(({ name, edge }) => name === node || edge === node)
    return lan && `is the router of the LAN ${lan.name}`
  }

  /** @internal The other interfaces of a host; what hangs on a node of the public internet. */
  standsFor(node: string): readonly string[] {
    if (this.#interfaces.has(node)) {
      const others = this.otherInterfaces().get(node) ?? []
      return others.map(({ name }) => name)
    }
    const { kind } = this.graph.node(node)
    if (kind !== 'core' || node === INTERNET) return []
    const hosts = this.interfaces().filter(({ hub }) => hub === node)
    return [...hosts, ...this.lans().filter(({ around }) => around === node)].map(({ name }) => name)
  }

  /** @internal The interfaces of each host that has several, but for its first, by the name of that. */
  otherInterfaces(): ReadonlyMap<string, readonly NetworkInterface[]> {
    return (this.#others ??= otherInterfaces(this.#interfaces))
  }

  #checkCore(core: string, lan: Lan | undefined): void {
    const node = this.graph.node(core)
    if (lan) throw invalidConfiguration('core', core, `has no meaning in ${lan.name}`)
    if (node.kind !== 'core' || node.network)
      throw invalidConfiguration('core', core, 'is no node of the public internet')
  }

  #checkPlug(name: string, options: PlugOptions & Pick<AttachOptions, 'kind'>): void {
    this.graph.checkLink(options.up ?? PERFECT, `link ${name} up`)
    this.graph.checkLink(options.down ?? PERFECT, `link ${name} down`)
    const { lan, core, kind = 'host' } = options
    if (!END_KINDS.includes(kind)) throw invalidConfiguration('kind', kind, `must be ${END_KINDS.join(', ')}`)
    if (core !== undefined) this.#checkCore(core, lan)
    if (lan && this.#lans.get(lan.name) !== lan) {
      const why = 'is no LAN of this internet: give what `lan()` has returned'
      throw invalidConfiguration('lan', typeof lan === 'string' ? lan : lan.name, why)
    }
  }
}

/** Those called `host/name`, by the host's first, which is called like the host and has the same index. */
function otherInterfaces(all: ReadonlyMap<string, NetworkInterface>): ReadonlyMap<string, readonly NetworkInterface[]> {
  const others = new Map<string, NetworkInterface[]>()
  for (const iface of all.values()) {
    const { name, host } = iface
    for (let at = name.indexOf('/'); at > 0; at = name.indexOf('/', at + 1)) {
      const first = name.slice(0, at)
      if (all.get(first)?.host !== host) continue
      others.set(first, [...(others.get(first) ?? []), iface])
      break
    }
  }
  return others
}

/** What a LAN's router is connected to. */
function aroundOf({ lan, core }: LanOptions): string {
  return lan?.name ?? core ?? INTERNET
}

/** The first address of an interface, and the IPv6 one besides. */
function chooseAddresses(
  realm: Realm,
  { ip, ip6 }: PlugOptions,
  mover?: GraphNode,
): [IpAddress, IpAddress | undefined] {
  const first = realm.choose(ip, undefined, mover)
  const wantsSecond = ip6 ?? (first.version === 4 && realm.router !== undefined && realm.has(6))
  if (wantsSecond === false) return [first, undefined]
  if (first.version === 6) throw invalidConfiguration('ip6', ip6, 'there is an IPv6 address in ip already')
  return [first, realm.choose(wantsSecond === true ? undefined : wantsSecond, 6, mover)]
}
