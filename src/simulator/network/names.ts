/**
 * The name service of the virtual internet: names are registered, looked up after a delay, and cached by each client
 * for a time, so that answers may be stale.
 *
 * @module
 */
import { invalidConfiguration } from '../../core/config.ts'
import { P2PError } from '../../core/errors.ts'
import type { TraceFields } from '../../core/trace.ts'
import type { Kernel } from '../kernel.ts'
import { NetworkKind } from './kinds.ts'

/** Options of a {@link NameService}. */
export interface NameServiceOptions {
  /** How long a look-up takes that no cache answers, in milliseconds (`SIMULATOR_DISCOVERY_DELAY_MS`). @default 100 */
  readonly delayMs?: number | undefined
  /** How long an answer is cached, in seconds (`SIMULATOR_DNS_TTL_SECONDS`). @default 300 */
  readonly ttlSeconds?: number | undefined
  /** The most answers each client caches; the oldest goes first. @default 1000 */
  readonly maxCachedNames?: number | undefined
}

/** Called once, as an event of its own, with an error or a value. */
export type NameCallback<Value> = (error: P2PError | undefined, value: Value | undefined) => void

/** A look-up under way. */
export interface NameLookup {
  /** Gives it up: the callback is not called any more. */
  cancel(): void
}

/** What a name stands for, and how long that may be cached. */
export interface NameRecord<Value> {
  readonly value: Value
  readonly ttlUs: number
}

/** What a service says to a question; `unavailable` when it says nothing. */
export type NameAnswer<Value> = NameRecord<Value> | 'unknown' | 'unavailable'

/** Carries a question of a client (the index of a host) to the service, and the answer back; `done` is called once. */
export type NameCarrier<Value> = (
  client: number,
  question: () => NameAnswer<Value>,
  done: (answer: NameAnswer<Value>) => void,
) => NameLookup

interface CachedName<Value> {
  readonly value: Value
  readonly expiresUs: number
}

const MAX_NAME_LENGTH = 253
const MAX_DELAY_MS = 3_600_000
const MAX_TTL_SECONDS = 31_536_000

/** The name service; see the module's comment. `Value` is what names stand for. */
export class NameService<Value> {
  readonly #kernel: Kernel
  readonly #delayUs: number
  readonly #ttlSeconds: number
  readonly #maxCachedNames: number
  readonly #records = new Map<string, NameRecord<Value>>()
  readonly #caches = new Map<number, Map<string, CachedName<Value>>>()
  /** Names as numbers, for the history. */
  readonly #indexes = new Map<string, number>()
  #isDown = false
  /** How questions get to the service; undefined when they do in any case, after the delay. */
  carrier: NameCarrier<Value> | undefined

  /** @throws P2PError `invalid-configuration` */
  constructor(kernel: Kernel, options: NameServiceOptions = {}) {
    this.#kernel = kernel
    this.#delayUs = Math.ceil(inRange(options.delayMs ?? 100, 'delayMs', MAX_DELAY_MS) * 1000)
    this.#ttlSeconds = inRange(options.ttlSeconds ?? 300, 'ttlSeconds', MAX_TTL_SECONDS)
    this.#maxCachedNames = inRange(options.maxCachedNames ?? 1000, 'maxCachedNames', 1_000_000)
  }

  /** Whether the service is out: look-ups that no cache answers fail, after the delay, with `discovery-failed`. */
  get isDown(): boolean {
    return this.#isDown
  }

  set isDown(isDown: boolean) {
    this.#isDown = isDown
  }

  /**
   * Gives `name` a value, in place of the one it had. Clients that have cached that keep it until its time is over.
   *
   * @param name - 1 to 253 characters, as in DNS; upper and lower case are the same
   * @param ttlSeconds - how long clients may cache it; 0 for not at all. @default the service's
   * @throws P2PError `invalid-configuration`
   */
  register(name: string, value: Value, ttlSeconds: number = this.#ttlSeconds): void {
    const key = keyOf(name)
    const ttlUs = Math.ceil(inRange(ttlSeconds, 'ttlSeconds', MAX_TTL_SECONDS) * 1_000_000)
    this.#records.set(key, { value, ttlUs })
    this.#kernel.audit.record(NetworkKind.nameRegister, -1, this.#indexOf(key), 1)
    this.#trace(-1, key, 'registered')
  }

  /** Takes a name back; does nothing when it is unknown. */
  unregister(name: string): void {
    const key = keyOf(name)
    if (!this.#records.delete(key)) return
    this.#kernel.audit.record(NetworkKind.nameRegister, -1, this.#indexOf(key), 0)
    this.#trace(-1, key, 'withdrawn')
  }

  /**
   * Looks a name up: from the client's cache without delay, else from the service as it is when the question has got
   * there, which is when the delay is over.
   *
   * The callback's error is `node-not-found` for an unknown name (which is not cached), `discovery-failed` in an outage.
   *
   * @param client - the index of the host that asks
   * @throws P2PError `invalid-configuration`
   */
  lookup(client: number, name: string, callback: NameCallback<Value>): NameLookup {
    const key = keyOf(name)
    const cached = this.#cached(client, key)
    const { audit } = this.#kernel
    audit.record(NetworkKind.nameLookup, client, this.#indexOf(key), cached ? 1 : 0)
    this.#trace(client, key, 'asked')
    if (cached) {
      const { value } = cached
      return this.#kernel.schedule(0, () => {
        audit.record(NetworkKind.nameAnswer, client, this.#indexOf(key), 0)
        this.#trace(client, key, 'found')
        callback(undefined, value)
      })
    }
    const conclude = (answer: NameAnswer<Value>): void => {
      const outcome = answer === 'unavailable' ? 2 : answer === 'unknown' ? 1 : 0
      audit.record(NetworkKind.nameAnswer, client, this.#indexOf(key), outcome)
      this.#trace(client, key, typeof answer === 'string' ? answer : 'found')
      if (typeof answer !== 'string') {
        this.#store(client, key, answer)
        callback(undefined, answer.value)
      } else if (answer === 'unavailable') {
        const text = `the name ${JSON.stringify(name)} could not be looked up: the name service does not answer; try later`
        callback(P2PError.of('discovery-failed', text, { query: name }), undefined)
      } else {
        const text = `nobody has registered the name ${JSON.stringify(name)}; check its spelling, or register it first`
        callback(P2PError.of('node-not-found', text, { node: name }), undefined)
      }
    }
    return this.#ask(client, () => this.#answer(key), conclude)
  }

  /**
   * As {@link register}, by a client: takes as long as a look-up, and fails with `discovery-failed` where that does.
   *
   * @throws P2PError `invalid-configuration`
   */
  publish(
    client: number,
    name: string,
    value: Value,
    ttlSeconds: number | undefined,
    done: NameCallback<Value>,
  ): NameLookup {
    keyOf(name)
    const register = (): NameAnswer<Value> => {
      if (this.#isDown) return 'unavailable'
      this.register(name, value, ttlSeconds)
      return this.#answer(keyOf(name))
    }
    return this.#ask(client, register, (answer) => {
      if (typeof answer !== 'string') return done(undefined, answer.value)
      const text = `the name ${JSON.stringify(name)} could not be registered: the name service does not answer; try later`
      return done(P2PError.of('discovery-failed', text, { query: name }), undefined)
    })
  }

  #answer(key: string): NameAnswer<Value> {
    return this.#isDown ? 'unavailable' : (this.#records.get(key) ?? 'unknown')
  }

  #ask(client: number, question: () => NameAnswer<Value>, done: (answer: NameAnswer<Value>) => void): NameLookup {
    if (this.carrier) return this.carrier(client, question, done)
    return this.#kernel.schedule(this.#delayUs, () => done(question()))
  }

  /** Empties one client's cache, as its restart does, or everybody's. */
  flushCache(client?: number): void {
    if (client === undefined) this.#caches.clear()
    else this.#caches.delete(client)
  }

  /** The registered names, in the order of their first registration. */
  names(): readonly string[] {
    return [...this.#records.keys()]
  }

  #cached(client: number, key: string): CachedName<Value> | undefined {
    const cache = this.#caches.get(client)
    const entry = cache?.get(key)
    if (!entry || entry.expiresUs > this.#kernel.nowUs()) return entry
    cache?.delete(key)
    return undefined
  }

  #store(client: number, key: string, record: NameRecord<Value>): void {
    if (record.ttlUs === 0) return
    let cache = this.#caches.get(client)
    if (!cache) this.#caches.set(client, (cache = new Map()))
    cache.delete(key)
    cache.set(key, { value: record.value, expiresUs: this.#kernel.nowUs() + record.ttlUs })
    if (cache.size <= this.#maxCachedNames) return
    for (const oldest of cache.keys()) {
      cache.delete(oldest)
      return
    }
  }

  #trace(host: number, name: string, what: TraceFields<'name'>['what']): void {
    this.#kernel.trace?.record('name', { host, name, what })
  }

  #indexOf(key: string): number {
    let index = this.#indexes.get(key)
    if (index === undefined) this.#indexes.set(key, (index = this.#indexes.size))
    return index
  }
}

function inRange(value: number, name: string, max: number): number {
  if (!(value >= 0 && value <= max)) throw invalidConfiguration(name, value, `must be a number from 0 to ${max}`)
  return value
}

function keyOf(name: string): string {
  if (typeof name !== 'string' || name === '' || name.length > MAX_NAME_LENGTH) {
    throw invalidConfiguration('name', name, `must be a name of 1 to ${MAX_NAME_LENGTH} characters`)
  }
  return name.toLowerCase()
}
