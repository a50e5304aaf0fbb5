/**
 * The way into the lab: namespaces of network, mounts and processes, as root or as a user who becomes root of his own.
 * Whatever is made in there is gone when its first process ends, however that comes about.
 *
 * @module
 */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

type Namespaces = {
  readonly wayInto: (flags: readonly string[], script: string, options: { readonly asRoot: boolean }) => Way
}
type Way = { readonly command: readonly string[] } | { readonly why: string }

// Where it is built, it is further from there.
const SCRIPTS = import.meta.url.endsWith('.ts') ? '../../scripts' : '../../../scripts'
const { wayInto } = (await import(new URL(`${SCRIPTS}/namespaces.mjs`, import.meta.url).href)) as Namespaces

/** The path of a program, or undefined. */
export function findProgram(name: string, folders: readonly (string | undefined)[] = []): string | undefined {
  const all = [...folders, ...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin']
  return all
    .filter((folder) => folder !== undefined && folder !== '')
    .map((folder) => join(folder ?? '', name))
    .find((path) => isExecutable(path))
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** What the lab is made with, and the package that has it. */
const PROGRAMS = {
  unshare: 'util-linux',
  nsenter: 'util-linux',
  setpriv: 'util-linux',
  ip: 'iproute2',
  nft: 'nftables',
  conntrack: 'conntrack',
  openssl: 'openssl',
}

const FLAGS = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc']
/** A /run of its own, in which `ip netns` keeps its names. */
const PREPARE = 'mount -t tmpfs natlab /run && mkdir /run/netns'

/** How to get in: the command in front of one's own; or why that is not possible here. */
export function wayIn(): Way {
  if (process.platform !== 'linux') return { why: 'it needs network namespaces, which only Linux has' }
  for (const [name, from] of Object.entries(PROGRAMS)) {
    if (findProgram(name) === undefined) return { why: `it needs ${name}, of the package ${from}` }
  }
  // All that the lab does there and a machine may not allow.
  const tries = ['ip netns add try', 'ip netns exec try nft list tables', 'exec 3<>/dev/net/tun']
  const way = wayInto(FLAGS, [PREPARE, ...tries].join('\n'), { asRoot: true })
  return 'why' in way
    ? { why: `namespaces, nftables or TUN devices are not to be had: ${way.why}` }
    : { command: [...way.command, 'sh', '-ec', `${PREPARE} && exec "$@"`, 'sh'] }
}
