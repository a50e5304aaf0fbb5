// What takes hours: 10,000 seeds of everything at once, and of each application that once had a planted bug. Options are
// those of `p2p-sim sweep`, such as `--seed 7 --shard 2/8` to split it over machines; results go to build/nightly.
import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const COMMAND = fileURLToPath(new URL('../dist/cli/p2p-sim.js', import.meta.url))
const given = process.argv.slice(2)
const seeds = given.includes('--seeds') ? [] : ['--seeds', '10000']
mkdirSync(fileURLToPath(new URL('../build/nightly', import.meta.url)), { recursive: true })

let isGood = true
for (const [name, module] of [
  ['endurance', 'build/sweeps/endurance/scenario.js'],
  ['planted', 'build/sweeps/planted/repaired.js'],
  ['chat', 'build/examples/chat/scenario.js'],
  ['file-transfer', 'build/examples/file-transfer/scenario.js'],
]) {
  const args = [COMMAND, 'sweep', module, '--all', ...seeds, '--json', `build/nightly/${name}.json`, ...given]
  const { status } = spawnSync(process.execPath, args, { cwd: ROOT, stdio: 'inherit' })
  // It was called in a way that makes no sense, or ended by hand: so would be those after it.
  if (status === 2 || status === 130 || status === null) process.exit(status ?? 1)
  if (status !== 0) isGood = false
}
const memory = ['--expose-gc', 'build/sweeps/endurance/memory.js', '1200']
if (spawnSync(process.execPath, memory, { cwd: ROOT, stdio: 'inherit' }).status !== 0) isGood = false
process.exit(isGood ? 0 : 1)
