// Floods: 10,000 connection attempts by strangers, streams by a peer that is let in, and packets that only look like
// QUIC, and what an honest client notices meanwhile. Attackers, server and client share this machine's cores, so the
// attack itself takes time from those that are attacked: compare the phases with each other.
import { loadAddon } from '../dist/iroh/native/addon.js'
import { runFlood } from './flood/flood.mjs'
import { suiteOptions } from './lib/suite.mjs'
import { printTable, short } from './lib/table.mjs'

const options = suiteOptions()
const count = (n) => Math.round(n * options.scale)
let hasNative = true
try {
  loadAddon()
} catch {
  hasNative = false
}

const runs = []
for (const door of hasNative ? ['native', 'official'] : ['official']) {
  runs.push(
    await runFlood({
      door,
      attackers: hasNative ? 'native' : 'official',
      quietMs: options.quick ? 2000 : 5000,
      attacks: [
        ['strangers', count(10_000)],
        ['streams', count(50_000)],
        ['packets', count(50_000)],
      ],
    }),
  )
}

if (options.json) {
  console.log(JSON.stringify(runs))
} else {
  for (const { backend, phases } of runs) {
    printTable(
      `${backend}: what an honest client notices`,
      [
        'phase',
        's',
        'requests',
        'p50 ms',
        'p99 ms',
        'max ms',
        'connect p50',
        'max ms',
        'failed',
        'CPU',
        'MiB',
        'asked',
      ],
      phases.map((phase) => [
        phase.name,
        short(phase.ms / 1000),
        phase.requests,
        ...[phase.p50Ms, phase.p99Ms, phase.maxMs, phase.connectP50Ms, phase.connectMaxMs].map(short),
        phase.failed.length,
        `${Math.round(phase.cpuShare * 100)} %`,
        short(phase.rssMiB),
        phase.asked,
      ]),
    )
    for (const { name, failed } of phases) for (const why of new Set(failed)) console.log(`${name}: ${why}`)
  }
}
