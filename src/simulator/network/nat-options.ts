/**
 * What a network address translator is like, in the terms of RFC 4787, and the checked form that NATs work with.
 *
 * @module
 */
import { invalidConfiguration } from '../../core/config.ts'

/** What a NAT's decision depends on besides the host inside (RFC 4787, 4.1 and 5). */
export type NatBehaviour = 'endpoint-independent' | 'address-dependent' | 'address-and-port-dependent'

/**
 * How a NAT chooses the outside port of a new mapping (RFC 4787, 4.2).
 *
 * - `preserve`: the inside port where it is free, else the next free one. One host inside that sends from one port to
 *   several peers keeps it for all of them, whatever the mapping, as Linux' `masquerade` does
 * - `sequential`: one after the other
 * - `random`: any free one
 */
export type NatPortAllocation = 'preserve' | 'sequential' | 'random'

/** A NAT. */
export interface NatOptions {
  /** What an outside port is kept for: all peers, one peer's address, or one peer's address and port. */
  readonly mapping: NatBehaviour
  /** Who may send to an outside port: anybody, or addresses, or addresses and ports it was used to send to. */
  readonly filtering: NatBehaviour
  /** @default 'preserve' */
  readonly portAllocation?: NatPortAllocation | undefined
  /** Whether hosts inside reach each other by their outside addresses (RFC 4787, 6). @default false */
  readonly hairpinning?: boolean | undefined
  /** How long an idle mapping lasts once a reply has come in, in milliseconds. @default 300000 */
  readonly mappingTimeoutMs?: number | undefined
  /** How long it lasts before the first reply, in milliseconds. @default 30000, or `mappingTimeoutMs` if that is less */
  readonly unrepliedTimeoutMs?: number | undefined
  /** How long an idle connection of TCP is kept, in milliseconds. @default 7440000, which is RFC 5382, REQ-5's least */
  readonly tcpTimeoutMs?: number | undefined
  /** How long one of TCP is kept before the first reply, in milliseconds. @default 240000 (RFC 5382, REQ-5) */
  readonly tcpTransitoryTimeoutMs?: number | undefined
  /** Whether packets from outside keep a mapping alive too (RFC 4787, REQ-6). @default true */
  readonly refreshOnInbound?: boolean | undefined
  /** The most peers it tracks, over all hosts inside; past it new ones are dropped. @default 65536 */
  readonly maxSessions?: number | undefined
  /** Whether hosts inside can have ports forwarded when they ask (UPnP, NAT-PMP, PCP). @default false */
  readonly portMapping?: boolean | undefined
  /** Whether a firewall drops all UDP, both ways; TCP passes. @default false */
  readonly blocksUdp?: boolean | undefined
}

/** {@link NatOptions} with everything filled in, checked, and in microseconds. */
export interface NatSettings {
  readonly mapping: NatBehaviour
  readonly filtering: NatBehaviour
  readonly portAllocation: NatPortAllocation
  readonly hairpinning: boolean
  readonly mappingTimeoutUs: number
  readonly unrepliedTimeoutUs: number
  readonly tcpTimeoutUs: number
  readonly tcpTransitoryTimeoutUs: number
  readonly refreshOnInbound: boolean
  readonly maxSessions: number
  readonly portMapping: boolean
  readonly blocksUdp: boolean
}

/** All {@link NatBehaviour}s, from the most to the least open. */
export const NAT_BEHAVIOURS: readonly NatBehaviour[] = Object.freeze([
  'endpoint-independent',
  'address-dependent',
  'address-and-port-dependent',
])

const PORT_ALLOCATIONS: readonly string[] = ['preserve', 'sequential', 'random']
const MAX_TIMEOUT_MS = 86_400_000
const NAT_FIELDS: readonly string[] = [
  'mapping',
  'filtering',
  'portAllocation',
  'hairpinning',
  'mappingTimeoutMs',
  'unrepliedTimeoutMs',
  'tcpTimeoutMs',
  'tcpTransitoryTimeoutMs',
  'refreshOnInbound',
  'maxSessions',
  'portMapping',
  'blocksUdp',
]

function behaviour(value: NatBehaviour, name: string): NatBehaviour {
  if (!NAT_BEHAVIOURS.includes(value)) throw invalidConfiguration(name, value, `must be ${NAT_BEHAVIOURS.join(', ')}`)
  return value
}

function flag(value: boolean, name: string): boolean {
  if (typeof value !== 'boolean') throw invalidConfiguration(name, value, 'must be true or false')
  return value
}

function timeoutUs(value: number, name: string): number {
  if (typeof value !== 'number' || !(value > 0 && value <= MAX_TIMEOUT_MS)) {
    throw invalidConfiguration(name, value, `must be milliseconds above 0 and up to ${MAX_TIMEOUT_MS}`)
  }
  return Math.ceil(value * 1000)
}

/**
 * Checks `options` and fills in the defaults; `where` names the NAT in errors.
 *
 * @throws P2PError `invalid-configuration` that names the field
 */
export function resolveNatOptions(options: NatOptions, where: string): NatSettings {
  if (typeof options !== 'object' || options === null) {
    throw invalidConfiguration(where, options, 'must be NAT options or the name of a preset')
  }
  for (const [field, value] of Object.entries(options)) {
    // Presets carry their name along.
    if (field === 'name' || NAT_FIELDS.includes(field)) continue
    throw invalidConfiguration(
      `${where}: ${field}`,
      value,
      `there is no such option; known are ${NAT_FIELDS.join(', ')}`,
    )
  }
  const portAllocation = options.portAllocation ?? 'preserve'
  if (!PORT_ALLOCATIONS.includes(portAllocation)) {
    throw invalidConfiguration(`${where}: portAllocation`, portAllocation, `must be ${PORT_ALLOCATIONS.join(', ')}`)
  }
  const mappingTimeoutMs = options.mappingTimeoutMs ?? 300_000
  const unrepliedTimeoutMs = options.unrepliedTimeoutMs ?? Math.min(30_000, mappingTimeoutMs)
  const maxSessions = options.maxSessions ?? 65_536
  if (!Number.isSafeInteger(maxSessions) || maxSessions < 1 || maxSessions > 16_777_216) {
    throw invalidConfiguration(`${where}: maxSessions`, maxSessions, 'must be a whole number from 1 to 16777216')
  }
  return {
    mapping: behaviour(options.mapping, `${where}: mapping`),
    filtering: behaviour(options.filtering, `${where}: filtering`),
    portAllocation,
    hairpinning: flag(options.hairpinning ?? false, `${where}: hairpinning`),
    mappingTimeoutUs: timeoutUs(mappingTimeoutMs, `${where}: mappingTimeoutMs`),
    unrepliedTimeoutUs: timeoutUs(unrepliedTimeoutMs, `${where}: unrepliedTimeoutMs`),
    tcpTimeoutUs: timeoutUs(options.tcpTimeoutMs ?? 7_440_000, `${where}: tcpTimeoutMs`),
    tcpTransitoryTimeoutUs: timeoutUs(options.tcpTransitoryTimeoutMs ?? 240_000, `${where}: tcpTransitoryTimeoutMs`),
    refreshOnInbound: flag(options.refreshOnInbound ?? true, `${where}: refreshOnInbound`),
    maxSessions,
    portMapping: flag(options.portMapping ?? false, `${where}: portMapping`),
    blocksUdp: flag(options.blocksUdp ?? false, `${where}: blocksUdp`),
  }
}
