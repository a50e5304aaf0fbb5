/**
 * A room on the disk: a line of JSON for each message, in the order in which they came.
 *
 * @module
 */
import type { Store } from '../stage/actor.ts'
import { readMessage } from './message.ts'
import type { ChatMessage } from './message.ts'

const NEWLINE = 0x0a

/** See the module's comment. */
export class RoomFile {
  readonly #store: Store
  readonly #name: string
  /** Writes wait for each other, so that lines do not mix. */
  #last: Promise<void> = Promise.resolve()

  constructor(store: Store, room: string) {
    this.#store = store
    this.#name = `room-${Buffer.from(room).toString('hex')}.jsonl`
  }

  /** The messages; what a crash has left half of is thrown away. */
  async load(): Promise<ChatMessage[]> {
    const bytes = (await this.#store.read(this.#name)) ?? new Uint8Array(0)
    const end = bytes.lastIndexOf(NEWLINE) + 1
    const lines = new TextDecoder().decode(bytes.subarray(0, end)).split('\n')
    const messages = lines.flatMap((line) => parse(line))
    // The next line must not continue a torn one.
    if (end < bytes.length || messages.length !== lines.length - 1)
      await this.#store.replace(this.#name, encode(messages))
    return messages
  }

  /** Once it resolves a crash does not lose them. */
  append(messages: readonly ChatMessage[]): Promise<void> {
    this.#last = this.#last.then(() => this.#store.append(this.#name, encode(messages)))
    return this.#last
  }

  /** Resolves when everything is on the disk. */
  flush(): Promise<void> {
    return this.#last
  }
}

function encode(messages: readonly ChatMessage[]): Uint8Array {
  return new TextEncoder().encode(messages.map((message) => `${JSON.stringify(message)}\n`).join(''))
}

function parse(line: string): ChatMessage[] {
  try {
    const message = readMessage(JSON.parse(line))
    return message ? [message] : []
  } catch {
    return []
  }
}
