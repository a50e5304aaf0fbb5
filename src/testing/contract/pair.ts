/**
 * What a case is given: two nodes, of which the second listens, and ways to connect them.
 *
 * @module
 */
import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import type { P2PConnection } from '../../core/connection.ts'
import type { NodeId } from '../../core/node-id.ts'
import type { Runtime } from '../../core/runtime.ts'
import type { P2PSendStream, P2PStream } from '../../core/stream.ts'
import type { ConnectOptions, ListenOptions, P2PListener, P2PSystem } from '../../core/system.ts'
import type {
  ContractAbilities,
  ContractConditions,
  ContractLimits,
  ContractNodeOptions,
  ContractScale,
  ContractWorld,
} from './backend.ts'

/** A node of any backend. */
export type Node = P2PSystem<NodeId>
/** A connection of any backend. */
export type Connection = P2PConnection<NodeId>
/** A listener of any backend. */
export type Listener = P2PListener<P2PConnection<NodeId>>

/** One promise of the contract. */
export interface ContractCase {
  readonly limits?: ContractLimits
  /** How `b` listens; false: not at all. */
  readonly listen?: ListenOptions | false
  /** The conditions that it is run under, each in a world of its own. @default once, without any */
  readonly conditions?: (
    abilities: ContractAbilities,
    draw: { readonly runs: number; readonly seed: number },
  ) => readonly ContractConditions[]
  readonly run: (pair: ContractPair) => Promise<void>
}

/** Cases by name: each name is a sentence. */
export type ContractCases = Readonly<Record<string, ContractCase | ContractCase['run']>>

/** How to make a pair. */
export interface PairOptions {
  readonly world: ContractWorld
  readonly scale: ContractScale
  readonly seed: number
  readonly limits: ContractLimits
  readonly listen: ListenOptions | false
  readonly conditions?: ContractConditions | undefined
}

/** The pair; see the module's comment. */
export class ContractPair {
  /** Connects. */
  readonly a: Node
  /** Listens. */
  readonly b: Node
  readonly scale: ContractScale
  readonly #options: PairOptions
  readonly #nodes: Node[]
  readonly #connections: Connection[] = []
  #listener: Listener | undefined

  private constructor(a: Node, b: Node, options: PairOptions) {
    this.a = a
    this.b = b
    this.scale = options.scale
    this.#options = options
    this.#nodes = [a, b]
  }

  static async create(options: PairOptions): Promise<ContractPair> {
    const { world, limits, listen } = options
    const a = await world.create('a', limits.a && { limits: limits.a })
    const b = await world.create('b', limits.b && { limits: limits.b })
    const pair = new ContractPair(a, b, options)
    if (listen !== false) pair.#listener = await b.listen('', listen)
    return pair
  }

  /** What the network was asked to be like. */
  get conditions(): ContractConditions {
    return this.#options.conditions ?? {}
  }

  /** The clock of `a`. */
  get runtime(): Runtime {
    return this.a.runtime
  }

  /** The listener of `b`. */
  get listener(): Listener {
    assert(this.#listener, 'this case does not listen')
    return this.#listener
  }

  /** A third node. */
  async third(options?: ContractNodeOptions): Promise<Node> {
    const node = await this.#options.world.create('c', options)
    this.#nodes.push(node)
    return node
  }

  /** A new connection from `a` to `b`: both ends of it. One at a time. */
  async connect(options?: ConnectOptions): Promise<[Connection, Connection]> {
    const alpn = this.#options.listen === false ? undefined : this.#options.listen.alpns?.[0]
    const [client, server] = await Promise.all([
      this.a.connect(this.b.address(), { alpn, ...options }),
      this.listener.accept(),
    ])
    return [this.watch(client), this.watch(server)]
  }

  /** A new two-way stream: the end of who opened it, and the other, which has read its first byte. */
  async stream(from: Connection, to: Connection): Promise<[P2PStream, P2PStream]> {
    const opened = await from.openStream()
    const [accepted] = await Promise.all([to.acceptStream(), opened.write(Uint8Array.of(1))])
    assert.deepEqual(await accepted.readExactly(1), Uint8Array.of(1))
    return [opened, accepted]
  }

  /**
   * Writes more than the transport holds, so that the write waits for as long as nobody reads. The result tells what
   * became of it, and handles its failure.
   */
  block(stream: P2PSendStream, signal?: AbortSignal): Settling<void> {
    return settling(stream.write(new Uint8Array(this.scale.beyondWindowsBytes), { signal }))
  }

  /** Checks at the end of the case that this connection is over. */
  watch(connection: Connection): Connection {
    this.#connections.push(connection)
    return connection
  }

  /** Checks a property in as many runs as the backend can bear; every run may connect anew. */
  async property<T>(arbitrary: fc.Arbitrary<T>, holds: (value: T) => Promise<void>): Promise<void> {
    const { seed } = this.#options
    const { runs } = this.scale
    await fc.assert(fc.asyncProperty(arbitrary, holds), { numRuns: runs, seed, endOnFailure: runs < 20 })
  }

  /** Closes every node, and checks that every connection is over then. */
  async dispose(): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node.close()))
    for (const connection of this.#connections) {
      assert.equal(connection.isConnected(), false)
      await connection.closed
      assert.equal(connection.stats().path, 'none')
      assert.deepEqual(connection.paths(), [])
    }
  }
}

/** A promise whose state can be asked for. A rejection of it counts as handled. */
export interface Settling<T> {
  readonly promise: Promise<T>
  readonly settled: boolean
}

/** Follows `promise`. */
export function settling<T>(promise: Promise<T>): Settling<T> {
  const state = { promise, settled: false }
  const done = (): void => void (state.settled = true)
  promise.then(done, done)
  return state
}
