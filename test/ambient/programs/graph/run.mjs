// Two hosts, one of which restarts, run a program of several modules; prints what each saw of the modules' state.
import { Simulation } from '@moosicbox/p2p/simulator'

const log = []
async function run() {
  log.length = 0
  const sim = new Simulation({ seed: 1 })
  for (const name of ['a', 'b']) Object.assign(sim.host(name, new URL('program.mjs', import.meta.url)), { log })
  sim.at(5, () => {
    sim.crash('a')
    sim.restart('a')
  })
  const { hash } = await sim.run()
  await sim.close()
  return `${hash} ${[...log].sort((a, b) => (a < b ? -1 : 1)).join(' ')}`
}
const first = await run()
console.log(first)
if ((await run()) !== first) throw new Error(`another history: ${log.join(' ')}`)
