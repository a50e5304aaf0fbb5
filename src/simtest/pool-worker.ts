/**
 * A worker of a sweep: loads the scenario and runs the seeds it is told.
 *
 * @module
 */
import { parentPort, workerData } from 'node:worker_threads'
import { findScenario, loadScenarios } from './module.ts'
import type { SeedResult, WorkerTask } from './pool.ts'
import { runScenario } from './run.ts'
import { resolveOptions, scenario } from './scenario.ts'

const { module, name, options } = workerData as WorkerTask

async function work(): Promise<void> {
  const found = findScenario(await loadScenarios(module), name, module)
  const what = scenario(found.name, { ...found.options, ...options }, found.body)
  const resolved = resolveOptions(what.options, process.env)
  let queue = Promise.resolve()
  parentPort?.on('message', (seeds: readonly string[]) => {
    queue = queue.then(async () => {
      for (const seed of seeds) {
        const { failure, reached, events, virtualMs } = await runScenario(what, resolved, BigInt(seed))
        const result: SeedResult = { seed, failure, reached: [...reached], events, virtualMs }
        // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
        parentPort?.postMessage(result)
      }
    })
  })
}

work().catch((error: unknown) => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  parentPort?.postMessage({ error: error instanceof Error ? error.message : String(error) })
})
