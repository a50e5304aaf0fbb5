/** What a simulated node says about its network, from what its relays answer. */
import { expect, test } from 'vitest'
import type { NetworkReport } from '../../src/core/network-report.ts'
import { natPresets, Simulation, SimulatorP2P } from '../../src/simulator/index.ts'
import type { RelayHost } from '../../src/simulator/index.ts'
import { PERFECT } from './paths/homes.ts'

type Home = Parameters<Simulation['lan']>[0]

interface Asked {
  readonly report: NetworkReport
  readonly relays: readonly RelayHost[]
}

/** What a node says in a home like this, or on the internet, with so many relays. */
async function ask(
  home: Home | undefined,
  relayCount: number,
  before: (relays: RelayHost[]) => void = () => {},
): Promise<Asked> {
  const sim = new Simulation({ seed: 1, config: PERFECT })
  const relays = Array.from({ length: relayCount }, (_, i) =>
    sim.relay(`relay${i}`, { link: { latencyMs: 10 * (i + 1) } }),
  )
  before(relays)
  const reports: NetworkReport[] = []
  sim.host('node', home ? { lan: sim.lan(home) } : {}, async ({ runtime }) => {
    const p2p = await SimulatorP2P.create({ relay: relays.map(({ url }) => url) })
    await runtime.sleep(5_000)
    reports.push(await p2p.networkReport())
  })
  await sim.run({ forMs: 30_000 })
  await sim.close()
  expect(reports).toHaveLength(1)
  return { report: reports[0] as NetworkReport, relays }
}

test.each(natPresets.map((nat) => [nat.name, nat] as const))('the NAT %s is of its kind', async (name, nat) => {
  const { report } = await ask({ nat: name }, 2)
  const dependsOn = nat.mapping === 'endpoint-independent' ? 'endpoint-independent' : 'endpoint-dependent'
  const isBlocked = nat.blocksUdp === true
  expect(report.nat).toBe(isBlocked ? 'unknown' : dependsOn)
  expect(report.publicAddresses).toHaveLength(isBlocked ? 0 : dependsOn === 'endpoint-dependent' ? 2 : 1)
  expect(report.udp).toEqual({ ipv4: !isBlocked, ipv6: undefined })
})

test('without a NAT there is none; one relay alone does not know of which kind one is', async () => {
  expect((await ask(undefined, 2)).report.nat).toBe('none')
  expect((await ask(undefined, 1)).report.nat).toBe('none')
  expect((await ask({ nat: 'home' }, 1)).report.nat).toBe('unknown')
})

test('relays are listed with the time they take, the home one first of all', async () => {
  const { report, relays } = await ask({ nat: 'home' }, 2)
  expect(report.homeRelay).toBe(relays[0]?.url)
  expect(report.relays.map(({ url, home }) => [url, home])).toEqual(relays.map(({ url }, i) => [url, i === 0]))
  const [near = 0, far = 0] = report.relays.map(({ latencyMs }) => latencyMs)
  expect(near).toBeGreaterThan(0)
  expect(far).toBeGreaterThan(near)
  expect(report.tookMs).toBeLessThan(1_000)
})

test('relays that do not answer hold nobody up longer than they may, and UDP is known not to get through', async () => {
  const { report } = await ask({ nat: 'home' }, 2, (relays) => {
    for (const relay of relays) relay.host.crash()
  })
  expect(report).toMatchObject({ nat: 'unknown', udp: { ipv4: false, ipv6: undefined }, publicAddresses: [] })
  expect(report.tookMs).toBeGreaterThan(2_000)
  expect(report.tookMs).toBeLessThan(4_000)
})

test('a router that forwards ports has forwarded one, and others have not', async () => {
  expect((await ask({ nat: 'symmetric', portMapping: true }, 2)).report.portMapping).toBe('mapped')
  expect((await ask({ nat: 'symmetric' }, 2)).report.portMapping).toBe('none')
})

test('without relays there is nobody to ask', async () => {
  const { report } = await ask({ nat: 'home' }, 0)
  expect(report).toMatchObject({ nat: 'unknown', udp: { ipv4: undefined, ipv6: undefined }, relays: [] })
})

test('whoever gives up waiting, waits no longer', async () => {
  const sim = new Simulation({ seed: 1, config: PERFECT })
  const relay = sim.relay('relay')
  relay.host.crash()
  const codes: unknown[] = []
  sim.host('node', async () => {
    const p2p = await SimulatorP2P.create({ relay: [relay.url] })
    const controller = new AbortController()
    const asking = p2p.networkReport({ signal: controller.signal })
    controller.abort()
    codes.push(await asking.catch((error: { readonly code: string }) => error.code))
  })
  await sim.run({ forMs: 1_000 })
  await sim.close()
  expect(codes).toEqual(['aborted'])
})
