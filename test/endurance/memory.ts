/**
 * Whether anything is left of a simulation that is over: hundreds of seeds in one process, and the heap after a garbage
 * collection stays where it is. `node --expose-gc build/sweeps/endurance/memory.js [SEEDS]`
 */
import { checkScenario, resolveOptions } from '@moosicbox/p2p/simtest'
import { endurance } from './scenario.ts'

const LOTS = 6
/** Code that is compiled later, and caches that fill, come and go with some hundred KiB; a host alone is more than this. */
const MOST_BYTES_A_SEED = 10_240

const seeds = Number(process.argv[2] ?? 300)
const collect = globalThis.gc
if (!collect || !(seeds >= LOTS))
  throw new Error('usage: node --expose-gc memory.js [SEEDS], of which there are 6 or more')

const what = endurance('memory', { faults: 'hostile', troubleMs: 2_000, seeds, hosts: [2, 3] })
const size = Math.floor(seeds / LOTS)
const heap: number[] = []
for (let lot = 0; lot < LOTS; lot++) {
  const resolved = resolveOptions({ ...what.options, seeds: size, seed: 1 + lot * size, timeoutMs: 600_000 }, {})
  const { examined } = await checkScenario(what, { resolved })
  if (examined[0]) throw new Error(examined[0].text)
  collect()
  heap.push(process.memoryUsage().heapUsed)
  console.log(`after ${(lot + 1) * size} seeds: ${(heap.at(-1) as number) / 1024} KiB`)
}
// The first lots warm up.
const half = heap.slice(LOTS / 2)
const growth = ((half.at(-1) as number) - (half[0] as number)) / ((half.length - 1) * size)
console.log(`${Math.round(growth)} bytes a seed are left`)
const busy = process.getActiveResourcesInfo().filter((name) => !/TTY|Pipe|File|FS/.test(name))
if (busy.length > 0) throw new Error(`still at work: ${busy.join(', ')}`)
if (growth > MOST_BYTES_A_SEED) throw new Error(`more than ${MOST_BYTES_A_SEED} bytes are left of each seed`)
