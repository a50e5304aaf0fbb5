/**
 * The virtual internet that carries datagrams: the door of this room for the rest of the simulator.
 *
 * - `topology.ts` builds one in few words, `topology-file.ts`, `-load.ts` and `-save.ts` from JSON and to it; `fabric.ts` is what it builds
 * - `regions.ts`: how far parts of the world are from each other
 * - `graph.ts`, `graph-node.ts`, `routes.ts`, `partitions.ts`, `random-partitions.ts`: nodes, links, the way through, and what cuts it
 * - `link.ts`, `jitter.ts`, `link-options.ts`, `link-presets.ts`: what happens to a packet on a link
 * - `firewall.ts`: what IPv6 meets instead
 * - `nat.ts`, `nat-table.ts`, `nat-options.ts`, `nat-presets.ts`, `lan.ts`, `realm.ts`: address translation and private networks
 * - `host-network.ts`, `interface.ts`, `socket-table.ts`, `forwarder.ts`, `rules.ts`: sockets, packets under way, and rules that meddle with them
 * - `names.ts`: look-ups; `addresses.ts`: addresses; `kinds.ts`: events and reasons for drops; `netstat.ts`, `netstat-text.ts`: the state
 *
 * @module
 */
export {
  AddressBook,
  compareIpAddresses,
  compareSocketAddresses,
  type IpAddress,
  parsePrefix,
  type Prefix,
  type SocketAddress,
} from './addresses.ts'
export {
  type AttachOptions,
  DEFAULT_LAN_PREFIX,
  DEFAULT_PUBLIC_PREFIX,
  Fabric,
  type FabricOptions,
  INTERNET,
  type LanOptions,
  type PlugOptions,
} from './fabric.ts'
export type { Firewall, FirewallOptions } from './firewall.ts'
export type { PacketCounters } from './forwarder.ts'
export type { GraphNode, GraphNodeKind } from './graph-node.ts'
export { NetworkGraph, type NodeOptions } from './graph.ts'
export type { GraphPath } from './graph-paths.ts'
export {
  type BindOptions,
  MAX_DATAGRAM_BYTES,
  type NetworkInterface,
  type Packet,
  type PacketHandler,
  type PacketProtocol,
  type Socket,
} from './interface.ts'
export { Drop, DROP_REASONS, type DropCode, type DropCounts, type DropReason, NetworkKind } from './kinds.ts'
export { HostNetwork, type HostSocket } from './host-network.ts'
export type { Lan, PortMappingOptions } from './lan.ts'
export {
  burstyLoss,
  type GilbertElliott,
  type JitterDistribution,
  type LinkOptions,
  type LinkSettings,
  resolveLinkOptions,
} from './link-options.ts'
export {
  type LinePair,
  type LinkInput,
  type LinkPreset,
  type LinkPresetName,
  linkPresets,
  resolveLine,
} from './link-presets.ts'
export type { Link, LinkSnapshot } from './link.ts'
export {
  type NameAnswer,
  type NameCallback,
  type NameCarrier,
  type NameLookup,
  NameService,
  type NameServiceOptions,
} from './names.ts'
export {
  NAT_BEHAVIOURS,
  type NatBehaviour,
  type NatOptions,
  type NatPortAllocation,
  type NatSettings,
} from './nat-options.ts'
export { natPreset, type NatPreset, type NatPresetName, natPresets } from './nat-presets.ts'
export type { Nat } from './nat.ts'
export type { NatMappingSnapshot } from './nat-table.ts'
export {
  type FirewallSnapshot,
  type InterfaceSnapshot,
  type NatSnapshot,
  netstat,
  type NetworkSnapshot,
  type PartitionSnapshot,
  type SocketSnapshot,
} from './netstat.ts'
export { formatTables, networkTables, type TextTable } from './netstat-text.ts'
export type { Partition, PartitionDirection } from './partitions.ts'
export { type RandomPartitionOptions, RandomPartitions } from './random-partitions.ts'
export { regionRoundTripMs, type RegionName, REGIONS } from './regions.ts'
export type { LinkCrossing, LinkRule, LinkRuleGuard, LinkRules, LinkVerdict } from './rules.ts'
export {
  type TopologyFile,
  type TopologyFileHost,
  type TopologyFileInterface,
  type TopologyFileLan,
  type TopologyFileLink,
  type TopologyFileNode,
} from './topology-file.ts'
export { Topology, type TopologyHostOptions, type TopologyLanOptions, type TopologyOptions } from './topology.ts'
export { IPV4_OVERHEAD_BYTES, IPV6_OVERHEAD_BYTES } from './wire-size.ts'
