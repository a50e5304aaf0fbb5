// Runs exchanges for the main thread.
/* oxlint-disable unicorn/require-post-message-target-origin -- threads, not windows */
import { parentPort } from 'node:worker_threads'
import { exchange } from './direct.mjs'

parentPort.on('message', async ({ id, row, seeds }) => {
  const results = []
  try {
    for (const seed of seeds) results.push(await exchange(row, seed))
    parentPort.postMessage({ id, results })
  } catch (error) {
    parentPort.postMessage({ id, error: error instanceof Error ? error.stack : String(error) })
  }
})
