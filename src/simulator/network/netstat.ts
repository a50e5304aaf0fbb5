/**
 * The state of a fabric as plain data, as `netstat` and a router's status page show it.
 *
 * @module
 */
import type { Fabric } from './fabric.ts'
import type { PacketCounters } from './forwarder.ts'
import type { PacketProtocol } from './interface.ts'
import type { DropCounts } from './kinds.ts'
import type { LinkSnapshot } from './link.ts'
import type { NatMappingSnapshot } from './nat-table.ts'
import type { NatBehaviour } from './nat-options.ts'
import type { PartitionDirection } from './partitions.ts'

/** A host's interface. */
export interface InterfaceSnapshot {
  readonly name: string
  readonly host: number
  readonly ip: string
  /** Its IPv6 address besides, if it has one. */
  readonly ip6: string | undefined
  /** The LAN it is in; undefined on the public internet. */
  readonly lan: string | undefined
  readonly isUp: boolean
  readonly sockets: readonly SocketSnapshot[]
}

/** An open socket. */
export interface SocketSnapshot {
  readonly protocol: PacketProtocol
  readonly address: string
  readonly sentPackets: number
  readonly receivedPackets: number
}

/** A NAT with what it remembers. */
export interface NatSnapshot {
  readonly lan: string
  readonly outsideIp: string
  readonly mapping: NatBehaviour
  readonly filtering: NatBehaviour
  readonly mappings: readonly NatMappingSnapshot[]
}

/** A firewall with what it remembers. */
export interface FirewallSnapshot {
  readonly lan: string
  readonly exchanges: readonly NatMappingSnapshot[]
}

/** A partition. */
export interface PartitionSnapshot {
  readonly id: number
  readonly groupA: readonly string[]
  /** Undefined: everybody else. */
  readonly groupB: readonly string[] | undefined
  readonly direction: PartitionDirection
}

/** Everything. */
export interface NetworkSnapshot {
  readonly packets: PacketCounters
  readonly dropped: DropCounts
  readonly interfaces: readonly InterfaceSnapshot[]
  readonly nats: readonly NatSnapshot[]
  readonly firewalls: readonly FirewallSnapshot[]
  readonly links: readonly LinkSnapshot[]
  /** Those that are on, oldest first. */
  readonly partitions: readonly PartitionSnapshot[]
}

/** The state of `fabric` now, in the order things were added. */
export function netstat(fabric: Fabric): NetworkSnapshot {
  return {
    packets: fabric.counters,
    dropped: fabric.dropped,
    interfaces: fabric.interfaces().map((iface) => ({
      name: iface.name,
      host: iface.host,
      ip: iface.ip.text,
      ip6: iface.attachment6?.ip.text,
      lan: iface.node.lan?.name,
      isUp: iface.isUp,
      sockets: iface.sockets().map((socket) => ({
        protocol: socket.protocol,
        address: socket.localAddress.toString(),
        sentPackets: socket.sentPackets,
        receivedPackets: socket.receivedPackets,
      })),
    })),
    nats: fabric.lans().flatMap(({ name, nat }) => {
      if (!nat) return []
      const { mapping, filtering } = nat.settings
      return [{ lan: name, outsideIp: nat.outsideIp.text, mapping, filtering, mappings: nat.snapshot() }]
    }),
    firewalls: fabric.lans().flatMap(({ name, firewall }) => {
      return firewall ? [{ lan: name, exchanges: firewall.snapshot() }] : []
    }),
    links: fabric.graph.links().map((link) => link.snapshot()),
    partitions: fabric.graph
      .partitions()
      .map(({ id, groupA, groupB, direction }) => ({ id, groupA, groupB, direction })),
  }
}
