/**
 * The lab's network out of namespaces: sites around an emulated internet.
 *
 * All of it belongs to the mount and process namespaces that the lab runs in (`enter.ts`), and is gone with them.
 *
 * @module
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import type { Emulator } from './emulator.ts'
import type { LineSettings, Site } from './model.ts'
import { forgetRules, natRules, UDP_BLOCKED, UDP_PASSES } from './nat-rules.ts'

/** Every home has the same addresses inside, as in life. */
const INSIDE = { router: '192.168.1.1', host: '192.168.1.2' }
/** Of TCP, over which relays are spoken to: Linux's own default, which the simulator models. Machines may have another. */
const CONGESTION_CONTROL = 'cubic'
const MACHINE_CONTROL = '/proc/sys/net/ipv4/tcp_congestion_control'
/** Packets that wait for the emulator to take them. */
const QUEUE_PACKETS = 10_000

/** A machine that is plugged in. */
export interface Machine {
  readonly site: Site
  /** The namespace that its programs run in, by name. */
  readonly namespace: string
  /** Where it is seen from outside. */
  address: string
}

/** Runs a program in a namespace, or its command line to spawn. */
export function inNamespace(namespace: string, command: readonly string[]): string[] {
  return ['nsenter', `--net=${fileOf(namespace)}`, ...command]
}

const fileOf = (namespace: string): string => `/run/netns/${namespace}`
const routerOf = (site: Site): string => `${site.name}-router`

/** The network. */
export class Network {
  readonly #emulator: Emulator
  readonly #line: LineSettings
  readonly #machines = new Map<string, Machine>()
  #nextAddress = 1

  constructor(emulator: Emulator, line: LineSettings) {
    this.#emulator = emulator
    this.#line = line
    mkdirSync('/run/netns', { recursive: true })
  }

  /** A public machine next to the core, for relays. */
  async addServer(name: string): Promise<Machine> {
    return this.#plugIn({ name, place: 'none' }, { delayMs: 0, loss: 0 })
  }

  async addSite(site: Site): Promise<Machine> {
    return this.#plugIn(site, this.#line)
  }

  machine(site: Site): Machine {
    const machine = this.#machines.get(site.name)
    if (!machine) throw new Error(`${site.name} is not plugged in`)
    return machine
  }

  /** The router forgets its mappings. */
  forget(site: Site): void {
    const rules = forgetRules(site.place)
    if (rules !== '') shell(`ip netns exec ${routerOf(site)} nft -f -`, rules)
    // Says so, and fails, where there was nothing to delete.
    shell(`ip netns exec ${routerOf(site)} conntrack -F`)
  }

  /** The site gets another public address, and its router begins anew. */
  async renumber(site: Site): Promise<void> {
    const machine = this.machine(site)
    const before = machine.address
    machine.address = this.#address()
    await this.#emulator.setAddress(site.name, machine.address)
    const edge = site.place === 'none' ? site.name : routerOf(site)
    shell(`
      ip -n ${edge} addr add ${machine.address}/32 dev wan
      ip -n ${edge} addr del ${before}/32 dev wan
      ip -n ${edge} route replace default dev wan src ${machine.address}
    `)
    if (site.place !== 'none') this.forget(site)
  }

  /** The machine's own interface goes down, or up with the route that it had. */
  setInterface(site: Site, isUp: boolean): void {
    const device = site.place === 'none' ? 'wan' : 'eth0'
    const route =
      site.place === 'none'
        ? `dev wan src ${this.machine(site).address}`
        : `via ${INSIDE.router} dev eth0 src ${INSIDE.host}`
    shell(`ip -n ${site.name} link set ${device} ${isUp ? 'up' : 'down'}`)
    if (isUp) shell(`ip -n ${site.name} route replace default ${route}`)
  }

  /** Its line loses packets with this probability, each way. */
  async setLoss(site: Site, loss: number): Promise<void> {
    await this.#emulator.setLine(site.name, this.#line.delayMs, loss)
  }

  /** The router lets no UDP through, whichever way, or does again: what it remembers stays. */
  setUdp(site: Site, passes: boolean): void {
    if (site.place === 'none') throw new Error(`${site.name} has no router`)
    shell(`ip netns exec ${routerOf(site)} nft -f -`, passes ? UDP_PASSES : UDP_BLOCKED)
  }

  async #plugIn(site: Site, line: LineSettings): Promise<Machine> {
    const { name, place } = site
    const machine: Machine = { site, namespace: name, address: this.#address() }
    this.#machines.set(name, machine)
    const edge = place === 'none' ? name : routerOf(site)
    for (const namespace of new Set([name, edge])) {
      shell(`
        ip netns add ${namespace}
        ip netns exec ${namespace} sh -c 'for each in all default; do echo 1 > /proc/sys/net/ipv6/conf/$each/disable_ipv6; done'
        ip -n ${namespace} link set lo up
      `)
    }
    if (this.#line.loss > 0) for (const namespace of new Set([name, edge])) loseLikeLinux(namespace)
    const { address } = machine
    await this.#emulator.addLine({ name, namespace: fileOf(edge), device: 'wan', address, delayMs: line.delayMs })
    if (line.loss > 0) await this.#emulator.setLine(name, line.delayMs, line.loss)
    shell(`
      ip -n ${edge} link set wan txqueuelen ${QUEUE_PACKETS} up
      ip -n ${edge} addr add ${address}/32 dev wan
      ip -n ${edge} route add default dev wan src ${address}
    `)
    if (place === 'none') return machine
    shell(`
      ip -n ${edge} link add lan type veth peer name eth0 netns ${name}
      ip -n ${edge} addr add ${INSIDE.router}/24 dev lan
      ip -n ${edge} link set lan up
      ip -n ${name} addr add ${INSIDE.host}/24 dev eth0
      ip -n ${name} link set eth0 up
      ip -n ${name} route add default via ${INSIDE.router}
      ip netns exec ${edge} sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
    `)
    shell(`ip netns exec ${edge} nft -f -`, natRules(place))
    return machine
  }

  #address(): string {
    const address = `198.18.0.${this.#nextAddress}`
    if (++this.#nextAddress > 254) throw new Error('the lab has no address left')
    return address
  }
}

/** Where packets are lost it matters how TCP takes it. */
function loseLikeLinux(namespace: string): void {
  try {
    shell(`ip netns exec ${namespace} sh -c 'echo ${CONGESTION_CONTROL} > ${MACHINE_CONTROL}'`)
  } catch (error) {
    const text = `TCP is not ${CONGESTION_CONTROL} on this machine, and may not be in a namespace unless it is named in`
    throw new Error(`${text} /proc/sys/net/ipv4/tcp_allowed_congestion_control`, { cause: error })
  }
}

function shell(script: string, input = ''): void {
  try {
    execFileSync('sh', ['-ec', script], { input, stdio: ['pipe', 'ignore', 'pipe'] })
  } catch (error) {
    const said = (error as { readonly stderr?: Buffer }).stderr?.toString().trim() ?? ''
    throw new Error(`the network cannot be built: ${script.trim()}\n${said}`, { cause: error })
  }
}
