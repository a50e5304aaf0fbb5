/** A reflector and its callers in the simulated internet, where NATs do what they are told. */
import { expect, test } from 'vitest'
import { parseSimulatorConfig } from '../../src/core/config.ts'
import { P2PError } from '../../src/core/errors.ts'
import { testNodeId } from '../../src/core/keys.ts'
import { REFLECTOR_ALPN, ReportReader } from '../../src/core/reflector.ts'
import { serveReflector } from '../../src/reflector/index.ts'
import type { Reflector } from '../../src/reflector/index.ts'
import { Simulation, SimulatorP2P } from '../../src/simulator/index.ts'
import type { HostProgram, SimulatorConnection } from '../../src/simulator/index.ts'

const PERFECT = parseSimulatorConfig({ SIMULATOR_DEFAULT_PACKET_LOSS: '0' })

/** Serves for as long as it has power. */
const reflect =
  (onStart: (reflector: Reflector) => void = () => {}): HostProgram =>
  async ({ runtime }) => {
    onStart(await serveReflector(await SimulatorP2P.create({ relay: 'disabled' })))
    await runtime.sleep(1_000_000)
  }

/** Hands on every report. */
async function listen(connection: SimulatorConnection, onReport: (report: readonly string[]) => void): Promise<void> {
  const reader = new ReportReader()
  const stream = await connection.acceptReceiveStream()
  for (let bytes = await stream.read(); bytes; bytes = await stream.read()) reader.push(bytes).forEach(onReport)
}

test('tells a caller behind a NAT its address outside, and again when the NAT has rebound', async () => {
  await using sim = new Simulation({ seed: 1, config: PERFECT })
  const home = sim.lan({ name: 'home', nat: 'home' })
  sim.host('reflector', reflect())
  const reports: (readonly string[])[] = []
  sim.host('caller', { lan: home }, async ({ runtime }) => {
    await runtime.sleep(10)
    const p2p = await SimulatorP2P.create()
    const connection = await p2p.connect(testNodeId('reflector'), { alpn: REFLECTOR_ALPN })
    await listen(connection, (report) => reports.push(report))
  })
  await sim.run({ forMs: 5_000 })
  const outside = (): string[] => (home.nat?.snapshot() ?? []).map((mapping) => mapping.outside)
  expect(reports).toHaveLength(1)
  expect(outside()).toContain(reports[0]?.[0])
  home.nat?.rebind()
  await sim.run({ forMs: 20_000 })
  expect(reports).toHaveLength(2)
  expect(reports[1]?.[0]).not.toBe(reports[0]?.[0])
  expect(outside()).toContain(reports[1]?.[0])
})

test('serves several, takes nothing from them, and lets them go', async () => {
  await using sim = new Simulation({ seed: 1, config: PERFECT })
  let reflector: Reflector | undefined
  sim.host(
    'reflector',
    reflect((started) => {
      reflector = started
    }),
  )
  const ends: string[] = []
  for (const name of ['quiet', 'talks', 'talks one way']) {
    sim.host(name, async ({ runtime }) => {
      await runtime.sleep(10)
      const p2p = await SimulatorP2P.create()
      const connection = await p2p.connect(testNodeId('reflector'), { alpn: REFLECTOR_ALPN })
      void connection.closed.then(({ closeCode, reason }) => ends.push(`${name}: ${closeCode} ${reason}`))
      await listen(connection, () => {
        if (name === 'talks') void connection.openStream().then((stream) => stream.write(Uint8Array.of(1)))
        if (name === 'talks one way') void connection.openSendStream().then((stream) => stream.write(Uint8Array.of(1)))
      }).catch((error: unknown) => {
        if (!P2PError.is(error, 'connection-closed')) throw error
      })
    })
  }
  await sim.run({ forMs: 5_000 })
  expect(ends.toSorted()).toEqual([
    'talks one way: 1 a reflector takes no streams',
    'talks: 1 a reflector takes no streams',
  ])
  expect(reflector?.connections).toBe(1)
  reflector?.close()
  await sim.run({ forMs: 5_000 })
  expect(ends).toHaveLength(3)
  expect(reflector?.connections).toBe(0)
})
