/**
 * `simTest`: a test that runs a scenario over many seeds.
 *
 * @module
 */
import { invalidConfiguration } from '../core/config.ts'
import { P2PError } from '../core/errors.ts'
import { realNowMs } from '../runtime/settle.ts'
import { finishBanner, startBanner } from './banner.ts'
import { checkWithWorkers, seedsOf, throwFailures } from './check.ts'
import type { CheckResult } from './check.ts'
import { missingCorpus } from './corpus.ts'
import { callerFile, findTest, rerunCommand, runnerKind, unknownVariables } from './environment.ts'
import type { TestFunction } from './environment.ts'
import { MAX_LOOKS } from './look-into.ts'
import { MAX_PATIENCE } from './patience.ts'
import { Progress } from './progress.ts'
import { offer } from './registering.ts'
import { readReplay } from './replay-file.ts'
import { replay, replayError } from './replay.ts'
import { resolveOptions, scenario } from './scenario.ts'
import type { ResolvedOptions, Scenario, ScenarioBody, ScenarioOptions } from './scenario.ts'
import { countTest, entryFile, workersFor } from './workers.ts'
import type { TestPlace } from './workers.ts'

/** Runs of a look into a failure, besides those that make it smaller. */
const RUNS_A_LOOK = 3
/** Time for what is done besides running seeds. */
const SLACK_MS = 30_000

/** Options of {@link simTest}. */
export interface SimTestOptions extends ScenarioOptions {
  /** The runner's `test`. @default that of vitest or node:test; without either the scenario runs at once */
  readonly test?: TestFunction | undefined
}

/**
 * A test that runs a scenario over many seeds. What fails is run again, made smaller, told in a few lines, and written to
 * a file that replays it.
 *
 * Under vitest and node:test it is one test of theirs; in a plain script it runs at once, and sets the exit code. Either
 * way it prints a banner before and after. Where that is worth it, seeds run on worker threads, each of which loads the
 * file of the test once more.
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
  const offered = offer(what)
  if (offered) return offered
  if (test !== undefined && typeof test !== 'function') {
    throw invalidConfiguration('test', typeof test, "must be a runner's test function")
  }
  const file = entryFile(callerFile(new Error('from here').stack, import.meta.url))
  const place: TestPlace = { name: what.name, file, nth: countTest(file, what.name), test }
  const resolved = resolveOptions(what.options, process.env)
  if (!test) return runAsScript(what, resolved, place)
  const { timeoutMs, shrinkMs, stopAt } = resolved
  const runLimitMs = resolved.runLimitMs * (resolved.isPatient ? MAX_PATIENCE : 1)
  // The runner's own limit is for what cannot happen: it could not say what hangs.
  const looks = stopAt === 'first' ? 1 : MAX_LOOKS
  const timeout = timeoutMs + runLimitMs + looks * (shrinkMs + RUNS_A_LOOK * runLimitMs) + SLACK_MS
  test(what.name, { timeout }, (context) => run(what, resolved, place, context?.signal))
  return Promise.resolve()
}

async function runAsScript(what: Scenario, resolved: ResolvedOptions, place: TestPlace): Promise<void> {
  try {
    await run(what, resolved, place, undefined)
  } catch {
    // It has been told.
    process.exitCode = 1
  }
}

/** The test itself. */
async function run(
  what: Scenario,
  resolved: ResolvedOptions,
  place: TestPlace,
  signal: AbortSignal | undefined,
): Promise<void> {
  const replayPath = process.env['SIMULATOR_REPLAY']
  const tell = (error: unknown): void => {
    // A test runner tells it itself.
    if (!place.test) console.error(error instanceof Error ? error.message : error)
  }
  if (replayPath !== undefined && replayPath !== '') {
    return replayHere(what, resolved, replayPath).catch((error: unknown) => {
      tell(error)
      throw error
    })
  }
  const { name } = what
  let seeds: bigint[]
  try {
    seeds = seedsOf(what, resolved)
  } catch (error) {
    tell(error)
    throw error
  }
  for (const warning of [unknownVariables(process.env), resolved.isWhole && missingCorpus(resolved.corpus)]) {
    if (warning) console.error(warning)
  }
  const workers = workersFor(place, resolved)
  const { epochOffsetMs } = resolved.config
  const start = { name, firstSeed: seeds[0], runs: seeds.length, epochOffsetMs, workers: workers?.count ?? 0 }
  console.error(startBanner({ ...start, isAsked: workers?.isAsked === true }))
  const progress = new Progress()
  const startMs = realNowMs()
  let result: CheckResult | undefined
  let isSuccessful = false
  try {
    const options = { file: place.file, resolved, signal, onProgress: progress.show.bind(progress) }
    result = await checkWithWorkers(what, options, workers)
    if (signal?.aborted === true) throw P2PError.aborted(signal, `the sweep of ${JSON.stringify(name)}`)
    throwFailures(name, result)
    isSuccessful = true
  } catch (error) {
    progress.clear()
    tell(error)
    throw error
  } finally {
    progress.clear()
    const worst = result?.failures[0]?.seed
    const isRow = seeds.every((seed, i) => seed === (seeds[0] as bigint) + BigInt(i))
    const runs = worst === undefined ? seeds.length : 1
    const variables =
      worst === undefined && !isRow
        ? {}
        : { SIMULATOR_SEED: String(worst ?? seeds[0] ?? 1n), SIMULATOR_RUNS: String(runs) }
    console.error(
      finishBanner({
        name,
        runs: result?.runs ?? 0,
        failed: result?.failures.map(({ seed }) => seed) ?? [],
        events: result?.events ?? 0,
        virtualMs: result?.virtualMs ?? 0,
        elapsedMs: realNowMs() - startMs,
        workers: result?.workers ?? 0,
        command: rerunCommand(runnerKind(process.env), place.file, name, variables),
        isSuccessful,
      }),
    )
  }
}

async function replayHere(what: Scenario, resolved: ResolvedOptions, path: string): Promise<void> {
  const file = readReplay(path, 'SIMULATOR_REPLAY')
  if (file.test === what.name) throw replayError(file, await replay(what, resolved, file))
  console.error(`${JSON.stringify(what.name)} is not run: ${path} is of ${JSON.stringify(file.test)}`)
}
