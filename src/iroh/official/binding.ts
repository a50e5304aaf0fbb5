/**
 * The official door: `@number0/iroh`. It needs nothing but npm, and is slow.
 *
 * @module
 */
import type * as iroh from '@number0/iroh'
import { invalidConfiguration } from '../../core/config.ts'
import { P2PError } from '../../core/errors.ts'
import { isIpv4, isLoopback } from '../addresses.ts'
import { BUILD_NATIVE } from '../binding.ts'
import type { DoorSettings, IrohBinding, IrohEndpoint } from '../binding.ts'
import type { RelaySetting } from '../../core/system.ts'
import { asRelay } from '../relay-options.ts'
import { ByteCodec } from './bytes.ts'
import { OfficialEndpoint } from './endpoint.ts'
import { bindError, lacksIpv6 } from './errors.ts'
import { loadOfficial } from './load.ts'
import { relayConfig } from './relay-config.ts'
import type { Official } from './load.ts'

const LOOPBACK_IPV4 = '127.0.0.1:0'
const LOOPBACK_IPV6 = '[::1]:0'

/** Shorter time-outs would take a silent connection for a dead one: the transport says something every 5 s. */
const MIN_IDLE_MS = 10_000

/** Handshakes of inbound connections at a time; more are turned away until some are done. */
const DEFAULT_MAX_HANDSHAKES = 256

/** Makes the door; `load` is for tests. */
export function officialBinding(load?: () => Promise<Official>): IrohBinding {
  return {
    name: 'official',
    open: async (settings) => open(settings, await loadOfficial(load)),
  }
}

async function open(settings: DoorSettings, official: Official): Promise<IrohEndpoint> {
  const { secretKey, runtime, relay, relayRoots = [], idleTimeoutMs } = settings
  if (relayRoots.length > 0) {
    const what = 'relays with certificates of an authority of your own'
    const why = `the official binding cannot be told which authorities to trust: use the native door for ${what}`
    throw P2PError.of('unsupported', why, { what, backend: 'iroh (official)' })
  }
  if (idleTimeoutMs < MIN_IDLE_MS) {
    throw invalidConfiguration('limits.idleTimeoutMs', idleTimeoutMs, `on iroh it is at least ${MIN_IDLE_MS}`)
  }
  const { maxHandshakes = DEFAULT_MAX_HANDSHAKES, ...others } = settings.admission ?? {}
  for (const [name, value] of Object.entries(others)) {
    if (value !== undefined) throw nativeOnly(`admission.${name}`)
  }
  const codec = new ByteCodec(official)
  const bindTo = async (addresses: readonly string[]): Promise<iroh.Endpoint> => {
    const builder = official.Endpoint.builder()
    setRelays(official, builder, relay)
    const secret = secretKey.secretBytes()
    const encoded = codec.encode(secret)
    builder.secretKey(encoded)
    secret.fill(0)
    encoded.fill(0)
    for (const address of addresses) builder.bindAddr(address)
    return builder.bind()
  }
  const bind = settings.bind && completeFamilies(settings.bind)
  const loopbackOnly = bind?.every(isLoopback) ?? false
  let raw: iroh.Endpoint
  let bound: readonly string[]
  try {
    raw = await bindTo(bind ?? [])
    bound = raw.boundSockets()
  } catch (error) {
    const ipv4 = bind?.filter(isIpv4)
    if (!ipv4 || !bind?.some((address) => isLoopback(address) && !isIpv4(address)) || !lacksIpv6(error)) {
      throw bindError(error, settings.bind ?? [])
    }
    // A machine without IPv6, as many containers are. What the binding then opens instead, nothing can reach.
    raw = await bindTo(ipv4).catch((again: unknown) => Promise.reject(bindError(again, settings.bind ?? [])))
    bound = raw.boundSockets().filter(isIpv4)
  }
  if (loopbackOnly && ![...bound, ...raw.addr().directAddresses()].every(isLoopback)) {
    await raw.close()
    throw P2PError.of('network', `cannot keep to ${bind?.join(' and ')}: iroh opened other sockets too`, {})
  }
  const endpoint = new OfficialEndpoint({
    official,
    raw,
    bound,
    loopbackOnly,
    nodeId: secretKey.nodeId,
    codec,
    runtime,
    idleTimeoutMs,
    maxHandshakes,
    relays: relay !== 'disabled',
  })
  if (settings.access) endpoint.setAccess(settings.access)
  return endpoint
}

/** A bound that would be believed to hold must not be passed over. */
function nativeOnly(what: string): P2PError {
  const message = `${what} is kept by the native door alone: build that (${BUILD_NATIVE}), or do without`
  return P2PError.of('unsupported', message, { what, backend: 'iroh (official)' })
}

/** A family that is not bound would be on all interfaces. */
function completeFamilies(bind: readonly string[]): readonly string[] {
  const ipv4 = bind.filter(isIpv4)
  const ipv6 = bind.filter((address) => !isIpv4(address))
  if (ipv4.length > 1 || ipv6.length > 1) {
    throw invalidConfiguration('bind', bind.join(', '), 'takes at most one IPv4 and one IPv6 address')
  }
  return [ipv4[0] ?? LOOPBACK_IPV4, ipv6[0] ?? LOOPBACK_IPV6]
}

function setRelays(official: Official, builder: iroh.EndpointBuilder, relay: RelaySetting): void {
  // Not the preset of n0, which publishes every node at n0's servers and looks there.
  official.presetMinimal(builder)
  if (relay === 'default') {
    builder.relayMode(official.RelayMode.defaultMode())
    return
  }
  if (relay === 'disabled') {
    builder.relayMode(official.RelayMode.disabled())
    return
  }
  const relays = official.RelayMap.empty()
  for (const one of relay) relays.insert(relayConfig(asRelay(one)))
  builder.relayMode(official.RelayMode.custom(relays))
}
