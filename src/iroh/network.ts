/**
 * Puts together what a node on iroh knows about its network.
 *
 * @module
 */
import { networkInterfaces } from 'node:os'
import { P2PError } from '../core/errors.ts'
import { natKind } from '../core/network-report.ts'
import type { NatKind, NetworkReport, Observation } from '../core/network-report.ts'
import type { Runtime } from '../core/runtime.ts'
import { isIpv4 } from './addresses.ts'
import type { DoorReport, IrohEndpoint } from './binding.ts'
import type { NodeRelays } from './node-relays.ts'
import type { ReflectorState, ReflexiveAddresses } from './reflexive-addresses.ts'

/** Longest wait for what reflectors say. */
const REFLECTORS_MS = 6_000

/** Who is asked. */
export interface NetworkParts {
  readonly backend: string
  readonly endpoint: IrohEndpoint
  readonly runtime: Runtime
  readonly relays: NodeRelays
  readonly reflexive: ReflexiveAddresses | undefined
}

/**
 * Asks relays and reflectors, and the door.
 *
 * @throws P2PError `aborted`
 */
export async function reportNetwork(parts: NetworkParts, signal: AbortSignal | undefined): Promise<NetworkReport> {
  const { backend, endpoint, runtime, relays, reflexive } = parts
  const startMs = runtime.now()
  reflexive?.refresh()
  const [probes] = await Promise.all([relays.probe(signal), reflexive?.settled(REFLECTORS_MS)])
  if (signal?.aborted) throw P2PError.aborted(signal, 'networkReport')
  const door = endpoint.networkReport()
  const reflectors = reflexive?.states ?? []
  const latencies = new Map<string, number>()
  for (const { url, latencyMs } of [...door.latencies, ...probes]) {
    if (latencyMs !== undefined) latencies.set(url, Math.min(latencyMs, latencies.get(url) ?? latencyMs))
  }
  const states = relays.states
  const others = [...latencies.keys()].filter((url) => !states.some((relay) => relay.url === url))
  const observed = reflectors.flatMap((reflector) => reflector.observed)
  const address = endpoint.address()
  return {
    backend,
    tookMs: runtime.now() - startMs,
    address,
    boundAddresses: endpoint.boundAddresses(),
    publicAddresses: [...new Set([...observed, ...door.publicAddresses])],
    nat: kindOf(reflectors, door),
    udp: { ipv4: udp(reflectors, door, true), ipv6: udp(reflectors, door, false) },
    homeRelay: states.find(({ home }) => home)?.url,
    relays: [
      ...states.map(({ url, home, state, reason }) => ({ url, home, state, reason, latencyMs: latencies.get(url) })),
      // iroh's own, which it has measured.
      ...others.map((url) => ({
        url,
        home: false,
        state: 'standby',
        reason: undefined,
        latencyMs: latencies.get(url),
      })),
    ],
    reflectors: reflectors.map(({ relay, id, observed: seen, rttMs, error }) => ({
      relay,
      id,
      observed: seen,
      rttMs,
      error,
    })),
    portMapping: door.portMapping,
    captivePortal: door.captivePortal,
  }
}

/** The addresses of this machine's interfaces, as they are written before a port. */
function localHosts(): readonly string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .map(({ address, family }) => (family === 'IPv6' ? `[${address}]` : address))
}

function kindOf(reflectors: readonly ReflectorState[], door: DoorReport): NatKind {
  const observations = reflectors.flatMap(({ id = '', observed }) => {
    // Of each the path in use, of either family: another is of another interface, or of a connection in its place.
    const firsts = [observed.find(isIpv4), observed.find((text) => !isIpv4(text))]
    return firsts.flatMap((address): Observation[] => (address === undefined ? [] : [{ observer: id, address }]))
  })
  for (const address of door.publicAddresses) observations.push({ observer: 'relays', address })
  const kind = natKind(observations, localHosts())
  if (kind === 'none' || kind === 'endpoint-dependent' || door.mappingVaries === undefined) return kind
  return door.mappingVaries ? 'endpoint-dependent' : 'endpoint-independent'
}

function udp(reflectors: readonly ReflectorState[], door: DoorReport, ipv4: boolean): boolean | undefined {
  if (reflectors.some(({ observed }) => observed.some((address) => isIpv4(address) === ipv4))) return true
  const known = ipv4 ? door.udp.ipv4 : door.udp.ipv6
  if (known !== undefined) return known
  // One that was tried over this family alone, and did not answer.
  const failed = reflectors.some(
    ({ addresses, error }) =>
      error?.code === 'timeout' && addresses.length > 0 && addresses.every((address) => isIpv4(address) === ipv4),
  )
  return failed ? false : undefined
}
