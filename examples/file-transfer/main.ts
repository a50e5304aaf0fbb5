/**
 * The program: `npm run example -- file-transfer [--backend iroh] [--seed N] [--trace FILE]`.
 *
 * @module
 */
import { playStory } from '../stage/play.ts'
import { CAST, PARTS } from './story.ts'

const HELP = `A file from several sources at once, checked block by block, resumed where it was interrupted.

npm run example -- file-transfer [OPTIONS]
  --backend simulator|iroh   a simulated internet, or real QUIC on this machine [simulator]
  --seed N                   decides everything random of the simulation [random]
  --trace FILE               records the simulation, for npx p2p-trace
`

await playStory({
  help: HELP,
  cast: CAST,
  parts: PARTS,
  places: (sim) => {
    const home = sim.lan({ nat: 'home', link: 'cable' })
    return {
      server: { link: 'fibre' },
      laptop: { lan: home },
      phone: { lan: sim.lan({ nat: 'cgnat', link: '4g' }) },
      tablet: { lan: home },
    }
  },
})
