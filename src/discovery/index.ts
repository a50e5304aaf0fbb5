/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Sources of addresses for names and ids.
 *
 * @module
 */
export { DhtDiscovery, PUBLIC_BOOTSTRAP } from './dht/dht-discovery.ts'
export type { DhtOptions } from './dht/dht-discovery.ts'
export { DnsDiscovery } from './dns-discovery.ts'
export type { DnsOptions } from './dns-discovery.ts'
export { discoveryFromEnvironment, parseDiscoveryMode } from './environment.ts'
export type { DiscoveryMode } from './environment.ts'
export { MdnsDiscovery } from './mdns/mdns-discovery.ts'
export type { MdnsOptions, MdnsStatus } from './mdns/mdns-discovery.ts'
export type { Link, LinkEvents, LinkState, OpenLink } from './mdns/link.ts'
export type { MdnsEvent, MdnsPeer } from './mdns/peer-table.ts'
export { PkarrDiscovery } from './pkarr/pkarr-discovery.ts'
export type { PkarrOptions } from './pkarr/pkarr-discovery.ts'
export type { RecordPublish } from './published.ts'
export { StaticDiscovery } from './static-discovery.ts'
export type { StaticDiscoveryOptions, StaticName } from './static-discovery.ts'
