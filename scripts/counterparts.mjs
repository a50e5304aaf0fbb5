// Usage: counterparts.mjs [lock]
// Builds the programs that the interoperability tests run, with cargo, into the user's cache folder, and prints the
// folder they are in: programs of others, once a version, and a peer of iroh's own (test/interop/peer), whenever its
// source changes. `P2P_COUNTERPARTS` set to that folder makes the tests find them. `lock` writes that peer's Cargo.lock
// anew after a change to its Cargo.toml.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { LockedCrate } from '../native/locked-crate.mjs'

const PROGRAMS = [
  { name: 'iroh-dns-server', version: '1.4.1' },
  { name: 'iroh-relay', version: '1.4.1', features: ['server'] },
  { name: 'dumbpipe', version: '0.40.1' },
]
const PEER = 'p2p-interop-peer'
const PEER_SOURCE = fileURLToPath(new URL('../test/interop/peer', import.meta.url))

const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'moosicbox-p2p')
const root = join(cache, 'counterparts', PROGRAMS.map(({ name, version }) => `${name}-${version}`).join('+'))
const bin = join(root, 'bin')
const suffix = process.platform === 'win32' ? '.exe' : ''
// One folder for all of them: they are made of much the same crates. The peer has its crates from the native door.
const target = join(cache, 'counterparts', 'target')
const peerTarget = join(cache, 'native')

function install({ name, version, features = [] }) {
  if (existsSync(join(bin, name + suffix))) return
  console.error(`counterparts: building ${name} ${version}, which takes some minutes the first time`)
  const args = ['install', name, '--version', version, '--locked', '--root', root, '--quiet']
  for (const feature of features) args.push('--features', feature)
  // What cargo prints goes to stderr: stdout holds the folder alone.
  const env = { ...process.env, CARGO_TARGET_DIR: target }
  const { status, error } = spawnSync('cargo', args, { stdio: ['ignore', 2, 2], env })
  if (error) throw new Error(`cargo cannot be started (${error.message}); is Rust installed?`)
  if (status !== 0) throw new Error(`building ${name} failed`)
}

const stage = join(fileURLToPath(new URL('..', import.meta.url)), 'build', PEER)
const peer = new LockedCrate({
  source: PEER_SOURCE,
  stage,
  name: 'test/interop/peer',
  relock: 'node scripts/counterparts.mjs lock',
})

function buildPeer() {
  const program = join(bin, PEER + suffix)
  const digest = createHash('sha256')
  for (const file of ['Cargo.toml', 'Cargo.lock', 'src/main.rs']) digest.update(readFileSync(join(PEER_SOURCE, file)))
  const built = digest.digest('hex')
  const stamp = join(root, `${PEER}.sha256`)
  if (existsSync(program) && existsSync(stamp) && readFileSync(stamp, 'utf8') === built) return
  console.error(`counterparts: building ${PEER}`)
  peer.cargo(['build', '--release', '--quiet'], { CARGO_TARGET_DIR: peerTarget })
  mkdirSync(bin, { recursive: true })
  // Renamed into place: who runs the old one goes on with it.
  const fresh = `${program}.${process.pid}`
  cpSync(join(peerTarget, 'release', PEER + suffix), fresh)
  renameSync(fresh, program)
  writeFileSync(stamp, built)
  rmSync(stage, { recursive: true, force: true })
}

try {
  if (process.argv[2] === 'lock') {
    peer.relock()
    console.log('test/interop/peer/Cargo.lock is written')
  } else {
    for (const program of PROGRAMS) install(program)
    peer.alone(buildPeer)
    console.log(bin)
  }
} catch (error) {
  console.error(`counterparts: ${error.message}`)
  process.exit(1)
}
