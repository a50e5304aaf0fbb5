/**
 * Makes faults happen, ends them, and heals everything.
 *
 * @module
 */
import { invalidConfiguration } from '../../core/config.ts'
import { EventKind } from '../audit.ts'
import type { HostOptions, SimHost } from '../host.ts'
import type { Lan } from '../network/index.ts'
import { NO_HOST } from '../scheduler.ts'
import type { SimWorld } from '../sim-world.ts'
import { checkFault } from './fault.ts'
import type { Fault } from './fault.ts'
import { LineFaults, lineMatcher } from './line-faults.ts'

/** Runs `operation` at a virtual time, as an operation of the scenario; the result cancels it. */
export type ScheduleOperation = (atMs: number, operation: () => void) => () => void

/** A fault that was injected. Disposing of it, or `heal`, ends it, or keeps it from beginning. */
export interface InjectedFault extends Disposable {
  readonly fault: Fault
  /** Whether it is on now. */
  readonly isActive: boolean
  heal(): void
}

/** Called when a fault begins and when it ends. */
export type FaultListener = (fault: Fault, began: boolean) => void

class Injected implements InjectedFault {
  readonly fault: Fault
  readonly #onHeal: (injected: Injected) => void
  cancel: (() => void) | undefined
  end: (() => void) | undefined

  constructor(fault: Fault, onHeal: (injected: Injected) => void) {
    this.fault = fault
    this.#onHeal = onHeal
  }

  get isActive(): boolean {
    return this.end !== undefined
  }

  heal(): void {
    this.#onHeal(this)
  }

  [Symbol.dispose](): void {
    this.heal()
  }
}

/** The faults of one simulation. */
export class FaultInjector {
  readonly #world: SimWorld
  readonly #schedule: ScheduleOperation
  readonly #lines: LineFaults
  readonly #all: Injected[] = []
  readonly #listeners = new Set<FaultListener>()
  #outages = 0

  /** @internal */
  constructor(world: SimWorld, schedule: ScheduleOperation) {
    this.#world = world
    this.#schedule = schedule
    this.#lines = new LineFaults(world.scheduler, world.topology.fabric.graph, world.topology.fabric.rules)
  }

  /** The faults that are on, oldest first. */
  get active(): readonly Fault[] {
    return this.#all.filter(({ isActive }) => isActive).map(({ fault }) => fault)
  }

  /** Calls `listener` when a fault begins or ends, until the result is called. It must not change anything. */
  onChange(listener: FaultListener): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  /**
   * Has a fault happen at its time.
   *
   * @example
   * ```ts
   * import { Simulation } from '@moosicbox/p2p/simulator'
   *
   * const sim = new Simulation({ seed: 1 })
   * sim.host('server', async ({ runtime }) => {
   *   console.log('up at', runtime.now())
   *   await runtime.sleep(5000)
   * })
   * sim.faults.inject({ kind: 'crash', atMs: 1000, forMs: 2000, host: 'server' })
   * await sim.run()
   * // up at 0
   * // up at 3000
   * ```
   * @throws P2PError `invalid-configuration` for what is no fault, an unknown host, LAN, relay or line, and a time that
   * has passed
   */
  inject(fault: Fault): InjectedFault {
    checkFault(fault)
    this.#checkNames(fault)
    const injected = new Injected(fault, (it) => this.#heal(it))
    const nowMs = this.#world.scheduler.nowUs() / 1000
    if (fault.atMs < nowMs) throw invalidConfiguration('fault.atMs', fault.atMs, `it is ${nowMs} ms already`)
    this.#all.push(injected)
    injected.cancel = this.#schedule(fault.atMs, () => this.#begin(injected))
    return injected
  }

  /** Ends all faults that are on and cancels those to come: from here on the network is what it was built to be. */
  healAll(): void {
    for (const injected of this.#all.slice()) this.#heal(injected)
  }

  #begin(injected: Injected): void {
    injected.cancel = undefined
    const { fault } = injected
    const end = this.#apply(fault)
    this.#tell(fault, true)
    if (!end) {
      this.#forget(injected)
      return
    }
    injected.end = end
    const forMs = 'forMs' in fault ? fault.forMs : undefined
    if (forMs !== undefined) {
      const nowMs = this.#world.scheduler.nowUs() / 1000
      injected.cancel = this.#schedule(nowMs + forMs, () => this.#heal(injected))
    }
  }

  #heal(injected: Injected): void {
    const { cancel, end, fault } = injected
    injected.cancel = undefined
    injected.end = undefined
    this.#forget(injected)
    cancel?.()
    if (!end) return
    end()
    this.#tell(fault, false)
  }

  #forget(injected: Injected): void {
    const index = this.#all.indexOf(injected)
    if (index >= 0) this.#all.splice(index, 1)
  }

  #tell(fault: Fault, began: boolean): void {
    const { audit, trace } = this.#world.scheduler
    audit.record(EventKind.fault, NO_HOST, began ? 1 : 0)
    trace?.record('fault', { fault: fault.kind, began: began ? 1 : 0, details: JSON.stringify(fault) })
    for (const listener of this.#listeners) listener(fault, began)
  }

  /** Makes it so; the result, where there is one, ends it. */
  #apply(fault: Fault): (() => void) | undefined {
    const { graph } = this.#world.topology.fabric
    switch (fault.kind) {
      case 'partition': {
        const partition = graph.addPartition(fault.a, fault.b)
        return () => partition.heal()
      }
      case 'one-way-partition': {
        const partition = graph.addPartition(fault.from, fault.to, { direction: 'a-to-b' })
        return () => partition.heal()
      }
      case 'crash': {
        const host = this.#world.hostOf(fault.host)
        return host.program === 'ended' ? undefined : crash(host, fault.disk)
      }
      case 'restart': {
        const host = this.#world.hostOf(fault.host)
        if (host.program === 'ended') return undefined
        host.crash({ disk: fault.disk })
        host.restart()
        return undefined
      }
      case 'pause':
        return this.#world.hostOf(fault.host).pause()
      case 'slow':
        return this.#world.hostOf(fault.host).slow(fault.eventMs)
      case 'link-flap':
        return this.#flap(fault.line, fault.downMs, fault.upMs)
      case 'link-degrade':
        return this.#lines.degrade(fault)
      case 'nat-rebind': {
        const lan = this.#lan(fault.lan)
        if (fault.address === true) this.#world.topology.fabric.renumber(lan)
        else lan.nat?.rebind()
        return undefined
      }
      case 'mapping-expiry':
        this.#lan(fault.lan).nat?.flush()
        return undefined
      case 'relay-crash':
        return crash(this.#relay(fault.relay), 'kept')
      case 'name-outage':
        return this.#nameOutage()
      case 'clock-jump':
        this.#world.hostOf(fault.host).clock.jump(fault.byMs)
        return undefined
      case 'address-change':
        this.#move(this.#world.hostOf(fault.host), fault.lan)
        return undefined
    }
  }

  #flap(line: string, downMs: number, upMs: number): () => void {
    const nowMs = (): number => this.#world.scheduler.nowUs() / 1000
    let cancel: (() => void) | undefined
    let up: (() => void) | undefined
    const goDown = (): void => {
      up = this.#lines.takeDown(line)
      cancel = this.#schedule(nowMs() + downMs, () => {
        up?.()
        up = undefined
        cancel = this.#schedule(nowMs() + upMs, goDown)
      })
    }
    goDown()
    return () => {
      cancel?.()
      up?.()
    }
  }

  #nameOutage(): () => void {
    const { names, ids } = this.#world
    this.#outages++
    names.isDown = true
    ids.isDown = true
    return () => {
      if (--this.#outages > 0) return
      names.isDown = false
      ids.isDown = false
    }
  }

  #move(host: SimHost, lanName: string | undefined): void {
    // Another address, but of the same versions.
    const { ip: _ip, ip6, ...options } = host.options
    const to: HostOptions = { ...options, ip6: typeof ip6 === 'string' ? true : ip6 }
    if (lanName === undefined) host.move(to)
    else if (lanName === 'public') host.move({ ...to, lan: undefined, link: undefined })
    else
      host.move({ ...to, lan: this.#lan(lanName), link: undefined, region: undefined, core: undefined, ip6: undefined })
  }

  #lan(name: string): Lan {
    const lan = this.#world.topology.fabric.lans().find((lan) => lan.name === name)
    if (lan) return lan
    const names = this.#world.topology.fabric.lans().map((lan) => lan.name)
    throw invalidConfiguration(
      'fault.lan',
      name,
      `there is no LAN of this name; there are ${names.join(', ') || 'none'}`,
    )
  }

  #relay(name: string | undefined): SimHost {
    if (name === undefined) return this.#world.defaultRelay.host
    const relays = this.#world.relays.map(({ host }) => host)
    const found = relays.find((host) => host.name === name)
    if (found) return found
    const names = relays.map((host) => host.name)
    const why = `there is no relay of this name; there are ${names.join(', ') || 'none'}`
    throw invalidConfiguration('fault.relay', name, why)
  }

  #checkNames(fault: Fault): void {
    const { graph } = this.#world.topology.fabric
    const known = (name: string): void => {
      if (graph.hasNode(name)) return
      const names = [
        ...this.#world.hosts.map((host) => host.name),
        ...this.#world.topology.fabric.lans().map((lan) => lan.name),
      ]
      const why = `a ${fault.kind} cannot happen to it: there is no host or LAN of this name; there are ${names.join(', ')}`
      throw invalidConfiguration('fault', name, why)
    }
    if ('host' in fault) known(fault.host)
    if ('host' in fault) this.#world.hostOf(fault.host)
    if (fault.kind === 'partition') for (const name of [...fault.a, ...(fault.b ?? [])]) known(name)
    if (fault.kind === 'one-way-partition') for (const name of [...fault.from, ...fault.to]) known(name)
    if ('line' in fault) {
      for (const name of fault.line.split('>')) known(name)
      lineMatcher(graph, fault.line)
    }
    if (fault.kind === 'address-change') {
      if (fault.lan !== undefined && fault.lan !== 'public') this.#lan(fault.lan)
    } else if ('lan' in fault && !this.#lan(fault.lan).nat) {
      throw invalidConfiguration('fault.lan', fault.lan, `has no NAT: a ${fault.kind} cannot happen to it`)
    }
    if (fault.kind === 'relay-crash') this.#relay(fault.relay)
  }
}

/** Takes a host's power; the result gives it back, unless somebody else has. */
function crash(host: SimHost, disk: 'kept' | 'lost' | undefined): (() => void) | undefined {
  if (!host.isOn) return undefined
  host.crash({ disk })
  return () => {
    if (!host.isOn) host.restart()
  }
}
