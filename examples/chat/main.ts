/**
 * The program: `npm run example -- chat [--backend iroh] [--seed N] [--trace FILE]`.
 *
 * @module
 */
import { playStory } from '../stage/play.ts'
import { CAST, PARTS } from './story.ts'

const HELP = `A chat without a server: rooms, late joiners, history.

npm run example -- chat [OPTIONS]
  --backend simulator|iroh   a simulated internet, or real QUIC on this machine [simulator]
  --seed N                   decides everything random of the simulation [random]
  --trace FILE               records the simulation, for npx p2p-trace
`

await playStory({
  help: HELP,
  cast: CAST,
  parts: PARTS,
  places: (sim) => ({
    alice: { lan: sim.lan({ nat: 'home', link: 'fibre' }) },
    bob: { lan: sim.lan({ nat: 'cgnat', link: '4g' }) },
    carol: { lan: sim.lan({ nat: 'home', link: 'cable' }) },
    dave: { lan: sim.lan({ nat: 'symmetric', link: 'dsl' }) },
  }),
})
