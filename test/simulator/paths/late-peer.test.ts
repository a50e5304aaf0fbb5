/** A peer that stops in the middle of the handshake, and comes back. */
import { expect, test } from 'vitest'
import { Simulation, SimulatorP2P } from '../../../src/simulator/index.ts'
import { exportTrace } from '../../../src/trace/index.ts'
import { PERFECT } from './homes.ts'

test('a path that does not answer goes on being challenged, at most 2 s apart, until it is idle', async () => {
  const chunks: Uint8Array[] = []
  const to = { write: (bytes: Uint8Array): void => void chunks.push(bytes.slice()) }
  const sim = new Simulation({ seed: 1, config: PERFECT, trace: { to } })
  const server = sim.host('server', async () => {
    const p2p = await SimulatorP2P.create()
    for await (const connection of await p2p.listen()) void connection
  })
  sim.host('client', async () => {
    const p2p = await SimulatorP2P.create()
    await (
      await p2p.connect(server.id)
    ).closed
  })
  // Its flight is out, and it stops before the client's arrives. After 15 s one of the two paths is given up as idle.
  sim.faults.inject({ kind: 'pause', host: 'server', atMs: 200, forMs: 21_000 })
  await sim.run({ forMs: 30_000 })
  await sim.close()
  let text = ''
  for await (const part of exportTrace(Buffer.concat(chunks), 'text')) text += new TextDecoder().decode(part)
  const all = [...text.matchAll(/^ *([\d.]+) {2}client +sent .*PATH_CHALLENGE/gm)].map(([, ms]) => Number(ms))
  const sent = all.filter((ms) => ms < 15_200)
  const waits = sent.slice(1).map((ms, i) => ms - (sent[i] ?? 0))
  expect(sent.length).toBe(8)
  expect(waits[0]).toBeLessThan(1_000)
  // And by what timers are coarse, and a packet waits to be sent.
  expect(Math.max(...waits)).toBeLessThan(2_010)
})
