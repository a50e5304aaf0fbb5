// Where nothing but loopback exists: a Linux network namespace for one command, when that can be had. The official iroh
// binding sends one SSDP packet for every endpoint it binds, whatever it is told (docs/security.md); in there it goes
// nowhere.
import { wayInto } from './namespaces.mjs'

const LOOPBACK_UP = 'ip link set lo up'

/** `command` in a namespace of its own, as the same process; where there is none, as it is, and one line says so. */
export function isolated(command) {
  const way = wayInto(['--net'], LOOPBACK_UP)
  // What is in there may change the network: it is its own.
  if ('command' in way)
    return [...way.command, 'sh', '-c', `${LOOPBACK_UP} && P2P_ISOLATED=1 exec "$@"`, 'sh', ...command]
  console.error('isolated: no network namespace can be had here, so iroh endpoints may send one SSDP packet each')
  return command
}
