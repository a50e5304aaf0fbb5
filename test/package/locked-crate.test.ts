/** The native door is built from the crates of its lock file, or not at all. */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
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
