/**
 * What a node knows about the network it is in, for diagnosis.
 *
 * @module
 */
import { parseSocketAddress } from './address.ts'
import type { P2PAddress } from './address.ts'
import type { P2PError } from './errors.ts'

/**
 * How the NAT in front of a node maps it, after RFC 4787, 4.1. `none`: it is seen at an address of its own.
 * `endpoint-independent` (a cone): at one and the same address by everybody, so that others can be told of it.
 * `endpoint-dependent` (symmetric): at another by each, so that a direct way needs a peer that is easier to reach.
 * `unknown`: too few have said where they see it; two are needed, and two of one machine cannot tell a NAT that depends
 * on the address alone.
 */
export type NatKind = 'none' | 'endpoint-independent' | 'endpoint-dependent' | 'unknown'

/** A relay, as a report has it. */
export interface RelayReport {
  readonly url: string
  /** Whether peers are told to use it. */
  readonly home: boolean
  /** Whether this node can be reached through it, in the backend's words. */
  readonly state: string
  /** One round trip to it, in milliseconds; undefined when it is not known. */
  readonly latencyMs: number | undefined
  /** What is wrong with it. */
  readonly reason: string | undefined
}

/** A reflector, as a report has it. */
export interface ReflectorReport {
  /** The relay that offers it. */
  readonly relay: string | undefined
  readonly id: string | undefined
  /** The addresses it sees this node at. */
  readonly observed: readonly string[]
  readonly rttMs: number | undefined
  readonly error: P2PError | undefined
}

/** What a node knows about its network; `undefined` and `unknown` are for what it does not. */
export interface NetworkReport {
  readonly backend: string
  /** How long finding out has taken, in milliseconds. */
  readonly tookMs: number
  /** Where peers are told to find this node. */
  readonly address: P2PAddress
  /** Its sockets, `ip:port`. */
  readonly boundAddresses: readonly string[]
  /** Where others see it, `ip:port`. */
  readonly publicAddresses: readonly string[]
  readonly nat: NatKind
  /** Whether UDP gets out and back, by IP version. */
  readonly udp: { readonly ipv4: boolean | undefined; readonly ipv6: boolean | undefined }
  /** The relay that peers are told to use. */
  readonly homeRelay: string | undefined
  readonly relays: readonly RelayReport[]
  readonly reflectors: readonly ReflectorReport[]
  /**
   * Whether a router was asked to forward a port (`off`: it was not), and what came of it: `mapped`, `none`, or `unknown`,
   * as on iroh, which keeps it to itself.
   */
  readonly portMapping: 'off' | 'unknown' | 'mapped' | 'none'
  /** Whether something on the way answers HTTP in the place of others. */
  readonly captivePortal: boolean | undefined
}

/** One who has said where it sees a node. */
export interface Observation {
  /** Where it is; observers that say nothing of that are told apart by a name. */
  readonly observer: string
  /** Where it sees the node, `ip:port`. */
  readonly address: string
}

/** What `observations` say about the NAT of a node whose interfaces have the addresses `local`, without ports. */
export function natKind(observations: readonly Observation[], local: readonly string[]): NatKind {
  const ipv4 = observations.filter(({ address }) => parseSocketAddress(address)?.bytes.length === 4)
  // IPv6 is rarely mapped; it says something where there is nothing else.
  const counted = ipv4.length > 0 ? ipv4 : observations
  const [first] = counted
  if (!first) return 'unknown'
  if (counted.every(({ address }) => local.includes(hostOf(address)))) return 'none'
  const seen = new Map<string, string>()
  for (const { observer, address } of counted) if (!seen.has(observer)) seen.set(observer, address)
  if (new Set(seen.values()).size > 1) return 'endpoint-dependent'
  return seen.size > 1 ? 'endpoint-independent' : 'unknown'
}

function hostOf(address: string): string {
  return address.slice(0, address.lastIndexOf(':'))
}

const yesNo = (value: boolean | undefined): string => (value === undefined ? 'unknown' : value ? 'yes' : 'no')
const millis = (value: number | undefined): string => (value === undefined ? '' : `${value.toFixed(1)} ms`)

/**
 * A report as lines of text, as `p2p-doctor` prints it.
 *
 * @example
 * ```ts
 * import { DefaultP2P, describeNetwork } from '@moosicbox/p2p'
 *
 * await using p2p = await DefaultP2P.create()
 * const lines = describeNetwork(await p2p.networkReport())
 * ```
 */
export function describeNetwork(report: NetworkReport): string {
  const { address, udp, relays, reflectors } = report
  const lines: [string, string][] = [
    ['node', address.id.toString()],
    ['backend', report.backend],
    ['bound to', report.boundAddresses.join(' ')],
    ['told to peers', [...address.direct, ...address.relays].join(' ') || 'nothing'],
    ['seen at', report.publicAddresses.join(' ') || 'unknown'],
    ['NAT', report.nat],
    ['UDP over IPv4', yesNo(udp.ipv4)],
    ['UDP over IPv6', yesNo(udp.ipv6)],
    ['port mapping', report.portMapping],
    ['captive portal', yesNo(report.captivePortal)],
    ['home relay', report.homeRelay ?? 'none'],
    ...relays.map(({ url, home, state, latencyMs, reason }): [string, string] => [
      home ? '* relay' : '  relay',
      [url, state, millis(latencyMs), reason ?? ''].filter((part) => part !== '').join('  '),
    ]),
    ...reflectors.map(({ relay, id, observed, rttMs, error }): [string, string] => [
      '  reflector',
      [id?.slice(0, 10) ?? relay ?? '', observed.join(' '), millis(rttMs), error?.message ?? '']
        .filter((part) => part !== '')
        .join('  '),
    ]),
  ]
  return lines.map(([name, value]) => `${name.padEnd(16)}${value}\n`).join('')
}
