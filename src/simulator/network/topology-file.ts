/**
 * Topologies as JSON: what is in a file, and whether it has the right shape. The values are checked where they are used.
 *
 * @module
 */
import { invalidConfiguration } from '../../core/config.ts'
import type { Lan } from './lan.ts'
import type { LinkOptions } from './link-options.ts'
import type { TopologyHostOptions, TopologyLanOptions } from './topology.ts'

/** The version of the format that is written, and the only one that is read. */
export const TOPOLOGY_FILE_VERSION = 1

/** A LAN in a file: as `Topology.lan` takes it, with other LANs by name. */
export interface TopologyFileLan extends Omit<TopologyLanOptions, 'behind' | 'name'> {
  readonly name: string
  readonly behind?: string | undefined
}

/** An interface of a host in a file: as `Topology.host` takes it, with LANs by name. */
export interface TopologyFileInterface extends Omit<TopologyHostOptions, 'lan' | 'host' | 'kind'> {
  /** Of a second interface and those after it: its node is called `host/name`. */
  readonly name?: string | undefined
  readonly lan?: string | undefined
}

/** A host in a file: with one interface, or a list of them. */
export interface TopologyFileHost extends TopologyFileInterface {
  readonly name: string
  /** @default 'host' */
  readonly kind?: TopologyHostOptions['kind']
  /** Its index in the history. @default counted from 0 in the order of the file */
  readonly host?: number | undefined
  /** Several, instead of the fields of one. */
  readonly interfaces?: readonly TopologyFileInterface[] | undefined
}

/** A node between others. */
export interface TopologyFileNode {
  readonly name: string
  /** @default 'core' */
  readonly kind?: 'router' | 'core' | undefined
  /** The LAN it is in. On the public internet when left out. */
  readonly lan?: string | undefined
}

/** A link in one direction: its options besides its ends. */
export interface TopologyFileLink extends LinkOptions {
  readonly from: string
  readonly to: string
}

/** A topology as plain data. */
export interface TopologyFile {
  readonly version: typeof TOPOLOGY_FILE_VERSION
  readonly lans?: readonly TopologyFileLan[] | undefined
  /** At least one. */
  readonly hosts: readonly TopologyFileHost[]
  /** Nodes of the public internet, or of a LAN, besides those that hosts, LANs and regions are. */
  readonly nodes?: readonly TopologyFileNode[] | undefined
  /** Links besides those of hosts, LANs and regions, or other options for those. */
  readonly links?: readonly TopologyFileLink[] | undefined
}

const PLUG = ['lan', 'region', 'core', 'link', 'ip', 'ip6'] as const
const FIELDS = {
  file: ['version', 'lans', 'hosts', 'nodes', 'links'],
  lan: ['name', 'nat', 'link', 'region', 'core', 'behind', 'prefix', 'ip', 'ipv6', 'prefix6', 'portMapping'],
  host: ['name', 'kind', 'host', 'interfaces', ...PLUG],
  interface: ['name', ...PLUG],
  node: ['name', 'kind', 'lan'],
} as const
/** More hosts than a simulation can hold in memory. */
const MAX_ENTRIES = 1_000_000

type Entry = Readonly<Record<string, unknown>>

/**
 * Checks the shape of a file.
 *
 * @param more - fields of hosts besides those of a topology, which are checked where they are used
 * @throws P2PError `invalid-configuration` that names the place
 */
export function checkTopologyFile(value: unknown, more: readonly string[] = []): TopologyFile {
  const file = entry(value, 'topology', FIELDS.file)
  if (file['version'] !== TOPOLOGY_FILE_VERSION) {
    throw invalidConfiguration('topology.version', file['version'], `must be ${TOPOLOGY_FILE_VERSION}`)
  }
  const names = new Set<string>()
  const named = (item: Entry, where: string): void => {
    const name = text(item, 'name', where)
    if (names.has(name)) throw invalidConfiguration(`${where}.name`, name, 'is the name of something else already')
    names.add(name)
  }
  each(file, 'lans', (item, where) => {
    named(entry(item, where, FIELDS.lan), where)
    optionalText(item as Entry, ['behind', 'region', 'core', 'prefix', 'prefix6', 'ip'], where)
  })
  each(file, 'nodes', (item, where) => {
    named(entry(item, where, FIELDS.node), where)
    optionalText(item as Entry, ['lan'], where)
    const { kind } = item as Entry
    if (kind !== undefined && kind !== 'router' && kind !== 'core') {
      throw invalidConfiguration(`${where}.kind`, kind, 'must be router or core')
    }
  })
  const hostFields = [...FIELDS.host, ...more]
  each(file, 'hosts', (item, where) => {
    named(entry(item, where, hostFields), where)
    checkHost(item as Entry, where)
  })
  const links = new Set<string>()
  each(file, 'links', (item, where) => {
    const link = entry(item, where, undefined)
    const way = `${text(link, 'from', where)}>${text(link, 'to', where)}`
    if (links.has(way)) throw invalidConfiguration(where, way, 'is in the list already')
    links.add(way)
  })
  if (!Array.isArray(file['hosts']) || file['hosts'].length === 0) {
    throw invalidConfiguration('topology.hosts', file['hosts'], 'must be a list of at least one host')
  }
  return file as unknown as TopologyFile
}

/** The interfaces of a host: the names of their nodes, and what they are plugged into. */
export function hostPlugs(
  host: TopologyFileHost,
  lans: ReadonlyMap<string, Lan>,
): { readonly name: string; readonly options: TopologyHostOptions }[] {
  const { interfaces, kind } = host
  return (interfaces ?? [host]).map((plug, i) => {
    const { lan: lanName, region, core, link, ip, ip6 } = plug
    const name = i === 0 ? host.name : `${host.name}/${plug.name ?? i + 1}`
    return { name, options: { lan: lanOf(lanName, lans, name), region, core, link, ip, ip6, kind } }
  })
}

/**
 * The LAN of that name.
 *
 * @throws P2PError `invalid-configuration` when the file has none
 */
export function lanOf(name: string | undefined, lans: ReadonlyMap<string, Lan>, where: string): Lan | undefined {
  if (name === undefined) return undefined
  const lan = lans.get(name)
  if (!lan)
    throw invalidConfiguration('lan', name, `${where} is in it, but the topology has no LAN of this name before`)
  return lan
}

function checkHost(host: Entry, where: string): void {
  const { interfaces, host: index } = host
  if (index !== undefined && (!Number.isSafeInteger(index) || Number(index) < 0 || Number(index) >= MAX_ENTRIES)) {
    throw invalidConfiguration(`${where}.host`, index, `must be a whole number from 0 to ${MAX_ENTRIES - 1}`)
  }
  if (interfaces === undefined) return optionalText(host, ['lan', 'region', 'core', 'ip'], where)
  const double = PLUG.find((field) => host[field] !== undefined)
  if (double) throw invalidConfiguration(`${where}.${double}`, host[double], 'belongs into one of its interfaces')
  if (!Array.isArray(interfaces) || interfaces.length === 0) {
    throw invalidConfiguration(`${where}.interfaces`, interfaces, 'a host needs an interface at least')
  }
  for (const [i, item] of interfaces.entries()) {
    const place = `${where}.interfaces[${i}]`
    optionalText(entry(item, place, FIELDS.interface), ['name', 'lan', 'region', 'core', 'ip'], place)
  }
}

function each(file: Entry, field: string, check: (item: unknown, where: string) => void): void {
  const list = file[field]
  if (list === undefined) return
  if (!Array.isArray(list) || list.length > MAX_ENTRIES) {
    throw invalidConfiguration(`topology.${field}`, list, `must be a list of up to ${MAX_ENTRIES}`)
  }
  for (const [i, item] of list.entries()) check(item, `topology.${field}[${i}]`)
}

function entry(value: unknown, where: string, fields: readonly string[] | undefined): Entry {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidConfiguration(where, value, 'must be an object')
  }
  const empty = Object.entries(value).find(([, field]) => field === null)?.[0]
  if (empty !== undefined) throw invalidConfiguration(`${where}.${empty}`, null, 'leave it out for its default')
  const unknown = fields && Object.keys(value).find((key) => !fields.includes(key))
  if (unknown === undefined) return value as Entry
  throw invalidConfiguration(`${where}.${unknown}`, (value as Entry)[unknown], `known fields are ${fields?.join(', ')}`)
}

function text(item: Entry, field: string, where: string): string {
  const value = item[field]
  if (typeof value === 'string' && value !== '') return value
  throw invalidConfiguration(`${where}.${field}`, value, 'must be a name')
}

function optionalText(item: Entry, fields: readonly string[], where: string): void {
  for (const field of fields) if (item[field] !== undefined) text(item, field, where)
}
