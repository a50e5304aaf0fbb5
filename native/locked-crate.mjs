/**
 * Crates whose lock file names no registry, as what it is called differs from place to place; versions and checksums
 * are all there. The name is asked of cargo and put back in a copy, and that is built with --locked: a set of crates
 * that differs from the lock file in any version or checksum fails. Builds of one crate in one place wait for each other.
 *
 * @module
 */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { holding } from './build-lock.mjs'

const PARTS = ['Cargo.toml', 'Cargo.lock', 'build.rs', 'src', 'benches', 'examples']

/** A build of all crates takes some minutes, many on a slow machine. */
const PATIENCE_MS = 3_600_000

const strip = (lock) => lock.replaceAll(/^source = .*\n/gm, '')

/** A crate, and the copy of it that is built. */
export class LockedCrate {
  #source
  #stage
  #name
  #relock
  #patienceMs
  #isAlone = false

  /**
   * @param {object} options
   * @param {string} options.source the crate's folder
   * @param {string} options.stage where its copy goes
   * @param {string} options.name for messages, such as `native`
   * @param {string} options.relock the command that writes the lock file anew
   * @param {number} [options.patienceMs] how long to wait for other processes that build it here
   */
  constructor({ source, stage, name, relock, patienceMs = PATIENCE_MS }) {
    this.#source = source
    this.#stage = stage
    this.#name = name
    this.#relock = relock
    this.#patienceMs = patienceMs
  }

  get #lockFile() {
    return join(this.#stage, 'Cargo.lock')
  }

  /**
   * Runs `action` while no other process builds this crate here: for what it does with what was built, too.
   *
   * @param {() => void} action
   */
  alone(action) {
    if (this.#isAlone) return action()
    holding(`${this.#stage}.lock`, { what: `builds ${this.#name}`, patienceMs: this.#patienceMs }, () => {
      this.#isAlone = true
      try {
        action()
      } finally {
        this.#isAlone = false
      }
    })
  }

  /** Runs cargo on the copy with what the lock file has, no other; a lock file that did not hold afterwards fails. */
  cargo(args, env = {}) {
    this.alone(() => this.#cargo(args, env))
  }

  /** Writes the lock file anew after a change to Cargo.toml; crates that are locked already stay as they are. */
  relock(args = []) {
    this.alone(() => this.#writeLock(args))
  }

  #cargo(args, env) {
    this.#copy()
    const locked = readFileSync(this.#lockFile, 'utf8')
    writeFileSync(this.#lockFile, this.#complete(locked))
    this.#run([args[0], '--locked', ...args.slice(1)], this.#stage, env)
    const after = strip(readFileSync(this.#lockFile, 'utf8'))
    if (after !== locked) throw new Error(`the set of crates differs from ${this.#name}/Cargo.lock`)
  }

  #writeLock(args) {
    this.#copy()
    const before = existsSync(this.#lockFile) ? readFileSync(this.#lockFile, 'utf8') : ''
    rmSync(this.#lockFile, { force: true })
    if (before !== '') writeFileSync(this.#lockFile, this.#complete(before))
    this.#run(['update', '--workspace', ...args], this.#stage)
    writeFileSync(join(this.#source, 'Cargo.lock'), strip(readFileSync(this.#lockFile, 'utf8')))
  }

  /** A copy of the crate whose files keep their times, so that cargo builds only what has changed. */
  #copy() {
    rmSync(this.#stage, { recursive: true, force: true })
    mkdirSync(this.#stage, { recursive: true })
    for (const part of PARTS) {
      const from = join(this.#source, part)
      if (existsSync(from)) cpSync(from, join(this.#stage, part), { recursive: true, preserveTimestamps: true })
    }
  }

  /** The lock file with sources, which it must not have had. */
  #complete(lock) {
    if (/^source = /m.test(lock)) {
      throw new Error(`${this.#name}/Cargo.lock names a registry; write it with: ${this.#relock}`)
    }
    const entries = lock.split('\n\n')
    const bare = entries.filter((entry) => entry.startsWith('[[package]]') && !/^checksum = /m.test(entry))
    if (bare.length !== 1) {
      throw new Error(`${bare.length - 1} crates of ${this.#name}/Cargo.lock have no checksum`)
    }
    return lock.replaceAll(/^checksum = /gm, `source = "${this.#registry(lock)}"\nchecksum = `)
  }

  /** What cargo calls the registry here: the source of a crate in a lock file that it writes itself. */
  #registry(lock) {
    const checksummed = /name = "bytes"\nversion = "([^"]+)"/.exec(lock)
    if (!checksummed) throw new Error(`${this.#name}/Cargo.lock has no bytes crate`)
    const probe = `${this.#stage}-probe`
    mkdirSync(join(probe, 'src'), { recursive: true })
    writeFileSync(join(probe, 'src/lib.rs'), '')
    writeFileSync(
      join(probe, 'Cargo.toml'),
      `[package]\nname = "probe"\nversion = "0.0.0"\n[dependencies]\nbytes = "=${checksummed[1]}"\n[workspace]\n`,
    )
    this.#run(['generate-lockfile', '--quiet'], probe)
    const source = /^source = "([^"]+)"$/m.exec(readFileSync(join(probe, 'Cargo.lock'), 'utf8'))?.[1]
    rmSync(probe, { recursive: true })
    if (source === undefined) throw new Error('cargo does not say which registry it uses')
    return source
  }

  /** What cargo prints goes to stderr: stdout is the caller's. */
  #run(args, cwd, env = {}) {
    const { status, error } = spawnSync('cargo', args, {
      cwd,
      stdio: ['ignore', 2, 2],
      env: { ...process.env, ...env },
    })
    if (error?.code === 'ENOENT') throw new Error('cargo is not here; Rust is at https://rustup.rs')
    if (error) throw new Error(`cargo cannot be run: ${error.message}`)
    if (status !== 0) throw new Error(`cargo ${args[0]} failed`)
  }
}
