/** The native door is built from the crates of its lock file, or not at all. */
import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { LockedCrate } from '../../native/locked-crate.mjs'

const native = join(import.meta.dirname, '../../native')
/** Where it was built here, cargo has all crates, so that no network is needed. */
const HAS_CRATES =
  spawnSync('cargo', ['--version']).status === 0 && existsSync(join(native, '../build/native/crate/Cargo.lock'))
const LIMIT_MS = 120_000

describe.skipIf(!HAS_CRATES)('the lock file of the native door (skipped where it was not built)', () => {
  let folder = ''
  let lock = ''

  beforeAll(() => {
    vi.stubEnv('CARGO_NET_OFFLINE', 'true')
    folder = mkdtempSync(join(tmpdir(), 'locked-crate-'))
    cpSync(native, join(folder, 'source'), { recursive: true, filter: (path) => !path.includes('node_modules') })
    lock = readFileSync(join(folder, 'source/Cargo.lock'), 'utf8')
  })
  afterAll(() => {
    vi.unstubAllEnvs()
    rmSync(folder, { recursive: true, force: true })
  })

  /** Has cargo read what it would build from, with this lock file. */
  const read = (text: string): void => {
    writeFileSync(join(folder, 'source/Cargo.lock'), text)
    const [source, stage] = ['source', 'stage'].map((name) => join(folder, name)) as [string, string]
    new LockedCrate({ source, stage, name: 'native', relock: 'nothing' }).cargo(['tree', '--quiet', '--depth', '0'])
  }

  test('is taken as it is', { timeout: LIMIT_MS }, () => {
    expect(() => read(lock)).not.toThrow()
  })

  test('with another checksum, version or no checksum ends the build', { timeout: LIMIT_MS }, () => {
    const bytes = /name = "bytes"\nversion = "([^"]+)"\nchecksum = "([0-9a-f]{64})"/.exec(lock)
    const [, version = '', checksum = ''] = bytes ?? []
    expect(checksum).toHaveLength(64)
    expect(() => read(lock.replace(checksum, checksum.replaceAll(/[0-9a-f]/g, '0')))).toThrow(/cargo tree failed/)
    expect(() => read(lock.replace(`"bytes"\nversion = "${version}"`, '"bytes"\nversion = "999.0.0"'))).toThrow(
      /generate-lockfile failed/,
    )
    expect(() => read(lock.replace(`\nchecksum = "${checksum}"`, ''))).toThrow(/have no checksum/)
  })

  test('that names a registry is refused', { timeout: LIMIT_MS }, () => {
    expect(() => read(lock.replace('\nchecksum = ', '\nsource = "registry"\nchecksum = '))).toThrow(/names a registry/)
  })
})

const LOCK_FILE = `version = 4

[[package]]
name = "bytes"
version = "1.0.0"
checksum = "00"

[[package]]
name = "thing"
version = "0.0.0"
`
/** Builds until it is let go on, and then what it builds from is still there, or not. */
const CARGO = `#!/bin/sh
if [ "$1" = generate-lockfile ]; then printf 'source = "registry"\n' > Cargo.lock; exit; fi
echo building >&2
read -r line < "$GATE"
grep -q registry Cargo.lock
`

interface Build {
  readonly child: ChildProcess
  /** The next line that it prints. */
  readonly line: () => Promise<string | undefined>
  /** Lets cargo go on; returns the exit code. */
  readonly end: () => Promise<number | null>
}

describe.skipIf(process.platform === 'win32')('builds of one crate in one place (skipped on Windows)', () => {
  let folder = ''
  let stage = ''
  let builds: Build[] = []

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'locked-crate-'))
    stage = join(folder, 'build/crate')
    for (const name of ['bin', 'source']) mkdirSync(join(folder, name))
    writeFileSync(join(folder, 'bin/cargo'), CARGO, { mode: 0o755 })
    writeFileSync(join(folder, 'source/Cargo.lock'), LOCK_FILE)
  })
  afterEach(() => {
    for (const { child } of builds) kill(child)
    builds = []
    rmSync(folder, { recursive: true, force: true })
  })

  /** With its cargo, whose process group it leads. */
  const kill = (child: ChildProcess): void => {
    if (child.exitCode === null && child.signalCode === null) process.kill(-(child.pid as number), 'SIGKILL')
  }

  const options = (): ConstructorParameters<typeof LockedCrate>[0] => ({
    source: join(folder, 'source'),
    stage,
    name: 'thing',
    relock: 'nothing',
  })

  const start = (): Build => {
    const gate = join(folder, `gate${builds.length}`)
    expect(spawnSync('mkfifo', [gate]).status).toBe(0)
    const module = JSON.stringify(join(native, 'locked-crate.mjs'))
    const code = `import { LockedCrate } from ${module}; new LockedCrate(${JSON.stringify(options())}).cargo(['build'])`
    const env = { ...process.env, GATE: gate, PATH: `${join(folder, 'bin')}:${process.env.PATH}` }
    const child = spawn(process.execPath, ['--input-type=module', '--eval', code], {
      env,
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const exited = once(child, 'exit') as Promise<[number | null]>
    const lines = createInterface(child.stderr)[Symbol.asyncIterator]()
    const build: Build = {
      child,
      line: async () => (await lines.next()).value as string | undefined,
      end: async () => {
        await writeFile(gate, 'go on\n')
        return (await exited)[0]
      },
    }
    builds.push(build)
    return build
  }

  test('wait for each other', { timeout: LIMIT_MS }, async () => {
    const first = start()
    expect(await first.line()).toBe('building')
    const second = start()
    expect(await second.line()).toBe(`waiting for process ${first.child.pid}, which builds thing here`)
    expect(await first.end()).toBe(0)
    expect(await second.line()).toBe('building')
    expect(await second.end()).toBe(0)
    expect(existsSync(`${stage}.lock`)).toBe(false)
  })

  test('do not wait for one that was killed', { timeout: LIMIT_MS }, async () => {
    const { child, line } = start()
    expect(await line()).toBe('building')
    const exited = once(child, 'exit')
    kill(child)
    await exited
    const second = start()
    expect(await second.line()).toBe('building')
    expect(await second.end()).toBe(0)
  })

  test('do not wait for ever, and say what to do', { timeout: LIMIT_MS }, async () => {
    const { child, line } = start()
    expect(await line()).toBe('building')
    const impatient = new LockedCrate({ ...options(), patienceMs: 0 })
    expect(() => impatient.cargo(['build'])).toThrow(
      `process ${child.pid} builds thing here and has not ended within 0 s: wait for it, or end it; ` +
        `if that process is something else, remove ${stage}.lock`,
    )
  })
})
