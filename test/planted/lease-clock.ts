/**
 * A lock that is handed out for five seconds. The broken one reckons its end by the wall clock of whoever holds it: when
 * that clock is set back while the holder cannot be reached, it goes on using what somebody else holds by now. Two faults
 * have to meet: a clock that jumps, and a holder that cannot renew. The repaired one reckons by the monotonic clock, from
 * before it asked.
 */
import { DefaultP2P } from '@moosicbox/p2p'
import type { Scenario } from '@moosicbox/p2p/simtest'
import { scenario } from '@moosicbox/p2p/simtest'
import type { SimHost } from '@moosicbox/p2p/simulator'
import { answer, bytesOf, valueOf } from './support.ts'

const LEASE_MS = 5000

export function leaseClock(isRepaired: boolean): Scenario {
  const faults = {
    everyMs: 2500,
    maxForMs: 15_000,
    weights: { 'clock-jump': 4, partition: 3, 'one-way-partition': 1, 'link-flap': 1, 'link-degrade': 1 },
  }
  const options = { seeds: 1000, faults, faultsForMs: 40_000 }
  return scenario('one at a time holds the lock', options, async (sim) => {
    const holds = new Map<string, boolean>()
    const lock = sim.host('lock', async ({ runtime }) => {
      let holder = ''
      let untilMs = 0
      await answer(await DefaultP2P.create(), (question) => {
        const who = valueOf<string>(question)
        if (who !== holder && runtime.now() < untilMs) return bytesOf(false)
        holder = who
        untilMs = runtime.now() + LEASE_MS
        return bytesOf(true)
      })
    })
    const program = async ({ name, runtime }: SimHost): Promise<void> => {
      const p2p = await DefaultP2P.create()
      const clock = (): number => (isRepaired ? runtime.now() : runtime.wallClockMs())
      let untilMs = 0
      // What it does with the lock it does in short steps, each of which looks at the clock.
      void (async () => {
        for (;;) {
          holds.set(name, clock() < untilMs)
          await runtime.sleep(50)
        }
      })()
      for (;;) {
        const asked = clock()
        try {
          const connection = await p2p.connect(lock.id, { timeoutMs: 1500 })
          await connection.send(bytesOf(name))
          const isMine = valueOf<boolean>(await connection.recv())
          connection.close()
          untilMs = isMine ? asked + LEASE_MS - 200 : 0
        } catch {
          // Its time goes on.
        }
        await runtime.sleep(1000)
      }
    }
    sim.host('worker a', program)
    sim.host('worker b', program)
    sim.always('one holder', () => {
      const holders = [...holds].filter(([, isHolder]) => isHolder).map(([name]) => name)
      if (holders.length > 1) throw new Error(`${holders.join(' and ')} hold it both`)
    })
    sim.sometimes('the other one gets it', () => holds.get('worker b') === true)
    await sim.run({ forMs: 45_000 })
  })
}
