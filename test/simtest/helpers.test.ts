/** Peers that are connected in one call, and what disturbs them. */
import { describe, expect, test } from 'vitest'
import {
  addPartition,
  advanceTime,
  healPartition,
  injectLatency,
  injectPacketLoss,
  setupConnectedPeers,
  setupPartitionedNetwork,
  testNodeId,
} from '../../src/simtest/index.ts'
import type { PeerNetwork, PeerReference } from '../../src/simtest/index.ts'
import { parseSimulatorConfig } from '../../src/core/config.ts'

const config = { ...parseSimulatorConfig({}), defaultPacketLoss: 0 }

/** How long a message takes, in milliseconds, to a precision of 5; undefined when it is not there after a second. */
async function timeOf(network: PeerNetwork, from: PeerReference, to: PeerReference): Promise<number | undefined> {
  let arrived: Uint8Array | undefined
  const receiving = network.connection(to, from).recv()
  receiving.then(
    (bytes) => {
      arrived = bytes
    },
    () => {},
  )
  await network.connection(from, to).send(Uint8Array.of(1))
  for (let ms = 0; ms <= 1000; ms += 5) {
    if (arrived) return ms
    await advanceTime(network, 5)
  }
  return undefined
}

describe('connected peers', () => {
  test('all reach all, both ways', async () => {
    await using network = await setupConnectedPeers(4, { config })
    expect(network.peers.map((peer) => peer.localNodeId().toString())).toEqual(
      [0, 1, 2, 3].map((i) => testNodeId(`peer-${i}`).toString()),
    )
    for (let from = 0; from < 4; from++) {
      for (const to of [0, 1, 2, 3].filter((to) => to !== from)) {
        expect(await timeOf(network, from, to)).toBeLessThanOrEqual(80)
      }
    }
    expect(network.connection('peer-0', testNodeId('peer-1'))).toBe(network.connection(0, 1))
  })

  test('time stands still until it is told to go on', async () => {
    await using network = await setupConnectedPeers(2, { config })
    const before = network.sim.now
    await network.connection(0, 1).send(Uint8Array.of(1))
    expect(network.sim.now).toBe(before)
    await advanceTime(network, 1234)
    expect(network.sim.now).toBe(before + 1234)
  })

  test('the same seed, the same history', async () => {
    const run = async (seed: number): Promise<string> => {
      await using network = await setupConnectedPeers(3, { seed })
      await timeOf(network, 0, 1)
      return network.sim.hash
    }
    expect(await run(3)).toBe(await run(3))
    expect(await run(3)).not.toBe(await run(4))
  })

  test('latency is one-way, until it is taken away', async () => {
    await using network = await setupConnectedPeers(2, { config })
    {
      using _latency = injectLatency(network, 0, 1, 200)
      expect(await timeOf(network, 0, 1)).toBeGreaterThanOrEqual(250)
      expect(await timeOf(network, 1, 0)).toBeLessThanOrEqual(80)
    }
    expect(await timeOf(network, 0, 1)).toBeLessThanOrEqual(80)
  })

  test('loss is what it says', async () => {
    await using network = await setupConnectedPeers(2, { config })
    const loss = injectPacketLoss(network, 0, 1, 1)
    expect(await timeOf(network, 0, 1)).toBeUndefined()
    loss[Symbol.dispose]()
    await advanceTime(network, 5000)
    expect(await timeOf(network, 1, 0)).toBeLessThanOrEqual(80)
  })

  test('partitions cut and heal', async () => {
    await using network = await setupConnectedPeers(3, { config })
    const partition = addPartition(network, [0])
    expect(await timeOf(network, 0, 1)).toBeUndefined()
    expect(await timeOf(network, 1, 2)).toBeLessThanOrEqual(80)
    healPartition(network, partition)
    await advanceTime(network, 5000)
    expect(await timeOf(network, 1, 0)).toBeLessThanOrEqual(80)
  })

  test('two groups that do not reach each other', async () => {
    const { network, groupA, groupB, partition } = await setupPartitionedNetwork(2, 1, { config })
    await using _network = network
    expect([groupA.length, groupB.length]).toEqual([2, 1])
    expect(await timeOf(network, 0, 1)).toBeLessThanOrEqual(80)
    expect(await timeOf(network, 0, 2)).toBeUndefined()
    healPartition(network, partition)
    await advanceTime(network, 5000)
    expect(await timeOf(network, 2, 0)).toBeLessThanOrEqual(80)
  })

  test('nonsense is told so', async () => {
    await expect(setupConnectedPeers(0)).rejects.toThrow('must be a whole number from 1 to 200')
    await expect(setupPartitionedNetwork(0, 2)).rejects.toThrow('both need somebody')
    await using network = await setupConnectedPeers(2)
    expect(() => network.connection(0, 7)).toThrow('there is no such peer: there are 2')
    expect(() => network.connection(0, 0)).toThrow('have no connection with each other')
    expect(() => injectLatency(network, 0, 1, -1)).toThrow('must be milliseconds')
    expect(() => injectPacketLoss(network, 0, 1, 2)).toThrow('must be a probability')
  })
})
