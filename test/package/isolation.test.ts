import { spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'

const NO_NAMESPACE = 'no network namespace can be had'
const COUNT_ROUTES = `
  let table = ''
  try { table = require('node:fs').readFileSync('/proc/net/route', 'utf8').trim() } catch {}
  process.stdout.write(String(Math.max(0, table.split('\\n').length - 1)))
`

function isolated(code: string): { readonly status: number | null; readonly out: string; readonly err: string } {
  const args = ['scripts/isolated.mjs', process.execPath, '-e', code]
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  return { status, out: stdout, err: stderr }
}

describe('scripts/isolated.mjs', () => {
  it('leaves a command no way out, or says that it cannot', () => {
    const { out, err } = isolated(COUNT_ROUTES)
    expect(err.includes(NO_NAMESPACE) ? NO_NAMESPACE : `${out} routes`).toBeOneOf([NO_NAMESPACE, '0 routes'])
  })

  it('passes the exit code on', () => {
    expect(isolated('process.exit(7)').status).toBe(7)
  })
})
