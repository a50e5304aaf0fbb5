// Where nothing but loopback exists: a Linux network namespace for one command, when that can be had. The official iroh
// binding sends one SSDP packet for every endpoint it binds, whatever it is told (docs/security.md); in there it goes
// nowhere.
import { spawnSync } from 'node:child_process'

const LOOPBACK_UP = 'ip link set lo up'

/** The first way to a namespace that works here: root needs none of the user's; others become nobody else in theirs. */
function wayIn() {
  if (process.platform !== 'linux') return undefined
  const ways = [['-n'], ['-Un', '--map-current-user', '--keep-caps']]
  return ways.find(
    (flags) => spawnSync('unshare', [...flags, 'sh', '-c', LOOPBACK_UP], { stdio: 'ignore' }).status === 0,
  )
}

/** `command` in a namespace of its own, as the same process; where there is none, as it is, and one line says so. */
export function isolated(command) {
  const flags = wayIn()
  // What is in there may change the network: it is its own.
  if (flags) return ['unshare', ...flags, 'sh', '-c', `${LOOPBACK_UP} && P2P_ISOLATED=1 exec "$@"`, 'sh', ...command]
  console.error('isolated: no network namespace can be had here, so iroh endpoints may send one SSDP packet each')
  return command
}
