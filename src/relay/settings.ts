/**
 * The options of a relay, checked. Apart from them, so that their types need neither Node's nor those of `ws`.
 *
 * @module
 */
import { parseSocketAddress } from '../core/address.ts'
import { checkOptions, invalidConfiguration, resolveBounds } from '../core/config.ts'
import { P2PError } from '../core/errors.ts'
import { NodeId } from '../core/node-id.ts'
import type { Runtime } from '../core/runtime.ts'
import { realRuntime } from '../runtime/index.ts'
import { Admission } from './admission.ts'
import { DEFAULT_RELAY_LIMITS } from './options.ts'
import type { RelayLimits, RelayOptions, RelayRateLimit, RelayReflector } from './options.ts'

/** The same, checked. */
export interface RelaySettings {
  readonly port: number
  readonly host: string | undefined
  readonly tls: { readonly cert: Buffer; readonly key: Buffer } | undefined
  readonly admission: Admission
  readonly rateLimit: Required<RelayRateLimit> | undefined
  readonly limits: RelayLimits
  /** The answer to `GET /reflector`; undefined when there is none to tell of. */
  readonly reflectors: string | undefined
  readonly metrics: boolean
  readonly runtime: Runtime
}

/** As many as clients use. */
const MAX_REFLECTORS = 4

const OPTIONS = ['port', 'host', 'tls', 'access', 'tokens', 'rateLimit', 'limits', 'reflectors', 'metrics', 'runtime']

function positive(name: string, value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0) return value
  throw invalidConfiguration(name, value, 'must be a whole number above 0')
}

/** @throws P2PError `invalid-configuration` */
export function checkPort(port: number): number {
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port
  throw invalidConfiguration('port', port, 'must be a whole number from 0 to 65535')
}

/** The reflectors as JSON (`docs/wire.md`). */
function resolveReflectors(reflectors: readonly RelayReflector[] = []): string | undefined {
  if (!Array.isArray(reflectors) || reflectors.length > MAX_REFLECTORS) {
    throw invalidConfiguration('reflectors', reflectors, `must be a list of at most ${MAX_REFLECTORS}`)
  }
  if (reflectors.length === 0) return undefined
  const offers = reflectors.map((reflector: RelayReflector) => {
    checkOptions('a reflector', reflector, ['id', 'port', 'addresses'])
    const { id, port, addresses } = reflector
    const isPort = Number.isInteger(port) && Number(port) > 0 && Number(port) <= 65_535
    if (addresses === undefined ? !isPort : port !== undefined && !isPort) {
      throw invalidConfiguration('reflectors.port', port, 'must be a whole number from 1 to 65535')
    }
    for (const address of addresses ?? []) {
      if (!parseSocketAddress(address)) throw invalidConfiguration('reflectors.addresses', address, 'must be ip:port')
    }
    return { id: (typeof id === 'string' ? NodeId.parse(id) : id).toString(), port, addresses }
  })
  return JSON.stringify({ reflectors: offers })
}

/**
 * Checks `options`.
 *
 * @throws P2PError `invalid-configuration`, `invalid-node-id`
 */
export function resolveRelayOptions(options: RelayOptions): RelaySettings {
  checkOptions('a relay', options, OPTIONS)
  const { port, host, tls, rateLimit, metrics = false, runtime = realRuntime() } = options
  if (rateLimit) checkOptions('rateLimit', rateLimit, ['bytesPerSecond', 'burstBytes'])
  if (tls && !(tls.cert?.length > 0 && tls.key?.length > 0)) {
    throw P2PError.of('invalid-configuration', 'tls needs both cert and key, in PEM', { setting: 'tls', value: '…' })
  }
  return {
    port: checkPort(port),
    host,
    tls: tls && { cert: Buffer.from(tls.cert), key: Buffer.from(tls.key) },
    admission: new Admission({ access: options.access, tokens: options.tokens }),
    rateLimit: rateLimit && {
      bytesPerSecond: positive('rateLimit.bytesPerSecond', rateLimit.bytesPerSecond),
      burstBytes: positive('rateLimit.burstBytes', rateLimit.burstBytes ?? rateLimit.bytesPerSecond),
    },
    limits: resolveBounds('limits', DEFAULT_RELAY_LIMITS, options.limits ?? {}),
    reflectors: resolveReflectors(options.reflectors),
    metrics,
    runtime,
  }
}
