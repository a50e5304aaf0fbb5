/** A run that does not come to its end says what everybody waits for. */
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { WaitLog } from '../../src/core/wait-log.ts'
import type { Wait } from '../../src/core/wait-log.ts'
import type { SimHost } from '../../src/simulator/host.ts'
import { Simulation } from '../../src/simulator/simulation.ts'
import { SimulatorP2P } from '../../src/simulator/simulator-p2p.ts'

test('the log holds what has begun and not ended, oldest first', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(20)), (steps) => {
      const log = new WaitLog(() => 0)
      const model: (readonly [string, Wait])[] = []
      for (const [index, step] of steps.entries()) {
        if (step % 2 === 0 || model.length === 0) {
          model.push([`wait ${index}`, log.begin(`wait ${index}`)])
        } else {
          const [ended] = model.splice(step % model.length, 1)
          ended?.[1].end()
          ended?.[1].end()
        }
        expect(log.entries().map(({ what }) => what)).toEqual(model.map(([what]) => what))
      }
    }),
  )
})

/** Runs bob, who listens, and alice; returns their lines of the report. */
async function reportOf(
  alice: (host: SimHost, bob: SimHost) => Promise<unknown>,
  bob: (p2p: SimulatorP2P) => Promise<unknown>,
): Promise<string[]> {
  await using sim = new Simulation({ seed: 1 })
  const host = sim.host('bob', async () => {
    await bob(await SimulatorP2P.create({ relay: 'disabled' }))
  })
  sim.host('alice', async (self) => {
    await self.runtime.sleep(10)
    await alice(self, host)
  })
  const { report } = await sim.run({ forMs: 5000 })
  return report.split('\n')
}

const idle = async (p2p: SimulatorP2P): Promise<void> => {
  const connection = await (await p2p.listen()).accept()
  await connection.closed
}

const connected = async (bob: SimHost): Promise<Awaited<ReturnType<SimulatorP2P['connect']>>> => {
  const p2p = await SimulatorP2P.create({ relay: 'disabled' })
  return p2p.connect(bob.id)
}

describe('each call that waits is told', () => {
  test('accept and sleep', async () => {
    expect(
      await reportOf(
        ({ runtime }) => runtime.sleep(1e9),
        async (p2p) => (await p2p.listen()).accept(),
      ),
    ).toEqual([
      '  host bob is running; waits in accept since 0 ms',
      '  host alice is running; waits in sleep since 10 ms',
    ])
  })

  test.each([
    ['recv', async (_: SimHost, bob: SimHost) => (await connected(bob)).recv()],
    ['acceptStream', async (_: SimHost, bob: SimHost) => (await connected(bob)).acceptStream()],
    ['read', async (_: SimHost, bob: SimHost) => (await (await connected(bob)).openStream()).read()],
    [
      'write',
      async (_: SimHost, bob: SimHost) => {
        const stream = await (await connected(bob)).openStream()
        for (;;) await stream.write(new Uint8Array(1_000_000))
      },
    ],
    [
      'send',
      async (_: SimHost, bob: SimHost) => {
        const connection = await connected(bob)
        for (;;) await connection.send(new Uint8Array(1_000_000))
      },
    ],
  ])('%s, with the host it depends on', async (what, alice) => {
    const report = await reportOf(alice, idle)
    expect(report.join('\n')).toMatch(
      new RegExp(`host alice is running; waits in ${what} \\(bob\\) since \\d+(\\.\\d+)? ms`),
    )
  })

  test('connect and looking up', async () => {
    await using sim = new Simulation({ seed: 1 })
    const bob = sim.host('bob', async () => {
      await SimulatorP2P.create({ relay: 'disabled' })
    })
    sim.host('alice', async () => {
      const p2p = await SimulatorP2P.create({ relay: 'disabled' })
      await p2p.connect(bob.id)
    })
    sim.topology.fabric.graph.addPartition(['bob'], ['alice'])
    expect((await sim.run({ forMs: 50 })).report).toContain(
      'host alice is running; waits in connect (bob) since 0 ms, looking up',
    )
    expect((await sim.run({ forMs: 5000 })).report).toMatch(/alice is running; waits in connect \(bob\) since 0 ms$/m)
  })

  test('nothing, when it is a promise of somebody else', async () => {
    expect((await reportOf(() => new Promise(() => {}), idle))[1]).toBe(
      '  host alice is running; waits in no call of this library: for a promise that other code has to settle',
    )
  })

  test('nothing is left of waits that are over', async () => {
    await using sim = new Simulation({ seed: 1 })
    const bob = sim.host('bob', async () => {
      await using p2p = await SimulatorP2P.create()
      const connection = await (await p2p.listen()).accept()
      await connection.send(await connection.recv())
      await connection.end()
    })
    sim.host('alice', async ({ runtime }) => {
      await using p2p = await SimulatorP2P.create()
      await runtime.sleep(10)
      await runtime.sleep(10, { signal: AbortSignal.abort() }).catch(() => {})
      const connection = await p2p.connect(bob.id)
      await connection.send(new Uint8Array(9))
      await connection.recv()
      await connection.end()
    })
    const { ended, report } = await sim.run()
    expect([ended, report]).toEqual(['programs', ''])
    expect(
      sim
        .states()
        .filter(({ program }) => program === 'ended')
        .flatMap(({ waits }) => waits),
    ).toEqual([])
  })
})

describe('a run that hangs fails with the state of every host', () => {
  const withBystander = (
    options: { hangLimitMs?: number; runLimitMs?: number },
    culprit: (host: SimHost) => Promise<void>,
  ): Simulation => {
    const sim = new Simulation({ seed: 1, ...options })
    sim.host('bystander', ({ runtime }) => runtime.sleep(1e9))
    sim.host('culprit', culprit)
    return sim
  }
  const bystander = /host bystander is running; waits in sleep since 0 ms/

  test('in an endless chain of promises', async () => {
    await using sim = withBystander({ hangLimitMs: 200 }, async ({ runtime }) => {
      await runtime.sleep(1)
      for (;;) await Promise.resolve()
    })
    const run = sim.run()
    await expect(run).rejects.toThrow(bystander)
    await expect(run).rejects.toThrow(/host culprit failed at 1 ms.*endless loop/)
    // And with that of the network.
    await expect(run).rejects.toThrow(
      /at 1 ms of virtual time\n\npackets: 0 sent[^]*\nhosts\n[^]*\n {2}bystander +198\.18\.0\.1/,
    )
  })

  test('at one instant', async () => {
    await using sim = withBystander({}, async ({ runtime }) => {
      await runtime.sleep(1)
      for (;;) await runtime.sleep(0)
    })
    const run = sim.run()
    await expect(run).rejects.toThrow(bystander)
    await expect(run).rejects.toThrow(/no longer moves[^]*\npackets: 0 sent/)
  })

  test('in real time, although virtual time moves', async () => {
    await using sim = withBystander({ runLimitMs: 250 }, async ({ runtime }) => {
      for (;;) await runtime.sleep(1)
    })
    const run = sim.run()
    await expect(run).rejects.toThrow(bystander)
    await expect(run).rejects.toThrow(/not over after 0.25 s of real time/)
  })

  test('in real work that never ends', async () => {
    await using sim = new Simulation({ seed: 1, bridgeLimitMs: 50 })
    sim.host('reader', ({ runtime }) => runtime.bridge('waiting for Godot', () => new Promise<void>(() => {})))
    await expect(sim.run()).rejects.toThrow(/host reader is running; waits in waiting for Godot since 0 ms/)
  })

  test('with nothing that could ever wake it, it ends as idle and says so', async () => {
    await using sim = new Simulation({ seed: 1 })
    sim.host('forgotten', () => new Promise<void>(() => {}))
    const { ended, waiting, report } = await sim.run()
    expect([ended, waiting, report]).toEqual(['idle', ['forgotten'], expect.stringContaining('waits in no call')])
  })
})
