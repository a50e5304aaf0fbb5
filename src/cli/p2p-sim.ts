#!/usr/bin/env node
/**
 * The command `p2p-sim`: sweeps scenarios over many seeds, replays failures, merges results.
 *
 * @module
 */
import { resolve } from 'node:path'
import process from 'node:process'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { invalidConfiguration, parseDuration, parseSeed } from '../core/config.ts'
import { P2PError } from '../core/errors.ts'
import {
  checkWritable,
  finishBanner,
  mergeSweeps,
  problemsOf,
  Progress,
  readReplay,
  readSweeps,
  replayModule,
  startBanner,
  sweepModule,
  unknownVariables,
  writeSweeps,
} from '../simtest/command.ts'
import type { SweepFile } from '../simtest/command.ts'
import { UsageError } from './arguments.ts'

const USAGE = `usage: p2p-sim sweep MODULE [options]    runs the scenarios that a module exports over many seeds
       p2p-sim replay FILE MODULE        replays a failure from its file; ends with 0 when the history is the same
                                         as then, and so the failure too, and with 1 when it is not
       p2p-sim merge FILE...             puts the results of shards together

  --scenario NAME     one of the module's scenarios
  --seeds N           how many seeds (SIMULATOR_RUNS)
  --seed N            the first (SIMULATOR_SEED); random when left out, and printed
  --for 10m           begin no more seeds after this time
  --shard I/N         the I-th of N parts; the same --seed for all
  --max-parallel N    workers (SIMULATOR_MAX_PARALLEL); the number of cores when left out, 0 for none
  --all               go on after a failure
  --shrink 30s        time for making a failure smaller
  --corpus FILE       seeds that once failed: tried first, and added to
  --json FILE         where the result goes
  --expect pass|fail  replay: end with 0 when it does not fail, or fails of the same thing, whatever the history, and
                      with 1 when not; with 125 when that cannot be told (for git bisect run, which then skips)
`

const OPTIONS = {
  scenario: { type: 'string' },
  seeds: { type: 'string' },
  seed: { type: 'string' },
  for: { type: 'string' },
  shard: { type: 'string' },
  'max-parallel': { type: 'string' },
  all: { type: 'boolean', default: false },
  shrink: { type: 'string' },
  corpus: { type: 'string' },
  json: { type: 'string' },
  expect: { type: 'string' },
  help: { type: 'boolean', short: 'h', default: false },
} as const

function whole(name: string, text: string, least: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : -1
  if (value >= least && Number.isSafeInteger(value)) return value
  throw invalidConfiguration(name, text, `must be a whole number of at least ${least}`)
}

function parseShard(text: string): { index: number; of: number } {
  const match = /^(\d+)\/(\d+)$/.exec(text)
  if (!match) throw invalidConfiguration('--shard', text, 'must be i/n, such as 1/4')
  return { index: Number(match[1]), of: Number(match[2]) }
}

function quote(text: string): string {
  return /^[\w./:@=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}

function tellEnd(sweep: SweepFile, workers: number, command: string, isInterrupted: boolean): boolean {
  // What one shard has not reached another may have, and that others are missing goes without saying.
  const isPart = sweep.of > 1 || isInterrupted
  const problems = problemsOf(isPart ? { ...sweep, of: 1, shards: [1], reached: {} } : sweep)
  if (isInterrupted) problems.push('interrupted: seeds that were under way do not count')
  process.stderr.write(
    `${finishBanner({
      name: sweep.name,
      runs: sweep.runs,
      failed: sweep.failed.map(({ seed }) => BigInt(seed)),
      events: sweep.events,
      virtualMs: sweep.virtualMs,
      elapsedMs: sweep.elapsedMs,
      workers,
      command,
      isSuccessful: problems.length === 0,
    })}\n`,
  )
  for (const problem of problems) process.stderr.write(`  ${problem}\n`)
  return problems.length === 0
}

/** What `git bisect run` takes for a commit that says nothing. */
const CANNOT_TELL = 125
/** What the command ends with when it cannot do what it was told. */
let codeOfErrors = 2

/** As shells say that a program was ended by Ctrl-C. */
const INTERRUPTED = 130

/** Ctrl-C ends the sweep and tells how far it came; a second one ends the program where it is. */
function interruption(): { readonly signal: AbortSignal; readonly over: () => void } {
  const controller = new AbortController()
  const names = ['SIGINT', 'SIGTERM'] as const
  const end = (): void => {
    over()
    controller.abort()
  }
  const over = (): void => {
    for (const name of names) process.off(name, end)
  }
  for (const name of names) process.on(name, end)
  return { signal: controller.signal, over }
}

type Values = ReturnType<typeof parseArgs<{ options: typeof OPTIONS; allowPositionals: true }>>['values']

async function sweep(module: string, values: Values): Promise<boolean> {
  const path = quote(module)
  if (values.json !== undefined) checkWritable('--json', values.json)
  if (values.corpus !== undefined) checkWritable('--corpus', values.corpus)
  const warning = unknownVariables(process.env)
  if (warning !== undefined) process.stderr.write(`${warning}\n`)
  const progress = new Progress()
  const interrupt = interruption()
  let workers = 0
  const again = (name: string, seed: bigint | string, seeds: number): string =>
    `npx p2p-sim sweep ${path} --scenario ${quote(name)} --seed ${seed} --seeds ${seeds}`
  let isGood = true
  const sweeps = await sweepModule(pathToFileURL(resolve(module)).href, {
    scenario: values.scenario,
    seed: values.seed === undefined ? undefined : parseSeed(values.seed, '--seed'),
    seeds: values.seeds === undefined ? undefined : whole('--seeds', values.seeds, 1),
    forMs: values.for === undefined ? undefined : parseDuration(values.for, '--for'),
    shard: values.shard === undefined ? undefined : parseShard(values.shard),
    maxParallel: values['max-parallel'] === undefined ? undefined : whole('--max-parallel', values['max-parallel'], 0),
    all: values.all,
    corpus: values.corpus,
    shrinkMs: values.shrink === undefined ? undefined : parseDuration(values.shrink, '--shrink'),
    signal: interrupt.signal,
    onStart: (start) => {
      workers = start.workers
      process.stderr.write(`${startBanner(start)}\n`)
    },
    onNote: (text) => void process.stderr.write(`${text}\n`),
    onProgress: (now) => progress.show(now),
    onReport: (text) => {
      progress.clear()
      process.stdout.write(`${text}\n\n`)
    },
    onEnd: (one) => {
      progress.clear()
      const first = one.failed[0]?.seed
      const command = again(one.name, first ?? one.firstSeed, first === undefined ? one.runs : 1)
      if (!tellEnd(one, workers, command, interrupt.signal.aborted)) isGood = false
    },
    command: (name, { replay, seed }) =>
      replay === undefined ? again(name, seed ?? 0n, 1) : `npx p2p-sim replay ${quote(replay)} ${path}`,
  })
  interrupt.over()
  if (interrupt.signal.aborted) {
    // A part of a part would pass for the whole of it when it is merged.
    if (values.json !== undefined) process.stderr.write(`  ${values.json} is not written\n`)
    process.exitCode = INTERRUPTED
    return true
  }
  if (values.json !== undefined) writeSweeps(values.json, sweeps)
  return isGood
}

async function replay(file: string, module: string, expected: string | undefined): Promise<boolean> {
  if (expected !== undefined && expected !== 'pass' && expected !== 'fail') {
    throw new UsageError(`--expect ${expected}: it is pass or fail`)
  }
  if (expected !== undefined) codeOfErrors = CANNOT_TELL
  const { text, isSame, fails } = await replayModule(readReplay(file, 'FILE'), pathToFileURL(resolve(module)).href)
  process.stdout.write(`${text}\n`)
  if (expected === undefined) return isSame
  return expected === 'pass' ? fails === 'not' : fails === 'the same'
}

function merge(files: readonly string[], values: Values): boolean {
  if (values.json !== undefined) checkWritable('--json', values.json)
  const merged = mergeSweeps(files.flatMap((file) => readSweeps(file)))
  if (values.json !== undefined) writeSweeps(values.json, merged)
  let isGood = true
  for (const one of merged) {
    const problems = problemsOf(one)
    process.stdout.write(`${JSON.stringify(one.name)}: ${one.runs} runs, ${one.failed.length} failed\n`)
    for (const problem of problems) process.stdout.write(`  ${problem}\n`)
    if (problems.length > 0) isGood = false
  }
  return isGood
}

/** What commands take besides options. */
const NEEDS: Readonly<Record<string, string>> = {
  sweep: 'sweep needs a MODULE, and one alone',
  replay: 'replay needs a FILE and a MODULE',
  merge: 'merge needs a FILE at least',
}

/** A number below 0 is a value that makes no sense, not an option: so that it is told so. */
function joined(args: readonly string[]): string[] {
  const list: string[] = []
  for (const arg of args) {
    const before = list.at(-1) ?? ''
    const isValue = /^-\d/.test(arg) && before.startsWith('--') && !before.includes('=')
    if (isValue) list[list.length - 1] = `${before}=${arg}`
    else list.push(arg)
  }
  return list
}

async function main(): Promise<boolean> {
  const { values, positionals } = parseArgs({
    args: joined(process.argv.slice(2)),
    allowPositionals: true,
    options: OPTIONS,
  })
  const [command, ...rest] = positionals
  if (values.help || command === undefined) {
    process.stdout.write(USAGE)
    return values.help
  }
  const [first, second] = rest
  if (command === 'sweep' && first !== undefined && rest.length === 1) return sweep(first, values)
  if (command === 'replay' && first !== undefined && second !== undefined && rest.length === 2)
    return replay(first, second, values.expect)
  if (command === 'merge' && rest.length > 0) return merge(rest, values)
  throw new UsageError(NEEDS[command] ?? `there is no command ${JSON.stringify(command)}`)
}

try {
  if (!(await main())) process.exitCode = 1
} catch (error) {
  const isUsage = error instanceof UsageError || String((error as { code?: unknown }).code).startsWith('ERR_PARSE_ARGS')
  if (!isUsage && !P2PError.is(error)) throw error
  process.stderr.write(`p2p-sim: ${(error as Error).message}\n${isUsage ? `\n${USAGE}` : ''}`)
  process.exitCode = codeOfErrors
}
