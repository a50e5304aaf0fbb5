/**
 * A node's relays: which there are, which one it is attached to, and what becomes of that.
 *
 * @module
 */
import { P2PError } from '../core/errors.ts'
import type { Runtime } from '../core/runtime.ts'
import type { P2PRelay } from '../core/system.ts'
import type { HomeRelay, IrohEndpoint } from './binding.ts'
import { getFromRelay } from './relay-http.ts'
import { checkRelay } from './relay-options.ts'
import type { Relays } from './relay-options.ts'

/** Longest wait for a relay's answer to a probe. */
const PROBE_MS = 5_000

/** How a relay fares. */
export interface RelayState {
  readonly url: string
  /** Whether it is the one that peers reach this node through, which is the nearest that answers. */
  readonly home: boolean
  /**
   * `attached`: this node can be reached through it. `detached`: it was, or is being tried. `denied`: it does not want
   * this node. `standby`: another one is nearer. `unreachable`: it was asked over HTTP and does not answer. `unknown`: the
   * door does not say; the official one says which relay is home, and no more.
   */
  readonly state: 'attached' | 'detached' | 'denied' | 'standby' | 'unreachable' | 'unknown'
  /** Why it is not attached, in the relay's or the transport's words. */
  readonly reason: string | undefined
}

/** Something has happened to a relay. */
export interface RelayEvent {
  /**
   * `home`: from now on peers are told to use this one. `attached`, `denied`, `unreachable` as in {@link RelayState};
   * `lost`: it was attached, and no longer is; `failed`: it cannot be attached, and is tried again. Through the official
   * door `home` and `unreachable` are all.
   */
  readonly kind: 'home' | 'attached' | 'lost' | 'denied' | 'failed' | 'unreachable'
  readonly url: string
  /** When, in milliseconds since the node was created. */
  readonly atMs: number
  readonly reason: string | undefined
}

/** What it needs of a node. */
export interface NodeRelaysOptions {
  readonly endpoint: IrohEndpoint
  readonly runtime: Runtime
  readonly relays: Relays
  readonly roots: readonly Uint8Array[]
}

/** How one probe of a relay went. */
export interface RelayProbe {
  readonly url: string
  /** One round trip to it over HTTP; undefined when it does not answer. */
  readonly latencyMs: number | undefined
  readonly error: P2PError | undefined
}

type Told = ReadonlyMap<string, HomeRelay>

/** A node's relays. */
export class NodeRelays {
  readonly #options: NodeRelaysOptions
  readonly #startMs: number
  readonly #relays: Map<string, P2PRelay>
  readonly #unreachable = new Map<string, string>()
  /** Failures that were told; a relay that is gone fails in the same way every few seconds. */
  readonly #failures = new Map<string, string>()
  readonly #listeners = new Set<(event: RelayEvent) => void>()
  #watching: Disposable | undefined
  #told: Told = new Map()

  constructor(options: NodeRelaysOptions) {
    const { relays, runtime } = options
    this.#options = options
    this.#startMs = runtime.now()
    this.#relays = new Map(typeof relays === 'string' ? [] : relays.map((relay) => [relay.url, relay]))
  }

  /** The URLs of those that were named; iroh's own are not listed. */
  get urls(): readonly string[] {
    return [...this.#relays.keys()]
  }

  get states(): readonly RelayState[] {
    const homes = new Map(this.#options.endpoint.homeRelays().map((home) => [home.url, home]))
    const urls = new Set([...homes.keys(), ...this.#relays.keys()])
    return [...urls].map((url): RelayState => {
      const home = homes.get(url)
      if (home && home.state !== 'attached' && this.#unreachable.has(url)) {
        return { url, home: true, state: home.state, reason: home.reason ?? this.#unreachable.get(url) }
      }
      if (home) return { url, home: true, state: home.state, reason: home.reason }
      const reason = this.#unreachable.get(url)
      const otherwise = homes.size > 0 ? 'standby' : 'unknown'
      return { url, home: false, state: reason === undefined ? otherwise : 'unreachable', reason }
    })
  }

  /** Calls `listener` with what happens from now on. */
  onChange(listener: (event: RelayEvent) => void): Disposable {
    // An object of its own, so that one listener given twice is called twice.
    const entry = (event: RelayEvent): void => listener(event)
    if (this.#listeners.size === 0) {
      this.#told = this.#look()
      this.#watching = this.#options.endpoint.watchAddress(() => this.#changed())
    }
    this.#listeners.add(entry)
    return {
      [Symbol.dispose]: () => {
        this.#listeners.delete(entry)
        if (this.#listeners.size > 0) return
        this.#watching?.[Symbol.dispose]()
        this.#watching = undefined
      },
    }
  }

  /**
   * Adds a relay, or gives one another token.
   *
   * @throws P2PError `invalid-configuration`
   */
  add(relay: string | P2PRelay): string {
    const checked = checkRelay('relay', relay)
    if (this.#options.relays === 'disabled') {
      const message = "this node was created with relay: 'disabled', and has nothing to use one with"
      throw P2PError.of('invalid-configuration', message, { setting: 'relay', value: checked.url })
    }
    this.#relays.set(checked.url, checked)
    this.#options.endpoint.setRelay(checked, true)
    return checked.url
  }

  /** Removes a relay; its URL, if it was there. */
  remove(url: string): string | undefined {
    const checked = checkRelay('relay', url)
    if (!this.#relays.delete(checked.url)) return undefined
    this.#unreachable.delete(checked.url)
    this.#options.endpoint.setRelay(checked, false)
    return checked.url
  }

  /** Asks every relay over HTTP whether it is there. */
  async probe(signal?: AbortSignal): Promise<readonly RelayProbe[]> {
    const { runtime, roots } = this.#options
    const homes = this.#options.endpoint.homeRelays().map(({ url }) => url)
    const probes = [...new Set([...homes, ...this.#relays.keys()])].map(async (url): Promise<RelayProbe> => {
      try {
        const { status, tookMs } = await getFromRelay({ runtime, roots }, url, '/ping', PROBE_MS, signal)
        if (status === 200) return { url, latencyMs: tookMs, error: undefined }
        const message = `what answers at ${url} is no relay: it has no /ping (status ${status})`
        return { url, latencyMs: undefined, error: P2PError.of('protocol', message, {}) }
      } catch (error) {
        return { url, latencyMs: undefined, error: P2PError.from(error, 'network', 'the probe failed', {}) as P2PError }
      }
    })
    const results = await Promise.all(probes)
    for (const { url, error } of results) this.#note(url, error)
    return results
  }

  close(): void {
    this.#watching?.[Symbol.dispose]()
    this.#listeners.clear()
  }

  #note(url: string, error: P2PError | undefined): void {
    if (error?.code === 'aborted') return
    const before = this.#unreachable.get(url)
    if (!error) this.#unreachable.delete(url)
    else if (before !== error.message) {
      this.#unreachable.set(url, error.message)
      this.#tell('unreachable', url, error.message)
    }
  }

  #look(): Told {
    return new Map(this.#options.endpoint.homeRelays().map((home) => [home.url, home]))
  }

  #changed(): void {
    const before = this.#told
    const now = this.#look()
    this.#told = now
    for (const [url, { state }] of before) {
      if (state === 'attached' && !now.has(url)) this.#tell('lost', url, 'it is no longer the home relay')
    }
    for (const [url, { state, reason }] of now) {
      const earlier = before.get(url)
      if (!earlier) this.#tell('home', url, undefined)
      if (state === 'attached') {
        this.#unreachable.delete(url)
        this.#failures.delete(url)
      }
      if (state === earlier?.state && reason === earlier.reason) continue
      if (state === 'attached' || state === 'denied') {
        if (state !== earlier?.state) this.#tell(state, url, reason)
      } else if (earlier?.state === 'attached') this.#tell('lost', url, reason)
      else if (reason !== undefined && reason !== this.#failures.get(url)) {
        this.#failures.set(url, reason)
        this.#tell('failed', url, reason)
      }
    }
  }

  #tell(kind: RelayEvent['kind'], url: string, reason: string | undefined): void {
    const event: RelayEvent = { kind, url, atMs: this.#options.runtime.now() - this.#startMs, reason }
    for (const listener of this.#listeners) listener(event)
  }
}
