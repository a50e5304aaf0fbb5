/**
 * A worker for whom some jobs are urgent. The broken one takes whatever is urgent first: with enough to do, as when it is
 * slow, a job that is not never has its turn. The repaired one goes by age once a job has waited for long.
 */
import { DefaultP2P } from '@moosicbox/p2p'
import type { Scenario } from '@moosicbox/p2p/simtest'
import { scenario } from '@moosicbox/p2p/simtest'
import type { SimHost } from '@moosicbox/p2p/simulator'
import { answer, Asker, bytesOf, valueOf } from './support.ts'

/** A job is done in so many steps. */
const STEPS = 20
const STEP_MS = 5
const CLIENTS = 4
const PATIENCE_MS = 500
/** So many jobs may overtake another. */
const MOST_OVERTAKING = 20

interface Job {
  readonly isUrgent: boolean
  readonly sinceMs: number
  overtaken: number
  readonly done: () => void
}

export function starvation(isRepaired: boolean): Scenario {
  const faults = { everyMs: 5000, maxForMs: 25_000, weights: { slow: 4, pause: 1, 'link-degrade': 1 } }
  const options = { seeds: 1000, faults, faultsForMs: 30_000 }
  return scenario('every job has its turn', options, async (sim) => {
    let starved = ''
    let done = 0
    const worker = sim.host('worker', async ({ runtime }) => {
      const p2p = await DefaultP2P.create()
      const jobs: Job[] = []
      void (async () => {
        for (;;) {
          const isOld = ({ sinceMs }: Job): boolean => isRepaired && runtime.now() - sinceMs > PATIENCE_MS
          const next = jobs.find((job) => isOld(job)) ?? jobs.find(({ isUrgent }) => isUrgent) ?? jobs[0]
          if (!next) {
            await runtime.sleep(10)
            continue
          }
          const older = jobs.splice(0, jobs.indexOf(next))
          jobs.shift()
          jobs.unshift(...older)
          for (const job of older) {
            job.overtaken++
            if (job.overtaken > MOST_OVERTAKING)
              starved = `${job.overtaken} jobs have overtaken one of ${job.sinceMs} ms`
          }
          for (let i = 0; i < STEPS; i++) await runtime.sleep(STEP_MS)
          done++
          next.done()
        }
      })()
      await answer(p2p, (question) => {
        const isUrgent = valueOf<boolean>(question)
        return new Promise((resolve) => {
          jobs.push({ isUrgent, sinceMs: runtime.now(), overtaken: 0, done: () => resolve(bytesOf(true)) })
        })
      })
    })
    for (let i = 0; i < CLIENTS; i++) {
      sim.host(`client ${i}`, async (host: SimHost) => {
        const asker = new Asker(await DefaultP2P.create(), host, worker, 30_000)
        for (;;) {
          await asker.ask(bytesOf(i > 0))
          await host.runtime.sleep(250 + host.runtime.random() * 250)
        }
      })
    }
    sim.always('no job starves', () => {
      if (starved) throw new Error(starved)
    })
    sim.sometimes('much is done', () => done > 100)
    await sim.run({ forMs: 35_000 })
  })
}
