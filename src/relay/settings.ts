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
import { Tokens } from './handshake.ts'
import { DEFAULT_RELAY_LIMITS } from './options.ts'
import type {
  RelayAccess,
  RelayAccessCallback,
  RelayIds,
  RelayLimits,
  RelayOptions,
  RelayRateLimit,
  RelayReflector,
} from './options.ts'

/** The same, checked. */
export interface RelaySettings {
  readonly port: number
  readonly host: string | undefined
  readonly tls: { readonly cert: Buffer; readonly key: Buffer } | undefined
  readonly access: RelayAccessCallback
  readonly tokens: Tokens | undefined
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

/** Reads ids, so that a list with a misspelt one fails at the start and not by letting the wrong one in. */
function idSet(ids: RelayIds): ReadonlySet<string> {
  return new Set([...ids].map((id) => (typeof id === 'string' ? NodeId.parse(id) : id).toString()))
}

function resolveAccess(access: RelayAccess | undefined): RelayAccessCallback {
  if (access === undefined) return () => true
  if (typeof access === 'function') return access
  checkOptions('access', access, ['allow', 'deny'])
  const allow = access.allow && idSet(access.allow)
  const deny = idSet(access.deny ?? [])
  return ({ id }) => !deny.has(id.toString()) && (!allow || allow.has(id.toString()))
}

function resolveTokens(tokens: Iterable<string> | undefined): Tokens | undefined {
  if (tokens === undefined) return undefined
  const list = typeof tokens === 'string' ? [] : [...tokens]
  if (list.length === 0 || list.some((token) => typeof token !== 'string' || token === '')) {
    // The values stay out of the message: they are secrets.
    throw invalidConfiguration('tokens', '…', 'must be a list of texts, at least one, none empty')
  }
  return new Tokens(list)
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
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw invalidConfiguration('port', port, 'must be a whole number from 0 to 65535')
  }
  if (rateLimit) checkOptions('rateLimit', rateLimit, ['bytesPerSecond', 'burstBytes'])
  if (tls && !(tls.cert?.length > 0 && tls.key?.length > 0)) {
    throw P2PError.of('invalid-configuration', 'tls needs both cert and key, in PEM', { setting: 'tls', value: '…' })
  }
  return {
    port,
    host,
    tls: tls && { cert: Buffer.from(tls.cert), key: Buffer.from(tls.key) },
    access: resolveAccess(options.access),
    tokens: resolveTokens(options.tokens),
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
