/**
 * Speaks for one node on the local network: when it comes, when something about it changes, when somebody asks, and
 * when it leaves.
 *
 * @module
 */
import { P2PError } from '../../core/errors.ts'
import type { NodeId } from '../../core/node-id.ts'
import type { RuntimeTimer } from '../../core/runtime.ts'
import type { AnnouncedNode } from '../../core/system.ts'
import { portOf, whyUnusable } from './link.ts'
import type { Answerer, MdnsService } from './service.ts'
import { encodeGoodbye, encodeRecord, encodeTypes, labelOf, RECORD_TTL_SECONDS } from './wire.ts'
import type { Asked, LocalRecord } from './wire.ts'

/** What a responder needs. */
export interface ResponderOptions {
  readonly node: AnnouncedNode
  readonly service: MdnsService
  /** The text in the node's record. */
  readonly userData: () => string | undefined
  /** How long others may remember the node. */
  readonly ttlMs: () => number | undefined
}

/** Several changes that come together are one. */
const SETTLE_MS = 100
/** RFC 6762, 8.3: news are told twice, as one packet may be lost. */
const REPEAT_MS = 1_000
/** RFC 6762, 6: answers of several nodes must not come at once. */
const ANSWER_DELAY_MS = { from: 20, to: 120 } as const
/**
 * A node does not repeat itself sooner, whoever asks how often; where there are many, each answers this library's nodes
 * less often.
 */
const MIN_GAP_MS = 500
const GAP_A_PEER_MS = 20
const MAX_GAP_MS = 2_000

/**
 * iroh's nodes answer in turns, two to each question, so that many do not speak at once: each waits for a while, the
 * longer the more there are and when it has just had its turn, and leaves it at that when two others were quicker. Nodes
 * that do not take turns would keep those of iroh from being heard, and iroh forgets who has missed three turns.
 */
const TURN_MS = 100
const ANSWERS_A_QUESTION = 2
const MAX_STEP_BACK = 10

/** A turn that is due, and how many others were quicker. */
interface Turn {
  readonly timer: RuntimeTimer
  answers: number
}

/** An answer that is due, and what is in it. */
interface Due {
  readonly timer: RuntimeTimer
  record: boolean
  types: boolean
}

/** Speaks for one node until it is disposed of. */
export class Responder implements Answerer, AsyncDisposable {
  readonly id: NodeId
  readonly #options: ResponderOptions
  readonly #label: string
  readonly #changes: Disposable
  readonly #use: AsyncDisposable
  /** Answers that are due, by port of the link. */
  readonly #answers = new Map<string, Due>()
  /** When it has last spoken, by port of the link. */
  readonly #spokenMs = new Map<string, number>()
  /** Turns that are due, by port of the link. */
  readonly #turns = new Map<string, Turn>()
  /** How long it steps back for others to have their turn, in milliseconds. */
  #stepBackMs = 0
  #news: RuntimeTimer | undefined
  #closed = false
  #spoken = false

  constructor(options: ResponderOptions) {
    const { node, service } = options
    this.#options = options
    this.id = node.address().id
    this.#label = labelOf(this.id)
    this.#changes = node.onAddressChange(() => this.refresh())
    this.#use = service.answerWith(this)
    this.refresh()
  }

  /** Something about the node has changed. */
  refresh(): void {
    if (this.#closed) return
    this.#news?.cancel()
    this.#news = this.#options.node.runtime.setTimer(SETTLE_MS, () => {
      void this.#announce()
      this.#news = this.#options.node.runtime.setTimer(REPEAT_MS, () => void this.#announce())
    })
  }

  interfaceUp(): void {
    this.refresh()
  }

  asked({ turn, everyone, types, labels, known }: Asked, from: string): void {
    if (this.#closed) return
    const record = labels.has(this.#label) || (everyone && !known.has(this.#label))
    if (record || types) this.#answerSoon(from, record, types)
    if (turn && !record && !known.has(this.#label)) this.#awaitTurn(from)
  }

  answered(from: string): void {
    const turn = this.#turns.get(from)
    if (!turn || ++turn.answers < ANSWERS_A_QUESTION) return
    turn.timer.cancel()
    this.#turns.delete(from)
    this.#stepBackMs = Math.max(0, this.#stepBackMs - TURN_MS)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    this.#changes[Symbol.dispose]()
    this.#news?.cancel()
    for (const { timer } of [...this.#turns.values(), ...this.#answers.values()]) timer.cancel()
    if (this.#spoken) await this.#options.service.send(encodeGoodbye(this.id))
    await this.#use[Symbol.asyncDispose]()
  }

  #awaitTurn(from: string): void {
    if (this.#turns.has(from)) return
    const { node, service } = this.#options
    const rounds = service.peers.size / ANSWERS_A_QUESTION
    const quietMs = (this.#spokenMs.get(from) ?? Number.NEGATIVE_INFINITY) + MIN_GAP_MS - node.runtime.now()
    const delayMs = node.runtime.random() * TURN_MS * Math.max(1, rounds) + this.#stepBackMs
    const timer = node.runtime.setTimer(Math.max(quietMs, delayMs), () => {
      this.#turns.delete(from)
      this.#spokenMs.set(from, node.runtime.now())
      this.#stepBackMs = TURN_MS * Math.min(Math.floor(rounds), MAX_STEP_BACK)
      void this.#speak(from)
    })
    this.#turns.set(from, { timer, answers: 0 })
  }

  #answerSoon(from: string, record: boolean, types: boolean): void {
    const due = this.#answers.get(from)
    if (due) {
      due.record ||= record
      due.types ||= types
      return
    }
    const { runtime } = this.#options.node
    const gapMs = Math.min(MAX_GAP_MS, Math.max(MIN_GAP_MS, this.#options.service.peers.size * GAP_A_PEER_MS))
    const quietMs = (this.#spokenMs.get(from) ?? Number.NEGATIVE_INFINITY) + gapMs - runtime.now()
    const politeMs = ANSWER_DELAY_MS.from + runtime.random() * (ANSWER_DELAY_MS.to - ANSWER_DELAY_MS.from)
    const timer = runtime.setTimer(Math.max(quietMs, politeMs), () => this.#answer(from))
    this.#answers.set(from, { timer, record, types })
  }

  #answer(from: string): void {
    const due = this.#answers.get(from)
    this.#answers.delete(from)
    this.#spokenMs.set(from, this.#options.node.runtime.now())
    if (due?.types === true) void this.#options.service.send(encodeTypes(), from)
    if (due?.record === true) void this.#speak(from)
  }

  async #announce(): Promise<void> {
    const taken = await this.#speak(undefined)
    if (!this.#closed) this.#options.node.onPublished(taken > 0 ? undefined : this.#failure(this.#whyNot()))
  }

  async #speak(on: string | undefined): Promise<number> {
    const record = this.#record()
    if (!record || this.#closed) return 0
    const { service, node, ttlMs } = this.#options
    if (on === undefined) {
      const nowMs = node.runtime.now()
      this.#spokenMs.clear()
      for (const state of service.link?.states() ?? []) this.#spokenMs.set(portOf(state), nowMs)
    }
    this.#spoken = true
    const seconds = Math.ceil((ttlMs() ?? RECORD_TTL_SECONDS * 1000) / 1000)
    return service.send(encodeRecord(record, seconds), on)
  }

  /** What is told: only addresses on the interfaces in use; others are of no use there, and nobody's business. */
  #record(): LocalRecord | undefined {
    const { node, service, userData } = this.#options
    const { direct, relays } = node.address()
    const own = service.link?.addresses() ?? new Set()
    const here = direct.filter((address) =>
      own.has(address.slice(0, address.lastIndexOf(':')).replaceAll(/[[\]]/g, '')),
    )
    const relay = relays[0]
    if (here.length === 0) return undefined
    return { id: this.id, direct: here, relay, userData: userData() }
  }

  #whyNot(): string {
    const unusable = whyUnusable(this.#options.service.link?.states() ?? [])
    if (unusable !== undefined) return unusable
    if (this.#record()) return 'the interface is busy'
    const direct = this.#options.node.address().direct.join(', ') || 'none'
    return `none of its addresses (${direct}) is on an interface that mDNS uses`
  }

  #failure(why: string): P2PError {
    return P2PError.of('discovery-failed', `the local network was not told of this node: ${why}`, {
      query: this.id.toString(),
    })
  }
}
