/** Adding a host or a link changes no other's luck: neither what it draws, nor what becomes of its packets. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Simulation } from '../../src/simulator/simulation.ts'
import { SimulatorP2P } from '../../src/simulator/simulator-p2p.ts'

interface Extras {
  readonly hosts: readonly string[]
  readonly links: number
  readonly before: boolean
  readonly busy: boolean
}

/** What two hosts live to see, with others around them. */
async function lives(seed: number, extras: Extras): Promise<string[]> {
  await using sim = new Simulation({ seed })
  const log: string[] = []
  const link = { latencyMs: 20, jitterMs: 5, packetLoss: 0.05 } as const
  const addExtras = (): void => {
    for (const name of extras.hosts) {
      sim.host(`extra ${name}`, { link }, async ({ runtime }) => {
        const p2p = extras.busy ? await SimulatorP2P.create() : undefined
        for (let i = 0; i < 5; i++) await runtime.sleep(runtime.random() * 100)
        await p2p?.close()
      })
    }
    for (let i = 0; i < extras.links; i++) sim.lan({ nat: 'home', link: 'dsl' })
  }
  const addPair = (): void => {
    const server = sim.host('server', { link }, async (host) => {
      const p2p = await SimulatorP2P.create({ relay: 'disabled' })
      const connection = await (await p2p.listen()).accept()
      for await (const message of connection) log.push(`${host.runtime.now()} server ${message.length}`)
    })
    sim.host('client', { link }, async (host) => {
      const p2p = await SimulatorP2P.create({ relay: 'disabled' })
      await host.runtime.sleep(10)
      const connection = await p2p.connect(server.id)
      const sizes = host.random('sizes')
      for (let i = 0; i < 8; i++) {
        log.push(`${host.runtime.now()} client ${host.runtime.random()}`)
        await connection.send(host.runtime.randomBytes(1 + sizes.nextBelow(3000)))
        await host.runtime.sleep(host.runtime.random() * 30)
      }
      await connection.end()
    })
  }
  if (extras.before) addExtras()
  addPair()
  if (!extras.before) addExtras()
  await sim.run({ forMs: 60_000 })
  return log
}

test('neither draws nor deliveries depend on who else is there', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        hosts: fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'zebra'), { maxLength: 3 }),
        links: fc.integer({ min: 0, max: 2 }),
        before: fc.boolean(),
        busy: fc.boolean(),
      }),
      fc.integer({ min: 0, max: 1000 }),
      async (extras, seed) => {
        const alone = await lives(seed, { hosts: [], links: 0, before: false, busy: false })
        expect(alone.length).toBeGreaterThan(15)
        expect(await lives(seed, extras)).toEqual(alone)
      },
    ),
    { numRuns: 25 },
  )
})

test('another seed is another life', async () => {
  const none: Extras = { hosts: [], links: 0, before: false, busy: false }
  expect(await lives(1, none)).not.toEqual(await lives(2, none))
})
