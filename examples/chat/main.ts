/**
 * The program: `npm run example -- chat [--backend iroh] [--seed N] [--trace FILE]`.
 *
 * @module
 */
import { Simulation } from '@moosicbox/p2p/simulator'
import type { HostOptions } from '@moosicbox/p2p/simulator'
import { runCommand, speaker } from '../stage/command.ts'
import { playReal } from '../stage/real.ts'
import { simulatedActor } from '../stage/simulated.ts'
import { CAST, PARTS } from './story.ts'

const HELP = `A chat without a server: rooms, late joiners, history.

npm run example -- chat [OPTIONS]
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
  const homes: Readonly<Record<(typeof CAST)[number], HostOptions>> = {
    alice: { lan: sim.lan({ nat: 'home', link: 'fibre' }) },
    bob: { lan: sim.lan({ nat: 'cgnat', link: '4g' }) },
    carol: { lan: sim.lan({ nat: 'home', link: 'cable' }) },
    dave: { lan: sim.lan({ nat: 'symmetric', link: 'dsl' }) },
  }
  const say = speaker(() => sim.now)
  for (const name of CAST) sim.host(name, homes[name], (host) => PARTS[name](simulatedActor(host, say)))
  const { virtualMs, seed: played, hash } = await sim.run({ forMs: 600_000 })
  process.stdout.write(`${(virtualMs / 1000).toFixed(1)} virtual seconds, seed ${played}, hash ${hash}\n`)
})
