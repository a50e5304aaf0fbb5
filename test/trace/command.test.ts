/** The command `p2p-trace`, as a process. */
import { spawnSync } from 'node:child_process'
import type { SpawnSyncReturns } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parsePcapng } from './pcapng-parser.ts'
import { tracedStory } from './support.ts'

const COMMAND = join(import.meta.dirname, '../../dist/cli/p2p-trace.js')
let directory = ''
let file = ''

beforeAll(async () => {
  if (!existsSync(COMMAND)) throw new Error('build the package first: npm run build')
  directory = mkdtempSync(join(tmpdir(), 'p2p-trace-'))
  file = join(directory, 'story.p2ptrace')
  writeFileSync(file, (await tracedStory()).bytes)
})

afterAll(() => rmSync(directory, { recursive: true }))

function run(...args: string[]): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, [COMMAND, ...args], { encoding: 'utf8', maxBuffer: 64_000_000 })
}

describe('p2p-trace', () => {
  test('prints text unless told otherwise', () => {
    const { status, stdout, stderr } = run(file)
    expect([status, stderr]).toEqual([0, ''])
    expect(stdout).toContain('the run ended (programs)')
  })

  test('writes the other formats, to files too', () => {
    const out = join(directory, 'out')
    expect(run(file, '--to', 'pcapng', '--out', out).status).toBe(0)
    expect(parsePcapng(readFileSync(out)).packets.length).toBeGreaterThan(100)
    expect(JSON.parse(run(file, '--to', 'perfetto').stdout).traceEvents.length).toBeGreaterThan(100)
    const [story, packets] = [run(file, '--to', 'mermaid').stdout, run(file, '--to=mermaid', '--packets').stdout]
    expect(story).toMatch(/^sequenceDiagram\n/)
    expect(packets.length).toBeGreaterThan(story.length)
  })

  test('says what is wrong, and how it is used', () => {
    expect(run('--help')).toMatchObject({ status: 0, stdout: expect.stringContaining('usage: p2p-trace FILE') })
    const wrong: readonly [string[], number, RegExp][] = [
      [[], 2, /name one file[^]*usage/],
      [[file, file], 2, /name one file/],
      [[file, '--to', 'pdf'], 2, /there is no format pdf: there are text, perfetto, pcapng, mermaid/],
      [[file, '--form', 'text'], 2, /--form[^]*usage/],
      [[join(directory, 'missing')], 1, /missing/],
      [[COMMAND], 1, /^p2p-trace: this is no trace, or it is damaged: it does not begin as one \(byte 0\)\n$/],
    ]
    for (const [args, status, message] of wrong) {
      const done = run(...args)
      expect([done.status, done.stderr]).toEqual([status, expect.stringMatching(message)])
      expect(done.stdout).toBe('')
    }
  })
})
