/**
 * Listeners: a bounded queue of connections that were let in.
 *
 * @module
 */
import type { StreamKind } from '../connection.ts'
import { P2PError } from '../errors.ts'
import type { P2PListener, Authorize } from '../system.ts'
import type { WaitOptions } from '../stream.ts'
import type { EngineConnection } from './connection.ts'
import { AsyncQueue } from './waiting.ts'

/** What a listener is made of. */
export interface ListenerOptions {
  readonly alpns: readonly string[]
  readonly kinds: readonly StreamKind[]
  readonly authorize: Authorize | undefined
  readonly localAddr: string
  readonly acceptBacklog: number
  readonly maxConnections: number
  /** Takes the listener off its node. */
  readonly onClose: () => void
  /** Turns away a connection that was let in and never accepted. */
  readonly refuse: (connection: EngineConnection, why: string) => void
}

/** Accepts connections of some protocols and kinds. */
export class EngineListener<Connection extends EngineConnection> implements P2PListener<Connection> {
  readonly options: ListenerOptions
  readonly #queue = new AsyncQueue<Connection>()
  #open = 0

  /** Listeners come from `listen`. */
  constructor(options: ListenerOptions) {
    this.options = options
  }

  async accept(options?: WaitOptions): Promise<Connection> {
    return await this.#queue.next(options?.signal, 'accept')
  }

  localAddr(): string {
    return this.options.localAddr
  }

  close(): void {
    if (this.#queue.closed) return
    this.options.onClose()
    this.#queue.close(
      P2PError.of('connection-closed', 'the listener is closed', {
        closeCode: 0,
        reason: 'listener closed',
        by: 'local',
      }),
    )
    for (let waiting = this.#queue.shift(); waiting; waiting = this.#queue.shift()) {
      this.options.refuse(waiting, 'the listener was closed')
    }
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Connection> {
    for (;;) {
      let connection
      try {
        connection = await this.accept()
      } catch (error) {
        if (this.#queue.closed && P2PError.is(error, 'connection-closed')) return
        throw error
      }
      yield connection
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close()
    return Promise.resolve()
  }

  /** Why no further connection is let in, or undefined when there is room. For the node. */
  full(): string | undefined {
    const { acceptBacklog, maxConnections } = this.options
    if (this.#open >= maxConnections) return `it holds its limit of ${maxConnections} connections`
    if (this.#queue.length >= acceptBacklog) return `${acceptBacklog} connections wait to be accepted already`
    return undefined
  }

  /** Takes a connection in. For the node. */
  push(connection: Connection): void {
    this.#open++
    void connection.closed.then(() => this.#open--)
    this.#queue.push(connection)
  }
}
