// Seeds on as many threads as the machine has processors.
/* oxlint-disable unicorn/require-post-message-target-origin -- threads, not windows */
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'

const SEEDS_A_JOB = 10

/**
 * The results of seeds 1..`seeds` of every task (`scenario`, one of worker.mjs, and its `setting`), in their order,
 * whichever thread ran them.
 */
export async function runSeeds(tasks) {
  const jobs = tasks.flatMap(({ scenario, setting, seeds }, task) =>
    Array.from({ length: Math.ceil(seeds / SEEDS_A_JOB) }, (_, part) => {
      const first = part * SEEDS_A_JOB + 1
      const length = Math.min(SEEDS_A_JOB, seeds - first + 1)
      return { task, scenario, setting, seeds: Array.from({ length }, (_, i) => first + i) }
    }),
  )
  const done = await runJobs(jobs)
  return tasks.map((_, task) => jobs.flatMap((job, id) => (job.task === task ? done[id] : [])))
}

async function runJobs(jobs) {
  const done = []
  const waiting = jobs.map(({ scenario, setting, seeds }, id) => ({ id, scenario, setting, seeds }))
  const workers = Array.from(
    { length: Math.min(availableParallelism(), jobs.length) },
    () => new Worker(new URL('./worker.mjs', import.meta.url)),
  )
  const work = (worker) =>
    new Promise((resolve, reject) => {
      const next = () => {
        const job = waiting.shift()
        if (job) worker.postMessage(job)
        else resolve()
      }
      worker.on('error', reject)
      worker.on('message', ({ id, results, error }) => {
        if (error) return reject(new Error(error))
        done[id] = results
        next()
      })
      next()
    })
  try {
    await Promise.all(workers.map(work))
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()))
  }
  return done
}
