/**
 * An aside to the simulated story: what a line as bad as the simulator's default would carry.
 *
 * @module
 */
import { DefaultP2P, P2PResponse } from '@moosicbox/p2p'
import { Simulation } from '@moosicbox/p2p/simulator'
import { HOME } from './names.ts'

/** Virtual time for which bytes flow. */
const MEASURED_MS = 10_000

/** What a line carries. */
export interface LineSpeed {
  /** One way. */
  readonly latencyMs: number
  /** Probability a packet. */
  readonly packetLoss: number
  readonly bitsPerSecond: number
}

async function* music(): AsyncGenerator<Uint8Array> {
  const silence = new Uint8Array(65_536)
  for (;;) yield silence
}

/** Measures one stream between two hosts that are given no line of their own. */
export async function measureBareLink(seed: bigint): Promise<LineSpeed> {
  await using sim = new Simulation({ seed })
  let bytes = 0
  sim.host('server', {}, async () => {
    const p2p = await DefaultP2P.create()
    await p2p.serve(() => P2PResponse.stream(music()))
    await p2p.register(HOME)
  })
  sim.host('player', {}, async ({ runtime }) => {
    await runtime.sleep(1000)
    await using p2p = await DefaultP2P.create()
    const answer = await p2p.request(await p2p.discover(HOME), { path: '/' })
    const endMs = runtime.now() + MEASURED_MS
    for await (const chunk of answer.body) {
      if (runtime.now() >= endMs) break
      bytes += chunk.length
    }
  })
  await sim.run()
  const { defaultLatencyMs: latencyMs, defaultPacketLoss: packetLoss } = sim.config
  return { latencyMs, packetLoss, bitsPerSecond: (bytes * 8000) / MEASURED_MS }
}
