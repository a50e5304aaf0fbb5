// How fast seeds are swept on all cores, as `p2p-sim` does it.
import { sweepModule } from '../../dist/simtest/command.js'

/** So many seeds of the scenario, on so many workers as there are cores. */
export async function sweep({ scenario, seeds }) {
  const url = new URL('sweep-scenarios.mjs', import.meta.url).href
  const options = { scenario, seeds, seed: 1n, all: true, shrinkMs: 0, command: () => '' }
  const [{ elapsedMs, runs, failed, events, virtualMs }] = await sweepModule(url, options)
  if (failed.length > 0) throw new Error(`${failed.length} of ${runs} seeds failed: ${failed[0].message}`)
  return { ms: elapsedMs, seeds: runs, events, virtualMs, packets: 0 }
}
