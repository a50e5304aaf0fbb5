/**
 * Somebody who sees, drops, changes, doubles, delays, repeats and invents any packet of the network, the operator of the
 * relay included, against the whole stack: without the key object nobody connects as another, or gets a byte in.
 */
import { describe, expect, test } from 'vitest'
import { testNodeId, testSigningKey } from '../../../src/core/keys.ts'
import { RelayAttachment } from '../../../src/simulator/relay-attachment.ts'
import { RelayChannel } from '../../../src/simulator/relay-channel.ts'
import { RelayHello, RelayRecord, RELAY_CONTEXT } from '../../../src/simulator/relay-wire.ts'
import type { RelayMessage } from '../../../src/simulator/relay-wire.ts'
import { Simulation, SimulatorP2P } from '../../../src/simulator/index.ts'
import type {
  NatPresetName,
  Packet as FabricPacket,
  RandomStream,
  RelayHost,
  SimHost,
} from '../../../src/simulator/index.ts'
import type { TcpConnection } from '../../../src/simulator/tcp/connection.ts'
import { ACK, NO_SACKS, RST, TcpSegment } from '../../../src/simulator/tcp/segment.ts'
import { Identity, IdentityProof, KeyShare } from '../../../src/simulator/transport/identity.ts'
import { DATA, HANDSHAKE, INITIAL, Packet, PacketBody, PacketKey } from '../../../src/simulator/transport/packet.ts'
import type { PacketKind } from '../../../src/simulator/transport/packet.ts'
import { StreamFrame } from '../../../src/simulator/transport/frames.ts'
import type { ControlFrame } from '../../../src/simulator/transport/frames.ts'
import { PERFECT } from './homes.ts'

interface Talk {
  readonly sim: Simulation
  readonly relay: RelayHost
  readonly client: SimHost
  readonly server: SimHost
  /** Ids that the server has accepted, and what it has read, for each connection. */
  readonly accepted: string[]
  readonly heard: number[][]
  /** What the client got back. */
  readonly echoed: number[]
  connected: boolean
}

/** A client that counts to a server which echoes, over one connection after another if it must. */
function talk(seed: number, nat: NatPresetName): Talk {
  const sim = new Simulation({ seed, config: PERFECT })
  const relay = sim.relay('relay')
  const options = { relay: [relay.url] }
  const [accepted, heard, echoed]: [string[], number[][], number[]] = [[], [], []]
  const server = sim.host('server', { lan: sim.lan({ nat }) }, async () => {
    const p2p = await SimulatorP2P.create(options)
    for await (const connection of await p2p.listen()) {
      accepted.push(connection.remoteNodeId().toString())
      const mine: number[] = []
      heard.push(mine)
      void (async (): Promise<void> => {
        for await (const message of connection) {
          mine.push(...message)
          await connection.send(message)
        }
      })().catch(() => {})
    }
  })
  const client = sim.host('client', { lan: sim.lan({ nat }) }, async ({ runtime }) => {
    const p2p = await SimulatorP2P.create(options)
    await runtime.sleep(1_000)
    for (let attempt = 0; attempt < 5; attempt++) {
      try {
        const connection = await p2p.connect(server.id, { timeoutMs: 20_000 })
        all.connected = true
        for (let i = 0; i < 60; i++) {
          await connection.send(Uint8Array.of(i))
          const [value] = await connection.recv()
          echoed.push(value ?? -1)
          // Whoever has the key counts right; nobody else has said anything.
          if (value !== i) throw new Error(`${value} came back for ${i}`)
          await runtime.sleep(50)
        }
        return
      } catch (error) {
        if (error instanceof Error && error.message.includes('came back')) throw error
        await runtime.sleep(1_000)
      }
    }
  })
  const all: Talk = { sim, relay, client, server, accepted, heard, echoed, connected: false }
  return all
}

function expectNobodyElse({ accepted, heard }: Talk): void {
  expect([...new Set(accepted)].every((id) => id === testNodeId('client').toString())).toBe(true)
  for (const numbers of heard) expect(numbers).toEqual(numbers.map((_, i) => i))
}

/** What can be made of a packet without the keys in it. */
function forge(packet: Packet, random: RandomStream): Packet {
  const kind = [INITIAL, HANDSHAKE, DATA][random.nextBelow(3)] as PacketKind
  const bytes = Uint8Array.of(99, 99, 99)
  const controls: ControlFrame[][] = [
    [{ type: 'close', application: true, code: 7, reason: 'forged' }],
    [{ type: 'ping' }],
    [{ type: 'max-stream-data', streamId: 2, max: 1e12 }],
    [{ type: 'reset-stream', streamId: 2, code: 7, finalSize: 3 }],
    [{ type: 'path-abandon', pathId: 0 }],
    [{ type: 'reach-out', round: 999, address: '6.6.6.6:6' }],
  ]
  const stream = random.nextBelow(2) === 0 ? new StreamFrame(2, 0, 3, true, bytes, 0, 20) : undefined
  const body = new PacketBody(0, random.nextBelow(200), true, undefined, stream, controls[random.nextBelow(6)])
  const key = random.nextBelow(2) === 0 ? undefined : new PacketKey('client data')
  const kept = [packet.destinationId, packet.sourceId] as const
  return new Packet(
    kind === INITIAL ? DATA : kind,
    ...kept,
    60,
    body,
    key,
    random.nextBelow(2) === 0 ? packet : undefined,
  )
}

describe('somebody on the way of every packet', () => {
  test.each([1, 2, 3, 4, 5, 6])(
    'drops, repeats, delays, swaps and forges: nothing of it is believed (%i)',
    async (seed) => {
      for (const nat of ['home', 'symmetric'] as const) {
        const all = talk(seed, nat)
        const { sim } = all
        const random =
          sim.topology.fabric && (await import('../../../src/simulator/random.ts')).randomStream(BigInt(seed), 'eve')
        const seen: FabricPacket[] = []
        // A socket of hers in the middle of the public network, and the power to send from anybody's.
        const eve = sim.topology.host('eve')
        const hers = { udp: eve.bind(666, () => {}), tcp: eve.bind(666, () => {}, { protocol: 'tcp' }) }
        let isBusy = false
        sim.topology.fabric.rules.add(({ packet }) => {
          if (isBusy) return 'pass'
          if (seen.length < 5_000) seen.push(packet)
          isBusy = true
          const old = seen[random.nextBelow(seen.length)] as FabricPacket
          const { payload } = old
          switch (random.nextBelow(12)) {
            case 0:
              hers[old.protocol].send(packet.destination, payload, old.sizeBytes)
              break
            case 1:
              if (payload instanceof Packet) hers.udp.send(packet.destination, forge(payload, random), 60)
              break
            case 2:
              if (payload instanceof TcpSegment) {
                const { flags, seq, end, ack, windowBytes, messages } = payload
                const shifted = new TcpSegment(flags, seq + 1, end + 1, ack, windowBytes, NO_SACKS, messages)
                hers.tcp.send(packet.destination, shifted, shifted.payloadBytes)
              }
              break
            default:
          }
          isBusy = false
          const fate = random.nextBelow(20)
          return fate === 0 ? 'drop' : fate === 1 ? { delayMs: random.nextBelow(40) } : 'pass'
        })
        await sim.run({ forMs: 120_000 })
        expectNobodyElse(all)
        expect(all.connected).toBe(true)
        expect(all.echoed.length).toBeGreaterThan(30)
        expect(seen.length).toBeGreaterThan(500)
        await sim.close()
      }
    },
  )

  test('with the right address and numbers breaks the connection to the relay at most, never what goes over it', async () => {
    const all = talk(1, 'symmetric')
    const { sim, relay } = all
    // What her segments take the place of was on its way from the relay to somebody: she is on the path.
    let forged = 0
    let isBusy = false
    sim.topology.fabric.rules.add(({ packet, link }) => {
      const { payload, source } = packet
      if (isBusy || !(payload instanceof TcpSegment) || link.from.name !== 'relay' || payload.end === payload.seq) {
        return 'pass'
      }
      if (++forged % 40 !== 0) return 'pass'
      isBusy = true
      const { seq, end, ack, messages = [] } = payload
      const options = [
        // Others' records in the place of these, the same ones twice, a reset, records of her own.
        messages.map((message) => ({
          ...message,
          payload: new RelayRecord(new PacketKey('x'), 0, { type: 'accepted' }),
        })),
        messages.map(({ end: at, sizeBytes, isFlushed }, i) => {
          return { end: at, sizeBytes, isFlushed, payload: messages.at(-1 - i)?.payload }
        }),
        undefined,
      ] as const
      const choice = options[(forged / 40) % 3]
      const flags = choice === undefined ? RST | ACK : ACK
      const mine = new TcpSegment(flags, seq, choice === undefined ? seq : end, ack, 1e6, NO_SACKS, choice)
      relay.host.network
        .sockets()
        .find(({ localAddress }) => localAddress === source)
        ?.send(packet.destination, mine, 100)
      isBusy = false
      return 'drop'
    })
    await sim.run({ forMs: 300_000 })
    expect(forged).toBeGreaterThan(40)
    expectNobodyElse(all)
    expect(all.echoed.length).toBeGreaterThan(30)
    await sim.close()
  })
})

describe('the operator of the relay', () => {
  test.each([1, 2, 3, 4])(
    'drops, repeats, mixes up and forges what is forwarded: nothing of it is believed (%i)',
    async (seed) => {
      const all = talk(seed, 'symmetric')
      const { randomStream } = await import('../../../src/simulator/random.ts')
      const random = randomStream(BigInt(seed), 'operator')
      const kept: [string, Packet][] = []
      type Forward = (this: RelayAttachment, peer: string, packet: Packet) => boolean
      const forward: Forward = Reflect.get(RelayAttachment.prototype, 'forward')
      // Everything that goes to anybody passes here.
      RelayAttachment.prototype.forward = function meddle(
        this: RelayAttachment,
        peer: string,
        packet: Packet,
      ): boolean {
        kept.push([peer, packet])
        const [anybody, old] = kept[random.nextBelow(kept.length)] as [string, Packet]
        switch (random.nextBelow(10)) {
          case 0:
            return false
          case 1:
            forward.call(this, peer, forge(old, random))
            break
          case 2:
            forward.call(this, anybody, old)
            break
          case 3:
            // As if it came from somebody else.
            forward.call(this, testNodeId('mallory').toString(), packet)
            break
          default:
        }
        return forward.call(this, peer, packet)
      }
      try {
        await all.sim.run({ forMs: 300_000 })
      } finally {
        RelayAttachment.prototype.forward = forward
      }
      expectNobodyElse(all)
      expect(all.echoed.length).toBeGreaterThan(30)
      await all.sim.close()
    },
  )

  test('cannot attach elsewhere with the proofs that it is given', () => {
    // Mallory runs a relay, and asks the client the question that another relay has asked her.
    const written = new Map<string, unknown[]>()
    const channel = (name: string, role: 'client' | 'server'): RelayChannel => {
      written.set(name, [])
      const tcp = { write: (payload: unknown) => written.get(name)?.push(payload) } as unknown as TcpConnection
      return new RelayChannel(tcp, role, true)
    }
    const [victim, mallorysRelay] = [channel('victim', 'client'), channel('mallorysRelay', 'server')]
    const [mallory, relay] = [channel('mallory', 'client'), channel('relay', 'server')]
    for (const [a, b, names] of [
      [victim, mallorysRelay, ['victim', 'mallorysRelay']],
      [mallory, relay, ['mallory', 'relay']],
    ] as const) {
      a.start()
      b.receive(written.get(names[0])?.[0])
      a.receive(written.get(names[1])?.[0])
    }
    const challenge = { is: 'challenge' } as const
    const identity = Identity.of(testSigningKey('victim'))
    const proof = new IdentityProof(identity, RELAY_CONTEXT, [challenge, ...(victim.binding ?? [])])
    const at = (binding: readonly object[] | undefined): unknown =>
      IdentityProof.verify(proof, RELAY_CONTEXT, [challenge, ...(binding ?? [])])
    expect(at(mallorysRelay.binding)?.toString()).toBe(testNodeId('victim').toString())
    expect(at(relay.binding)).toBe(undefined)
  })

  test('is the only one who can open the records, and only in their order', () => {
    const [a, b, eve] = [KeyShare.generate(), KeyShare.generate(), KeyShare.generate()]
    const keys = a.agree(b.share)
    const message: RelayMessage = { type: 'ping', token: 7 }
    const record = new RelayRecord(keys.clientData, 3, message)
    expect(RelayRecord.open(record, keys.clientData, 3)).toBe(message)
    for (const [key, number] of [
      [keys.clientData, 2],
      [keys.serverData, 3],
      [eve.agree(a.share).clientData, 3],
      [eve.agree(b.share).clientData, 3],
    ] as const) {
      expect(RelayRecord.open(record, key, number)).toBe(undefined)
    }
    expect(Object.keys(record)).toEqual([])
    expect(() => Object.assign(new RelayHello(a.share, 1), { share: eve.share })).toThrow(TypeError)
    expect(RelayRecord.open({ ...record }, keys.clientData, 3)).toBe(undefined)
  })
})
