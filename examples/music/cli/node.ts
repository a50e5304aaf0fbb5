/**
 * The node of a command: real, with the identity and the addresses that were asked for.
 *
 * @module
 */
import { DefaultP2P, SecretKey } from '@moosicbox/p2p'
import type { P2PDiscovery } from '@moosicbox/p2p'
import { discoveryFromEnvironment } from '@moosicbox/p2p/discovery'
import { UsageError } from '../errors.ts'
import type { Screen } from '../screen.ts'
import type { Backend } from './options.ts'

/** What the commands have in common. */
export interface NodeChoices {
  readonly command: string
  readonly backend: Backend
  readonly key: string | undefined
  readonly loopback: boolean
  readonly port?: number
  /** Which sources of addresses; undefined for what the environment says. */
  readonly discovery: string | undefined
  /** One that is asked before them. */
  readonly first?: P2PDiscovery | undefined
  /** Is told of a wait. */
  readonly screen: Screen
}

/** @throws UsageError on the simulator */
export function refuseSimulator(command: string, backend: Backend): void {
  if (backend !== 'iroh') {
    throw new UsageError(
      `${command} needs a real network: the simulator is a world inside one process, which no other program can reach. ` +
        'Take --backend iroh, or play the story: npm start',
    )
  }
}

/**
 * Creates the node.
 *
 * @throws UsageError on the simulator, and P2PError for keys and ports that cannot be used
 */
export async function createNode({
  command,
  backend,
  key,
  loopback,
  port = 0,
  discovery,
  first,
  screen,
}: NodeChoices): Promise<DefaultP2P> {
  refuseSimulator(command, backend)
  const secretKey = key === undefined ? undefined : await SecretKey.loadOrCreate(key)
  // The library's default for `relayTimeoutMs`.
  if (!loopback) screen.fact('Network', 'looking for a relay, 3 s at most (--loopback does without)')
  const hosts = loopback ? ['127.0.0.1', '[::1]'] : ['0.0.0.0', '[::]']
  const env = discovery === undefined ? process.env : { ...process.env, P2P_DISCOVERY_MODE: discovery }
  const sources = await discoveryFromEnvironment(env)
  const p2p = await DefaultP2P.create({
    secretKey,
    discovery: first ? [first, ...sources] : sources,
    relay: loopback ? 'disabled' : 'default',
    bind: hosts.map((host) => `${host}:${port}`),
  })
  if (p2p.backend !== 'simulator') return p2p
  await p2p.close()
  throw new UsageError(`${command} was started on the simulator: start it as \`node scripts/start.mjs ${command} …\``)
}
