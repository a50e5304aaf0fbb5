/**
 * Who is found and lost on the local network, one event at a time. A reader that is slow sees the latest of each peer,
 * so that what waits is never more than there are peers.
 *
 * @module
 */
import { P2PError } from '../../core/errors.ts'
import type { MdnsEvent } from './peer-table.ts'

/** Events that wait for their reader. */
export class EventQueue {
  readonly #events = new Map<string, MdnsEvent>()
  #wake: (() => void) | undefined
  #ended = false

  /** Adds an event, or makes one of it and what waits for the same peer. */
  push(event: MdnsEvent): void {
    const key = event.peer.id.toString()
    const before = this.#events.get(key)
    this.#events.delete(key)
    const joined = before ? join(before, event) : event
    if (joined) this.#events.set(key, joined)
    this.#wake?.()
  }

  /** There will be no more. */
  end(): void {
    this.#ended = true
    this.#wake?.()
  }

  /**
   * The next event; undefined at the end.
   *
   * @throws P2PError `aborted`
   */
  async next(signal: AbortSignal | undefined): Promise<MdnsEvent | undefined> {
    for (;;) {
      if (signal?.aborted === true) throw P2PError.aborted(signal, 'browsing the local network')
      const first = this.#events.entries().next()
      if (first.done !== true) {
        this.#events.delete(first.value[0])
        return first.value[1]
      }
      if (this.#ended) return undefined
      await this.#wait(signal)
    }
  }

  async #wait(signal: AbortSignal | undefined): Promise<void> {
    let wake = (): void => {}
    await new Promise<void>((resolve) => {
      wake = resolve
      this.#wake = resolve
      signal?.addEventListener('abort', wake, { once: true })
    })
    this.#wake = undefined
    signal?.removeEventListener('abort', wake)
  }
}

/** What a reader needs to know who has seen neither; undefined when that is nothing. */
function join(before: MdnsEvent, after: MdnsEvent): MdnsEvent | undefined {
  if (before.kind === 'found') return after.kind === 'lost' ? undefined : { kind: 'found', peer: after.peer }
  if (before.kind === 'lost') return after.kind === 'lost' ? after : { kind: 'changed', peer: after.peer }
  return after
}
