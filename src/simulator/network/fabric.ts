/**
 * The virtual internet: hosts and LANs on a graph. Packets travel in `forwarder.ts`.
 *
 * @module
 */
import { invalidConfiguration } from '../../core/config.ts'
import type { Kernel } from '../kernel.ts'
import { AddressBook, AddressPool, parsePrefix } from './addresses.ts'
import { Forwarder, type PacketCounters } from './forwarder.ts'
import { NetworkGraph } from './graph.ts'
import type { GraphNode } from './graph-node.ts'
import { NetworkInterface } from './interface.ts'
import { type DropCounts, NetworkKind } from './kinds.ts'
import { Lan } from './lan.ts'
import { type LinkOptions, resolveLinkOptions } from './link-options.ts'
import { Nat } from './nat.ts'
import { type NatOptions, resolveNatOptions } from './nat-options.ts'
import { Attachment, Realm } from './realm.ts'
import { LinkRules } from './rules.ts'

/** The node that everything public hangs on. */
export const INTERNET = 'internet'

/** Where public addresses come from: the range set aside for benchmarks (RFC 2544), 131,070 of them. */
export const DEFAULT_PUBLIC_PREFIX = '198.18.0.0/15'
/** What most home routers use; nobody's is special. */
export const DEFAULT_LAN_PREFIX = '192.168.1.0/24'

/** Options of a {@link Fabric}. */
export interface FabricOptions {
  /** @default '198.18.0.0/15' */
  readonly publicPrefix?: string | undefined
}

/** Where something is plugged in, and over what. */
export interface PlugOptions {
  /** The LAN; on the public internet when left out. */
  readonly lan?: Lan | undefined
  /** Its address; the next free one when left out. */
  readonly ip?: string | undefined
  /** The link from it to the network. @default a perfect one */
  readonly up?: LinkOptions | undefined
  /** The link from the network to it. @default a perfect one */
  readonly down?: LinkOptions | undefined
}

/** Options of {@link Fabric.attach}. */
export interface AttachOptions extends PlugOptions {
  /** The index of the host, for the history. @default counted from 0 in the order of attaching */
  readonly host?: number | undefined
}

/** Options of {@link Fabric.addLan}; `lan` is the one it is behind, `ip` the outside address of its NAT. */
export interface LanOptions extends PlugOptions {
  /** The NAT at its edge. Without one its hosts have addresses of the network around. */
  readonly nat?: NatOptions | undefined
  /** Its addresses, with a NAT. @default '192.168.1.0/24' */
  readonly prefix?: string | undefined
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

  constructor(kernel: Kernel, options: FabricOptions = {}) {
    this.#kernel = kernel
    this.graph = new NetworkGraph(kernel)
    this.book = new AddressBook()
    this.rules = new LinkRules()
    const prefix = parsePrefix(options.publicPrefix ?? DEFAULT_PUBLIC_PREFIX, 'publicPrefix')
    this.#public = new Realm('the public internet', this.book, new AddressPool(this.book, prefix))
    this.graph.addNode(INTERNET)
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
    const ip = realm.choose(options.ip)
    const node = this.graph.addNode(name, { kind: 'host', lan: lan?.name })
    const iface = new NetworkInterface(this.#forwarder, this.book, options.host ?? this.#hosts, node, realm, ip)
    this.#hosts++
    this.#interfaces.set(name, iface)
    this.#plug(iface.attachment, lan, options)
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
    const ip = realm.choose(options.ip)
    const { attachment } = iface
    this.#unplug(attachment)
    this.graph.moveNode(iface.node, options.lan?.hub)
    attachment.realm = realm
    attachment.ip = ip
    this.#plug(attachment, options.lan, options)
  }

  /** Unplugs an interface for good and closes its sockets; does nothing when that has happened. */
  detach(iface: NetworkInterface): void {
    if (this.#interfaces.get(iface.name) !== iface) return
    iface.closeSockets()
    this.#unplug(iface.attachment)
    this.#interfaces.delete(iface.name)
    this.graph.removeNode(iface.name)
  }

  /**
   * Adds a LAN, behind a NAT or not, on the public internet or behind another LAN.
   *
   * @throws P2PError `invalid-configuration`
   */
  addLan(name: string, options: LanOptions = {}): Lan {
    this.#checkPlug(name, options)
    const around = options.lan?.realm ?? this.#public
    if (!options.nat) {
      const hub = this.graph.addNode(name, { kind: 'router', lan: options.lan?.name })
      return this.#addLan(new Lan(name, hub, around, undefined), hub, options)
    }
    resolveNatOptions(options.nat, `the NAT of ${name}`)
    const prefix = parsePrefix(options.prefix ?? DEFAULT_LAN_PREFIX, 'prefix')
    const realm = new Realm(name, this.book, new AddressPool(this.book, prefix))
    const insideIp = realm.choose(undefined)
    const outsideIp = around.choose(options.ip)
    if (insideIp.version !== outsideIp.version) {
      throw invalidConfiguration('prefix', prefix.text, `is not of IPv${outsideIp.version}, as the network around is`)
    }
    const [hub, outside] = this.#addRouter(name, options.lan)
    const router = {
      nat: new Nat(this.#kernel, this.book, name, options.nat, outsideIp),
      inside: new Attachment(hub, realm, insideIp, undefined),
      outside: new Attachment(outside, around, outsideIp, undefined),
    }
    router.inside.router = router
    router.outside.router = router
    realm.router = router
    realm.add(router.inside)
    around.add(router.outside)
    return this.#addLan(new Lan(name, hub, realm, router), outside, options)
  }

  /** The interfaces, in the order they were attached. */
  interfaces(): readonly NetworkInterface[] {
    return [...this.#interfaces.values()]
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
      this.graph.removeNode(name)
      throw error
    }
  }

  #addLan(lan: Lan, edge: GraphNode, options: LanOptions): Lan {
    this.#lans.set(lan.name, lan)
    const around = options.lan?.hub.name ?? INTERNET
    this.graph.connectNodes(edge.name, around, options.up ?? {}, options.down ?? {})
    return lan
  }

  #plug(attachment: Attachment, lan: Lan | undefined, options: PlugOptions): void {
    const { node, ip, realm } = attachment
    realm.add(attachment)
    this.graph.connectNodes(node.name, lan?.name ?? INTERNET, options.up ?? {}, options.down ?? {})
    this.#kernel.audit.record(NetworkKind.attach, attachment.iface?.host ?? -1, ip.index, node.index)
  }

  #unplug(attachment: Attachment): void {
    const { node, ip, realm } = attachment
    realm.remove(attachment)
    this.graph.isolateNode(node)
    this.#kernel.audit.record(NetworkKind.detach, attachment.iface?.host ?? -1, ip.index, node.index)
  }

  #checkPlug(name: string, options: PlugOptions): void {
    resolveLinkOptions(options.up ?? {}, `link ${name} up`)
    resolveLinkOptions(options.down ?? {}, `link ${name} down`)
    const { lan } = options
    if (lan && this.#lans.get(lan.name) !== lan)
      throw invalidConfiguration('lan', lan.name, 'is no LAN of this internet')
  }
}
