/**
 * The addresses that this node is seen from elsewhere, as reflectors tell them. They are made known to peers as
 * addresses of the node's own, which is what lets two nodes behind NATs find a direct way.
 *
 * Each reflector is held on to by a connection: its keep-alives keep the mapping of the NAT alive, and when that changes
 * the reflector says so.
 *
 * @module
 */
import { P2PAddress } from '../core/address.ts'
import { P2PError } from '../core/errors.ts'
import { ReportReader, REFLECTOR_ALPN } from '../core/reflector.ts'
import type { Runtime, RuntimeTimer } from '../core/runtime.ts'
import type { IrohCarrierConnection, IrohEndpoint } from './binding.ts'
import { isIpv4, isReflexive } from './addresses.ts'
import { askForReflectors } from './reflector-offers.ts'

/** Longest wait for a relay's word on its reflectors, and for a reflector's first report. */
const ANSWER_MS = 5_000
const FIRST_RETRY_MS = 1_000
const MAX_RETRY_MS = 60_000
/** A relay that offers no reflector is asked again after this time: it may have been given one. */
const ASK_AGAIN_MS = 600_000
/** How long an address is kept that no reflector confirms any more; NATs keep mappings that are in use. */
const KEEP_MS = 60_000
/** Connections to reflectors in all. */
const MAX_LINKS = 8
const READ_BYTES = 512

/** One reflector that is known, and what it says. */
export interface ReflectorState {
  /** The relay that offers it; undefined for one that was given. */
  readonly relay: string | undefined
  /** The reflector's id, in z-base-32; undefined when the relay has not named it. */
  readonly id: string | undefined
  /** Where it is. */
  readonly addresses: readonly string[]
  /** The addresses it sees this node at, the one in use first; none while it is not connected. */
  readonly observed: readonly string[]
  /** Smoothed round-trip time to it. */
  readonly rttMs: number | undefined
  /** Why it is of no use now. */
  readonly error: P2PError | undefined
}

/** What it needs of a node. */
export interface ReflexiveOptions {
  readonly endpoint: IrohEndpoint
  readonly runtime: Runtime
  /** Whether addresses of this machine alone count, which they do where nothing else is bound. */
  readonly loopbackOnly: boolean
  /** Authorities that may vouch for relays, in DER. */
  readonly roots: readonly Uint8Array[]
}

interface Link {
  readonly address: P2PAddress
  connection: IrohCarrierConnection | undefined
  observed: readonly string[]
  error: P2PError | undefined
}

/** Asks one relay, or one list that was given, and holds on to its reflectors. */
class Source {
  readonly relay: string | undefined
  readonly links: Map<string, Link> = new Map()
  error: P2PError | undefined
  /** Resolves when it has been asked and each of its reflectors has answered or failed once. */
  readonly settled: Promise<void>
  readonly #owner: ReflexiveAddresses
  readonly #given: readonly P2PAddress[]
  readonly #stop = new AbortController()
  #timer: RuntimeTimer | undefined
  #retryMs = FIRST_RETRY_MS
  #resolveSettled!: () => void
  #asking = false

  constructor(owner: ReflexiveAddresses, relay: string | undefined, given: readonly P2PAddress[]) {
    this.#owner = owner
    this.relay = relay
    this.#given = given
    this.settled = new Promise((resolve) => {
      this.#resolveSettled = resolve
    })
    void this.#ask()
  }

  /** Asks now what would be asked later. */
  hurry(): void {
    if (!this.#timer) return
    this.#retryMs = FIRST_RETRY_MS
    this.#again(0)
  }

  close(): void {
    this.#stop.abort()
    this.#timer?.cancel()
    for (const link of this.links.values()) link.connection?.close(0, 'no longer needed')
    this.links.clear()
    this.#resolveSettled()
  }

  #again(delayMs: number): void {
    this.#timer?.cancel()
    if (this.#stop.signal.aborted) return
    const start = (): void => {
      this.#timer = undefined
      void this.#ask()
    }
    this.#timer = this.#owner.options.runtime.setTimer(delayMs, start, { background: true })
  }

  async #ask(): Promise<void> {
    if (this.#asking) return
    this.#asking = true
    let nextMs: number | undefined
    try {
      const offers = this.relay === undefined ? this.#given : await this.#offersOf(this.relay)
      this.error = undefined
      await this.#use(offers)
      if (offers.length === 0) nextMs = ASK_AGAIN_MS
    } catch (error) {
      this.error = P2PError.from(error, 'network', 'reflectors cannot be asked for', {}) as P2PError
    }
    this.#asking = false
    this.#resolveSettled()
    const isWhole = this.links.size > 0 && [...this.links.values()].every(({ connection }) => connection !== undefined)
    if (isWhole) this.#retryMs = FIRST_RETRY_MS
    else this.#again(nextMs ?? this.#nextRetryMs())
  }

  #nextRetryMs(): number {
    const { runtime } = this.#owner.options
    const nextMs = this.#retryMs * (0.5 + runtime.random() / 2)
    this.#retryMs = Math.min(this.#retryMs * 2, MAX_RETRY_MS)
    return nextMs
  }

  #offersOf(relay: string): Promise<readonly P2PAddress[]> {
    return askForReflectors(this.#owner.options, relay, ANSWER_MS, this.#stop.signal)
  }

  /** Lets go of reflectors that are not offered any more, and connects to those it is not connected to. */
  async #use(offers: readonly P2PAddress[]): Promise<void> {
    if (this.#stop.signal.aborted) return
    const wanted = new Map(offers.map((address) => [address.toTicket(), address]))
    for (const [key, link] of this.links) {
      if (wanted.has(key)) continue
      this.links.delete(key)
      link.connection?.close(0, 'no longer needed')
    }
    const connecting: Promise<void>[] = []
    for (const [key, address] of wanted) {
      const link = this.links.get(key) ?? { address, connection: undefined, observed: [], error: undefined }
      if (link.connection || (!this.links.has(key) && this.#owner.links >= MAX_LINKS)) continue
      this.links.set(key, link)
      connecting.push(this.#connect(link))
    }
    await Promise.all(connecting)
  }

  /** Resolves, never rejects, with the first report or the failure to get one. */
  async #connect(link: Link): Promise<void> {
    const { endpoint, runtime } = this.#owner.options
    const limit = new AbortController()
    const timer = runtime.setTimer(ANSWER_MS, () => {
      limit.abort()
      link.connection?.close(0, 'no report in time')
    })
    const stop = (): void => limit.abort()
    this.#stop.signal.addEventListener('abort', stop, { once: true })
    try {
      const target = { address: link.address, alpn: REFLECTOR_ALPN, signal: limit.signal }
      const connection = await endpoint.connect(target)
      link.connection = connection
      connection.background?.()
      await new Promise<void>((resolve) => void this.#listen(link, connection, resolve))
    } catch (error) {
      const why = `the reflector ${link.address.id.fmtShort()} cannot be reached`
      link.error = P2PError.is(error, 'aborted')
        ? P2PError.of('timeout', `${why} within ${ANSWER_MS} ms`, { afterMs: ANSWER_MS })
        : (P2PError.from(error, 'connection-failed', why, {}) as P2PError)
    } finally {
      timer.cancel()
      this.#stop.signal.removeEventListener('abort', stop)
    }
  }

  /** Reads reports until the connection is over; `onFirst` is called with the first, or when there is none. */
  async #listen(link: Link, connection: IrohCarrierConnection, onFirst: () => void): Promise<void> {
    const reader = new ReportReader()
    try {
      const stream = await connection.acceptUni()
      for (let bytes = await stream.read(READ_BYTES); bytes; bytes = await stream.read(READ_BYTES)) {
        const report = reader.push(bytes).at(-1)
        if (!report) continue
        link.observed = report
        link.error = undefined
        this.#owner.changed()
        onFirst()
      }
      throw P2PError.of('protocol', 'the reflector ended its reports', {})
    } catch (error) {
      link.error = P2PError.from(error, 'connection-failed', 'the reflector failed', {}) as P2PError
      connection.close(0, link.error.code === 'protocol' ? link.error.message.slice(0, 100) : '')
    }
    link.connection = undefined
    link.observed = []
    this.#owner.changed()
    onFirst()
    if (!this.#asking && !this.#stop.signal.aborted) this.#again(this.#nextRetryMs())
  }
}

/** All that is known of a node's reflexive addresses. */
export class ReflexiveAddresses {
  /** For sources. */
  readonly options: ReflexiveOptions
  readonly #sources = new Set<Source>()
  /** The addresses that were made known, and until when those are kept that nobody confirms. */
  readonly #known = new Map<string, number | undefined>()
  #timer: RuntimeTimer | undefined
  #watching: Disposable | undefined
  #addresses = ''
  #closed = false

  constructor(options: ReflexiveOptions) {
    this.options = options
  }

  /** How many reflectors are held on to, or tried. */
  get links(): number {
    let count = 0
    for (const { links } of this.#sources) count += links.size
    return count
  }

  /** Every reflector that is known, and every relay that could not be asked. */
  get states(): readonly ReflectorState[] {
    return [...this.#sources].flatMap(({ relay, links, error }): ReflectorState[] => {
      if (links.size === 0 && error) {
        return [{ relay, id: undefined, addresses: [], observed: [], rttMs: undefined, error }]
      }
      return [...links.values()].map(({ address, connection, observed, error: own }) => ({
        relay,
        id: address.id.toString(),
        addresses: address.direct,
        observed,
        rttMs: connection?.paths().find(({ selected }) => selected)?.rttMs,
        error: own,
      }))
    })
  }

  /** Uses the reflectors that the relay at this URL offers. */
  addRelay(url: string): void {
    this.#add(url, [])
  }

  removeRelay(url: string): void {
    for (const source of this.#sources) {
      if (source.relay !== url) continue
      this.#sources.delete(source)
      source.close()
    }
    this.changed()
  }

  /** Uses these reflectors. */
  addReflectors(addresses: readonly P2PAddress[]): void {
    // A source each, so that one that fails is tried again without the others.
    for (const address of addresses) this.#add(undefined, [address])
  }

  /** Asks again at once whatever is being waited with, as after a change of the network. */
  refresh(): void {
    for (const source of this.#sources) source.hurry()
  }

  /** Resolves when each has answered or failed once, but no later than after `timeoutMs`. */
  async settled(timeoutMs: number): Promise<void> {
    if (this.#sources.size === 0 || timeoutMs <= 0) return
    let timer: RuntimeTimer | undefined
    const late = new Promise<void>((resolve) => {
      timer = this.options.runtime.setTimer(timeoutMs, resolve)
    })
    await Promise.race([late, Promise.all([...this.#sources].map((source) => source.settled))])
    timer?.cancel()
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
    this.#watching?.[Symbol.dispose]()
    for (const source of this.#sources) source.close()
    this.#sources.clear()
  }

  /** For sources: what reflectors say has changed. */
  changed(): void {
    if (this.#closed) return
    const { endpoint, runtime, loopbackOnly } = this.options
    const nowMs = runtime.now()
    const observed = new Set<string>()
    for (const { links } of this.#sources) {
      for (const link of links.values()) {
        for (const address of link.observed) if (isReflexive(address, loopbackOnly)) observed.add(address)
      }
    }
    for (const address of observed) {
      if (!this.#known.has(address)) endpoint.setExternalAddress(address, true)
      this.#known.set(address, undefined)
    }
    // An address that another has taken the place of is gone; while nobody says anything, it may still be good.
    const families = new Set([...observed].map(isIpv4))
    let nextMs: number | undefined
    for (const [address, untilMs] of this.#known) {
      if (observed.has(address)) continue
      const dueMs = families.has(isIpv4(address)) ? nowMs : (untilMs ?? nowMs + KEEP_MS)
      if (dueMs <= nowMs) {
        this.#known.delete(address)
        endpoint.setExternalAddress(address, false)
      } else {
        this.#known.set(address, dueMs)
        nextMs = Math.min(nextMs ?? dueMs, dueMs)
      }
    }
    this.#timer?.cancel()
    this.#timer =
      nextMs === undefined ? undefined : runtime.setTimer(nextMs - nowMs, () => this.changed(), { background: true })
  }

  #add(relay: string | undefined, given: readonly P2PAddress[]): void {
    if (this.#closed) return
    this.#sources.add(new Source(this, relay, given))
    this.#addresses = this.#ownAddresses()
    this.#watching ??= this.options.endpoint.watchAddress(() => {
      const addresses = this.#ownAddresses()
      if (addresses !== this.#addresses) this.refresh()
      this.#addresses = addresses
    })
  }

  /** The addresses that this node has of itself. */
  #ownAddresses(): string {
    const { direct } = this.options.endpoint.address()
    return direct.filter((address) => !this.#known.has(address)).join(' ')
  }
}
