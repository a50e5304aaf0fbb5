/**
 * The command `npm run natlab`: what it runs, and in which process.
 *
 * @module
 */
import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { setPriority } from 'node:os'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { whyNoNativeDoor } from './door.ts'
import { buildEmulator, Emulator } from './emulator.ts'
import { findProgram, wayIn } from './enter.ts'
import { linkOf, SHORT_LINKS } from './links.ts'
import { faultsOf, tableOf } from './report.ts'
import type { SuiteResult, Table } from './report.ts'
import { suites } from './suites.ts'
import type { Outcome, Suite } from './suites.ts'

const USAGE = `usage: natlab [--only SUITE]… [--times N] [--seeds N] [--parallel N] [--json]
              [--links NAME,…] [--samples FILE] [--program FILE]

Real nodes behind real NATs, next to what the simulator predicts. Exits with 1 when they differ, or a byte is missing.

  --only SUITE   just this one; repeatable: network, pairs, pairs-ours, pairs-official, life,
                 life-official, outage-3, outage-12, outage-3-official; and four that take part only when asked for:
                 quiet-3, quiet-12, lossy, links
  --times N      how often each outage of the relay happens, and repetitions a link (1)
  --links NAMES  which links are measured, by the names of test/natlab/links.ts (${SHORT_LINKS.join(',')})
  --samples FILE what is measured is added to it: a line of JSON a repetition, for npm run fidelity -- --reference FILE
  --seeds N      how many seeds the simulator runs (3)
  --parallel N   suites at a time (2)
  --program FILE what measures links, if it is not to be built from native/examples/link.rs
  --json         figures instead of tables
`

const inRoot = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url))
const SOURCE = inRoot('test/natlab/emulator.rs')
const EMULATOR = inRoot('build/natlab/emulator')
const THIS = fileURLToPath(import.meta.url)

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    times: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '3' },
    parallel: { type: 'string', default: '2' },
    links: { type: 'string', default: SHORT_LINKS.join(',') },
    samples: { type: 'string' },
    program: { type: 'string' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
    /** Run by itself: one suite, in the namespaces or in the simulator with so many seeds. */
    real: { type: 'string' },
    simulated: { type: 'string' },
  },
})

function count(name: 'times' | 'seeds' | 'parallel'): number {
  const value = Number(values[name])
  if (Number.isInteger(value) && value >= 1 && value <= 1000) return value
  throw new Error(`--${name} must be a whole number from 1 to 1000`)
}

const links = values.links.split(',')
links.forEach(linkOf)
const samples = values.samples === undefined ? undefined : resolve(values.samples)
const all = suites({ times: count('times'), links, samples })

function suiteOf(name: string): Suite {
  const suite = all.find((suite) => suite.name === name)
  if (suite) return suite
  throw new Error(`there is no suite ${name}; known are ${all.map((suite) => suite.name).join(', ')}`)
}

/** One suite with real nodes. Its caller is gone when the standard input ends. */
async function runReal(suite: Suite): Promise<Outcome> {
  process.stdin.on('end', () => process.exit(1)).resume()
  hurry()
  const iroh = findProgram('iroh-relay', [process.env['P2P_COUNTERPARTS']])
  const programs = { ours: inRoot('dist/cli/p2p-relay.js'), iroh }
  // Samples that were taken at different times must not have met the same losses.
  const emulator = new Emulator(EMULATOR, suite.needsPureIroh ? Date.now() : 1)
  const pureIroh = values.program ?? ''
  return suite.real({ emulator, programs, pureIroh, folder: '/run/natlab' })
}

/**
 * Whatever else the machine does: times are what is measured here. Only root may, and all it starts inherits it. Linux
 * shares its processors between sessions before it looks at priorities, so the session (`ask`) is told too.
 */
function hurry(): void {
  try {
    setPriority(-10)
    writeFileSync('/proc/self/autogroup', '-10')
  } catch {
    // Then the times are those of a machine that has other things to do.
  }
}

async function runSimulated(suite: Suite): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  for (let seed = 1; seed <= count('seeds'); seed++) outcomes.push(await suite.simulated(seed))
  return outcomes
}

/** Longest time for one suite, for each time that it does what it does; on a quiet machine it is a minute. */
const LIMIT_MS = 480_000

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** Another process of this program; what it has to say as JSON. */
function ask<T>(command: readonly string[], pureIroh: string): Promise<T> {
  const [program = '', ...args] = command
  const settings = ['--times', values.times, '--seeds', values.seeds, '--links', values.links, '--program', pureIroh]
  if (samples !== undefined) settings.push('--samples', samples)
  const path = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`
  const child = spawn(program, [...args, ...settings], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, PATH: path },
    detached: true,
  })
  running.add(child)
  const limitMs = LIMIT_MS * count('times')
  let isLate = false
  const limit = setTimeout(() => {
    isLate = true
    child.kill('SIGKILL')
  }, limitMs)
  let text = ''
  child.stdout.on('data', (part: Buffer) => (text += part.toString()))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => {
      running.delete(child)
      clearTimeout(limit)
      if (code === 0) resolve(JSON.parse(text) as T)
      else {
        const why = isLate ? `is not done after ${limitMs / 1000} s` : `has failed (${signal ?? code})`
        reject(new Error(`${args.slice(-2).join(' ')} ${why}`))
      }
    })
  })
}

async function compare(suite: Suite, way: readonly string[]): Promise<SuiteResult> {
  const self = [process.execPath, THIS]
  const pureIroh = suite.needsPureIroh ? (values.program ?? buildPureIroh()) : ''
  const [real, simulated] = await Promise.all([
    ask<Outcome>([...way, ...self, '--real', suite.name], pureIroh),
    // A simulation that is busy would not notice that nobody waits for it any more.
    ask<Outcome[]>(['setpriv', '--pdeathsig', 'KILL', ...self, '--simulated', suite.name], pureIroh),
  ])
  return { suite: { name: suite.name, title: suite.title }, real, simulated }
}

async function runAll(): Promise<number> {
  const chosen = values.only ? values.only.map(suiteOf) : all.filter(({ isUsual }) => isUsual)
  const way = wayIn()
  const why = 'why' in way ? way.why : await whyNot(chosen)
  if ('why' in way || why !== undefined) {
    console.error(`natlab: cannot be run here: ${why}`)
    return process.env['CI'] ? 1 : 0
  }
  buildEmulator(SOURCE, EMULATOR)
  const waiting = [...chosen]
  const results = new Map<Suite, SuiteResult>()
  const worker = async (): Promise<void> => {
    for (let suite = waiting.shift(); suite; suite = waiting.shift())
      results.set(suite, await compare(suite, way.command))
  }
  await Promise.all(Array.from({ length: count('parallel') }, worker))
  const ordered = chosen.flatMap((suite) => results.get(suite) ?? [])
  const faults = ordered.flatMap(faultsOf)
  if (values.json) console.log(JSON.stringify({ results: ordered, faults }, null, 2))
  else for (const result of ordered) printTable(tableOf(result))
  for (const fault of faults) console.error(`natlab: ${fault}`)
  return faults.length === 0 ? 0 : 1
}

/** Where the program is that measures links; it is built unless it is there. */
function buildPureIroh(): string {
  const command = [inRoot('native/build.mjs'), 'example', 'link']
  const { status, stdout } = spawnSync(process.execPath, command, { encoding: 'utf8', stdio: ['ignore', 'pipe', 2] })
  if (status !== 0) throw new Error('native/examples/link.rs cannot be built')
  return stdout.trim()
}

/** What is missing besides the namespaces. */
async function whyNot(chosen: readonly Suite[]): Promise<string | undefined> {
  if (
    chosen.some(({ needsIrohRelay }) => needsIrohRelay) &&
    !findProgram('iroh-relay', [process.env['P2P_COUNTERPARTS']])
  ) {
    return 'iroh-relay is not here: P2P_COUNTERPARTS=$(node scripts/counterparts.mjs)'
  }
  return chosen.some(({ needsNativeDoor }) => needsNativeDoor) ? whyNoNativeDoor() : undefined
}

function printTable({ title, columns, rows }: Table): void {
  console.log(`\n${title}\n\n| ${columns.join(' | ')} |\n|${'---|'.repeat(columns.length)}`)
  for (const row of rows) console.log(`| ${row.join(' | ')} |`)
}

async function main(): Promise<number> {
  if (values.help) {
    process.stdout.write(USAGE)
    return 0
  }
  const { real, simulated } = values
  if (real === undefined && simulated === undefined) return runAll()
  const outcome = real === undefined ? await runSimulated(suiteOf(simulated ?? '')) : await runReal(suiteOf(real))
  await new Promise<void>((resolve) => process.stdout.write(JSON.stringify(outcome), () => resolve()))
  return 0
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(1))
process.exit(
  await main().catch((error: unknown) => {
    console.error(`natlab: ${error instanceof Error ? error.message : String(error)}`)
    return 1
  }),
)
