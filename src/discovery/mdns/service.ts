/**
 * The local network as one source sees it: asks who is there while somebody wants to know, notes who is heard, and lets
 * the nodes of this process answer. The network is open only while somebody needs it.
 *
 * @module
 */
import type { NodeId } from '../../core/node-id.ts'
import type { Runtime, RuntimeTimer } from '../../core/runtime.ts'
import type { Link, OpenLink } from './link.ts'
import { PeerTable } from './peer-table.ts'
import type { MdnsEvent } from './peer-table.ts'
import { encodeQuery, labelOf, readPacket } from './wire.ts'
import type { Asked } from './wire.ts'

/** A node of this process, which answers when the network asks. */
export interface Answerer {
  readonly id: NodeId
  /** Somebody on interface `from` asks. */
  asked(asked: Asked, from: string): void
  /** Another node has said where it is, on interface `from`. */
  answered(from: string): void
  /** An interface can be used from now on. */
  interfaceUp(name: string): void
}

/** Options of a {@link MdnsService}. */
export interface MdnsServiceOptions {
  readonly runtime: Runtime
  readonly openLink: OpenLink
  readonly maxPeers: number
  readonly lostAfterMs: number
}

/** When to ask again after somebody has begun to look, in milliseconds; then three times in the time of silence. */
const BURST_MS: readonly number[] = [250, 500, 1_000]
/** When to ask again for somebody: of iroh's nodes two answer each question. */
const TURN_MS = 250
/** Questions are no closer together than this, whoever wants to know. */
const MIN_QUESTION_GAP_MS = 100
/** Packets that are looked at in a second, and at once: a flood must not keep the process busy. */
const PACKETS_A_SECOND = 500
const PACKETS_AT_ONCE = 1_000

/** One network, and who is on it. */
export class MdnsService {
  readonly #options: MdnsServiceOptions
  readonly #table: PeerTable
  readonly #answerers = new Set<Answerer>()
  readonly #listeners = new Set<(event: MdnsEvent) => void>()
  /** Who is looked for, by id; under no id everybody is. */
  readonly #wanted = new Map<string, { readonly label: string | undefined; count: number }>()
  #link: Link | undefined
  #users = 0
  #seekers = 0
  #question: RuntimeTimer | undefined
  #asked = 0
  #askedMs = Number.NEGATIVE_INFINITY
  #sweep: { readonly timer: RuntimeTimer; readonly atMs: number } | undefined
  #tokens = PACKETS_AT_ONCE
  #tokensMs = 0
  #malformed = 0
  #dropped = 0

  constructor(options: MdnsServiceOptions) {
    this.#options = options
    this.#table = new PeerTable({
      maxPeers: options.maxPeers,
      lostAfterMs: options.lostAfterMs,
      onEvent: (event) => {
        for (const listener of Array.from(this.#listeners)) listener(event)
      },
    })
  }

  get runtime(): Runtime {
    return this.#options.runtime
  }

  get peers(): PeerTable {
    return this.#table
  }

  /** Undefined while nobody needs the network. */
  get link(): Link | undefined {
    return this.#link
  }

  /** Packets that were no DNS messages. */
  get malformed(): number {
    return this.#malformed
  }

  /** Packets that were not looked at, as there were too many. */
  get dropped(): number {
    return this.#dropped
  }

  /** Whether a node of this process has this id. */
  isOwn(id: NodeId): boolean {
    return [...this.#answerers].some((answerer) => answerer.id.equals(id))
  }

  /** Opens the network for a node that answers. */
  answerWith(answerer: Answerer): AsyncDisposable {
    this.#answerers.add(answerer)
    this.#enter()
    return {
      [Symbol.asyncDispose]: () => {
        this.#answerers.delete(answerer)
        return this.#leave()
      },
    }
  }

  /**
   * Asks, and goes on asking, until the result is disposed of.
   *
   * @param wanted who is looked for, if it is somebody
   */
  seek(listener: (event: MdnsEvent) => void, wanted?: NodeId): AsyncDisposable {
    const key = wanted?.toString() ?? ''
    this.#listeners.add(listener)
    const want = this.#wanted.get(key) ?? { label: wanted && labelOf(wanted), count: 0 }
    want.count++
    this.#wanted.set(key, want)
    this.#seekers++
    this.#enter()
    this.#asked = 0
    this.#ask()
    return {
      [Symbol.asyncDispose]: () => {
        this.#listeners.delete(listener)
        if (--want.count === 0) this.#wanted.delete(key)
        this.#seekers--
        return this.#leave()
      },
    }
  }

  /** Sends to everybody, or on one interface; tells how many interfaces took it. */
  async send(bytes: Uint8Array, on?: string): Promise<number> {
    return (await this.#link?.send(bytes, on)) ?? 0
  }

  #enter(): void {
    if (this.#users++ > 0) return
    const events = {
      onPacket: (bytes: Uint8Array, from: string, loopback: boolean): void => this.#heard(bytes, from, loopback),
      onUp: (name: string): void => this.#interfaceUp(name),
    }
    this.#link = this.#options.openLink(events, this.runtime)
  }

  async #leave(): Promise<void> {
    if (--this.#users > 0) return
    const link = this.#link
    this.#link = undefined
    this.#question?.cancel()
    this.#sweep?.timer.cancel()
    this.#sweep = undefined
    // What is not listened for is soon out of date.
    this.#table.clear()
    await link?.close()
  }

  #interfaceUp(name: string): void {
    for (const answerer of Array.from(this.#answerers)) answerer.interfaceUp(name)
    if (this.#seekers === 0) return
    this.#asked = 0
    this.#ask()
  }

  /** Asks now, or as soon as it may, and again later. */
  #ask(): void {
    this.#question?.cancel()
    if (this.#seekers === 0 || !this.#link) return
    const { runtime, lostAfterMs } = this.#options
    const earlyMs = this.#askedMs + MIN_QUESTION_GAP_MS - runtime.now()
    if (earlyMs > 0) {
      this.#question = runtime.setTimer(earlyMs, () => this.#ask())
      return
    }
    this.#askedMs = runtime.now()
    const labels = [...this.#wanted.values()].flatMap(({ label }) => label ?? [])
    void this.#link.send(encodeQuery(this.#wanted.has(''), labels))
    const nextMs = labels.length > 0 ? TURN_MS : (BURST_MS[this.#asked++] ?? lostAfterMs / 3)
    this.#question = runtime.setTimer(nextMs, () => this.#ask())
  }

  #heard(bytes: Uint8Array, from: string, loopback: boolean): void {
    const nowMs = this.runtime.now()
    if (!this.#mayRead(nowMs)) {
      this.#dropped++
      return
    }
    const heard = readPacket(bytes, loopback)
    if (!heard) {
      this.#malformed++
      return
    }
    if (heard.asked) {
      for (const answerer of Array.from(this.#answerers)) answerer.asked(heard.asked, from)
    }
    for (const sighting of heard.sightings) {
      const untilMs = this.#table.see(sighting, nowMs, this.#wanted.has(sighting.id.toString()))
      if (untilMs !== undefined) this.#sweepAt(untilMs)
      if (sighting.record) {
        for (const answerer of this.#answerers) if (!answerer.id.equals(sighting.id)) answerer.answered(from)
      }
      // Anybody can say goodbye for another: who is still there may say so.
      if (!sighting.record && untilMs !== undefined) this.#ask()
    }
  }

  #mayRead(nowMs: number): boolean {
    const earned = ((nowMs - this.#tokensMs) * PACKETS_A_SECOND) / 1000
    this.#tokens = Math.min(PACKETS_AT_ONCE, this.#tokens + earned)
    this.#tokensMs = nowMs
    if (this.#tokens < 1) return false
    this.#tokens--
    return true
  }

  #sweepAt(atMs: number): void {
    if (!this.#link || (this.#sweep && this.#sweep.atMs <= atMs)) return
    this.#sweep?.timer.cancel()
    const timer = this.runtime.setTimer(atMs - this.runtime.now(), () => {
      this.#sweep = undefined
      const next = this.#table.expire(this.runtime.now())
      if (next !== undefined) this.#sweepAt(next)
    })
    this.#sweep = { timer, atMs }
  }
}
