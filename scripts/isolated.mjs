// Runs a command where nothing but loopback exists: in a Linux network namespace of its own, when that can be had.
// The official iroh binding sends one SSDP packet for every endpoint it binds, whatever it is told (docs/security.md);
// in here it goes nowhere. Elsewhere the command just runs, and one line says so.
import { spawn, spawnSync } from 'node:child_process'
import { constants } from 'node:os'

const LOOPBACK_UP = 'ip link set lo up'
const command = process.argv.slice(2)
if (command.length === 0) {
  console.error('usage: isolated.mjs COMMAND [ARG…]')
  process.exit(2)
}

/** The first way to a namespace that works here: root needs none of the user's; others become nobody else in theirs. */
function isolation() {
  if (process.platform !== 'linux') return undefined
  const ways = [['-n'], ['-Un', '--map-current-user', '--keep-caps']]
  return ways.find(
    (flags) => spawnSync('unshare', [...flags, 'sh', '-c', LOOPBACK_UP], { stdio: 'ignore' }).status === 0,
  )
}

const flags = isolation()
if (!flags) {
  console.error('isolated: no network namespace can be had here, so iroh endpoints may send one SSDP packet each')
}
const [file, ...args] = flags
  ? ['unshare', ...flags, 'sh', '-c', `${LOOPBACK_UP} && exec "$@"`, 'sh', ...command]
  : command
const child = spawn(file, args, { stdio: 'inherit', shell: process.platform === 'win32' })
// A terminal signals the whole group; what is sent to this process alone is passed on.
for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
process.on('SIGINT', () => {})
child.on('error', (error) => {
  console.error(`isolated: ${file} cannot be started: ${error.message}`)
  process.exit(127)
})
child.on('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal ?? 'SIGTERM'] ?? 15)))
