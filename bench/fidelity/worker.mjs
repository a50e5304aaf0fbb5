// Runs seeds of scenarios for the main thread.
/* oxlint-disable unicorn/require-post-message-target-origin -- threads, not windows */
import { parentPort } from 'node:worker_threads'
import { exchange } from './direct.mjs'
import { natPair, relayOutage, loadAtHome } from './relayed.mjs'

const SCENARIOS = {
  exchange: (row, seed) => exchange(row, seed),
  natPair: (setting, seed) => natPair({ ...setting, seed }),
  loadAtHome: (setting, seed) => loadAtHome({ ...setting, seed }),
  relayOutage: (setting, seed) => relayOutage({ ...setting, seed }),
}

async function run({ id, scenario, setting, seeds }) {
  const results = []
  try {
    for (const seed of seeds) results.push(await SCENARIOS[scenario](setting, seed))
    parentPort.postMessage({ id, results })
  } catch (error) {
    parentPort.postMessage({ id, error: error instanceof Error ? error.stack : String(error) })
  }
}

parentPort.on('message', (task) => void run(task))
