/**
 * `simTest`: a test that runs a scenario over many seeds.
 *
 * @module
 */
import { join } from 'node:path'
import { invalidConfiguration } from '../core/config.ts'
import { P2PError } from '../core/errors.ts'
import { realNowMs } from '../runtime/settle.ts'
import { finishBanner, startBanner } from './banner.ts'
import { corpusSeeds } from './corpus.ts'
import { callerFile, findTest, rerunCommand, runnerKind } from './environment.ts'
import type { TestFunction } from './environment.ts'
import { examine } from './examine.ts'
import type { Examined } from './examine.ts'
import { TrailedRun } from './isolation.ts'
import { readReplay } from './replay-file.ts'
import { replay, replayError } from './replay.ts'
import { resolveOptions, scenario } from './scenario.ts'
import type { ResolvedOptions, Scenario, ScenarioBody, ScenarioOptions } from './scenario.ts'
import { neverReached, sweepHere } from './sweep.ts'
import type { SweepResult } from './sweep.ts'

/** Options of {@link simTest}. */
export interface SimTestOptions extends ScenarioOptions {
  /** The runner's `test`. @default that of vitest or node:test; without either the scenario runs at once */
  readonly test?: TestFunction | undefined
}

/** What {@link checkScenario} found. */
export interface CheckResult extends SweepResult {
  /** The failures, looked into: at most the first of each kind. */
  readonly examined: readonly Examined[]
  /** Conditions of `sometimes` that no seed reached. */
  readonly missing: readonly string[]
  /** Where the history of the first seed parted from its first when it was run a second time; undefined when nowhere. */
  readonly difference: string | undefined
  /** Which seed was run first. */
  readonly firstSeed: bigint
}

/** More kinds of failures than anyone looks at in one go. */
const MAX_EXAMINED = 5
/** Runs of a look into a failure, besides those that make it smaller. */
const RUNS_A_LOOK = 3
/** Time for what is done besides running seeds. */
const SLACK_MS = 30_000

/** Where replay files go: `SIMULATOR_ARTIFACTS`, else `.simtest` in the current folder. */
export function artifactsFolder(): string {
  return process.env['SIMULATOR_ARTIFACTS'] ?? join(process.cwd(), '.simtest')
}

function commandsFor(name: string, file: string | undefined): (seed: bigint, path?: string) => Record<string, string> {
  const kind = runnerKind(process.env)
  return (seed, path) => ({
    ...(path !== undefined && { 'the smallest run': rerunCommand(kind, file, name, { SIMULATOR_REPLAY: path }) }),
    'the whole seed': rerunCommand(kind, file, name, { SIMULATOR_SEED: String(seed) }),
  })
}

/**
 * Runs a scenario over its seeds, in this thread, and looks into what fails. For test runners there is {@link simTest}.
 *
 * @throws P2PError `invalid-configuration` for options that make no sense
 */
export async function checkScenario(
  what: Scenario,
  options: { readonly file?: string | undefined; readonly resolved?: ResolvedOptions | undefined } = {},
): Promise<CheckResult> {
  const resolved = options.resolved ?? resolveOptions(what.options, process.env)
  const file = options.file ?? callerFile(new Error('from here').stack, import.meta.url)
  const old = resolved.isWhole ? corpusSeeds(resolved.corpus, what.name) : []
  const seeds = [...new Set([...old, ...resolved.seeds])]
  const trailed = resolved.checkIsolation && resolved.isWhole ? new TrailedRun() : undefined
  const result = await sweepHere(what, resolved, {
    seeds,
    of: seeds.length,
    forMs: resolved.timeoutMs,
    first: trailed && { onEvent: trailed.onEvent },
    onFirst: (outcome) => trailed && (trailed.outcome = outcome),
  })
  const commands = commandsFor(what.name, file)
  const examined: Examined[] = []
  const keys = new Set<string>()
  for (const outcome of result.failures) {
    const key = outcome.failure?.key ?? ''
    if (keys.has(key) || keys.size >= MAX_EXAMINED) continue
    keys.add(key)
    examined.push(await examine(what, resolved, outcome, { folder: artifactsFolder(), commands }))
  }
  const isComplete = resolved.isWhole && result.failures.length === 0 && result.runs === seeds.length
  if (result.failures.length === 0 && result.runs < seeds.length) {
    const afterMs = resolved.timeoutMs
    throw P2PError.of(
      'timeout',
      `${JSON.stringify(what.name)} ran ${result.runs} of ${seeds.length} seeds in ${afterMs} ms, none of which failed: ` +
        'give it more time (timeoutMs) or fewer seeds',
      { afterMs },
    )
  }
  const difference = result.failures.length === 0 ? await trailed?.differs(what, resolved) : undefined
  return {
    ...result,
    examined,
    missing: isComplete ? neverReached(result.reached) : [],
    difference,
    firstSeed: seeds[0] ?? 0n,
  }
}

const SHARED =
  'Something that outlives a run is used in it: a variable of a module, such as a cache or a counter, which all hosts of ' +
  'all runs share; or something that does not come from the simulation. Make it in the program of each host, or give ' +
  "programs as modules' URLs, which are loaded afresh; leave it out of this check with checkIsolation: false"

function failWith(name: string, { examined, missing, runs, failures, difference, firstSeed }: CheckResult): void {
  const [worst] = examined
  if (worst) {
    const more = failures.length > 1 ? `\n\n${failures.length} of ${runs} seeds failed` : ''
    const text = examined.map((one) => one.text).join('\n\n')
    const { failure } = worst.outcome
    throw P2PError.of(
      'program-failed',
      `${text}${more}`,
      { host: failure?.host, seed: worst.seed, virtualMs: failure?.virtualMs ?? 0 },
      { cause: worst.outcome.error },
    )
  }
  if (difference !== undefined) {
    const message = `${JSON.stringify(name)}: seed ${firstSeed} does not have the same history a second time: ${difference}. ${SHARED}`
    throw P2PError.of('program-failed', message, { host: undefined, seed: firstSeed, virtualMs: 0 })
  }
  if (missing.length > 0) {
    const what = missing.map((condition) => JSON.stringify(condition)).join(', ')
    const message = `${JSON.stringify(name)}: none of ${runs} seeds reached what sometimes happens: ${what}. Give it more seeds, or a scenario that gets there`
    throw P2PError.of('limit-exceeded', message, { limit: 'seeds', max: runs })
  }
}

async function replayHere(what: Scenario, resolved: ResolvedOptions, path: string): Promise<void> {
  const file = readReplay(path)
  if (file.test !== what.name) return
  const replayed = await replay(what, resolved, file)
  throw replayError(file, replayed)
}

/**
 * A test that runs a scenario over many seeds. What fails is run again, made smaller, told in a few lines, and written to
 * a file that replays it.
 *
 * Under vitest and node:test it is one test of theirs; in a plain script it runs at once, prints what it does, and sets
 * the exit code.
 *
 * @example
 * ```ts
 * import { DefaultP2P } from '@moosicbox/p2p'
 * import { simTest } from '@moosicbox/p2p/simtest'
 *
 * await simTest('a greeting arrives, whatever the NAT', { seeds: 5 }, async (sim) => {
 *   const home = sim.lan({ nat: sim.pick(['none', 'home', 'symmetric'], 'nat') })
 *   let heard = ''
 *   const bob = sim.host('bob', { lan: home }, async () => {
 *     const p2p = await DefaultP2P.create()
 *     const connection = await (await p2p.listen()).accept()
 *     heard = new TextDecoder().decode(await connection.recv())
 *   })
 *   sim.host('alice', async ({ runtime }) => {
 *     await using p2p = await DefaultP2P.create()
 *     await runtime.sleep(1000)
 *     const connection = await p2p.connect(bob.id)
 *     await connection.send(new TextEncoder().encode('hello'))
 *     await connection.end()
 *   })
 *   await sim.until('bob has heard alice', () => heard === 'hello')
 * })
 * ```
 * @throws P2PError `invalid-configuration` for options that make no sense
 */
export function simTest(name: string, options: SimTestOptions, body: ScenarioBody): Promise<void>
export function simTest(name: string, body: ScenarioBody): Promise<void>
export function simTest(scenario: Scenario, options?: { readonly test?: TestFunction | undefined }): Promise<void>
export function simTest(
  first: string | Scenario,
  second?: SimTestOptions | ScenarioBody,
  third?: ScenarioBody,
): Promise<void> {
  const given = typeof second === 'function' ? {} : (second ?? {})
  const { test = findTest(), ...options } = given
  const body = typeof second === 'function' ? second : third
  const what = typeof first === 'string' ? scenario(first, options, body as ScenarioBody) : first
  const file = callerFile(new Error('from here').stack, import.meta.url)
  const resolved = resolveOptions(what.options, process.env)
  const replayPath = process.env['SIMULATOR_REPLAY']
  let result: CheckResult | undefined
  const run = async (): Promise<void> => {
    if (replayPath !== undefined && replayPath !== '') return replayHere(what, resolved, replayPath)
    result = await checkScenario(what, { file, resolved })
    failWith(what.name, result)
  }
  if (!test) return runAsScript(what, resolved, file, run, () => result)
  if (typeof test !== 'function') throw invalidConfiguration('test', typeof test, "must be a runner's test function")
  const { timeoutMs, runLimitMs, shrinkMs, stopAt } = resolved
  // The runner's own limit is for what cannot happen: it could not say what hangs.
  const looks = stopAt === 'first' ? 1 : MAX_EXAMINED
  test(what.name, { timeout: timeoutMs + runLimitMs + looks * (shrinkMs + RUNS_A_LOOK * runLimitMs) + SLACK_MS }, run)
  return Promise.resolve()
}

async function runAsScript(
  what: Scenario,
  resolved: ResolvedOptions,
  file: string | undefined,
  run: () => Promise<void>,
  getResult: () => CheckResult | undefined,
): Promise<void> {
  const [firstSeed] = resolved.seeds
  const runs = resolved.seeds.length
  const { epochOffsetMs } = resolved.config
  console.error(startBanner({ name: what.name, firstSeed, runs, epochOffsetMs, workers: 0 }))
  const startMs = realNowMs()
  let failed: { readonly error: unknown } | undefined
  try {
    await run()
  } catch (error) {
    failed = { error }
    console.error(error instanceof Error ? error.message : error)
    process.exitCode = 1
  }
  const result = getResult()
  const seed = failed && P2PError.is(failed.error, 'program-failed') ? failed.error.seed : undefined
  const variables = {
    SIMULATOR_SEED: String(seed ?? firstSeed ?? 1n),
    SIMULATOR_RUNS: String(seed === undefined ? runs : 1),
  }
  console.error(
    finishBanner({
      name: what.name,
      runs: result?.runs ?? 0,
      failed: result?.failures.map((outcome) => outcome.seed) ?? [],
      events: result?.events ?? 0,
      virtualMs: result?.virtualMs ?? 0,
      elapsedMs: realNowMs() - startMs,
      command: rerunCommand('script', file, what.name, variables),
      isSuccessful: failed === undefined,
    }),
  )
}
