/**
 * Listeners: a bounded queue of connections that were let in.
 *
 * @module
 */
import type { StreamKind } from '../connection.ts'
import { P2PError } from '../errors.ts'
import type { P2PNodeId } from '../node-id.ts'
import type { P2PListener, Authorize } from '../system.ts'
import type { WaitOptions } from '../stream.ts'
import type { WaitScope } from '../wait-log.ts'
import type { EngineConnection } from './connection.ts'
import { AsyncQueue } from './waiting.ts'

/** What a listener is made of. */
export interface ListenerOptions {
  readonly alpns: readonly string[]
  readonly kinds: readonly StreamKind[]
  readonly earlyData: boolean
  readonly authorize: Authorize | undefined
  readonly localAddr: string
  readonly acceptBacklog: number
  readonly maxConnections: number
  readonly maxConnectionsPerPeer: number
  /** Where to note who waits. */
  readonly waits: WaitScope | undefined
  /** Takes the listener off its node. */
  readonly onClose: () => void
}

function same<T>(value: T): T {
  return value
}

function resolvedNext<T>(value: T): Promise<IteratorYieldResult<T>> {
  return Promise.resolve({ done: false, value })
}

const OVER: IteratorReturnResult<undefined> = Object.freeze({ done: true, value: undefined })

/**
 * The connections of a listener until it is closed. Not an async generator, which holds half a kilobyte for as long as it
 * waits, as most listeners do most of the time.
 */
class Accepting<Connection extends EngineConnection> implements AsyncIterator<Connection> {
  readonly #queue: AsyncQueue<Connection>
  #isOver = false

  constructor(queue: AsyncQueue<Connection>) {
    this.#queue = queue
  }

  next(): Promise<IteratorResult<Connection, undefined>> {
    if (this.#isOver) return Promise.resolve(OVER)
    // Promises of promises, so that it takes as many microtasks as the generator did: they are part of histories.
    return this.#queue.next(undefined, 'accept').then(resolvedNext, (error: unknown) => {
      this.#isOver = true
      if (this.#queue.closed && P2PError.is(error, 'connection-closed')) return Promise.resolve(OVER)
      throw error
    })
  }

  return(): Promise<IteratorResult<Connection, undefined>> {
    this.#isOver = true
    return Promise.resolve(OVER)
  }
}

/** Accepts connections of some protocols and kinds. */
export class EngineListener<Connection extends EngineConnection> implements P2PListener<Connection> {
  readonly options: ListenerOptions
  readonly #queue: AsyncQueue<Connection>
  /** Places taken: connections that are open, and those that are asked for by {@link enter}. */
  #open = 0
  #entering = 0
  #openByPeer: Map<string, number> | undefined

  /** Listeners come from `listen`. */
  constructor(options: ListenerOptions) {
    this.options = options
    this.#queue = new AsyncQueue(options.waits)
  }

  accept(options?: WaitOptions): Promise<Connection> {
    return this.#queue.next(options?.signal, 'accept').then(same)
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
      waiting.refuse('the listener was closed')
    }
  }

  [Symbol.asyncIterator](): AsyncIterator<Connection> {
    return new Accepting(this.#queue)
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close()
    return Promise.resolve()
  }

  /**
   * Takes a place for a connection until {@link push} or {@link leave}, so that those whose `authorize` takes its time
   * count too; or says why there is none. For the node.
   */
  enter(peer: P2PNodeId): string | undefined {
    const { acceptBacklog, maxConnections, maxConnectionsPerPeer } = this.options
    const id = peer.toString()
    const open = this.#openByPeer?.get(id) ?? 0
    if (this.#queue.closed) return 'the listener was closed'
    if (this.#open >= maxConnections) return `it holds its limit of ${maxConnections} connections`
    if (open >= maxConnectionsPerPeer) return `it holds its limit of ${maxConnectionsPerPeer} connections from one peer`
    if (this.#queue.length + this.#entering >= acceptBacklog) {
      return `${acceptBacklog} connections wait to be accepted already`
    }
    this.#open++
    ;(this.#openByPeer ??= new Map()).set(id, open + 1)
    this.#entering++
    return undefined
  }

  /** Gives a place back. For the node. */
  leave(peer: P2PNodeId): void {
    this.#gone(peer)
    this.#entering--
  }

  /** Whether the listener still listens. For the node. */
  get listening(): boolean {
    return !this.#queue.closed
  }

  /** Takes in a connection that has a place. For the node. */
  push(connection: Connection): void {
    this.#entering--
    const peer = connection.remoteNodeId()
    void connection.closed.then(() => this.#gone(peer))
    this.#queue.push(connection)
  }

  #gone(peer: P2PNodeId): void {
    this.#open--
    const id = peer.toString()
    const open = (this.#openByPeer?.get(id) ?? 1) - 1
    if (open > 0) this.#openByPeer?.set(id, open)
    else this.#openByPeer?.delete(id)
  }
}
