/**
 * A server and a client, over the engine and a carrier in memory, on one manual clock.
 *
 * @module
 */
import { afterEach, describe, expect } from 'vitest'
import type { P2PStream } from '../../../src/core/stream.ts'
import { fetch, request, RequestPool, serve } from '../../../src/router/index.ts'
import type {
  P2PApp,
  P2PClientRequest,
  P2PClientResponse,
  P2PFetchInit,
  P2PServer,
  ServeOptions,
} from '../../../src/router/index.ts'
import { outcome } from '../../support/engine-suite.ts'
import { settle } from '../../support/manual-runtime.ts'
import { MemoryNetwork } from '../../support/memory-carrier.ts'
import type { MemoryNetworkOptions } from '../../support/memory-carrier.ts'
import type { MemoryConnection } from '../../support/memory-node.ts'
import { MemoryNode } from '../../support/memory-node.ts'
import { FilesRuntime } from './files-runtime.ts'

/** What a {@link Rig} is made of, besides its application. */
export interface RigOptions extends ServeOptions {
  readonly network?: MemoryNetworkOptions
}

/** An error that the server reported. */
export interface Reported {
  readonly error: unknown
  readonly target: string
}

/** A server and a client. */
export class Rig {
  readonly runtime = new FilesRuntime()
  readonly network: MemoryNetwork
  readonly home: MemoryNode
  readonly player: MemoryNode
  readonly reported: Reported[] = []
  server!: P2PServer

  private constructor(options: MemoryNetworkOptions) {
    this.network = new MemoryNetwork(options)
    this.home = MemoryNode.create(this.network, 'home', { runtime: this.runtime })
    this.player = MemoryNode.create(this.network, 'player', { runtime: this.runtime })
  }

  static async create(app: P2PApp, options: RigOptions = {}): Promise<Rig> {
    const { network = {}, ...serving } = options
    const rig = new Rig(network)
    const onError: ServeOptions['onError'] = (error, { target }) => void rig.reported.push({ error, target })
    rig.server = await serve(rig.home, app, { onError, ...serving })
    return rig
  }

  /** The server's id. */
  get id(): string {
    return this.home.localNodeId().toString()
  }

  /** The player's connections, open ones. */
  get connections(): number {
    return this.player.endpoint.connections.size
  }

  request(init: P2PClientRequest): Promise<P2PClientResponse> {
    return request(this.player, this.home.localNodeId(), init)
  }

  get(path: string, headers: Record<string, string> = {}): Promise<P2PClientResponse> {
    return this.request({ path, headers })
  }

  fetch(path: string, init?: P2PFetchInit): Promise<Response> {
    return fetch(this.player, `p2p://${this.id}${path}`, init)
  }

  /** A connection of its own, as a hostile peer would use it. */
  connect(): Promise<MemoryConnection> {
    return this.player.connect(this.home.localNodeId())
  }

  /** The stream of a request that says `bytes`, on a connection of its own. */
  async raw(...bytes: Uint8Array[]): Promise<P2PStream> {
    const stream = await (await this.connect()).openStream({ kind: 'request' })
    for (const part of bytes) await stream.write(part)
    return stream
  }
}

/** Closes everything and checks that nothing is left: no file, no timer, no connection, no request. */
async function disposeRig({ home, network, player, runtime, server }: Rig): Promise<void> {
  const closed = Promise.all([RequestPool.of(player).close(), server.close({ graceful: false })])
  await runtime.advance(60_000)
  expect(await outcome(closed)).toHaveProperty('value')
  const nodes = Promise.all([home.close(), player.close()])
  await runtime.advance(60_000)
  expect(await outcome(nodes)).toHaveProperty('value')
  await settle()
  expect(network.violations).toEqual([])
  expect(server.stats()).toMatchObject({ requestsInFlight: 0, connections: 0 })
  expect(runtime.openFiles).toBe(0)
  expect(player.endpoint.connections.size).toBe(0)
  expect(runtime.pendingTimers).toBe(0)
}

/** Describes `body` over each kind of carrier; `make` gives rigs that are checked and ended afterwards. */
export function onEveryCarrier(
  name: string,
  body: (make: (app: P2PApp, options?: RigOptions) => Promise<Rig>) => void,
): void {
  describe.each([
    { carrier: 'that aborts blocked streams', abortsBlockedStreams: true },
    { carrier: 'that cannot abort blocked streams', abortsBlockedStreams: false },
  ])(`${name}, on a carrier $carrier`, ({ abortsBlockedStreams }) => {
    const rigs: Rig[] = []
    afterEach(async () => {
      for (const rig of rigs.splice(0)) await disposeRig(rig)
    })
    body(async (app, options = {}) => {
      const rig = await Rig.create(app, { ...options, network: { abortsBlockedStreams, ...options.network } })
      rigs.push(rig)
      return rig
    })
  })
}

/** A promise whose result can be looked at at any time: an outcome, or `pending`. */
export function later<T>(promise: Promise<T>): { result: unknown } {
  const seen: { result: unknown } = { result: 'pending' }
  promise.then(
    (value) => (seen.result = { value }),
    (error: unknown) => (seen.result = { error }),
  )
  return seen
}
