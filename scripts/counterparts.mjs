// Builds the programs of others that the interoperability tests run, with cargo, into the user's cache folder, and
// prints the folder they are in. Built once a version; `P2P_COUNTERPARTS` set to that folder makes the tests find them.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

const PROGRAMS = [
  { name: 'iroh-dns-server', version: '1.4.1' },
  { name: 'iroh-relay', version: '1.4.1', features: ['server'] },
  { name: 'dumbpipe', version: '0.40.1' },
]

const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'moosicbox-p2p')
const root = join(cache, 'counterparts', PROGRAMS.map(({ name, version }) => `${name}-${version}`).join('+'))
const suffix = process.platform === 'win32' ? '.exe' : ''
// One folder for all of them: they are made of much the same crates.
const env = { ...process.env, CARGO_TARGET_DIR: join(cache, 'counterparts', 'target') }

for (const { name, version, features = [] } of PROGRAMS) {
  if (existsSync(join(root, 'bin', name + suffix))) continue
  console.error(`counterparts: building ${name} ${version}, which takes some minutes the first time`)
  const args = ['install', name, '--version', version, '--locked', '--root', root, '--quiet']
  for (const feature of features) args.push('--features', feature)
  // What cargo prints goes to stderr: stdout holds the folder alone.
  const { status, error } = spawnSync('cargo', args, { stdio: ['ignore', 2, 2], env })
  if (status === 0) continue
  console.error(
    error
      ? `counterparts: cargo cannot be started (${error.message}); is Rust installed?`
      : `counterparts: building ${name} failed`,
  )
  process.exit(1)
}
console.log(join(root, 'bin'))
