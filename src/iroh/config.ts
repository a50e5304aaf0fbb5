/**
 * Settings of a node on iroh: options, environment variables, and one place that checks them.
 *
 * @module
 */
import { X509Certificate } from 'node:crypto'
import { P2PAddress } from '../core/address.ts'
import { checkBind, checkOptions, invalidConfiguration } from '../core/config.ts'
import type { P2PNodeId } from '../core/node-id.ts'
import type { CreateOptions, RelaySetting } from '../core/system.ts'
import type { IrohAccess, IrohAdmission } from './binding.ts'
import { checkRelays, parseRelays } from './relay-options.ts'
import type { Relays } from './relay-options.ts'

/** Which reflectors to ask besides those of relays: addresses or tickets of nodes that serve as such, or none at all. */
export type ReflectorSetting = 'disabled' | readonly (P2PAddress | string)[]

/** Options of `IrohP2P.create`. An option that is given goes before its environment variable. */
export interface IrohOptions extends CreateOptions {
  /**
   * Local `ip:port` addresses, port 0 for any; at most one of IPv4 and one of IPv6. A family that is not named is bound
   * to its loopback address only. `P2P_LISTEN_PORT` sets the port on all interfaces. @default all interfaces, any port
   */
  readonly bind?: readonly string[] | undefined
  /**
   * Relays: iroh's own public ones (`default`), none (`disabled`), or these, by their `http(s)` URLs or with a token each;
   * of several the nearest is used. Nothing but the relays is contacted: who is to be found by id alone, or to find others
   * so, takes sources into `discovery`. `P2P_RELAY_MODE` sets it too. @default 'default'
   */
  readonly relay?: RelaySetting | undefined
  /**
   * Authorities that may vouch for `https` relays, besides those that iroh has built in: certificates in PEM, one or more
   * a text. Only the native door can be told. @default none
   */
  readonly relayRoots?: readonly string[] | undefined
  /** Longest wait of `create` for a relay, in milliseconds, so that `address()` names it; 0 for none. @default 3000 */
  readonly relayTimeoutMs?: number | undefined
  /**
   * Reflectors, which tell this node the addresses that it is seen from: these besides those that relays of `relay` offer,
   * or none at all. @default those that relays offer
   */
  readonly reflectors?: ReflectorSetting | undefined
  /** Only these peers may connect; others are turned away before any of their streams is seen. @default everyone */
  readonly allow?: readonly P2PNodeId[] | undefined
  /** These peers may not connect, whatever `allow` says. @default nobody */
  readonly deny?: readonly P2PNodeId[] | undefined
  /** How much of everything strangers and peers may take, together. @default see `IrohAdmission` */
  readonly admission?: IrohAdmission | undefined
}

/** What {@link IrohOptions} come to. */
export interface IrohSettings {
  /** `undefined` for all interfaces. */
  readonly bind: readonly string[] | undefined
  readonly relay: Relays
  /** In DER. */
  readonly relayRoots: readonly Uint8Array[]
  readonly relayTimeoutMs: number
  /** `undefined` when not even those of relays are asked. */
  readonly reflectors: readonly P2PAddress[] | undefined
  /** The door that is asked for by name. */
  readonly binding: 'native' | 'official' | undefined
  readonly access: IrohAccess
  readonly admission: IrohAdmission
}

/** The names of {@link IrohAdmission}. */
const ADMISSION: readonly string[] = [
  'maxHandshakes',
  'maxHandshakesPerAddress',
  'maxHandshakesPerSecond',
  'handshakeTimeoutMs',
  'maxStreams',
  'maxStreamsPerPeer',
  'maxStreamsInAll',
  'maxReceiveBytes',
]

type Environment = Readonly<Record<string, string | undefined>>

const DEFAULT_RELAY_TIMEOUT_MS = 3_000
const MAX_RELAY_TIMEOUT_MS = 60_000
const MAX_REFLECTORS = 8
const MAX_BOUND = 2 ** 32 - 1

/**
 * The settings of `options`, and of `env` where an option is not given.
 *
 * @throws P2PError `invalid-configuration` that names the option or variable
 */
export function resolveIrohSettings(options: IrohOptions = {}, env: Environment = {}): IrohSettings {
  const fromEnvironment = parseIrohEnvironment(env)
  const bind = options.bind ?? fromEnvironment.bind
  const relay = checkRelays('relay', options.relay ?? fromEnvironment.relay ?? 'default')
  const relayTimeoutMs = options.relayTimeoutMs ?? DEFAULT_RELAY_TIMEOUT_MS
  if (bind !== undefined) checkBind(bind)
  if (!(relayTimeoutMs >= 0 && relayTimeoutMs <= MAX_RELAY_TIMEOUT_MS)) {
    throw invalidConfiguration('relayTimeoutMs', relayTimeoutMs, `must be from 0 to ${MAX_RELAY_TIMEOUT_MS}`)
  }
  checkIds('allow', options.allow)
  checkIds('deny', options.deny)
  checkAdmission(options.admission ?? {})
  return {
    bind: bind && [...bind],
    relay,
    relayRoots: parseRoots(options.relayRoots ?? []),
    relayTimeoutMs,
    reflectors: resolveReflectors(options.reflectors),
    binding: fromEnvironment.binding,
    access: { allow: options.allow && [...options.allow], deny: options.deny && [...options.deny] },
    admission: { ...options.admission },
  }
}

/**
 * Reads `P2P_LISTEN_PORT`, `P2P_RELAY_MODE` (`default`, `disabled`, or URLs with commas between) and
 * `P2P_IROH_BINDING` (`native`, `official`); an empty variable counts as unset.
 *
 * @throws P2PError `invalid-configuration` that names the variable and its value
 */
export function parseIrohEnvironment(
  env: Environment,
): Pick<IrohOptions, 'bind' | 'relay'> & Pick<IrohSettings, 'binding'> {
  const port = env['P2P_LISTEN_PORT']
  const relayMode = env['P2P_RELAY_MODE']
  const binding = env['P2P_IROH_BINDING'] || undefined
  if (binding !== undefined && binding !== 'native' && binding !== 'official') {
    throw invalidConfiguration('P2P_IROH_BINDING', binding, "must be 'native' or 'official'")
  }
  return {
    bind: port ? parsePort(port) : undefined,
    relay: relayMode ? parseRelays('P2P_RELAY_MODE', relayMode) : undefined,
    binding,
  }
}

function resolveReflectors(setting: ReflectorSetting = []): readonly P2PAddress[] | undefined {
  if (setting === 'disabled') return undefined
  const why = `must be 'disabled', or addresses or tickets of at most ${MAX_REFLECTORS} nodes that serve as reflectors`
  if (!Array.isArray(setting) || setting.length > MAX_REFLECTORS) throw invalidConfiguration('reflectors', setting, why)
  return setting.map((reflector: P2PAddress | string) => {
    const address = typeof reflector === 'string' ? P2PAddress.parse(reflector) : reflector
    const isReachable = Array.isArray(address?.direct) && address.direct.length > 0
    if (!isReachable) throw invalidConfiguration('reflectors', reflector, `${why}, with an ip:port each`)
    // It may come from another copy of this package.
    return new P2PAddress(address.id, address.direct)
  })
}

function checkIds(name: string, ids: readonly P2PNodeId[] | undefined): void {
  if (ids === undefined) return
  if (!Array.isArray(ids)) throw invalidConfiguration(name, ids, 'must be a list of node ids')
  for (const id of ids as readonly Partial<P2PNodeId>[]) {
    if (!(id?.asBytes?.() instanceof Uint8Array)) throw invalidConfiguration(name, id, 'must be a list of node ids')
  }
}

const CERTIFICATES = /-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gs

function parseRoots(texts: readonly string[]): Uint8Array[] {
  const why = 'must be a list of texts with certificates in PEM'
  if (!Array.isArray(texts)) throw invalidConfiguration('relayRoots', texts, why)
  return (texts as readonly unknown[]).flatMap((text) => {
    const found = typeof text === 'string' ? text.match(CERTIFICATES) : null
    if (!found) throw invalidConfiguration('relayRoots', text, why)
    return found.map((pem) => {
      try {
        return new Uint8Array(new X509Certificate(pem).raw)
      } catch (cause) {
        const what = cause instanceof Error ? cause.message : String(cause)
        throw invalidConfiguration('relayRoots', pem, `${why}; this one cannot be read: ${what}`)
      }
    })
  })
}

function checkAdmission(admission: IrohAdmission): void {
  checkOptions('admission', admission, ADMISSION)
  for (const [name, value] of Object.entries(admission) as [string, number | undefined][]) {
    if (value === undefined || (Number.isSafeInteger(value) && value > 0 && value <= MAX_BOUND)) continue
    throw invalidConfiguration(`admission.${name}`, value, `must be a whole number from 1 to ${MAX_BOUND}`)
  }
}

function parsePort(text: string): readonly string[] | undefined {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN
  if (!(port <= 65_535)) throw invalidConfiguration('P2P_LISTEN_PORT', text, 'must be a port, from 0 (any) to 65535')
  return port === 0 ? undefined : [`0.0.0.0:${port}`, `[::]:${port}`]
}
