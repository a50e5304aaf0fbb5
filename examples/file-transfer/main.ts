/**
 * The program: `npm run example -- file-transfer [--backend iroh] [--seed N] [--trace FILE]`.
 *
 * @module
 */
import { Simulation } from '@moosicbox/p2p/simulator'
import type { HostOptions } from '@moosicbox/p2p/simulator'
import { runCommand, speaker } from '../stage/command.ts'
import { playReal } from '../stage/real.ts'
import { simulatedActor } from '../stage/simulated.ts'
import { CAST, PARTS } from './story.ts'

const HELP = `A file from several sources at once, checked block by block, resumed where it was interrupted.

npm run example -- file-transfer [OPTIONS]
  --backend simulator|iroh   a simulated internet, or real QUIC on this machine [simulator]
  --seed N                   decides everything random of the simulation [random]
  --trace FILE               records the simulation, for npx p2p-trace
`

await runCommand(HELP, async ({ backend, seed, trace }) => {
  if (backend === 'iroh') {
    const startMs = performance.now()
    await playReal(
      PARTS,
      speaker(() => performance.now() - startMs),
    )
    return
  }
  await using sim = new Simulation({ seed, ...(trace !== undefined && { trace }) })
  const home = sim.lan({ nat: 'home', link: 'cable' })
  const places: Readonly<Record<(typeof CAST)[number], HostOptions>> = {
    server: { link: 'fibre' },
    laptop: { lan: home },
    phone: { lan: sim.lan({ nat: 'cgnat', link: '4g' }) },
    tablet: { lan: home },
  }
  const say = speaker(() => sim.now)
  for (const name of CAST) sim.host(name, places[name], (host) => PARTS[name](simulatedActor(host, say)))
  const { virtualMs, seed: played, hash } = await sim.run({ forMs: 600_000 })
  process.stdout.write(`${(virtualMs / 1000).toFixed(1)} virtual seconds, seed ${played}, hash ${hash}\n`)
})
