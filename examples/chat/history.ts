/**
 * What one peer knows of a room: for each log of each author its messages from the first on, without a gap. So a count
 * for each log says all of what somebody has, and two peers that compare counts know what to tell each other.
 *
 * @module
 */
import { compareMessages } from './message.ts'
import type { ChatMessage } from './message.ts'

/** How many messages somebody has of each log; by `author/log`. */
export type Have = Readonly<Record<string, number>>

/** Logs in a room; one is begun each time that a peer's program starts. */
const MAX_LOGS = 10_000
/** Messages in a log. */
const MAX_MESSAGES = 100_000

/** See the module's comment. */
export class History {
  readonly #logs = new Map<string, ChatMessage[]>()
  #clock = 0

  /** The highest clock of all messages. */
  get clock(): number {
    return this.#clock
  }

  /** How many messages there are. */
  get size(): number {
    let sum = 0
    for (const log of this.#logs.values()) sum += log.length
    return sum
  }

  /** Takes a message; false when it is known already, or one before it is not. */
  add(message: ChatMessage): boolean {
    const key = `${message.author}/${message.log}`
    const log = this.#logs.get(key) ?? []
    if (message.number !== log.length || log.length >= MAX_MESSAGES) return false
    if (log.length === 0) {
      if (this.#logs.size >= MAX_LOGS) return false
      this.#logs.set(key, log)
    }
    log.push(message)
    this.#clock = Math.max(this.#clock, message.clock)
    return true
  }

  /** What this peer has. */
  have(): Have {
    return Object.fromEntries([...this.#logs].map(([key, log]) => [key, log.length]))
  }

  /** Up to `limit` messages that somebody with `have` lacks, those of each log in their order. */
  missing(have: Have, limit: number): ChatMessage[] {
    const missing: ChatMessage[] = []
    for (const [key, log] of this.#logs) {
      // What a peer says may be anything.
      const count = Object.hasOwn(have, key) ? have[key] : 0
      const from = Number.isSafeInteger(count) ? Math.max(0, count as number) : 0
      missing.push(...log.slice(from, from + limit - missing.length))
      if (missing.length >= limit) break
    }
    return missing
  }

  /** All messages, in the order in which everybody shows them. */
  messages(): ChatMessage[] {
    return [...this.#logs.values()].flat().sort(compareMessages)
  }
}
