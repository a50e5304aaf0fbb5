/**
 * Networks of connected peers in one call, and the little tools to disturb them: for tests that go step by step, in
 * virtual time that moves when they say so.
 *
 * @module
 */
import { invalidConfiguration } from '../core/config.ts'
import type { NodeId } from '../core/node-id.ts'
import type { LinkCrossing, LinkVerdict, Partition, SimHost, SimulationOptions } from '../simulator/index.ts'
import { Simulation, SimulatorP2P } from '../simulator/index.ts'
import type { SimulatorConnection } from '../simulator/index.ts'

/** A peer of a {@link PeerNetwork}: its number from 0, its name (`peer-0`), or its id. */
export type PeerReference = number | string | NodeId

/** Options of {@link setupConnectedPeers}. */
export interface PeerNetworkOptions extends Pick<SimulationOptions, 'config' | 'trace'> {
  /** @default 1 */
  readonly seed?: bigint | number | undefined
}

/** Peers that are all connected with each other. Time stands still until `advanceTime`. */
export class PeerNetwork implements AsyncDisposable {
  readonly sim: Simulation
  readonly hosts: readonly SimHost[]
  /** Their nodes, each on its host. */
  readonly peers: readonly SimulatorP2P[]
  readonly #connections: ReadonlyMap<string, SimulatorConnection>

  /** @internal */
  constructor(
    sim: Simulation,
    hosts: readonly SimHost[],
    peers: readonly SimulatorP2P[],
    connections: ReadonlyMap<string, SimulatorConnection>,
  ) {
    this.sim = sim
    this.hosts = hosts
    this.peers = peers
    this.#connections = connections
  }

  /**
   * One side of the connection between two peers: that of `from`.
   *
   * @throws P2PError `invalid-configuration` when there is none
   */
  connection(from: PeerReference, to: PeerReference): SimulatorConnection {
    const key = `${this.host(from).index}>${this.host(to).index}`
    const connection = this.#connections.get(key)
    if (!connection) throw invalidConfiguration('connection', key, 'these peers have no connection with each other')
    return connection
  }

  /** @throws P2PError `invalid-configuration` when there is no such peer */
  host(peer: PeerReference): SimHost {
    const host = this.hosts.find(
      ({ index, name, id }) => peer === index || peer === name || (typeof peer === 'object' && id.equals(peer)),
    )
    if (host) return host
    throw invalidConfiguration('peer', String(peer), `there is no such peer: there are ${this.hosts.length}`)
  }

  /** Ends the simulation. */
  close(): Promise<void> {
    return this.sim.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

const MAX_PEERS = 200
/** Enough for handshakes on a line that loses packets. */
const SETUP_MS = 120_000

/** Runs until all are settled. */
async function settle<T>(sim: Simulation, promises: readonly Promise<T>[]): Promise<T[]> {
  let isSettled = false
  const all = Promise.all(promises)
  const mark = (): void => {
    isSettled = true
  }
  all.then(mark, mark)
  await sim.run({ forMs: SETUP_MS, until: () => isSettled })
  return all
}

/**
 * `count` public peers, each connected with every other.
 *
 * @example
 * ```ts
 * import { advanceTime, setupConnectedPeers } from '@moosicbox/p2p/simtest'
 *
 * await using network = await setupConnectedPeers(3)
 * const heard = network.connection(1, 0).recv()
 * await network.connection(0, 1).send(new TextEncoder().encode('hello'))
 * await advanceTime(network, 1000)
 * console.log(new TextDecoder().decode(await heard)) // hello
 * ```
 * @param count 1 to 200
 * @throws P2PError `invalid-configuration`
 */
export async function setupConnectedPeers(count: number, options: PeerNetworkOptions = {}): Promise<PeerNetwork> {
  if (!Number.isSafeInteger(count) || count < 1 || count > MAX_PEERS) {
    throw invalidConfiguration('count', count, `must be a whole number from 1 to ${MAX_PEERS}`)
  }
  const sim = new Simulation({ ...options, seed: options.seed ?? 1 })
  const hosts = Array.from({ length: count }, (_, i) => sim.host(`peer-${i}`))
  const peers = await settle(
    sim,
    hosts.map((host) => sim.perform(host, () => SimulatorP2P.create({ relay: 'disabled' }))),
  )
  const connections = new Map<string, SimulatorConnection>()
  const accepting = peers.map(async (peer, to) => {
    const listener = await peer.listen()
    // Each dials those that come after it.
    for (let i = 0; i < to; i++) {
      const connection = await listener.accept()
      const from = hosts.findIndex(({ id }) => id.equals(connection.remoteNodeId()))
      connections.set(`${to}>${from}`, connection)
    }
  })
  const dialling = peers.map(async (peer, from) => {
    for (let to = from + 1; to < count; to++) {
      connections.set(`${from}>${to}`, await peer.connect((hosts[to] as SimHost).id))
    }
  })
  await settle(sim, [...accepting, ...dialling])
  return new PeerNetwork(sim, hosts, peers, connections)
}

/** A network in two parts that cannot reach each other. */
export interface PartitionedNetwork {
  readonly network: PeerNetwork
  /** Peers 0 and up, and those after them. */
  readonly groupA: readonly SimHost[]
  readonly groupB: readonly SimHost[]
  readonly partition: Partition
}

/**
 * `a` + `b` connected peers, and then a partition between the first `a` and the other `b`.
 *
 * @throws P2PError `invalid-configuration`
 */
export async function setupPartitionedNetwork(
  a: number,
  b: number,
  options: PeerNetworkOptions = {},
): Promise<PartitionedNetwork> {
  if (!(a >= 1) || !(b >= 1)) throw invalidConfiguration('groups', `${a} and ${b}`, 'both need somebody in them')
  const network = await setupConnectedPeers(a + b, options)
  const groupA = network.hosts.slice(0, a)
  const groupB = network.hosts.slice(a)
  const partition = addPartition(
    network,
    groupA.map(({ index }) => index),
    groupB.map(({ index }) => index),
  )
  return { network, groupA, groupB, partition }
}

function addRule(
  network: PeerNetwork,
  from: PeerReference,
  to: PeerReference,
  verdict: (crossing: LinkCrossing) => LinkVerdict,
): Disposable {
  const source = network.host(from)
  const target = network.host(to)
  return network.sim.topology.fabric.rules.add((crossing) => {
    const { link, packet } = crossing
    // Where it leaves its host: once a packet.
    const isMeant = link.from === source.network.node && packet.destination.ip === target.network.ip
    return isMeant ? verdict(crossing) : 'pass'
  })
}

/**
 * Makes packets from one peer to another take `latencyMs` longer, until the result is disposed of.
 *
 * @throws P2PError `invalid-configuration`
 */
export function injectLatency(
  network: PeerNetwork,
  from: PeerReference,
  to: PeerReference,
  latencyMs: number,
): Disposable {
  if (!(latencyMs >= 0 && latencyMs <= 3_600_000)) {
    throw invalidConfiguration('latencyMs', latencyMs, 'must be milliseconds from 0 to 3600000')
  }
  return addRule(network, from, to, () => ({ delayMs: latencyMs }))
}

/**
 * Loses packets from one peer to another with probability `rate`, until the result is disposed of.
 *
 * @throws P2PError `invalid-configuration`
 */
export function injectPacketLoss(
  network: PeerNetwork,
  from: PeerReference,
  to: PeerReference,
  rate: number,
): Disposable {
  if (!(rate >= 0 && rate <= 1)) throw invalidConfiguration('rate', rate, 'must be a probability from 0 to 1')
  const random = network.host(from).random(`loss to ${network.host(to).name}`)
  return addRule(network, from, to, () => (random.nextFloat() < rate ? 'drop' : 'pass'))
}

/**
 * Cuts peers off from others; without `groupB`, from all others.
 *
 * @throws P2PError `invalid-configuration`
 */
export function addPartition(
  network: PeerNetwork,
  groupA: readonly PeerReference[],
  groupB?: readonly PeerReference[],
): Partition {
  const names = (group: readonly PeerReference[]): string[] => group.map((peer) => network.host(peer).name)
  return network.sim.topology.fabric.graph.addPartition(names(groupA), groupB && names(groupB))
}

/** Ends a partition; does nothing when it has ended. */
export function healPartition(network: PeerNetwork, partition: Partition): void {
  network.sim.topology.fabric.graph.healPartition(partition)
}

/** Lets `ms` of virtual time pass. */
export async function advanceTime(network: PeerNetwork, ms: number): Promise<void> {
  await network.sim.run({ forMs: ms })
}
