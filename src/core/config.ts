/**
 * Limits and settings: their defaults, their environment variables, and one place that checks them.
 *
 * @module
 */
import { parseSocketAddress } from './address.ts'
import { P2PError } from './errors.ts'

/** Bounds that a node puts on its peers and on itself. Sizes in bytes, durations in milliseconds. */
export interface P2PLimits {
  /** Longest wait for `connect`. @default 30000 */
  readonly connectTimeoutMs: number
  /** Longest wait for one source of addresses, in `connect`, `discover` and `lookUp`. @default 5000 */
  readonly lookUpTimeoutMs: number
  /** A connection with no sign of life for this long is over. @default 30000 */
  readonly idleTimeoutMs: number
  /** Longest wait for the peer's word that it has drained everything, in `end()`. @default 5000 */
  readonly endTimeoutMs: number
  /** Longest wait for the first byte of a stream the peer has opened. @default 10000 */
  readonly streamHeaderTimeoutMs: number
  /** Largest message, both ways. @default 1048576 */
  readonly maxMessageBytes: number
  /** Messages accepted by `send` but not yet taken by the transport; at least one always fits. @default 1048576 */
  readonly sendQueueBytes: number
  /** Messages received but not yet taken by `recv`; at least one always fits. @default 1048576 */
  readonly receiveQueueBytes: number
  /** Unread bytes a connection keeps readable after the peer has ended it. @default 16777216 */
  readonly drainBufferBytes: number
  /** Longest wait for the answer of `authorize`; then the peer is refused. @default 5000 */
  readonly authorizeTimeoutMs: number
  /** Inbound connections a listener holds open at a time. @default 100 */
  readonly maxConnections: number
  /** Of these, from one peer. @default a quarter of `maxConnections`, but 8 at least */
  readonly maxConnectionsPerPeer: number
  /** Inbound connections waiting for `accept`. @default 64 */
  readonly acceptBacklog: number
  /** Streams of one kind that wait for `acceptStream`. @default 256 */
  readonly maxWaitingStreams: number
}

/** The defaults of {@link P2PLimits}. */
export const DEFAULT_LIMITS: P2PLimits = Object.freeze({
  connectTimeoutMs: 30_000,
  lookUpTimeoutMs: 5_000,
  idleTimeoutMs: 30_000,
  endTimeoutMs: 5_000,
  streamHeaderTimeoutMs: 10_000,
  maxMessageBytes: 1_048_576,
  sendQueueBytes: 1_048_576,
  receiveQueueBytes: 1_048_576,
  drainBufferBytes: 16_777_216,
  authorizeTimeoutMs: 5_000,
  maxConnections: 100,
  maxConnectionsPerPeer: 25,
  acceptBacklog: 64,
  maxWaitingStreams: 256,
})

/** What a peer may have when `maxConnections` is small: a program may well open one for each of its parts. */
const MIN_CONNECTIONS_PER_PEER = 8

/**
 * `overrides` on top of {@link DEFAULT_LIMITS}.
 *
 * @throws P2PError `invalid-configuration` for an unknown name, or a value that is not a positive whole number
 */
export function resolveLimits(overrides: Partial<P2PLimits> = {}): P2PLimits {
  const limits = resolveBounds('limits', DEFAULT_LIMITS, overrides)
  if (overrides.maxConnectionsPerPeer !== undefined) return limits
  const quarter = Math.ceil(limits.maxConnections / 4)
  return { ...limits, maxConnectionsPerPeer: Math.max(MIN_CONNECTIONS_PER_PEER, quarter) }
}

/** How {@link resolveBounds} takes its overrides. */
interface BoundsOptions {
  /** Names that may stand among the overrides and are no bounds. @default none */
  readonly others?: readonly string[]
  /** Whether Infinity is a value: no bound. @default false */
  readonly mayBeInfinite?: boolean
}

/**
 * Bounds from defaults and overrides.
 *
 * @param what what they belong to, as messages name it
 * @throws P2PError `invalid-configuration` for an unknown name, or a value that is no whole number above 0
 */
export function resolveBounds<Bounds extends object>(
  what: string,
  defaults: Bounds,
  overrides: object,
  { others = [], mayBeInfinite = false }: BoundsOptions = {},
): Bounds {
  const names = Object.keys(defaults)
  checkOptions(what, overrides, [...names, ...others])
  const bounds: Record<string, number> = { ...(defaults as Record<string, number>) }
  for (const name of names) {
    const value = (overrides as Readonly<Record<string, unknown>>)[name]
    if (value === undefined) continue
    const isWhole = Number.isSafeInteger(value) && (value as number) > 0
    if (!isWhole && !(mayBeInfinite && value === Number.POSITIVE_INFINITY)) {
      const wanted = `must be a whole number above 0${mayBeInfinite ? ', or Infinity for no bound' : ''}`
      throw invalidConfiguration(`${what}.${name}`, value, wanted)
    }
    bounds[name] = value as number
  }
  return bounds as Bounds
}

/**
 * Checks that `options` holds none but `known` names, as a name that is misspelt would else be ignored.
 *
 * @throws P2PError `invalid-configuration` that names the unknown option and the known ones
 */
export function checkOptions(what: string, options: object, known: readonly string[]): void {
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue
    // Without its value: it may be a secret, and errors are logged.
    const message = `${what} has no option ${JSON.stringify(name)}; known are ${known.join(', ')}`
    throw P2PError.of('invalid-configuration', message, { setting: name, value: undefined })
  }
}

/** The names of `CreateOptions`, for {@link checkOptions}. */
export const CREATE_OPTIONS: readonly string[] = Object.freeze(['secretKey', 'limits', 'discovery', 'relay', 'bind'])

/**
 * Checks a list of local addresses to bind.
 *
 * @throws P2PError `invalid-configuration` when it is empty, or for what is not `ip:port`
 */
export function checkBind(bind: readonly string[]): void {
  if (!Array.isArray(bind) || bind.length === 0) {
    throw invalidConfiguration('bind', bind, "must be a list such as ['127.0.0.1:0']; leave it out for all interfaces")
  }
  for (const address of bind as readonly unknown[]) {
    if (typeof address !== 'string' || !parseSocketAddress(address)) {
      throw invalidConfiguration(
        'bind',
        address,
        'must be ip:port, such as 0.0.0.0:4433 or [::1]:0; names are not looked up',
      )
    }
  }
}

/** The error for a setting that makes no sense; `why` says what would. */
export function invalidConfiguration(name: string, value: unknown, why: string): P2PError {
  return P2PError.of('invalid-configuration', `${name} = ${shown(value)}: ${why}`, { setting: name, value })
}

/** Whatever it is, as text: objects with a `toString` of their own may not have one that works. */
function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value)
  try {
    return String(value)
  } catch {
    return Array.isArray(value) ? 'a list' : typeof value === 'function' ? 'a function' : 'an object'
  }
}

/** The simulator's settings, as its environment variables name them (see `docs/simulation.md`). */
export interface SimulatorConfig {
  /** `SIMULATOR_SEED`: decides everything random in a run. Random when unset. */
  readonly seed: bigint | undefined
  /** `SIMULATOR_RUNS`: how many seeds to run. @default 1 */
  readonly runs: number
  /** `SIMULATOR_MAX_PARALLEL`: workers; 0 runs on the main thread. Number of cores when unset. */
  readonly maxParallel: number | undefined
  /** `SIMULATOR_DURATION`: virtual time limit, in milliseconds. None when unset. */
  readonly durationMs: number | undefined
  /** `SIMULATOR_EPOCH_OFFSET`: Unix milliseconds at virtual time 0. @default 1700000000000 */
  readonly epochOffsetMs: number
  /**
   * `SIMULATOR_TIME_MULTIPLIER`: virtual milliseconds a real one. When unset as fast as possible; real pace in the
   * default world.
   */
  readonly timeMultiplier: number | undefined
  /** `SIMULATOR_STEP_SIZE_MS`: the length of a `step()`. @default 10 */
  readonly stepSizeMs: number
  /** `SIMULATOR_DEFAULT_LATENCY_MS`: one-way latency of a default link. @default 50 */
  readonly defaultLatencyMs: number
  /** `SIMULATOR_DEFAULT_PACKET_LOSS`: probability a packet of a default link is lost. @default 0.01 */
  readonly defaultPacketLoss: number
  /** `SIMULATOR_PARTITION_PROBABILITY`: probability a step starts a random partition. @default 0 */
  readonly partitionProbability: number
  /** `SIMULATOR_DISCOVERY_DELAY_MS`: how long a name look-up takes. @default 100 */
  readonly discoveryDelayMs: number
  /** `SIMULATOR_DNS_TTL_SECONDS`: how long a resolved name is cached. @default 300 */
  readonly dnsTtlSeconds: number
  /** `SIMULATOR_CONNECTION_TIMEOUT_SECS`: longest wait for a connection. @default 30 */
  readonly connectionTimeoutSeconds: number
  /** `SIMULATOR_MAX_MESSAGE_SIZE`: largest message, in bytes. @default 1048576 */
  readonly maxMessageBytes: number
}

type Environment = Readonly<Record<string, string | undefined>>

/** A setting that is a number. */
interface NumberSetting {
  readonly variable: string
  readonly min: number
  readonly max: number
  readonly isWhole: boolean
}

const MAX = Number.MAX_SAFE_INTEGER

/** Those of {@link SimulatorConfig} that are numbers. */
const NUMBERS = {
  runs: { variable: 'SIMULATOR_RUNS', min: 1, max: MAX, isWhole: true },
  maxParallel: { variable: 'SIMULATOR_MAX_PARALLEL', min: 0, max: 1024, isWhole: true },
  epochOffsetMs: { variable: 'SIMULATOR_EPOCH_OFFSET', min: 0, max: 8_640_000_000_000_000, isWhole: true },
  timeMultiplier: { variable: 'SIMULATOR_TIME_MULTIPLIER', min: 0, max: MAX, isWhole: false },
  stepSizeMs: { variable: 'SIMULATOR_STEP_SIZE_MS', min: 1, max: 86_400_000, isWhole: true },
  defaultLatencyMs: { variable: 'SIMULATOR_DEFAULT_LATENCY_MS', min: 0, max: 3_600_000, isWhole: false },
  defaultPacketLoss: { variable: 'SIMULATOR_DEFAULT_PACKET_LOSS', min: 0, max: 1, isWhole: false },
  partitionProbability: { variable: 'SIMULATOR_PARTITION_PROBABILITY', min: 0, max: 1, isWhole: false },
  discoveryDelayMs: { variable: 'SIMULATOR_DISCOVERY_DELAY_MS', min: 0, max: 3_600_000, isWhole: false },
  dnsTtlSeconds: { variable: 'SIMULATOR_DNS_TTL_SECONDS', min: 0, max: 31_536_000, isWhole: true },
  connectionTimeoutSeconds: { variable: 'SIMULATOR_CONNECTION_TIMEOUT_SECS', min: 1, max: 86_400, isWhole: false },
  maxMessageBytes: { variable: 'SIMULATOR_MAX_MESSAGE_SIZE', min: 1, max: MAX, isWhole: true },
} as const satisfies Readonly<Record<string, NumberSetting>>

function checkNumber(name: string, value: unknown, given: unknown, { min, max, isWhole }: NumberSetting): number {
  if (typeof value === 'number' && value >= min && value <= max && (!isWhole || Number.isSafeInteger(value))) {
    return value
  }
  const range = max >= MAX ? `of at least ${min}` : `from ${min} to ${max}`
  throw invalidConfiguration(name, given, `must be ${isWhole ? 'a whole number' : 'a number'} ${range}`)
}

function number(env: Environment, setting: NumberSetting): number | undefined {
  const text = env[setting.variable]
  if (text === undefined || text === '') return undefined
  const value = /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN
  return checkNumber(setting.variable, value, text, setting)
}

const DURATION_UNITS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  '': 1,
}

/**
 * A duration as people write it, in milliseconds: `10s`, `500ms`, `250us`, `5m`, `1h`; a bare number is milliseconds.
 *
 * @example
 * ```ts
 * import { parseDuration } from '@moosicbox/p2p'
 *
 * console.log(parseDuration('1.5s', '--timeout')) // 1500
 * ```
 *
 * @throws P2PError `invalid-configuration` that names `name`
 */
export function parseDuration(text: string, name: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(ns|us|ms|s|m|h|)$/.exec(text.trim())
  const unit = DURATION_UNITS[match?.[2] ?? '?']
  const value = Number(match?.[1]) * (unit ?? Number.NaN)
  if (!Number.isFinite(value)) throw invalidConfiguration(name, text, 'must be a duration such as 10s, 500ms or 250us')
  return value
}

const U64_MAX = 18_446_744_073_709_551_615n

/**
 * A seed: a whole number from 0 to 2^64 - 1, in decimal.
 *
 * @example
 * ```ts
 * import { parseSeed } from '@moosicbox/p2p'
 *
 * console.log(parseSeed('7', '--seed')) // 7n
 * ```
 *
 * @throws P2PError `invalid-configuration` that names `name`
 */
export function parseSeed(text: string, name: string): bigint {
  const value = /^\d{1,20}$/.test(text) ? BigInt(text) : -1n
  if (value < 0n || value > U64_MAX) throw invalidConfiguration(name, text, 'must be a whole number from 0 to 2^64 - 1')
  return value
}

function moving(env: Environment, name: string, value: number): number {
  if (value > 0) return value
  throw invalidConfiguration(name, env[name], 'time must move: it must be above 0')
}

/**
 * Reads every `SIMULATOR_*` variable of `env`; an empty one counts as unset.
 *
 * @example
 * ```ts
 * import { parseSimulatorConfig } from '@moosicbox/p2p'
 *
 * console.log(parseSimulatorConfig({ SIMULATOR_SEED: '7' }).seed) // 7n
 * ```
 *
 * @throws P2PError `invalid-configuration` that names the variable and its value
 */
export function parseSimulatorConfig(env: Environment): SimulatorConfig {
  const seed = env['SIMULATOR_SEED']
  const duration = env['SIMULATOR_DURATION']
  const timeMultiplier = number(env, NUMBERS.timeMultiplier)
  if (timeMultiplier !== undefined) moving(env, 'SIMULATOR_TIME_MULTIPLIER', timeMultiplier)
  return {
    seed: seed ? parseSeed(seed, 'SIMULATOR_SEED') : undefined,
    runs: number(env, NUMBERS.runs) ?? 1,
    maxParallel: number(env, NUMBERS.maxParallel),
    durationMs: duration ? moving(env, 'SIMULATOR_DURATION', parseDuration(duration, 'SIMULATOR_DURATION')) : undefined,
    epochOffsetMs: number(env, NUMBERS.epochOffsetMs) ?? 1_700_000_000_000,
    timeMultiplier,
    stepSizeMs: number(env, NUMBERS.stepSizeMs) ?? 10,
    defaultLatencyMs: number(env, NUMBERS.defaultLatencyMs) ?? 50,
    defaultPacketLoss: number(env, NUMBERS.defaultPacketLoss) ?? 0.01,
    partitionProbability: number(env, NUMBERS.partitionProbability) ?? 0,
    discoveryDelayMs: number(env, NUMBERS.discoveryDelayMs) ?? 100,
    dnsTtlSeconds: number(env, NUMBERS.dnsTtlSeconds) ?? 300,
    connectionTimeoutSeconds: number(env, NUMBERS.connectionTimeoutSeconds) ?? 30,
    maxMessageBytes: number(env, NUMBERS.maxMessageBytes) ?? 1_048_576,
  }
}

/** The variables that {@link parseSimulatorConfig} reads. */
export const SIMULATOR_VARIABLES: readonly string[] = variablesRead()

function variablesRead(): string[] {
  const names: string[] = []
  const asked = { get: (_: object, name: string): undefined => void names.push(name) }
  parseSimulatorConfig(new Proxy<Environment>({}, asked))
  return [...new Set(names)]
}

const DEFAULTS = parseSimulatorConfig({})
const NAMES = Object.keys(DEFAULTS)
const MAY_BE_UNSET = NAMES.filter((name) => DEFAULTS[name as keyof SimulatorConfig] === undefined)

/**
 * `config`, with what it does not say from the `SIMULATOR_*` variables of `env`, which are not looked at if it says all.
 *
 * @throws P2PError `invalid-configuration` for an unknown setting, and a value that makes no sense
 */
export function completeSimulatorConfig(config: Partial<SimulatorConfig>, env: Environment): SimulatorConfig {
  if (typeof config !== 'object' || config === null || Array.isArray(config)) {
    throw invalidConfiguration('config', config, 'must be an object of settings')
  }
  checkOptions('config', config, NAMES)
  for (const [name, setting] of Object.entries(NUMBERS)) {
    const value = config[name as keyof typeof NUMBERS]
    if (value !== undefined) checkNumber(`config.${name}`, value, value, setting)
  }
  for (const name of ['durationMs', 'timeMultiplier'] as const) {
    const value = config[name]
    if (value === undefined || (typeof value === 'number' && value > 0)) continue
    throw invalidConfiguration(`config.${name}`, value, 'time must move: it must be above 0')
  }
  const isMissing = (name: string): boolean => {
    return config[name as keyof SimulatorConfig] === undefined && (!(name in config) || !MAY_BE_UNSET.includes(name))
  }
  if (!NAMES.some((name) => isMissing(name))) return config as SimulatorConfig
  const said = Object.entries(config).filter(([name]) => !isMissing(name))
  return { ...parseSimulatorConfig(env), ...Object.fromEntries(said) }
}
