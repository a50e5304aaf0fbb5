/**
 * Sources of addresses as environment variables name them.
 *
 * @module
 */
import { invalidConfiguration } from '../core/config.ts'
import { P2PError } from '../core/errors.ts'
import type { P2PDiscovery } from '../core/system.ts'
import type { RecordPublish } from './published.ts'

/** The names of sources in `P2P_DISCOVERY_MODE`. */
export type DiscoveryMode = 'mdns' | 'dht' | 'dns' | 'static'

type Environment = Readonly<Record<string, string | undefined>>

/** Each is loaded only when it is asked for. */
const SOURCES: Readonly<Record<DiscoveryMode, (env: Environment) => Promise<readonly P2PDiscovery[]>>> = {
  mdns: async (env) => {
    const { MdnsDiscovery } = await import('./mdns/mdns-discovery.ts')
    return [new MdnsDiscovery({ interfaces: list(env, 'P2P_MDNS_INTERFACES') })]
  },
  dht: async (env) => {
    const { DhtDiscovery } = await import('./dht/dht-discovery.ts')
    const publish = value(env, 'P2P_DHT_PUBLISH') as RecordPublish | undefined
    const bootstrap = list(env, 'P2P_DHT_BOOTSTRAP')
    return [new DhtDiscovery({ bootstrap, bind: value(env, 'P2P_DHT_BIND'), publish })]
  },
  dns: async (env) => {
    const { DnsDiscovery } = await import('./dns-discovery.ts')
    const origin = required(env, 'P2P_DNS_ORIGIN', 'dns', 'the domain under which records are')
    const dns = new DnsDiscovery({ origin, servers: list(env, 'P2P_DNS_SERVERS') })
    const server = value(env, 'P2P_PKARR_SERVER')
    if (server === undefined) return [dns]
    const { PkarrDiscovery } = await import('./pkarr/pkarr-discovery.ts')
    const publish = value(env, 'P2P_PKARR_PUBLISH') as RecordPublish | undefined
    return [dns, new PkarrDiscovery({ server, publish })]
  },
  static: async (env) => {
    const { StaticDiscovery } = await import('./static-discovery.ts')
    const peers = value(env, 'P2P_STATIC_PEERS')
    const file = value(env, 'P2P_STATIC_FILE')
    if (peers === undefined && file === undefined) required(env, 'P2P_STATIC_FILE', 'static', 'a file of names')
    return [
      ...(peers === undefined ? [] : [StaticDiscovery.parse(peers, 'P2P_STATIC_PEERS')]),
      ...(file === undefined ? [] : [new StaticDiscovery({}, { file })]),
    ]
  },
}

/** Which variable an option of a source comes from, for errors. */
const VARIABLES: Readonly<Record<DiscoveryMode, Readonly<Record<string, string>>>> = {
  mdns: { interfaces: 'P2P_MDNS_INTERFACES' },
  dht: { bootstrap: 'P2P_DHT_BOOTSTRAP', bind: 'P2P_DHT_BIND', publish: 'P2P_DHT_PUBLISH' },
  dns: {
    origin: 'P2P_DNS_ORIGIN',
    servers: 'P2P_DNS_SERVERS',
    server: 'P2P_PKARR_SERVER',
    publish: 'P2P_PKARR_PUBLISH',
  },
  static: {},
}

/**
 * The names in a list such as `mdns,dht`; none when it is empty.
 *
 * @param variable where the text is from, for the error
 * @throws P2PError `invalid-configuration` for a name that is none, or is there twice
 */
export function parseDiscoveryMode(text: string, variable: string = 'P2P_DISCOVERY_MODE'): readonly DiscoveryMode[] {
  const modes: DiscoveryMode[] = []
  for (const part of text.split(',')) {
    const name = part.trim()
    if (name === '' && text.trim() === '') continue
    if (!Object.hasOwn(SOURCES, name)) {
      const known = Object.keys(SOURCES).join(', ')
      throw invalidConfiguration(
        variable,
        text,
        `${JSON.stringify(name)} is no source of addresses; known are ${known}`,
      )
    }
    if (modes.includes(name as DiscoveryMode)) throw invalidConfiguration(variable, text, `names ${name} twice`)
    modes.push(name as DiscoveryMode)
  }
  return modes
}

/**
 * The sources that `P2P_DISCOVERY_MODE` names, in its order, as the other variables set them up
 * (`docs/deployment.md`); none when it is unset or empty.
 *
 * @throws P2PError `invalid-configuration` that names the variable
 *
 * @example
 * ```ts
 * import { discoveryFromEnvironment } from '@moosicbox/p2p/discovery'
 *
 * const env = { P2P_DISCOVERY_MODE: 'dht,dns', P2P_DNS_ORIGIN: 'dns.example.org' }
 * const discovery = await discoveryFromEnvironment(env)
 * console.log(discovery.map(({ name }) => name)) // [ 'dht', 'dns' ]
 * ```
 */
export async function discoveryFromEnvironment(env: Environment): Promise<readonly P2PDiscovery[]> {
  const modes = parseDiscoveryMode(env['P2P_DISCOVERY_MODE'] ?? '')
  const sources = await Promise.all(modes.map((mode) => open(mode, env)))
  return sources.flat()
}

async function open(mode: DiscoveryMode, env: Environment): Promise<readonly P2PDiscovery[]> {
  try {
    return await SOURCES[mode](env)
  } catch (error) {
    const variable = P2PError.is(error, 'invalid-configuration') ? VARIABLES[mode][error.setting] : undefined
    if (variable === undefined || !P2PError.is(error, 'invalid-configuration')) throw error
    const message = error.message.replace(error.setting, variable)
    throw P2PError.of('invalid-configuration', message, { setting: variable, value: env[variable] }, { cause: error })
  }
}

/** An empty variable counts as unset. */
function value(env: Environment, name: string): string | undefined {
  return env[name]?.trim() || undefined
}

function list(env: Environment, name: string): readonly string[] | undefined {
  return value(env, name)
    ?.split(',')
    .map((part) => part.trim())
}

function required(env: Environment, name: string, mode: DiscoveryMode, what: string): string {
  const given = value(env, name)
  if (given !== undefined) return given
  throw invalidConfiguration(name, env[name], `P2P_DISCOVERY_MODE names ${mode}, which needs ${what}`)
}
