/**
 * The same lab in the simulator: the same sites, lines and relay, the same programs.
 *
 * @module
 */
import { Simulation, SimulatorP2P } from '@moosicbox/p2p/simulator'
import type { Lan, RelayHost, SimHost } from '@moosicbox/p2p/simulator'
import type { Load, LoadReport } from './load.ts'
import type { Lab, LineSettings, PathReport, Peer, Site, TrafficReport } from './model.ts'
import { PeerProgram } from './peer-program.ts'

/** What a simulated lab is made of. */
export interface SimulatedLabOptions {
  readonly seed: number
  readonly sites: readonly Site[]
  readonly line: LineSettings
}

/** No scenario takes longer, in virtual time. */
const LIMIT_MS = 3_600_000

class SimulatedPeer implements Peer {
  readonly site: Site
  readonly host: SimHost
  readonly #sim: Simulation
  readonly #program: PeerProgram

  constructor(sim: Simulation, site: Site, host: SimHost, relay: string) {
    this.#sim = sim
    this.site = site
    this.host = host
    this.#program = new PeerProgram(() => SimulatorP2P.create({ host, relay: [relay] }))
  }

  start(): Promise<void> {
    return this.#do(() => this.#program.start())
  }

  watch(to: Peer, watchMs: number): Promise<PathReport> {
    const ticket = ticketOf(to)
    return this.#do(() => this.#program.watch(ticket, watchMs))
  }

  load(to: Peer, load: Load): Promise<LoadReport> {
    const ticket = ticketOf(to)
    return this.#do(() => this.#program.load(ticket, load))
  }

  begin(to: Peer, streams: boolean): Promise<void> {
    const ticket = ticketOf(to)
    return this.#do(() => this.#program.begin(ticket, streams))
  }

  finish(): Promise<TrafficReport> {
    return this.#do(() => this.#program.finish())
  }

  end(): Promise<void> {
    return this.#do(() => this.#program.end())
  }

  get ticket(): string {
    return this.#program.ticket()
  }

  kill(): void {
    this.host.crash()
  }

  pause(): () => void {
    return this.host.pause()
  }

  #do<T>(code: () => Promise<T> | T): Promise<T> {
    return this.#sim.perform(this.host, code)
  }
}

function ticketOf(peer: Peer): string {
  if (!(peer instanceof SimulatedPeer)) throw new Error(`${peer.site.name} is not of this lab`)
  return peer.ticket
}

class SimulatedLab implements Lab {
  readonly kind = 'simulated'
  readonly peers = new Map<string, SimulatedPeer>()
  readonly #sim: Simulation
  readonly #lans = new Map<string, Lan>()
  readonly #relay: RelayHost
  readonly #blocked = new Map<string, Disposable>()
  #director: SimHost | undefined

  constructor(sim: Simulation, { sites, line }: SimulatedLabOptions) {
    this.#sim = sim
    this.#relay = sim.relay('relay', { link: { up: {}, down: {} } })
    const link = { latencyMs: line.delayMs, packetLoss: line.loss }
    for (const { name, place } of sites) {
      const lines = { link: { up: link, down: link } }
      const lan = place === 'none' ? undefined : sim.lan({ name: `${name}-home`, nat: place, ...lines })
      if (lan) this.#lans.set(name, lan)
      const host = sim.host(name, lan ? { lan } : lines)
      this.peers.set(name, new SimulatedPeer(sim, { name, place }, host, this.#relay.url))
    }
  }

  /** Runs a scenario as the program of a host that nobody talks to. */
  async run<T>(scenario: (lab: Lab) => Promise<T>): Promise<T> {
    let result: { readonly value: T } | undefined
    this.#director = this.#sim.host('director', async () => {
      result = { value: await scenario(this) }
    })
    await this.#sim.run({ forMs: LIMIT_MS })
    if (!result) throw new Error(`the scenario did not end within ${LIMIT_MS} ms\n${this.#sim.report()}`)
    return result.value
  }

  peer(name: string): Peer {
    const peer = this.peers.get(name)
    if (!peer) throw new Error(`there is no peer ${name}`)
    return peer
  }

  now(): number {
    return this.#sim.now
  }

  async sleep(forMs: number): Promise<void> {
    await this.#director?.runtime.sleep(forMs)
  }

  killRelay(): void {
    this.#relay.kill()
  }

  async startRelay(): Promise<void> {
    this.#relay.start()
  }

  async forget(site: Site): Promise<void> {
    this.#inject(site, 'mapping-expiry')
  }

  async renumber(site: Site): Promise<void> {
    this.#inject(site, 'nat-rebind')
  }

  async setInterface(site: Site, isUp: boolean): Promise<void> {
    const peer = this.peers.get(site.name)
    if (peer) peer.host.network.isUp = isUp
  }

  async setLoss(site: Site, loss: number): Promise<void> {
    const line = this.#lans.get(site.name)?.name ?? site.name
    this.#sim.faults.inject({ kind: 'link-degrade', atMs: this.#sim.now, line, loss })
  }

  async setUdp({ name }: Site, passes: boolean): Promise<void> {
    this.#blocked.get(name)?.[Symbol.dispose]()
    if (passes) return
    const rule = this.#sim.topology.fabric.rules.add(({ packet, link: { from, to } }) =>
      packet.protocol === 'udp' && (from.name === name || to.name === name) ? 'drop' : 'pass',
    )
    this.#blocked.set(name, rule)
  }

  #inject({ name }: Site, kind: 'mapping-expiry' | 'nat-rebind'): void {
    const lan = this.#lans.get(name)?.name
    if (lan === undefined) throw new Error(`${name} is at no home`)
    const atMs = this.#sim.now
    if (kind === 'nat-rebind') this.#sim.faults.inject({ kind, atMs, lan, address: true })
    else this.#sim.faults.inject({ kind, atMs, lan })
  }
}

/** Runs a scenario in a new world. */
export async function simulate<T>(options: SimulatedLabOptions, scenario: (lab: Lab) => Promise<T>): Promise<T> {
  await using sim = new Simulation({ seed: options.seed })
  return await new SimulatedLab(sim, options).run(scenario)
}
