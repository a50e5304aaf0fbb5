/**
 * The network interfaces of this machine, as multicast needs them.
 *
 * @module
 */
import { BlockList } from 'node:net'
import { networkInterfaces } from 'node:os'
import type { NetworkInterfaceInfo } from 'node:os'

/** One family of addresses on one interface. */
export interface LocalInterface {
  /** Changes when anything of it does. */
  readonly key: string
  readonly name: string
  readonly family: 'IPv4' | 'IPv6'
  /** Its first address. */
  readonly address: string
  /** Its number, for IPv6. */
  readonly scope: number
  /** Whether it leads to this machine alone. */
  readonly internal: boolean
  /** Whether an address is a neighbour's, or its own. */
  readonly isOnLink: (address: string) => boolean
}

/** More than a machine uses; one that hosts many containers has dozens. */
const MAX_INTERFACES = 16
const FAMILIES = ['IPv4', 'IPv6'] as const

/** The addresses that an interface has. */
export function addressesOf(name: string): string[] {
  return (networkInterfaces()[name] ?? []).map(({ address }) => address)
}

/**
 * The interfaces to speak on, at most 16 of each family.
 *
 * @param names only these; else all that lead to other machines
 */
export function localInterfaces(names: readonly string[] | undefined): LocalInterface[] {
  const all = Object.entries(networkInterfaces()).sort(([a], [b]) => (a < b ? -1 : 1))
  return FAMILIES.flatMap((family) =>
    all
      .flatMap(([name, infos = []]) => {
        const own = infos.filter((info) => info.family === family)
        const wanted = names ? names.includes(name) : !own.some((info) => info.internal)
        return own.length > 0 && wanted ? [describe(name, family, own)] : []
      })
      .slice(0, MAX_INTERFACES),
  )
}

function describe(name: string, family: 'IPv4' | 'IPv6', infos: readonly NetworkInterfaceInfo[]): LocalInterface {
  const subnets = new BlockList()
  const type = family === 'IPv4' ? 'ipv4' : 'ipv6'
  for (const { address, cidr } of infos)
    subnets.addSubnet(address, Number(cidr?.split('/')[1] ?? (family === 'IPv4' ? 32 : 128)), type)
  const scope = infos.map((info) => ('scopeid' in info ? (info.scopeid ?? 0) : 0)).find((id) => id > 0) ?? 0
  return {
    key: [name, family, ...infos.map(({ cidr }) => cidr)].join(' '),
    name,
    family,
    address: infos[0]?.address ?? '',
    scope,
    internal: infos.some((info) => info.internal),
    isOnLink: (address) => {
      const [ip = '', zone] = address.split('%')
      // Addresses of the link alone name it; the number is how it is named on Windows.
      if (zone !== undefined) return zone === name || zone === String(scope)
      return subnets.check(ip, type)
    },
  }
}
