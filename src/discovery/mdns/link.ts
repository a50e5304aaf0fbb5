/**
 * Multicast on the interfaces of this machine, which come and go: a socket for each family of addresses on each.
 *
 * Port 5353 is shared with other responders. Where the system lets it, a socket is bound to the multicast address and
 * not to every address, so that it takes no packet that was meant for another responder.
 *
 * @module
 */
import { createSocket } from 'node:dgram'
import type { Socket } from 'node:dgram'
import { platform } from 'node:os'
import type { Runtime, RuntimeTimer } from '../../core/runtime.ts'
import { addressesOf, localInterfaces } from './interfaces.ts'
import type { LocalInterface } from './interfaces.ts'

/** How one interface fares. */
export interface LinkState {
  /** Its name, such as `eth0`. */
  readonly interface: string
  readonly family: 'IPv4' | 'IPv6'
  /** Why it is not used; undefined when it is. */
  readonly error: Error | undefined
}

/**
 * One family on one interface, as a text. Answers go where the question came from and not to both families, as who
 * hears both would count two.
 */
export function portOf(state: Pick<LinkState, 'interface' | 'family'>): string {
  return `${state.interface} ${state.family}`
}

/** Why nothing can be sent; undefined where an interface is in use. */
export function whyUnusable(states: readonly LinkState[]): string | undefined {
  if (states.length === 0) return 'this machine has no network interface for it'
  if (states.some(({ error }) => error === undefined)) return undefined
  return states.map(({ interface: name, family, error }) => `${name} (${family}): ${error?.message}`).join('; ')
}

/** What happens on a link. */
export interface LinkEvents {
  /** A packet came from a neighbour. `from` is what to give to `send` for an answer (see {@link portOf}). */
  readonly onPacket: (bytes: Uint8Array, from: string, loopback: boolean) => void
  /** An interface can be used from now on. */
  readonly onUp: (name: string) => void
}

/** Carries packets to everybody on the local network. */
export interface Link {
  /** Sends by one family on one interface, or on all; tells how many took it. */
  send(bytes: Uint8Array, on?: string): Promise<number>
  /** The addresses that this machine has on the interfaces in use. */
  addresses(): ReadonlySet<string>
  /** How each interface fares. */
  states(): readonly LinkState[]
  close(): Promise<void>
}

/** Opens a link. */
export type OpenLink = (events: LinkEvents, runtime: Runtime) => Link

const PORT = 5353
const GROUPS = { IPv4: '224.0.0.251', IPv6: 'ff02::fb' } as const
/** Nothing tells Node that an interface has come or gone. */
const SCAN_MS = 5_000
/** RFC 6762, 11. */
const HOPS = 255

/** One family on one interface. */
class Port {
  readonly local: LocalInterface
  #socket: Socket | undefined
  #error: Error | undefined

  constructor(local: LocalInterface, onPacket: (bytes: Uint8Array) => void, onReady: (port: Port) => void) {
    this.local = local
    this.#open(true, onPacket, onReady)
  }

  get error(): Error | undefined {
    return this.#error
  }

  /** See {@link portOf}. */
  get name(): string {
    return portOf({ interface: this.local.name, family: this.local.family })
  }

  /** Whether it can be sent on. */
  get ready(): boolean {
    return this.#socket !== undefined && this.#error === undefined
  }

  /** Whether the packet was taken. */
  send(bytes: Uint8Array): Promise<boolean> {
    const socket = this.#socket
    if (!socket || !this.ready) return Promise.resolve(false)
    const { family } = this.local
    return new Promise((resolve) => {
      socket.send(bytes, PORT, `${GROUPS[family]}${family === 'IPv6' ? this.#zone() : ''}`, (error) => {
        resolve(!error)
        // An interface that cannot be sent on is opened anew at the next scan.
        if (error) this.#fail(error)
      })
    })
  }

  async close(): Promise<void> {
    const socket = this.#socket
    this.#socket = undefined
    if (!socket) return
    await new Promise<void>((resolve) => {
      socket.once('close', resolve)
      try {
        socket.close()
      } catch {
        resolve()
      }
    })
  }

  #open(exact: boolean, onPacket: (bytes: Uint8Array) => void, onReady: (port: Port) => void): void {
    const { family, isOnLink } = this.local
    const socket =
      family === 'IPv4'
        ? createSocket({ type: 'udp4', reuseAddr: true })
        : createSocket({ type: 'udp6', reuseAddr: true, ipv6Only: true })
    const group = GROUPS[family]
    let bound = false
    this.#socket = socket
    socket.on('error', (error) => {
      if (this.#socket !== socket) return
      if (bound || !exact) return this.#fail(error)
      // A system that binds no multicast address.
      this.#socket = undefined
      socket.close()
      this.#open(false, onPacket, onReady)
    })
    socket.on('message', (bytes, { address }) => {
      // What comes from elsewhere is none of the local network's business (RFC 6762, 11); a system that hands each
      // socket the packets of all interfaces is sorted out here, too.
      if (this.#socket === socket && isOnLink(address)) onPacket(bytes)
    })
    const wildcard = family === 'IPv4' ? '0.0.0.0' : '::'
    const zoned = family === 'IPv4' ? group : `${group}${this.#zone()}`
    socket.bind({ port: PORT, address: exact ? zoned : wildcard, exclusive: true }, () => {
      bound = true
      if (this.#socket !== socket) return
      try {
        const on = family === 'IPv4' ? this.local.address : `::${this.#zone()}`
        socket.addMembership(group, on)
        socket.setMulticastInterface(on)
        socket.setMulticastTTL(HOPS)
        socket.setMulticastLoopback(true)
      } catch (error) {
        return this.#fail(error as Error)
      }
      onReady(this)
    })
  }

  #zone(): string {
    return `%${platform() === 'win32' ? this.local.scope : this.local.name}`
  }

  #fail(error: Error): void {
    this.#error ??= error
    void this.close()
  }
}

/** The interfaces of this machine. */
class MulticastLink implements Link {
  readonly #events: LinkEvents
  readonly #runtime: Runtime
  readonly #names: readonly string[] | undefined
  readonly #ports = new Map<string, Port>()
  #timer: RuntimeTimer | undefined
  #closed = false

  constructor(events: LinkEvents, runtime: Runtime, names: readonly string[] | undefined) {
    this.#events = events
    this.#runtime = runtime
    this.#names = names
    this.#scan()
  }

  async send(bytes: Uint8Array, on?: string): Promise<number> {
    const ports = [...this.#ports.values()].filter((port) => on === undefined || port.name === on)
    const taken = await Promise.all(ports.map((port) => port.send(bytes)))
    return taken.filter(Boolean).length
  }

  addresses(): ReadonlySet<string> {
    const names = new Set([...this.#ports.values()].filter((port) => port.ready).map(({ local }) => local.name))
    return new Set([...names].flatMap((name) => addressesOf(name)))
  }

  states(): readonly LinkState[] {
    return [...this.#ports.values()].map(({ local, error }) => ({
      interface: local.name,
      family: local.family,
      error,
    }))
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#timer?.cancel()
    await Promise.all([...this.#ports.values()].map((port) => port.close()))
    this.#ports.clear()
  }

  #scan(): void {
    if (this.#closed) return
    this.#timer = this.#runtime.setTimer(SCAN_MS, () => this.#scan())
    const now = new Map(localInterfaces(this.#names).map((local) => [local.key, local]))
    for (const [key, port] of this.#ports) {
      if (now.has(key) && !port.error) continue
      this.#ports.delete(key)
      void port.close()
    }
    for (const [key, local] of now) {
      if (this.#ports.has(key)) continue
      const from = portOf({ interface: local.name, family: local.family })
      const onPacket = (bytes: Uint8Array): void => this.#events.onPacket(bytes, from, local.internal)
      this.#ports.set(key, new Port(local, onPacket, () => this.#events.onUp(local.name)))
    }
  }
}

/** Opens the interfaces with these names; all that lead to other machines when there are none. */
export function multicastOn(names: readonly string[] | undefined): OpenLink {
  return (events, runtime) => new MulticastLink(events, runtime, names)
}
