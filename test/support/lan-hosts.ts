/**
 * Two hosts on a local network of their own: network namespaces with a virtual cable between them. It needs root, or
 * user namespaces.
 *
 * @module
 */
import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { run } from '../interop/counterparts.ts'
import type { Running } from '../interop/counterparts.ts'
import { networkOf, wayInto } from '../../scripts/namespaces.mjs'

/** A namespace is held open by a process in it, which ends when its standard input does. */
const HOLD = ['sh', '-c', 'ip link set lo up && echo ready && exec cat']
const way = wayInto(['--net'], 'ip link add lan type veth peer name other')

/** Whether namespaces can be had here. */
export const namespacesWork: boolean = 'command' in way

/** The command in front of one's own that makes a network namespace. */
export function wayToNamespaces(): readonly string[] {
  if ('command' in way) return way.command
  throw new Error(way.why)
}

/** One of two hosts. */
export interface LanHost {
  /** Runs a command on it to its end; it must succeed. */
  shell(command: string): void
  /** Starts a program on it. */
  start(program: string, args: readonly string[], env?: Readonly<Record<string, string>>): Running
}

/** Two hosts, `left` at 10.77.0.1 and `right` at 10.77.0.2 by an interface `lan`, each with a default route there. */
export interface LanHosts extends AsyncDisposable {
  readonly left: LanHost
  readonly right: LanHost
  /** Another cable of IPv4 between them, by interfaces of this name; `prefix` is the first three numbers. */
  connect(name: string, prefix: string): void
}

/** Makes them. Whether the cable has addresses of IPv4 or IPv6, the options say. */
export async function lanHosts(family: 'IPv4' | 'IPv6' = 'IPv4'): Promise<LanHosts> {
  const holders: ChildProcess[] = []
  const hold = async ([command = '', ...args]: readonly string[]): Promise<number> => {
    const child = spawn(command, [...args, ...HOLD], { stdio: ['pipe', 'pipe', 'inherit'] })
    holders.push(child)
    await new Promise<void>((resolve, reject) => {
      child.stdout.once('data', () => resolve())
      child.once('exit', () => reject(new Error(`${command} ended`)))
    })
    return child.pid ?? 0
  }
  const command = wayToNamespaces()
  const inside = (pid: number): string[] => networkOf(pid, command)
  const left = await hold(command)
  // Within the first, so that whoever may do everything there may do so here.
  const right = await hold([...inside(left), 'unshare', '--net'])
  const host = (pid: number): LanHost => ({
    shell: (command) => {
      const [program, ...args] = [...inside(pid), 'sh', '-c', command]
      const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' })
      if (status !== 0) throw new Error(`${command}: ${stderr}`)
    },
    start: (program, args, env) => {
      const [enter = '', ...flags] = inside(pid)
      return run(enter, [...flags, program, ...args], env)
    },
  })
  const [a, b] = [host(left), host(right)]
  a.shell(`ip link add lan type veth peer name lan netns ${right}`)
  for (const [i, one] of [a, b].entries()) {
    const address = family === 'IPv4' ? `10.77.0.${i + 1}/24` : `fd77::${i + 1}/64 nodad`
    // Addresses of IPv6 that are given, and not made, can be used at once.
    one.shell(`ip link set lan addrgenmode none && ip addr add ${address} dev lan && ip link set lan up`)
    one.shell(`ip -6 addr add fe80::${i + 1}/64 dev lan nodad`)
    one.shell(`ip ${family === 'IPv4' ? '' : '-6'} route add default dev lan`)
  }
  return {
    left: a,
    right: b,
    connect: (name, prefix) => {
      a.shell(`ip link add ${name} type veth peer name ${name} netns ${right}`)
      for (const [i, one] of [a, b].entries()) {
        one.shell(`ip link set ${name} addrgenmode none && ip addr add ${prefix}.${i + 1}/24 dev ${name}`)
        one.shell(`ip link set ${name} up`)
      }
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(
        holders.map((child) => {
          const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
          child.kill('SIGKILL')
          return exited
        }),
      )
    },
  }
}
