/**
 * What is done about a failing seed: it is run again, made smaller, told, and written to a file.
 *
 * @module
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { P2PError } from '../core/errors.ts'
import { realNowMs } from '../runtime/settle.ts'
import { rootOf } from './failure.ts'
import { writeReplay } from './replay-file.ts'
import type { ReplayFile } from './replay-file.ts'
import { runScenario } from './run.ts'
import type { Outcome } from './run.ts'
import type { ResolvedOptions, Scenario } from './scenario.ts'
import { shrink } from './shrink.ts'
import type { ShrinkResult } from './shrink.ts'
import { tellFailure } from './story.ts'
import { Trail } from './trail.ts'

/** Options of {@link examine}. */
export interface ExamineOptions {
  /** Where replay files go. */
  readonly folder: string
  /** The commands to see it again, given the path of the file. */
  readonly commands: (seed: bigint, replayPath: string | undefined) => Readonly<Record<string, string>>
}

/** A failure, looked into. */
export interface Examined {
  readonly text: string
  readonly seed: bigint
  readonly outcome: Outcome
  readonly shrunk: ShrinkResult | undefined
  readonly replayPath: string | undefined
  readonly isRepeatable: boolean
}

/** A run with its trail, and a trace where there is a place for one. */
async function tell(
  scenario: Scenario,
  resolved: ResolvedOptions,
  outcome: Outcome,
  trace: string | undefined,
): Promise<[Outcome, Trail]> {
  const trail = new Trail()
  const told = await runScenario(scenario, resolved, outcome.seed, {
    plan: outcome.plan,
    isDetailed: true,
    trace,
    onEvent: (hash) => trail.add(hash),
  })
  return [told, trail]
}

/** Whether it was real time that ended a run. */
function isOverTime({ error }: Outcome): boolean {
  const root = rootOf(error)
  return P2PError.is(root, 'limit-exceeded') && (root.limit === 'runLimitMs' || root.limit === 'hangLimitMs')
}

/** Whether the scenario asks for what cannot be: that says itself what it is about, however much else there is. */
function isMisuse({ error, failure }: Outcome): boolean {
  return failure?.host === undefined && P2PError.is(rootOf(error), 'invalid-configuration')
}

/** What code of a host uses that is real, by functions that it took hold of before the simulation; undefined for none. */
async function findLeak(scenario: Scenario, resolved: ResolvedOptions, first: Outcome): Promise<string | undefined> {
  const traced = await runScenario(scenario, resolved, first.seed, { plan: first.plan, traceLeaks: true })
  const root = rootOf(traced.error)
  if (!P2PError.is(root, 'unsupported') || traced.failure?.key === first.failure?.key) return undefined
  return root.message
}

/** Whether files can be written there: a folder that cannot be made costs the files, not the report. */
function makeFolder(folder: string): boolean {
  try {
    mkdirSync(folder, { recursive: true })
    return true
  } catch {
    return false
  }
}

function fileName(name: string, seed: bigint): string {
  const short = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '')
    .slice(0, 60)
  return `${short || 'test'}-${seed}`
}

/** Where the replay file of a seed goes. */
export function replayPathOf(folder: string, name: string, seed: bigint): string {
  return join(folder, `${fileName(name, seed)}.json`)
}

/** Looks into a failure. */
export async function examine(
  scenario: Scenario,
  resolved: ResolvedOptions,
  first: Outcome,
  options: ExamineOptions,
): Promise<Examined> {
  const { seed } = first
  const startMs = realNowMs()
  const run = (plan: Outcome['plan']): Promise<Outcome> => {
    // No candidate may take the time of all others.
    const deadlineMs = Math.max(startMs + resolved.shrinkMs, realNowMs() + 1000) + 1000
    return runScenario(scenario, resolved, seed, { plan, deadlineMs })
  }
  const again = await run(first.plan)
  // Where the clock on the wall ends a run, no two have the same history, and none of them is quick.
  const isLate = isOverTime(first)
  const isRepeatable = (isLate || again.hash === first.hash) && again.failure?.key === first.failure?.key
  const leak = isLate ? undefined : await findLeak(scenario, resolved, first)
  const shrunk =
    isRepeatable && !isLate && !isMisuse(first) && resolved.shrinkMs > 0
      ? await shrink(first, { run, budgetMs: resolved.shrinkMs })
      : undefined
  const base = join(options.folder, fileName(scenario.name, seed))
  const isWritable = makeFolder(options.folder)
  const tracePath = isWritable ? `${base}.p2ptrace` : undefined
  const [told, trail] = await tell(scenario, resolved, shrunk?.outcome ?? first, tracePath)
  let replayPath: string | undefined
  if (told.failure && isWritable) {
    const replay: ReplayFile = {
      format: 'moosicbox-p2p-replay',
      version: 1,
      node: process.version,
      test: scenario.name,
      seed: String(seed),
      plan: told.plan,
      failure: { key: told.failure.key, message: told.failure.message, virtualMs: told.failure.virtualMs },
      hash: told.hash,
      events: told.events,
      trail: trail.data(),
    }
    replayPath = `${base}.json`
    writeReplay(replayPath, replay)
  }
  const commands = options.commands(seed, replayPath)
  const shown = told.failure ? told : { ...told, failure: first.failure }
  const text = tellFailure({
    name: scenario.name,
    first,
    shrunk,
    told: shown,
    isRepeatable: isRepeatable && told.failure !== undefined,
    leak,
    commands,
    files: {
      ...(replayPath !== undefined && { replay: replayPath }),
      ...(tracePath !== undefined && { trace: tracePath }),
    },
  })
  return { text, seed, outcome: shown, shrunk, replayPath, isRepeatable }
}
