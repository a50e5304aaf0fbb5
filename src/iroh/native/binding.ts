/**
 * The native door: our own addon on the `iroh` crate. Fast, and able to abort what is blocked.
 *
 * @module
 */
import { invalidConfiguration } from '../../core/config.ts'
import { LIBRARY_CODE } from '../../core/engine/wire.ts'
import { P2PError } from '../../core/errors.ts'
import { isIpv4, isLoopback } from '../addresses.ts'
import type { DoorSettings, IrohAdmission, IrohBinding, IrohEndpoint } from '../binding.ts'
import { asRelay } from '../relay-options.ts'
import { loadAddon } from './addon.ts'
import type { NativeAddon } from './addon.ts'
import { NativeDoor } from './door.ts'
import { NativeEndpoint } from './endpoint.ts'
import { sharesLoop } from './loop.ts'
import { discoversAddresses, relayText } from './relays.ts'
import { bindError, FAILURE } from './errors.ts'
import type { Failed } from './errors.ts'

/** A connection says something this often, or three times within its idle time-out. */
const KEEP_ALIVE_MS = 5_000

/** What the addon calls these bounds. */
const ADMISSION: Readonly<Record<keyof IrohAdmission, string>> = {
  maxHandshakes: 'max-handshakes',
  maxHandshakesPerAddress: 'max-handshakes-per-address',
  maxHandshakesPerSecond: 'max-handshakes-per-second',
  handshakeTimeoutMs: 'handshake-timeout-ms',
  maxStreams: 'max-streams',
  maxStreamsPerPeer: 'max-streams-per-peer',
  maxStreamsInAll: 'max-streams-in-all',
  maxReceiveBytes: 'max-receive-bytes',
}

/** Makes the door; `load` is for tests. */
export function nativeBinding(load: () => NativeAddon = () => loadAddon()): IrohBinding {
  return {
    name: 'native',
    open: async (settings) => open(settings, load()),
  }
}

async function open(settings: DoorSettings, addon: NativeAddon): Promise<IrohEndpoint> {
  const { bind, relay, secretKey, runtime } = settings
  checkFamilies(bind)
  const door = new NativeDoor(addon, sharesLoop())
  try {
    let bound = await bindTo(door, settings, bind ?? [])
    // A machine without IPv6, as many containers are: its loopback address is no loss.
    const kept = bind?.filter((address) => isIpv4(address) || !isLoopback(address)) ?? []
    if (typeof bound === 'object' && bound.kind === FAILURE.addressNotAvailable && kept.length > 0) {
      const again = kept.length < (bind?.length ?? 0) ? await bindTo(door, settings, kept) : bound
      if (typeof again === 'number') bound = again
    }
    if (typeof bound === 'object') throw bindError(bound, bind ?? [])
    const endpoint = new NativeEndpoint({
      handle: bound,
      door,
      nodeId: secretKey.nodeId,
      runtime,
      loopbackOnly: bind?.every(isLoopback) ?? false,
      relays: relay !== 'disabled',
      discoversAddresses:
        relay === 'default' || (relay !== 'disabled' && relay.some((one) => discoversAddresses(asRelay(one)))),
    })
    if (settings.access) endpoint.setAccess(settings.access)
    return endpoint
  } catch (error) {
    door.close()
    throw P2PError.from(error, 'network', 'the endpoint cannot be opened', {})
  }
}

/** The handle of a new endpoint, or why there is none. */
function bindTo(door: NativeDoor, settings: DoorSettings, addresses: readonly string[]): Promise<number | Failed> {
  return new Promise((resolve, reject) => {
    const token = door.token({ done: resolve, failed: resolve })
    const secret = settings.secretKey.secretBytes()
    try {
      // The addon has copied it when this returns, and zeroes its copy when the endpoint is closed.
      door.addon.bind(door.context, token, secret, settingsText(settings, addresses))
    } catch (error) {
      door.revoke(token)
      reject(P2PError.from(error, 'network', 'the endpoint cannot be opened', {}))
    } finally {
      secret.fill(0)
    }
  })
}

function settingsText(settings: DoorSettings, addresses: readonly string[]): string {
  const { relay, relayRoots = [], idleTimeoutMs } = settings
  const keepAliveMs = Math.max(1, Math.min(KEEP_ALIVE_MS, Math.floor(idleTimeoutMs / 3)))
  return [
    ...addresses.map((address) => `bind ${address}`),
    ...(typeof relay === 'string' ? [`relays ${relay}`] : relay.map((one) => `relay ${relayText(asRelay(one))}`)),
    ...relayRoots.map((der) => `relay-root ${Buffer.from(der).toString('hex')}`),
    `idle-timeout-ms ${idleTimeoutMs}`,
    `keep-alive-ms ${keepAliveMs}`,
    `refuse-code ${LIBRARY_CODE.refused}`,
    ...Object.entries(settings.admission ?? {}).flatMap(([name, value]: [string, number | undefined]) =>
      value === undefined ? [] : [`${ADMISSION[name as keyof IrohAdmission]} ${value}`],
    ),
  ].join('\n')
}

function checkFamilies(bind: readonly string[] | undefined): void {
  const ipv4 = bind?.filter(isIpv4).length ?? 0
  if (!bind || (ipv4 <= 1 && bind.length - ipv4 <= 1)) return
  throw invalidConfiguration('bind', bind.join(', '), 'takes at most one IPv4 and one IPv6 address')
}
