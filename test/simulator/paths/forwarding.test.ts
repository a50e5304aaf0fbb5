import { expect, test } from 'vitest'
import { testNodeId, testSigningKey } from '../../../src/core/keys.ts'
import { Topology } from '../../../src/simulator/network/index.ts'
import { RelayClient } from '../../../src/simulator/relay-client.ts'
import { SimRelay } from '../../../src/simulator/relay.ts'
import { Identity } from '../../../src/simulator/transport/identity.ts'
import { DATA, Packet, PacketBody } from '../../../src/simulator/transport/packet.ts'
import { TestKernel } from '../support/test-kernel.ts'

const kernel = new TestKernel()
const topology = new Topology(kernel, { defaultLatencyMs: 10, defaultPacketLoss: 0 })
const relay = new SimRelay({ kernel, network: topology.host('relay') })

function attach(name: string): { client: RelayClient; network: { isUp: boolean }; got: Packet[] } {
  const network = topology.host(name)
  const got: Packet[] = []
  const client = new RelayClient(
    {
      kernel,
      identity: Identity.of(testSigningKey(name)),
      network,
      random: kernel.random(name),
      onPacket: (_peer, packet) => got.push(packet),
      onState: () => {},
    },
    relay.url,
  )
  client.isHome = true
  return { client, network, got }
}

const packet = (number: number): Packet =>
  new Packet(
    DATA,
    number,
    0,
    1_200,
    new PacketBody(0, number, true, undefined, undefined, undefined),
    undefined,
    undefined,
  )

test('512 packets wait for a node that takes none, the rest is dropped, and after two seconds it is cut off', () => {
  const [sender, receiver] = [attach('sender'), attach('receiver')]
  kernel.runFor(1_000_000)
  expect(relay.clients).toBe(2)
  const to = testNodeId('receiver').toString()
  for (let i = 0; i < 100; i++) sender.client.send(to, packet(i))
  kernel.runFor(1_000_000)
  // In order, and whole.
  expect(receiver.got.map(({ destinationId }) => destinationId)).toEqual(Array.from({ length: 100 }, (_, i) => i))

  receiver.network.isUp = false
  for (let round = 0; round < 10; round++) {
    for (let i = 0; i < 200; i++) sender.client.send(to, packet(1_000 + i))
    kernel.runFor(100_000)
  }
  const state = relay.snapshot().attachments.find(({ node }) => node === to)
  // The socket holds some, 512 wait, and of 2,000 that leaves more than 1,300.
  expect(state?.queuedPackets).toBe(512)
  expect(state?.tcp.bufferedBytes).toBeLessThan(100_000)
  expect(relay.dropped).toBeGreaterThan(1_300)
  kernel.runFor(2_000_000)
  expect(relay.isAttached(testNodeId('receiver'))).toBe(false)

  // For who is not there it drops in silence; what has waited is gone, and nobody gets it later.
  receiver.got.length = 0
  receiver.network.isUp = true
  kernel.runFor(30_000_000)
  expect(relay.isAttached(testNodeId('receiver'))).toBe(true)
  sender.client.send(to, packet(7))
  kernel.runFor(1_000_000)
  expect(receiver.got.map(({ destinationId }) => destinationId)).toEqual([7])
})
