/**
 * NATs by names people know.
 *
 * Mapping and filtering follow the classes of RFC 4787 and the older ones of RFC 3489 ("full cone", "symmetric").
 * Time-outs are typical values: RFC 4787, REQ-5 asks for at least 2 and recommends 5 minutes; 30 s before the first
 * reply and 120 s after it are Linux' `nf_conntrack_udp_timeout` and `nf_conntrack_udp_timeout_stream`; 350 s is what
 * Amazon documents for the idle time-out of its NAT gateways.
 *
 * @module
 */
import { invalidConfiguration } from '../../core/config.ts'
import type { NatOptions } from './nat-options.ts'

/** The presets' names. */
export type NatPresetName =
  | 'full-cone'
  | 'restricted-cone'
  | 'home'
  | 'symmetric'
  | 'corporate'
  | 'cloud'
  | 'cgnat'
  | 'udp-blocked'

/** A NAT with a name. */
export interface NatPreset extends NatOptions {
  readonly name: NatPresetName
}

const independent = 'endpoint-independent'
const byAddress = 'address-dependent'
const byAddressAndPort = 'address-and-port-dependent'
const unrepliedTimeoutMs = 30_000

/**
 * The presets:
 *
 * - `full-cone`: anybody may send in once a host inside has sent out; hairpins
 * - `restricted-cone`: addresses that were sent to may send in
 * - `home`: a home router, "port-restricted cone": only address and port that were sent to; keeps ports
 * - `symmetric`: another random port for each peer
 * - `corporate`: the same with the shorter time-out of a busy firewall
 * - `cloud`: a data centre's NAT gateway
 * - `cgnat`: a provider's NAT for many customers, as RFC 6888 asks for
 * - `udp-blocked`: lets no UDP through
 */
export const natPresets: readonly NatPreset[] = Object.freeze(
  (
    [
      {
        name: 'full-cone',
        mapping: independent,
        filtering: independent,
        portAllocation: 'preserve',
        hairpinning: true,
        mappingTimeoutMs: 300_000,
        unrepliedTimeoutMs,
      },
      {
        name: 'restricted-cone',
        mapping: independent,
        filtering: byAddress,
        portAllocation: 'preserve',
        mappingTimeoutMs: 300_000,
        unrepliedTimeoutMs,
      },
      {
        name: 'home',
        mapping: independent,
        filtering: byAddressAndPort,
        portAllocation: 'preserve',
        mappingTimeoutMs: 300_000,
        unrepliedTimeoutMs,
      },
      {
        name: 'symmetric',
        mapping: byAddressAndPort,
        filtering: byAddressAndPort,
        portAllocation: 'random',
        mappingTimeoutMs: 300_000,
        unrepliedTimeoutMs,
      },
      {
        name: 'corporate',
        mapping: byAddressAndPort,
        filtering: byAddressAndPort,
        portAllocation: 'random',
        mappingTimeoutMs: 120_000,
        unrepliedTimeoutMs,
      },
      {
        name: 'cloud',
        mapping: byAddressAndPort,
        filtering: byAddressAndPort,
        portAllocation: 'random',
        mappingTimeoutMs: 350_000,
        unrepliedTimeoutMs,
      },
      {
        name: 'cgnat',
        mapping: independent,
        filtering: independent,
        portAllocation: 'random',
        mappingTimeoutMs: 300_000,
        unrepliedTimeoutMs,
      },
      {
        name: 'udp-blocked',
        mapping: byAddressAndPort,
        filtering: byAddressAndPort,
        portAllocation: 'random',
        blocksUdp: true,
      },
    ] satisfies NatPreset[]
  ).map((preset) => Object.freeze(preset)),
)

/**
 * The preset of that name.
 *
 * @throws P2PError `invalid-configuration` that lists the names
 */
export function natPreset(name: string): NatPreset {
  const preset = natPresets.find((preset) => preset.name === name)
  if (preset) return preset
  const names = natPresets.map((preset) => preset.name).join(', ')
  throw invalidConfiguration('nat', name, `there is no such NAT preset; known are ${names}`)
}
