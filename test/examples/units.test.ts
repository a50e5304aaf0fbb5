/** The systemd units of `examples/deploy`, as far as systemd can tell without starting them. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'

const UNITS = join(import.meta.dirname, '../../examples/deploy')
const folder = mkdtempSync(join(tmpdir(), 'p2p-units-'))
const isHere = spawnSync('systemd-analyze', ['--version']).status === 0

/** What systemd has to say about the unit, '' when nothing; its program may be anywhere. */
function verify(name: string, change = (unit: string): string => unit): string {
  const unit = readFileSync(join(UNITS, name), 'utf8').replace(/^(ExecStart=)\S+/m, `$1${process.execPath}`)
  const file = join(folder, name)
  writeFileSync(file, change(unit))
  const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', file], { encoding: 'utf8' })
  return `${stdout}${stderr}${status === 0 ? '' : `ended with ${status}`}`
}

afterAll(() => rmSync(folder, { recursive: true }))

describe.skipIf(!isHere)('units (skipped: systemd-analyze is not installed)', () => {
  test.each(['home-server.service', 'p2p-relay.service'])('%s is one', (name) => {
    expect(verify(name)).toBe('')
    expect(verify(name, (unit) => unit.replace('MemoryMax', 'MemoryMaximum'))).toContain("Unknown key 'MemoryMaximum'")
    expect(verify(name, (unit) => unit.replace(process.execPath, '/none/program'))).toContain('is not executable')
  })
})
