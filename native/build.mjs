#!/usr/bin/env node
// Usage: build.mjs [build|test|clippy|bench|lock] [ARGUMENTS OF CARGO]
// Builds the native door (native/) into build/native/p2p.node; it needs cargo and a C compiler. The lock file in
// native/ names no registry, as what it is called differs from place to place; versions and checksums are all there.
// The name is asked of cargo and put back in a copy, and that is built with --locked: a set of crates that differs from
// the lock file in any version or checksum fails. `lock` writes the lock file anew after a change to Cargo.toml.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const SOURCE = join(ROOT, 'native')
const BUILD = join(ROOT, 'build/native')
const STAGE = join(BUILD, 'crate')
const ADDON = join(BUILD, 'p2p.node')
const TARGET =
  process.env.CARGO_TARGET_DIR ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'moosicbox-p2p/native')
const LIBRARY = {
  linux: 'libmoosicbox_p2p_native.so',
  darwin: 'libmoosicbox_p2p_native.dylib',
  win32: 'moosicbox_p2p_native.dll',
}

function fail(message) {
  console.error(`build: ${message}`)
  process.exit(1)
}

function cargo(args, directory = STAGE) {
  const { status, error } = spawnSync('cargo', args, { cwd: directory, stdio: ['ignore', 'inherit', 'inherit'] })
  if (error?.code === 'ENOENT') fail('cargo is not here; Rust is at https://rustup.rs')
  if (error) fail(`cargo cannot be run: ${error.message}`)
  if (status !== 0) fail(`cargo ${args[0]} failed`)
}

/** A copy of the crate whose files keep their times, so that cargo builds only what has changed. */
function stage() {
  rmSync(STAGE, { recursive: true, force: true })
  mkdirSync(STAGE, { recursive: true })
  for (const name of ['Cargo.toml', 'Cargo.lock', 'build.rs', 'src', 'benches', 'examples']) {
    const from = join(SOURCE, name)
    if (existsSync(from)) cpSync(from, join(STAGE, name), { recursive: true, preserveTimestamps: true })
  }
}

/** What cargo calls the registry here: the source of a crate in a lock file that it writes itself. */
function registrySource(lock) {
  const checksummed = /name = "bytes"\nversion = "([^"]+)"/.exec(lock)
  if (!checksummed) fail('native/Cargo.lock has no bytes crate')
  const probe = join(BUILD, 'probe')
  mkdirSync(join(probe, 'src'), { recursive: true })
  writeFileSync(join(probe, 'src/lib.rs'), '')
  writeFileSync(
    join(probe, 'Cargo.toml'),
    `[package]\nname = "probe"\nversion = "0.0.0"\n[dependencies]\nbytes = "=${checksummed[1]}"\n[workspace]\n`,
  )
  cargo(['generate-lockfile', '--quiet'], probe)
  const source = /^source = "([^"]+)"$/m.exec(readFileSync(join(probe, 'Cargo.lock'), 'utf8'))?.[1]
  rmSync(probe, { recursive: true })
  return source ?? fail('cargo does not say which registry it uses')
}

/** The lock file with sources, which it must not have had. */
function complete(lock, source) {
  if (/^source = /m.test(lock)) fail('native/Cargo.lock names a registry; write it with: node native/build.mjs lock')
  const entries = lock.split('\n\n')
  const bare = entries.filter((entry) => entry.startsWith('[[package]]') && !/^checksum = /m.test(entry))
  if (bare.length !== 1) fail(`${bare.length - 1} crates of native/Cargo.lock have no checksum`)
  return lock.replaceAll(/^checksum = /gm, `source = "${source}"\nchecksum = `)
}

const strip = (lock) => lock.replaceAll(/^source = .*\n/gm, '')

const [command = 'build', ...rest] = process.argv.slice(2)
stage()
const lockFile = join(STAGE, 'Cargo.lock')
if (command === 'lock') {
  const before = existsSync(lockFile) ? readFileSync(lockFile, 'utf8') : ''
  rmSync(lockFile, { force: true })
  // Crates that are locked already stay as they are.
  if (before !== '') writeFileSync(lockFile, complete(before, registrySource(before)))
  cargo(['update', '--workspace', ...rest])
  writeFileSync(join(SOURCE, 'Cargo.lock'), strip(readFileSync(lockFile, 'utf8')))
  console.log('native/Cargo.lock is written')
  process.exit(0)
}

const locked = readFileSync(lockFile, 'utf8')
writeFileSync(lockFile, complete(locked, registrySource(locked)))
process.env.CARGO_TARGET_DIR = TARGET
if (command === 'build') {
  cargo(['build', '--release', '--locked', '--lib', ...rest])
  const triple = rest.includes('--target') ? [rest[rest.indexOf('--target') + 1]] : []
  const library = triple.length > 0 ? libraryOf(triple[0]) : LIBRARY[process.platform]
  // Renamed into place: a process that has loaded the old one goes on with it.
  cpSync(join(TARGET, ...triple, 'release', library), `${ADDON}.new`)
  renameSync(`${ADDON}.new`, ADDON)
  console.log(`${ADDON} is built`)
} else if (command === 'test') {
  cargo(['test', '--release', '--locked', ...rest])
} else if (command === 'clippy') {
  cargo(['clippy', '--release', '--locked', '--all-targets', ...rest, '--', '--deny', 'warnings'])
} else if (command === 'bench') {
  cargo(['build', '--release', '--locked', '--examples', ...rest])
} else {
  fail(`there is no command ${command}; known are build, test, clippy, bench, lock`)
}
if (strip(readFileSync(lockFile, 'utf8')) !== locked) fail('the set of crates differs from native/Cargo.lock')

function libraryOf(triple) {
  if (triple.includes('windows')) return LIBRARY.win32
  return triple.includes('apple') ? LIBRARY.darwin : LIBRARY.linux
}
