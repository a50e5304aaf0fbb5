/**
 * The relays of one node: the home relay, at which others find it, chosen among those it was given by their latency and
 * chosen anew when it is gone; and those of others, for as long as there is something to send over them. As iroh's.
 *
 * @module
 */
import { ADDRESS_PROBE_PORT, AddressProber, AddressReport } from './address-probe.ts'
import type { AddressProbe } from './address-probe.ts'
import type { Kernel, KernelEvent, RandomStream } from './kernel.ts'
import { RelayClient } from './relay-client.ts'
import type { RelayClientSnapshot } from './relay-client.ts'
import { relayLocation } from './relay-wire.ts'
import { TcpClientSocket } from './tcp/socket.ts'
import type { TcpInterface } from './tcp/socket.ts'
import type { Identity } from './transport/identity.ts'
import type { Packet } from './transport/packet.ts'

/** What relays need of their endpoint. */
export interface RelaysHost {
  readonly kernel: Kernel
  readonly identity: Identity
  readonly network: TcpInterface
  readonly random: RandomStream
  /** Sends a question to `destination` over the socket whose address is in question. */
  sendProbe(destination: string, probe: AddressProbe): void
  /** A packet from `peer` over the relay of that URL. */
  onPacket(client: RelayClient, peer: string, packet: Packet): void
  /** This node is seen at `observed` (`ip:port`) from outside. */
  onObserved(observed: string): void
  /** There is another home relay, or none any more. */
  onHomeChange(): void
}

/** What a relay says when it is asked where it sees this node. */
export interface RelayAnswer {
  readonly url: string
  readonly ip: string
  /** `ip:port`; undefined when it has not answered. */
  readonly observed: string | undefined
  readonly roundTripUs: number | undefined
}

/** One who asks, and who waits for what all of them hear. */
interface Asking {
  readonly probers: Map<string, AddressProber>
  finish(): void
}

/** How long relays may take to answer (iroh, PROBES_TIMEOUT). */
const MEASURE_TIMEOUT_US = 3_000_000
/** Time between two measurements of all of them (iroh, FULL_REPORT_INTERVAL). */
const MEASURE_INTERVAL_US = 300_000_000
/** A home relay that is gone is noticed by the next of the checks that iroh makes every 20 to 26 s. */
const LOST_CHECK_US = 20_000_000
const LOST_CHECK_JITTER_US = 6_000_000

/** The relays; see the module's comment. */
export class Relays {
  readonly #host: RelaysHost
  readonly #urls: readonly string[]
  /** By `ip:port`. */
  readonly #clients = new Map<string, RelayClient>()
  #home: RelayClient | undefined
  #prober: AddressProber | undefined
  #proberAddress = ''
  readonly #asking = new Set<Asking>()
  /** A measurement under way. */
  #probes: TcpClientSocket[] = []
  #measureTimer: KernelEvent | undefined
  #nextTimer: KernelEvent | undefined
  #lostTimer: KernelEvent | undefined
  #isClosed = false

  /** @param urls the relays that may become home, as `relayLocation` reads them */
  constructor(host: RelaysHost, urls: readonly string[]) {
    this.#host = host
    this.#urls = urls
    if (urls.length === 1) this.#settle(urls[0], false)
    else if (urls.length > 1) this.#measure()
  }

  /** The URL of the home relay; undefined while there is none. */
  get home(): string | undefined {
    return this.#home?.url
  }

  /** Whether this node uses relays of its own at all. */
  get isEnabled(): boolean {
    return this.#urls.length > 0
  }

  /** Plain data. */
  snapshot(): readonly RelayClientSnapshot[] {
    return [...this.#clients.values()].map((client) => client.snapshot())
  }

  /** The connection to a relay, made when it is first used; undefined for a URL that leads nowhere. */
  client(url: string): RelayClient | undefined {
    const location = relayLocation(url)
    if (!location || this.#isClosed) return undefined
    let client = this.#clients.get(location.address)
    if (!client) {
      const { kernel, identity, network, random } = this.#host
      client = new RelayClient(
        {
          kernel,
          identity,
          network,
          random,
          onPacket: (peer, packet) => this.#host.onPacket(client as RelayClient, peer, packet),
          onState: (changed) => this.#onState(changed),
        },
        url,
      )
      this.#clients.set(location.address, client)
    }
    return client
  }

  /** A datagram that is no packet of the transport has come from `source`. */
  receive(source: string, payload: unknown): void {
    if (!(payload instanceof AddressReport)) return
    if (source === this.#proberAddress) this.#prober?.receive(payload)
    for (const { probers } of this.#asking) probers.get(source)?.receive(payload)
  }

  /** Asks each of its relays where it sees this node; `done` is called once, when all have said so or not answered. */
  ask(done: (answers: readonly RelayAnswer[]) => void): void {
    const { kernel, random } = this.#host
    const answers = new Map<string, RelayAnswer>()
    const probers = new Map<string, AddressProber>()
    const asking: Asking = {
      probers,
      finish: () => {
        if (!this.#asking.delete(asking)) return
        for (const prober of probers.values()) prober.stop()
        done([...answers.values()])
      },
    }
    this.#asking.add(asking)
    let waiting = 0
    for (const url of this.#urls) {
      const ip = relayLocation(url)?.ip
      if (ip === undefined) continue
      const address = `${ip}:${ADDRESS_PROBE_PORT}`
      answers.set(url, { url, ip, observed: undefined, roundTripUs: undefined })
      waiting++
      const answered = (observed: string | undefined): void => {
        prober.stop()
        answers.set(url, { url, ip, observed, roundTripUs: prober.roundTripUs })
        if (--waiting === 0) asking.finish()
      }
      const prober = new AddressProber({
        kernel,
        transmit: (probe) => this.#host.sendProbe(address, probe),
        nextToken: () => random.nextU32(),
        onObserved: answered,
        onSilence: () => answered(undefined),
      })
      probers.set(address, prober)
    }
    if (waiting === 0) kernel.schedule(0, () => asking.finish())
  }

  /** The node is somewhere else. */
  onNetworkChange(): void {
    for (const client of this.#clients.values()) client.onNetworkChange()
    this.#prober?.restart()
    if (this.#urls.length > 1) this.#measure()
  }

  /** Takes leave of all of them. */
  close(): void {
    for (const client of this.#clients.values()) client.close()
    this.destroy()
  }

  /** Ends it without a word. */
  destroy(): void {
    this.#isClosed = true
    for (const timer of [this.#measureTimer, this.#nextTimer, this.#lostTimer]) timer?.cancel()
    for (const socket of this.#probes) socket.destroy()
    for (const client of this.#clients.values()) client.destroy()
    this.#prober?.stop()
    this.#clients.clear()
    for (const asking of this.#asking) asking.finish()
  }

  /** Makes one of them the home relay. */
  #settle(url: string | undefined, isNews = true): void {
    const before = this.#home
    const client = url === undefined ? undefined : this.client(url)
    if (client === before) return
    if (before) before.isHome = false
    this.#home = client
    this.#lostTimer?.cancel()
    this.#lostTimer = undefined
    this.#prober?.stop()
    this.#prober = undefined
    if (client) {
      client.isHome = true
      this.#observe(client.url)
    }
    if (isNews) this.#host.onHomeChange()
  }

  #observe(url: string): void {
    const { kernel, random } = this.#host
    const address = `${relayLocation(url)?.ip ?? ''}:${ADDRESS_PROBE_PORT}`
    this.#proberAddress = address
    this.#prober = new AddressProber({
      kernel,
      transmit: (probe) => this.#host.sendProbe(address, probe),
      nextToken: () => random.nextU32(),
      onObserved: (observed) => this.#host.onObserved(observed),
      onSilence: () => {},
    })
  }

  #onState(client: RelayClient): void {
    if (client !== this.#home || this.#urls.length < 2) return
    if (client.isAttached) {
      this.#lostTimer?.cancel()
      this.#lostTimer = undefined
    } else {
      const { kernel, random } = this.#host
      this.#lostTimer ??= kernel.schedule(LOST_CHECK_US + random.nextBelow(LOST_CHECK_JITTER_US), () => {
        this.#lostTimer = undefined
        this.#measure()
      })
    }
  }

  /** Measures how far away each relay is, by the handshake of TCP, which firewalls let through. */
  #measure(): void {
    this.#endMeasurement()
    const { kernel, network, random } = this.#host
    const latencies = new Map<string, number>()
    let pending = this.#urls.length
    const answered = (): void => {
      if (--pending > 0) return
      this.#conclude(latencies)
    }
    this.#measureTimer = kernel.schedule(MEASURE_TIMEOUT_US, () => this.#conclude(latencies))
    for (const url of this.#urls) {
      const socket = new TcpClientSocket(kernel, network, random, relayLocation(url)?.address ?? '', {
        onOpen: () => {
          latencies.set(url, socket.connection.rttUs ?? MEASURE_TIMEOUT_US)
          socket.abort()
          answered()
        },
        onMessage: () => {},
        onWritable: () => {},
        onClosed: answered,
      })
      this.#probes.push(socket)
    }
  }

  #conclude(latencies: ReadonlyMap<string, number>): void {
    this.#endMeasurement()
    const { kernel } = this.#host
    this.#nextTimer = kernel.schedule(MEASURE_INTERVAL_US, () => this.#measure())
    let best: string | undefined
    for (const [url, latencyUs] of latencies) {
      if (best === undefined || latencyUs < (latencies.get(best) as number)) best = url
    }
    const homeUs = this.#home && latencies.get(this.#home.url)
    // One that still answers is left only for one that is a third nearer (iroh).
    if (best !== undefined && homeUs !== undefined && 3 * (latencies.get(best) as number) > 2 * homeUs) return
    if (best !== undefined || !this.#home) this.#settle(best)
    // Nobody answers: the home relay is dialled on, and looked at again soon.
    if (best === undefined) {
      this.#nextTimer.cancel()
      this.#nextTimer = kernel.schedule(LOST_CHECK_US, () => this.#measure())
    }
  }

  #endMeasurement(): void {
    this.#measureTimer?.cancel()
    this.#nextTimer?.cancel()
    for (const socket of this.#probes.splice(0)) socket.abort()
  }
}
