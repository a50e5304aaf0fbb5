/**
 * A direct path that dies while both sides send: what was on its way along it is sent again over the relay when the path is
 * forgotten, three of its probe time-outs after both sides have given it up.
 */
import { expect, test } from 'vitest'
import { testNodeId } from '../../../src/core/keys.ts'
import { Simulation, SimulatorP2P } from '../../../src/simulator/index.ts'
import type { SimHost, SimulatorConnection } from '../../../src/simulator/index.ts'
import { PERFECT } from './homes.ts'

const CHUNK_BYTES = 4096
const EVERY_MS = 50
const UNTIL_MS = 80_000

/** What a side has received and lost. */
interface Side {
  bytes: number
  /** The longest time without a byte. */
  silenceMs: number
  packetsLost: number
}

/** Two homes that send to each other without a pause, and from `deadMs` on hear of each other over the relay alone. */
async function fallBack(deadMs: number): Promise<{ sides: Side[]; sentBytes: number }> {
  const sim = new Simulation({ seed: 1, config: PERFECT })
  const relay = sim.relay('relay')
  const sides: Side[] = []
  let sentBytes = 0
  const exchange = async (connection: SimulatorConnection, { runtime }: SimHost): Promise<void> => {
    const side: Side = { bytes: 0, silenceMs: 0, packetsLost: 0 }
    sides.push(side)
    const receive = async (): Promise<void> => {
      const stream = await connection.acceptReceiveStream()
      let lastMs = runtime.now()
      for (let part = await stream.read(); part; part = await stream.read()) {
        side.bytes += part.length
        side.silenceMs = Math.max(side.silenceMs, runtime.now() - lastMs)
        lastMs = runtime.now()
      }
    }
    const send = async (): Promise<void> => {
      const stream = await connection.openSendStream()
      while (sim.now < UNTIL_MS) {
        await stream.write(new Uint8Array(CHUNK_BYTES))
        sentBytes += CHUNK_BYTES
        await runtime.sleep(EVERY_MS)
      }
      await stream.finish()
    }
    await Promise.all([send(), receive()])
    side.packetsLost = connection.stats().packetsLost ?? 0
  }
  const create = { relay: [relay.url] }
  sim.host('server', { lan: sim.lan({ nat: 'home' }) }, async (host) => {
    const p2p = await SimulatorP2P.create(create)
    for await (const connection of await p2p.listen()) await exchange(connection, host)
  })
  sim.host('client', { lan: sim.lan({ nat: 'home' }) }, async (host) => {
    const p2p = await SimulatorP2P.create(create)
    await host.runtime.sleep(1_000)
    await exchange(await p2p.connect(testNodeId('server')), host)
  })
  sim.at(deadMs, () => {
    sim.topology.fabric.rules.add(({ packet, link: { from, to } }) =>
      packet.protocol === 'udp' && [from.name, to.name].includes('client') ? 'drop' : 'pass',
    )
  })
  await sim.run({ forMs: 2 * UNTIL_MS })
  await sim.close()
  return { sides, sentBytes }
}

function expectEveryByte({ sides, sentBytes }: { sides: Side[]; sentBytes: number }): void {
  expect(sides.map(({ bytes }) => bytes).reduce((sum, bytes) => sum + bytes, 0)).toBe(sentBytes)
}

test.each([6_000, 11_500])(
  'dead from %i ms on: some 400 ms after the 15 s of its silence all goes on',
  async (deadMs) => {
    const seen = await fallBack(deadMs)
    expectEveryByte(seen)
    for (const { silenceMs, packetsLost } of seen.sides) {
      expect(silenceMs).toBeGreaterThan(15_400)
      expect(silenceMs).toBeLessThan(16_000)
      // A congestion window and the probes.
      expect(packetsLost).toBeGreaterThan(30)
    }
  },
)

/*
 * A probe over the relay has made an acknowledgement due, of packets that had come before the path died, and that comes with
 * the peer's giving up of it. The path's round trip is then said to be 2 s and to vary by 3.7, and three probe time-outs are
 * 51 s; iroh 1.4.1 does just that (docs/natlab.md).
 */
test('an acknowledgement that comes with the end of the path holds back what one side has sent for 51 s', async () => {
  const seen = await fallBack(8_500)
  expectEveryByte(seen)
  const [short = 0, long = 0] = seen.sides.map(({ silenceMs }) => silenceMs).sort((a, b) => a - b)
  expect(short).toBeLessThan(16_000)
  // Longer than the idle time-out, and the connection lives.
  expect(long).toBeGreaterThan(66_000)
  expect(long).toBeLessThan(67_000)
})
