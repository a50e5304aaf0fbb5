// Seeds on as many threads as the machine has processors.
/* oxlint-disable unicorn/require-post-message-target-origin -- threads, not windows */
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'

const SEEDS_A_JOB = 10

/** The results of seeds 1..`seeds` of every row, in their order, whichever thread ran them. */
export async function runSeeds(rows, seeds) {
  const jobs = []
  for (const row of rows) {
    const { name, up, down } = row
    for (let first = 1; first <= seeds; first += SEEDS_A_JOB) {
      const count = Math.min(SEEDS_A_JOB, seeds - first + 1)
      jobs.push({ row: { name, up, down }, seeds: Array.from({ length: count }, (_, i) => first + i), of: row })
    }
  }
  const done = Array.from({ length: jobs.length })
  await runJobs(jobs, done)
  return rows.map((row) => jobs.flatMap((job, id) => (job.of === row ? done[id] : [])))
}

function runJobs(jobs, done) {
  let next = 0
  const workers = []
  const { promise, resolve, reject } = settler()
  let running = 0
  const feed = (worker) => {
    if (next === jobs.length) {
      void worker.terminate()
      if (--running === 0) resolve()
      return
    }
    const id = next++
    worker.postMessage({ id, row: jobs[id].row, seeds: jobs[id].seeds })
  }
  const threads = Math.min(availableParallelism(), jobs.length)
  for (let i = 0; i < threads; i++) {
    const worker = new Worker(new URL('./worker.mjs', import.meta.url))
    workers.push(worker)
    running++
    worker.on('message', ({ id, results, error }) => {
      if (error) reject(new Error(error))
      else {
        done[id] = results
        feed(worker)
      }
    })
    worker.on('error', reject)
    feed(worker)
  }
  if (threads === 0) resolve()
  return promise.finally(() => Promise.all(workers.map((worker) => worker.terminate())))
}

function settler() {
  let settle
  const promise = new Promise((resolve, reject) => {
    settle = { resolve, reject }
  })
  return { promise, ...settle }
}
