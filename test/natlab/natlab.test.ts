/**
 * The lab itself: that its network is what it says, that two of them do not meet, and that nothing is left of one that is
 * killed. What it finds out about nodes is `npm run natlab`, a step of its own in CI.
 */
import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import { NATIVE_DOOR } from '../iroh/doors.ts'
import { findProgram, wayIn } from './enter.ts'
import type { Finding } from './udp.ts'

const root = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url))
const MAIN = root('build/natlab/natlab/main.js')
const MARK = 'P2P_NATLAB_MARK'

const way = wayIn()
const why =
  'why' in way ? way.why : findProgram('rustc') === undefined ? 'it needs rustc, for its emulator' : NATIVE_DOOR.why

/** Starts a lab whose processes can all be told by `mark`. */
function start(args: readonly string[], mark: string): ChildProcess {
  const env = { ...process.env, [MARK]: mark }
  return spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'inherit'], env })
}

/** The command lines of processes with that mark. */
function alive(mark: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        if (!readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`${MARK}=${mark}`)) return []
        return [readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ').trim()].filter(
          (line) => line !== '',
        )
      } catch {
        // It has just ended, or is somebody else's.
        return []
      }
    })
}

async function output(child: ChildProcess): Promise<string> {
  let text = ''
  child.stdout?.on('data', (part: Buffer) => (text += part.toString()))
  await once(child, 'close')
  return text
}

describe.skipIf(why !== '')(`the NAT lab${why === '' ? '' : ` (skipped: ${why})`}`, () => {
  beforeAll(() => {
    const { status, stdout } = spawnSync('npx', ['tsc', '-p', root('tsconfig.natlab.json')], { encoding: 'utf8' })
    if (status !== 0) throw new Error(stdout)
  }, 120_000)

  test('its NATs and lines do to datagrams what they are meant to, in two labs at once', async () => {
    const mark = randomUUID()
    const labs = [start(['--only', 'network', '--json'], mark), start(['--only', 'network', '--json'], mark)]
    for (const text of await Promise.all(labs.map(output))) {
      const { results, faults } = JSON.parse(text) as {
        readonly results: readonly { readonly real: { readonly findings: readonly Finding[] } }[]
        readonly faults: readonly string[]
      }
      expect(faults).toEqual([])
      expect(results[0]?.real.findings.map(({ what }) => what)).toContain('restricted-cone: filtering')
      expect(results[0]?.real.findings.map(({ what }) => what)).toContain('ways: a queue: dropped')
    }
    expect(labs.map(({ exitCode }) => exitCode)).toEqual([0, 0])
    await expect.poll(() => alive(mark), { timeout: 20_000 }).toEqual([])
  }, 180_000)

  test.each(['SIGTERM', 'SIGKILL'] as const)(
    'nothing is left of one that gets a %s',
    async (signal) => {
      const mark = randomUUID()
      const lab = start(['--only', 'pairs-ours', '--seeds', '1'], mark)
      // Nodes run, in namespaces of their own.
      await expect
        .poll(() => alive(mark).filter((line) => line.includes('peer.js')).length, { timeout: 120_000 })
        .toBe(10)
      lab.kill(signal)
      await once(lab, 'exit')
      await expect.poll(() => alive(mark), { timeout: 20_000 }).toEqual([])
    },
    180_000,
  )

  test('what it cannot do is told in one line', () => {
    const { status, stderr } = spawnSync(process.execPath, [MAIN, '--only', 'pears'], { encoding: 'utf8' })
    expect(status).toBe(1)
    expect(stderr.trim()).toBe(
      'natlab: there is no suite pears; known are network, pairs, pairs-ours, pairs-official, life, ' +
        'life-official, outage-3, outage-12, outage-3-official, quiet-3, quiet-12, lossy, links',
    )
  })
})
