#!/usr/bin/env node
// Usage: build.mjs [build|test|clippy|bench|lock] [ARGUMENTS OF CARGO]
//        build.mjs example NAME            builds one of examples/, and prints where it is
// Builds the native door (native/) into build/native/p2p.node; it needs cargo and a C compiler. Its lock file names no
// registry (locked-crate.mjs); `lock` writes it anew after a change to Cargo.toml.
import { cpSync, existsSync, readFileSync, renameSync, utimesSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { LockedCrate } from './locked-crate.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const BUILD = join(ROOT, 'build/native')
const ADDON = join(BUILD, 'p2p.node')
const TARGET =
  process.env.CARGO_TARGET_DIR ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'moosicbox-p2p/native')
const LIBRARY = {
  linux: 'libmoosicbox_p2p_native.so',
  darwin: 'libmoosicbox_p2p_native.dylib',
  win32: 'moosicbox_p2p_native.dll',
}

/** Whose library lies in the folder for what is built: several checkouts may share it. */
const OWNER = join(TARGET, 'built-from')
const SOURCE = join(ROOT, 'native')

const crate = new LockedCrate({
  source: SOURCE,
  stage: join(BUILD, 'crate'),
  name: 'native',
  relock: 'node native/build.mjs lock',
})

/** Cargo with the release profile, in the folder for what it builds. */
function cargo(command, ...args) {
  crate.cargo([command, '--release', ...args], { CARGO_TARGET_DIR: TARGET })
}

/** Another checkout has built since: cargo would call this one's library fresh, and the file would be the other's. */
function claimLibrary() {
  if (existsSync(OWNER) && readFileSync(OWNER, 'utf8') === ROOT) return
  const now = new Date()
  utimesSync(join(SOURCE, 'src/lib.rs'), now, now)
}

function libraryOf(triple) {
  if (triple.includes('windows')) return LIBRARY.win32
  return triple.includes('apple') ? LIBRARY.darwin : LIBRARY.linux
}

const [command = 'build', ...rest] = process.argv.slice(2)
const COMMANDS = {
  build() {
    claimLibrary()
    cargo('build', '--lib', ...rest)
    writeFileSync(OWNER, ROOT)
    const triple = rest.includes('--target') ? [rest[rest.indexOf('--target') + 1]] : []
    const library = triple.length > 0 ? libraryOf(triple[0]) : LIBRARY[process.platform]
    // Renamed into place: a process that has loaded the old one goes on with it.
    cpSync(join(TARGET, ...triple, 'release', library), `${ADDON}.new`)
    renameSync(`${ADDON}.new`, ADDON)
    console.log(`${ADDON} is built`)
  },
  test: () => cargo('test', ...rest),
  clippy: () => cargo('clippy', '--all-targets', ...rest, '--', '--deny', 'warnings'),
  bench: () => cargo('build', '--examples', ...rest),
  example() {
    cargo('build', '--example', ...rest)
    console.log(join(TARGET, 'release/examples', rest[0]))
  },
  lock() {
    crate.relock(rest)
    console.log('native/Cargo.lock is written')
  },
}

try {
  if (!Object.hasOwn(COMMANDS, command)) {
    throw new Error(`there is no command ${command}; known are ${Object.keys(COMMANDS).join(', ')}`)
  }
  crate.alone(COMMANDS[command])
} catch (error) {
  console.error(`build: ${error.message}`)
  process.exit(1)
}
