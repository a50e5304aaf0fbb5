/**
 * Sweeps the scenarios of a module: on all cores, in shards, for a time.
 *
 * @module
 */
import { availableParallelism } from 'node:os'
import { checkOptions, invalidConfiguration } from '../core/config.ts'
import { randomSeed } from '../runtime/seed.ts'
import { addToCorpus, corpusSeeds, missingCorpus } from './corpus.ts'
import { artifactsFolder } from './check.ts'
import { differsOnceMore } from './isolation.ts'
import { lookInto } from './look-into.ts'
import { loadScenarios, findScenario } from './module.ts'
import type { WorkerTask } from './pool.ts'
import { resolveOptions, scenario } from './scenario.ts'
import type { Scenario, ScenarioOptions } from './scenario.ts'
import type { SweepProgress } from './seed-queue.ts'
import { SharedStateWatch } from './shared-state.ts'
import { sweep } from './sweep.ts'
import type { SweepFile } from './sweep-file.ts'

/** Options of {@link sweepModule}. */
export interface SweepModuleOptions {
  /** The scenario. @default all of the module's */
  readonly scenario?: string | undefined
  /** The first seed. @default `SIMULATOR_SEED`, else random, and told */
  readonly seed?: bigint | undefined
  /** How many. @default `SIMULATOR_RUNS`, else what the scenario says, else as many as there is time for */
  readonly seeds?: number | undefined
  /** Real milliseconds after which no more seeds are begun. @default no limit */
  readonly forMs?: number | undefined
  /** This part of how many, counted from 1. @default all of it */
  readonly shard?: { readonly index: number; readonly of: number } | undefined
  /** @default `SIMULATOR_MAX_PARALLEL`, else the number of cores; 0 runs on this thread */
  readonly maxParallel?: number | undefined
  /** Whether to go on after a failure. @default false */
  readonly all?: boolean | undefined
  /** A file of seeds that once failed: tried first, and added to. */
  readonly corpus?: string | undefined
  /** Real milliseconds for making a failure smaller. */
  readonly shrinkMs?: number | undefined
  readonly onStart?: ((start: SweepStart) => void) | undefined
  readonly onProgress?: ((progress: SweepProgress) => void) | undefined
  /** Something worth knowing, in a line. */
  readonly onNote?: ((text: string) => void) | undefined
  /** The report of a failure. */
  readonly onReport?: ((text: string) => void) | undefined
  /** A scenario's sweep is over. */
  readonly onEnd?: ((sweep: SweepFile) => void) | undefined
  /** Ends it early: no more seeds are begun, and what has been run is the result. */
  readonly signal?: AbortSignal | undefined
  /** The command that replays, given a file or a seed. */
  readonly command: (scenario: string, what: { readonly replay?: string; readonly seed?: bigint }) => string
}

/** What a sweep of a scenario begins with. */
interface SweepStart {
  readonly name: string
  readonly firstSeed: bigint
  readonly runs: number | undefined
  readonly workers: number
  readonly epochOffsetMs: number
}

const SHARD_FIELDS: readonly string[] = ['index', 'of']

/** Every `of`th seed from the `index`th on; without an end when `count` is none. */
function* shardSeeds(first: bigint, count: number | undefined, index: number, of: number): Generator<bigint> {
  const end = count ?? Number.POSITIVE_INFINITY
  for (let i = index - 1; i < end; i += of) yield (first + BigInt(i)) & ((1n << 64n) - 1n)
}

function* chain(...lists: readonly Iterable<bigint>[]): Generator<bigint> {
  for (const list of lists) yield* list
}

async function sweepOne(what: Scenario, url: string, options: SweepModuleOptions): Promise<SweepFile> {
  const { shard = { index: 1, of: 1 }, forMs } = options
  const overrides: ScenarioOptions = {
    stopAt: options.all === true ? 'all' : 'first',
    ...(options.shrinkMs !== undefined && { shrinkMs: options.shrinkMs }),
  }
  const own = scenario(what.name, { ...what.options, ...overrides }, what.body)
  const resolved = resolveOptions(own.options, process.env)
  const asked = options.seeds ?? (process.env['SIMULATOR_RUNS'] ? resolved.config.runs : undefined)
  const total = asked ?? (forMs === undefined ? resolved.seeds.length : undefined)
  const firstSeed = options.seed ?? (process.env['SIMULATOR_SEED'] ? resolved.seeds[0] : undefined) ?? randomSeed()
  const missing = missingCorpus(options.corpus ?? resolved.corpus)
  if (missing !== undefined) options.onNote?.(missing)
  const old = corpusSeeds(options.corpus ?? resolved.corpus, what.name)
  const seeds = chain(shard.index === 1 ? old : [], shardSeeds(firstSeed, total, shard.index, shard.of))
  const of =
    total === undefined
      ? undefined
      : Math.ceil((total - shard.index + 1) / shard.of) + (shard.index === 1 ? old.length : 0)
  const workers = options.maxParallel ?? resolved.config.maxParallel ?? availableParallelism()
  const { epochOffsetMs } = resolved.config
  options.onStart?.({ name: what.name, firstSeed, runs: of, workers, epochOffsetMs })
  const watch = resolved.checkSharedState ? new SharedStateWatch() : undefined
  const task: WorkerTask = { kind: 'module', module: url, name: what.name, options: overrides }
  const result = await sweep(own, resolved, {
    first: watch && { sharedState: watch },
    seeds,
    of,
    forMs,
    signal: options.signal,
    onProgress: options.onProgress,
    workers: {
      task,
      count: Math.min(workers, of ?? workers),
      isAsked: true,
    },
  })
  const { command } = options
  const isChecked = resolved.checkIsolation && result.failures.length === 0 && options.signal?.aborted !== true
  const difference = isChecked && result.toRepeat && (await differsOnceMore(own, resolved, result.toRepeat))
  if (difference) options.onReport?.(`${JSON.stringify(what.name)}: ${difference.message}`)
  const shared = watch?.end()
  if (shared !== undefined) options.onReport?.(`${JSON.stringify(what.name)}: ${shared}`)
  const commands = (seed: bigint, replay: string | undefined): Record<string, string> => ({
    ...(replay !== undefined && { 'the smallest run': command(what.name, { replay }) }),
    'the whole seed': command(what.name, { seed }),
  })
  const looks = lookInto(own, resolved, result.failures, { folder: artifactsFolder(), commands }, task)
  for await (const { text } of looks) options.onReport?.(text)
  const corpus = options.corpus
  if (corpus !== undefined)
    addToCorpus(
      corpus,
      what.name,
      result.failures.map(({ seed }) => seed),
    )
  return {
    format: 'moosicbox-p2p-sweep',
    version: 1,
    name: what.name,
    firstSeed: String(firstSeed),
    shards: [shard.index],
    of: shard.of,
    runs: result.runs,
    failed: [
      ...result.failures.map(({ seed, failure: { key, message } }) => ({ seed: String(seed), key, message })),
      ...(shared === undefined ? [] : [{ seed: String(firstSeed), key: 'shared-state', message: shared }]),
      ...(difference ? [{ seed: result.toRepeat?.seed ?? '', key: difference.key, message: difference.message }] : []),
    ],
    reached: Object.fromEntries(result.reached),
    events: result.events,
    virtualMs: result.virtualMs,
    elapsedMs: result.elapsedMs,
  }
}

/**
 * Sweeps the scenarios of a module, one after the other.
 *
 * @param url of the module
 * @throws P2PError `invalid-configuration` when it cannot be loaded, has no such scenario, or options make no sense
 */
export async function sweepModule(url: string, options: SweepModuleOptions): Promise<SweepFile[]> {
  const { shard } = options
  if (shard) {
    checkOptions('a shard', shard, SHARD_FIELDS)
    const isShard = Number.isSafeInteger(shard.of) && Number.isSafeInteger(shard.index)
    if (!isShard || shard.index < 1 || shard.index > shard.of) {
      throw invalidConfiguration('shard', `${shard.index}/${shard.of}`, 'must be i/n, with i from 1 to n')
    }
    if (options.seed === undefined && !process.env['SIMULATOR_SEED']) {
      throw invalidConfiguration(
        'shard',
        `${shard.index}/${shard.of}`,
        'all shards need the same first seed: give --seed',
      )
    }
  }
  const all = await loadScenarios(url)
  const chosen = options.scenario === undefined ? all : [findScenario(all, options.scenario, url)]
  const sweeps: SweepFile[] = []
  for (const one of chosen) {
    if (options.signal?.aborted === true) break
    const sweep = await sweepOne(one, url, options)
    sweeps.push(sweep)
    options.onEnd?.(sweep)
  }
  return sweeps
}
