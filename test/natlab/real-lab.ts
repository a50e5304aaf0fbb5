/**
 * The lab with real nodes: processes in network namespaces, around an emulated internet.
 *
 * @module
 */
import { fileURLToPath } from 'node:url'
import type { Emulator } from './emulator.ts'
import type { Load, LoadReport } from './load.ts'
import type { Lab, LineSettings, PathReport, Peer, Site, TrafficReport } from './model.ts'
import { Network } from './network.ts'
import type { Machine } from './network.ts'
import type { PeerCall, PeerSettings } from './peer.ts'
import { CalledProcess } from './process.ts'
import { Relay } from './relays.ts'
import type { RelayKind, RelayPrograms } from './relays.ts'

const PROGRAM = fileURLToPath(new URL('./peer.js', import.meta.url))

/** What a real lab is made of. */
export interface RealLabOptions {
  readonly sites: readonly Site[]
  readonly line: LineSettings
  readonly relay: RelayKind
  readonly binding: 'native' | 'official'
  readonly programs: RelayPrograms
  readonly emulator: Emulator
  /** Where files go. */
  readonly folder: string
}

/** A peer's process. */
class RealPeer implements Peer {
  readonly site: Site
  readonly #process: CalledProcess

  constructor(machine: Machine, settings: PeerSettings) {
    this.site = machine.site
    const node = ['--conditions=iroh', PROGRAM, JSON.stringify(settings)]
    this.#process = new CalledProcess(machine.site.name, machine.namespace, node)
  }

  async start(): Promise<void> {
    await this.#call('start')
  }

  async watch(to: Peer, watchMs: number): Promise<PathReport> {
    return (await this.#call('watch', await ticketOf(to), watchMs)) as PathReport
  }

  async load(to: Peer, load: Load): Promise<LoadReport> {
    return (await this.#call('load', await ticketOf(to), load)) as LoadReport
  }

  async begin(to: Peer, streams: boolean): Promise<void> {
    await this.#call('begin', await ticketOf(to), streams)
  }

  async finish(): Promise<TrafficReport> {
    return (await this.#call('finish')) as TrafficReport
  }

  async end(): Promise<void> {
    await this.#call('end')
  }

  async ticket(): Promise<string> {
    return (await this.#call('ticket')) as string
  }

  kill(): void {
    this.#process.signal('SIGKILL')
  }

  pause(): () => void {
    this.#process.signal('SIGSTOP')
    return () => this.#process.signal('SIGCONT')
  }

  #call(method: PeerCall['method'], ...args: unknown[]): Promise<unknown> {
    return this.#process.call({ method, args } satisfies Omit<PeerCall, 'id'>)
  }
}

async function ticketOf(peer: Peer): Promise<string> {
  if (!(peer instanceof RealPeer)) throw new Error(`${peer.site.name} is not of this lab`)
  return peer.ticket()
}

/** The lab. */
export class RealLab implements Lab {
  readonly kind = 'real'
  readonly peers: ReadonlyMap<string, Peer>
  readonly #network: Network
  readonly #relay: Relay

  private constructor(network: Network, relay: Relay, peers: ReadonlyMap<string, Peer>) {
    this.#network = network
    this.#relay = relay
    this.peers = peers
  }

  /** Builds the network, starts the relay, and every peer's process. */
  static async open(options: RealLabOptions): Promise<RealLab> {
    const { sites, line, binding, programs, emulator, folder } = options
    const network = new Network(emulator, line)
    const relay = new Relay(options.relay, await network.addServer('relay'), programs, folder)
    await relay.start()
    const peers = new Map<string, Peer>()
    for (const site of sites) {
      const machine = await network.addSite(site)
      const settings = {
        name: site.name,
        binding,
        relays: [relay.url],
        relayRoots: relay.roots,
      }
      peers.set(site.name, new RealPeer(machine, settings))
    }
    return new RealLab(network, relay, peers)
  }

  peer(name: string): Peer {
    const peer = this.peers.get(name)
    if (!peer) throw new Error(`there is no peer ${name}`)
    return peer
  }

  now(): number {
    return performance.now()
  }

  sleep(forMs: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, forMs))
  }

  killRelay(): void {
    this.#relay.kill()
  }

  async startRelay(): Promise<void> {
    await this.#relay.start()
  }

  async forget(site: Site): Promise<void> {
    this.#network.forget(site)
  }

  async renumber(site: Site): Promise<void> {
    await this.#network.renumber(site)
  }

  async setInterface(site: Site, isUp: boolean): Promise<void> {
    this.#network.setInterface(site, isUp)
  }

  async setLoss(site: Site, loss: number): Promise<void> {
    await this.#network.setLoss(site, loss)
  }

  async setUdp(site: Site, passes: boolean): Promise<void> {
    this.#network.setUdp(site, passes)
  }
}
