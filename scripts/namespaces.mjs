// The one way into Linux namespaces of one's own: as root, or as a user, who gets one of users besides, in which all of
// that is allowed.
import { spawnSync } from 'node:child_process'

/** Nobody else, who may do everything in there; or root of it, as `mount` and `ip netns` ask for. */
const USER = ['--user', '--map-current-user', '--keep-caps']
const ROOT = ['--user', '--map-root-user']

/**
 * The command in front of one's own that makes the namespaces of `flags`, in which `script` of a shell must succeed; or
 * why there is none, in words.
 */
export function wayInto(flags, script, { asRoot = false } = {}) {
  if (process.platform !== 'linux') return { why: 'it needs network namespaces, which only Linux has' }
  let why = ''
  for (const user of [[], asRoot ? ROOT : USER]) {
    const command = ['unshare', ...user, ...flags]
    const [program, ...args] = [...command, 'sh', '-ec', script]
    const { status, error, stderr } = spawnSync(program, args, { encoding: 'utf8' })
    if (status === 0) return { command }
    why = error?.message ?? stderr.trim()
  }
  return { why }
}

/** The command in front of one's own that enters the network of a process that was started by `way`. */
export function networkOf(pid, way) {
  const user = way.includes('--user') ? ['--user', '--preserve-credentials'] : []
  return ['nsenter', '--target', String(pid), ...user, '--net']
}
