/**
 * Datagrams under way: from node to node, through NATs, to a socket or to a reason why not.
 *
 * Plain callbacks: one event for each link that takes time, none for anything else, and nothing allocated at a hop.
 *
 * @module
 */
import type { Kernel, KernelTimer } from '../kernel.ts'
import type { SocketAddress } from './addresses.ts'
import type { NetworkGraph } from './graph.ts'
import type { GraphNode } from './graph-node.ts'
import type { NetworkInterface, PacketProtocol } from './interface.ts'
import { Drop, type DropCode, DropCounter, NetworkKind } from './kinds.ts'
import type { Link, TransitPacket } from './link.ts'
import type { Attachment, LanRouter, Realm } from './realm.ts'
import type { LinkRules } from './rules.ts'

/** More than any sensible path; only a loop made by changing links under way gets there. */
const MAX_HOPS = 64
/** Flights kept for reuse. */
const MAX_IDLE_FLIGHTS = 65_536

/** A packet whose addresses NATs may still change. */
class PacketUnderWay implements TransitPacket {
  readonly protocol: PacketProtocol
  source: SocketAddress
  destination: SocketAddress
  readonly sizeBytes: number
  isCorrupted = false
  readonly payload: unknown

  constructor(
    protocol: PacketProtocol,
    source: SocketAddress,
    destination: SocketAddress,
    sizeBytes: number,
    payload: unknown,
  ) {
    this.protocol = protocol
    this.source = source
    this.destination = destination
    this.sizeBytes = sizeBytes
    this.payload = payload
  }
}

/**
 * Where a packet is and where it goes. Used again and again, and with it its event.
 *
 * A link with a constant latency after another is covered by the same event: the packet is put on it ahead of its time,
 * and whether the link was up when it got there is looked at when it arrives.
 */
class Flight {
  packet: PacketUnderWay
  number = 0
  hops = 0
  /** Whether this is an event of its own, in which a receiver may be called. */
  isEvent = false
  origin: NetworkInterface
  node: GraphNode
  /** Whom it goes to in the realm it is in. */
  target: Attachment
  /** The link it was put on ahead of its time, when it really enters it, and the graph's changes before. */
  aheadLink: Link | undefined
  aheadUs = 0
  changes = 0
  /** Its event. */
  readonly arrival: KernelTimer

  constructor(forwarder: Forwarder, kernel: Kernel, packet: PacketUnderWay, origin: NetworkInterface) {
    this.packet = packet
    this.origin = origin
    this.node = origin.node
    this.target = origin.attachment
    this.arrival = kernel.timer(() => {
      this.isEvent = true
      if (!this.aheadLink || forwarder.hasCrossed(this, this.aheadLink)) forwarder.advance(this)
    })
  }
}

/** How many packets there were. */
export interface PacketCounters {
  readonly sent: number
  readonly delivered: number
  readonly dropped: number
  readonly underWay: number
}

/** Carries packets; see the module's comment. */
export class Forwarder {
  /** Drops by reason, wherever they happened. */
  readonly dropped: DropCounter = new DropCounter()
  readonly #kernel: Kernel
  readonly #graph: NetworkGraph
  readonly #rules: LinkRules
  readonly #idle: Flight[] = []
  #sent = 0
  #delivered = 0
  #underWay = 0

  constructor(kernel: Kernel, graph: NetworkGraph, rules: LinkRules) {
    this.#kernel = kernel
    this.#graph = graph
    this.#rules = rules
  }

  get counters(): PacketCounters {
    return {
      sent: this.#sent,
      delivered: this.#delivered,
      dropped: this.dropped.total,
      underWay: this.#underWay,
    }
  }

  /** A socket sends. */
  send(
    origin: NetworkInterface,
    protocol: PacketProtocol,
    source: SocketAddress,
    destination: SocketAddress,
    payload: unknown,
    sizeBytes: number,
  ): void {
    const number = this.#sent++
    const { audit, trace } = this.#kernel
    const kind = protocol === 'udp' ? NetworkKind.send : NetworkKind.sendTcp
    audit.record(kind, origin.host, source.index, destination.index, sizeBytes, number)
    trace?.sent(number, origin.host, origin.node.index, protocol, source, destination, sizeBytes, payload)
    const flight = this.#take(new PacketUnderWay(protocol, source, destination, sizeBytes, payload), origin, number)
    if (!origin.isUp) this.#drop(flight, Drop['interface-down'])
    else if (source.version !== destination.version) this.#drop(flight, Drop['no-route'])
    else if (this.#enter(flight, origin.node, origin.attachment.realm)) this.advance(flight)
  }

  /** Moves a flight on until it waits for a link, is delivered or is dropped. */
  advance(flight: Flight): void {
    const graph = this.#graph
    for (;;) {
      const { target } = flight
      if (flight.node === target.node) {
        if (target.iface) return this.#deliver(flight, target.iface)
        if (!target.router || !this.#translate(flight, target, target.router)) return
        continue
      }
      const link = graph.nextLink(flight.node, target.node)
      if (!link) return this.#drop(flight, Drop['no-route'])
      if (++flight.hops > MAX_HOPS) return this.#drop(flight, Drop['hop-limit'])
      if (graph.isPartitioned && graph.separates(link.from, link.to)) return this.#dropOn(flight, link, Drop.partition)
      const delayUs = this.#rules.size === 0 ? this.#transmit(flight, link) : this.#transmitByRules(flight, link)
      if (delayUs < 0) return this.#drop(flight, -delayUs)
      this.#kernel.trace?.hop(flight.number, link.from.index, link.to.index, 0, delayUs)
      flight.node = link.to
      if (delayUs > 0) return this.#wait(flight, link, delayUs)
    }
  }

  /** Whether the link that a packet was put on ahead of its time was there when it came; drops it when not. */
  hasCrossed(flight: Flight, link: Link): boolean {
    flight.aheadLink = undefined
    if (flight.changes === this.#graph.changes) return true
    if (!link.wasActiveAt(flight.aheadUs)) this.#dropOn(flight, link, Drop['link-down'])
    else if (this.#graph.separates(link.from, link.to)) this.#dropOn(flight, link, Drop.partition)
    else return true
    return false
  }

  #wait(flight: Flight, link: Link, delayUs: number): void {
    const graph = this.#graph
    const { packet, node, target } = flight
    if (node !== target.node && this.#rules.size === 0 && !graph.isPartitioned) {
      const next = graph.nextLink(node, target.node)
      if (next?.isPlain) {
        const nextUs = next.transmit(packet, delayUs)
        if (nextUs < 0) return this.#drop(flight, -nextUs)
        this.#kernel.trace?.hop(flight.number, next.from.index, next.to.index, delayUs, nextUs)
        flight.aheadLink = next
        flight.aheadUs = this.#kernel.nowUs() + delayUs
        flight.changes = graph.changes
        flight.node = next.to
        flight.hops++
        flight.arrival.set(delayUs + nextUs, next.lane)
        return
      }
    }
    flight.arrival.set(delayUs, link.lane)
  }

  /** Aims at whoever has the destination's address in `realm`, or at the way out; false when it is dropped. */
  #enter(flight: Flight, node: GraphNode, realm: Realm): boolean {
    const target = realm.resolve(flight.packet.destination)
    if (!target) return this.#refuse(flight, Drop['no-host'])
    if (this.#graph.isPartitioned && this.#graph.separates(flight.origin.node, target.node)) {
      return this.#refuse(flight, Drop.partition)
    }
    flight.node = node
    flight.target = target
    return true
  }

  /** At one side of a NAT: changes an address and goes on from the other; false when it is dropped. */
  #translate(flight: Flight, at: Attachment, router: LanRouter): boolean {
    const { packet } = flight
    const { protocol } = packet
    const { nat, inside, outside } = router
    if (!nat || packet.source.version !== outside.version) return this.#passFirewall(flight, at, router)
    const { trace } = this.#kernel
    if (at === outside) {
      const host = nat.inbound(protocol, packet.source, packet.destination)
      if (typeof host === 'number') return this.#refuse(flight, host)
      packet.destination = host
      trace?.translated(flight.number, inside.node.index, packet.source, host)
      return this.#enter(flight, inside.node, inside.realm)
    }
    // The router itself has no sockets.
    if (packet.destination.ip === inside.ip) return this.#refuse(flight, Drop['no-port'])
    const isHairpin = packet.destination.ip === outside.ip
    if (isHairpin && !nat.settings.hairpinning) return this.#refuse(flight, Drop['nat-hairpin'])
    const source = nat.outbound(protocol, packet.source, packet.destination)
    if (typeof source === 'number') return this.#refuse(flight, source)
    packet.source = source
    trace?.translated(flight.number, inside.node.index, source, packet.destination)
    if (!isHairpin) return this.#enter(flight, outside.node, outside.realm)
    // With the outside source address, as RFC 4787, REQ-9 asks, so that the answer takes the same way.
    const host = nat.inbound(protocol, source, packet.destination)
    if (typeof host === 'number') return this.#refuse(flight, host)
    packet.destination = host
    trace?.translated(flight.number, inside.node.index, source, host)
    return this.#enter(flight, inside.node, inside.realm)
  }

  /** As `#translate`, for IPv6 that keeps its addresses. */
  #passFirewall(flight: Flight, at: Attachment, { ipv6, inside, outside }: LanRouter): boolean {
    if (!ipv6) return this.#refuse(flight, Drop['no-route'])
    const { protocol, source, destination } = flight.packet
    const isInbound = at === outside
    if (destination.ip === at.ip) return this.#refuse(flight, Drop['no-port'])
    if (ipv6 !== 'open') {
      const passed = isInbound
        ? ipv6.at(destination.ip).inbound(protocol, source, destination)
        : ipv6.at(source.ip).outbound(protocol, source, destination)
      if (typeof passed === 'number') {
        return this.#refuse(flight, passed === Drop['udp-blocked'] ? passed : Drop.firewall)
      }
    }
    const to = isInbound ? inside : outside
    this.#kernel.trace?.translated(flight.number, inside.node.index, source, destination)
    return this.#enter(flight, to.node, to.realm)
  }

  #deliver(flight: Flight, iface: NetworkInterface): void {
    if (!flight.isEvent) {
      // Everything so far took no time: the receiver must still not run inside the sender's call.
      flight.arrival.set(0)
      return
    }
    const { packet, origin, number } = flight
    const { protocol, source, destination } = packet
    // It may have moved, or been cut off, since the packet set out.
    if (destination.ip !== iface.ip && destination.ip !== iface.attachment6?.ip)
      return this.#drop(flight, Drop['no-host'])
    if (!iface.isUp) return this.#drop(flight, Drop['interface-down'])
    if (this.#graph.isPartitioned && this.#graph.separates(origin.node, iface.node)) {
      return this.#drop(flight, Drop.partition)
    }
    const socket = iface.socketAt(protocol, destination.port)
    if (!socket) return this.#drop(flight, Drop['no-port'])
    if (packet.isCorrupted && protocol === 'tcp') return this.#drop(flight, Drop.corrupted)
    this.#delivered++
    this.#kernel.audit.record(
      protocol === 'udp' ? NetworkKind.deliver : NetworkKind.deliverTcp,
      iface.host,
      source.index,
      destination.index,
      packet.sizeBytes,
      number,
    )
    this.#kernel.trace?.delivered(number, iface.host, source, destination, packet.isCorrupted)
    this.#release(flight)
    socket.receive(packet)
  }

  #transmit(flight: Flight, link: Link): number {
    const { isCorrupted } = flight.packet
    const delayUs = link.transmit(flight.packet)
    if (!link.isPlain && link.isDuplicated()) this.#copy(flight, link, 0, isCorrupted)
    return delayUs
  }

  /** Sends a copy of what has just entered the link after it; what happens to the one on the link does not to the other. */
  #copy(flight: Flight, link: Link, extraUs: number, isCorrupted: boolean): void {
    const { protocol, source, destination, sizeBytes, payload } = flight.packet
    const packet = new PacketUnderWay(protocol, source, destination, sizeBytes, payload)
    packet.isCorrupted = isCorrupted
    const copy = this.#take(packet, flight.origin, flight.number)
    copy.hops = flight.hops
    copy.target = flight.target
    copy.node = link.to
    const { trace } = this.#kernel
    trace?.record('copied', { packet: flight.number })
    const delayUs = link.transmit(packet)
    if (delayUs < 0) {
      this.#drop(copy, -delayUs)
      return
    }
    trace?.hop(flight.number, link.from.index, link.to.index, 0, delayUs + extraUs)
    copy.arrival.set(delayUs + extraUs, link.lane)
  }

  /** As `#transmit`, asking the rules first. */
  #transmitByRules(flight: Flight, link: Link): number {
    const { packet } = flight
    const decision = this.#rules.decide({ packet, link, origin: flight.origin.name, atUs: this.#kernel.nowUs() })
    if (decision.isDropped) {
      link.countDrop(Drop.rule)
      return -Drop.rule
    }
    if (decision.isCorrupted) link.corrupt(packet)
    const { isCorrupted } = packet
    const delayUs = this.#transmit(flight, link)
    for (let i = 0; i < decision.copies; i++) this.#copy(flight, link, decision.delayUs, isCorrupted)
    return delayUs < 0 || decision.copies > 0 ? delayUs : delayUs + decision.delayUs
  }

  #take(packet: PacketUnderWay, origin: NetworkInterface, number: number): Flight {
    this.#underWay++
    const flight = this.#idle.pop() ?? new Flight(this, this.#kernel, packet, origin)
    flight.packet = packet
    flight.origin = origin
    flight.number = number
    flight.hops = 0
    flight.isEvent = false
    return flight
  }

  #release(flight: Flight): void {
    this.#underWay--
    if (this.#idle.length < MAX_IDLE_FLIGHTS) this.#idle.push(flight)
  }

  #refuse(flight: Flight, code: DropCode): false {
    this.#drop(flight, code)
    return false
  }

  #dropOn(flight: Flight, link: Link, code: DropCode): void {
    link.countDrop(code)
    this.#drop(flight, code)
  }

  #drop(flight: Flight, code: DropCode): void {
    const { source, destination } = flight.packet
    const { host } = flight.origin
    this.dropped.add(code)
    const { audit, trace } = this.#kernel
    audit.record(NetworkKind.drop, host, source.index, destination.index, code, flight.number)
    trace?.dropped(flight.number, code, flight.node.index)
    this.#release(flight)
  }
}
