/** What hangs ends, with the state of every host: loops wherever they are, and hosts that wait for each other. */
import { describe, expect, test } from 'vitest'
import { DefaultP2P } from '../../src/index.ts'
import type { ScenarioBody, SimTest } from '../../src/simtest/index.ts'
import { check } from './support.ts'

const brief = { seeds: 1, shrinkMs: 0 }

async function messageOf(body: ScenarioBody, options: { readonly runLimitMs?: number } = {}): Promise<string> {
  const { failures } = await check({ ...brief, ...options }, body)
  return failures[0]?.failure?.message ?? 'it did not fail'
}

function sleeper(sim: SimTest): void {
  sim.host('sleeper', ({ runtime }) => runtime.sleep(5000))
}

// Counted, so that a limit that does not work makes a test red, and not a machine busy for ever.
const forSoLong = (): boolean => {
  for (let i = 0; i < 3e10; i++);
  return false
}

describe('a loop without an end', () => {
  const bodies: readonly [string, ScenarioBody][] = [
    [
      'in the scenario, before anything runs',
      (sim) => {
        sleeper(sim)
        forSoLong()
      },
    ],
    [
      'in the scenario, after a run',
      async (sim) => {
        sleeper(sim)
        await sim.run({ forMs: 100 })
        forSoLong()
      },
    ],
    [
      'of promises',
      async (sim) => {
        sleeper(sim)
        await sim.run({ forMs: 100 })
        for (let i = 0; i < 1e9; i++) await Promise.resolve()
      },
    ],
    [
      'in a condition',
      async (sim) => {
        sleeper(sim)
        await sim.until('x', forSoLong)
      },
    ],
    [
      'in a condition that is asked in the end',
      (sim) => {
        sleeper(sim)
        let isOver = false
        sim.at(4000, () => void (isOver = true))
        sim.eventually('x', () => isOver && forSoLong())
      },
    ],
  ]
  test.each(bodies)('%s ends with the state of every host', { timeout: 120_000 }, async (_where, body) => {
    const message = await messageOf(body, { runLimitMs: 1000 })
    expect(message).toContain('code of the scenario ran for 1 s without a break')
    expect(message).toContain('an endless loop')
    expect(message).toContain('host sleeper ')
    // The next seed is none the worse for it.
    const { failures } = await check({ ...brief, seeds: 2 }, async (sim) => {
      sleeper(sim)
      await sim.run()
    })
    expect(failures).toEqual([])
  })

  test('after a test is nobody else’s: code after it is not watched', { timeout: 120_000 }, async () => {
    const { failures } = await check({ ...brief, runLimitMs: 1000 }, (sim) => sleeper(sim))
    const untilMs = performance.now() + 1500
    while (performance.now() < untilMs);
    expect(failures).toEqual([])
  })
})

describe('hosts that wait for each other', () => {
  /** Both listen for the other to begin. */
  const deadlock =
    (run: (sim: SimTest) => Promise<unknown>, isServed = false): ScenarioBody =>
    async (sim) => {
      const bob = sim.host('bob', async () => {
        const p2p = await DefaultP2P.create()
        const listener = await p2p.listen()
        const connection = await listener.accept()
        if (isServed) void listener.accept()
        await connection.recv()
        await connection.send(Uint8Array.of(1))
      })
      sim.host('alice', async ({ runtime }) => {
        const p2p = await DefaultP2P.create()
        await runtime.sleep(500)
        const connection = await p2p.connect(bob.id)
        await connection.recv()
      })
      await run(sim)
    }

  test('fail a plain run, which says who waits in what since when', async () => {
    const message = await messageOf(deadlock((sim) => sim.run()))
    expect(message).toMatch(/nothing can wake what is left: bob, alice wait since \d+(\.\d{1,3})? ms of virtual time/)
    expect(message).toMatch(/host bob is running; waits in recv \(alice\) since \d+/)
    expect(message).toMatch(/host alice is running; waits in recv \(bob\) since \d+/)
  })

  test('fail a scenario that leaves the run to the end', async () => {
    expect(await messageOf(deadlock(() => Promise.resolve()))).toContain('nothing can wake what is left')
  })

  test('do not where the run has an end of its own, or somebody serves', async () => {
    expect(await messageOf(deadlock((sim) => sim.run({ forMs: 300_000 })))).toBe('it did not fail')
    expect(await messageOf(deadlock((sim) => sim.run(), true))).toBe('it did not fail')
  })

  test('are told of a promise that is never settled, too', async () => {
    const message = await messageOf((sim) => void sim.host('alice', () => new Promise<void>(() => {})))
    expect(message).toContain('nothing can wake what is left: alice waits since 0 ms of virtual time')
    expect(message).toContain('waits in no call of this library')
  })

  test('do not where a timer is still to come', async () => {
    const message = await messageOf((sim) => void sim.host('alice', ({ runtime }) => runtime.sleep(900_000)))
    expect(message).toBe('it did not fail')
  })
})
