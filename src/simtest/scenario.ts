/**
 * A scenario: a name, options, and a body that builds a world and says what must hold in it.
 *
 * @module
 */
import { checkOptions, invalidConfiguration, parseSimulatorConfig } from '../core/config.ts'
import type { SimulatorConfig } from '../core/config.ts'
import { checkFault } from '../simulator/faults/fault.ts'
import { faultProfile } from '../simulator/index.ts'
import type { Fault, FaultProfile, FaultProfileName } from '../simulator/index.ts'
import type { PctOptions } from '../simulator/schedule.ts'
import type { SimTest } from './sim-test.ts'

/** Builds a world, runs it, and throws when something is wrong. */
export type ScenarioBody = (sim: SimTest) => Promise<void> | void

/** Options of a scenario, and so of `simTest`. */
export interface ScenarioOptions {
  /** How many seeds, from `seed` on; or which. `SIMULATOR_RUNS` and `SIMULATOR_SEED` come before. @default 20 */
  readonly seeds?: number | readonly (number | bigint)[] | undefined
  /** The first seed. The same each time, so that a test that passes today passes tomorrow. @default 1 */
  readonly seed?: number | bigint | undefined
  /** What goes wrong: drawn from each seed by a profile, or a list that is the same for all. @default 'none' */
  readonly faults?: FaultProfileName | FaultProfile | readonly Fault[] | 'none' | undefined
  /** Faults that are drawn begin and end within this time, in virtual milliseconds. @default 60000 */
  readonly faultsForMs?: number | undefined
  /** Whether points of `buggify` do what is unlikely. @default true where there are faults */
  readonly buggify?: boolean | undefined
  /** Which of the events of one instant comes first. @default 'seeded' */
  readonly schedule?: 'seeded' | 'fifo' | 'pct' | PctOptions | undefined
  /** The virtual time that a run may take at most, in milliseconds; `SIMULATOR_DURATION` comes before. @default 600000 */
  readonly durationMs?: number | undefined
  /**
   * The real time that the seeds may take together, in milliseconds: over it no more are begun, and the test fails.
   * What is done about a failure is not included. @default 300000
   */
  readonly timeoutMs?: number | undefined
  /**
   * The real time that the run of one seed may take, in milliseconds: over it, it fails and tells what each host waits
   * for. @default `timeoutMs`, but 10000 to 120000; up to ten times that where others keep the machine busy
   */
  readonly runLimitMs?: number | undefined
  /** The real time for making a failure smaller, in milliseconds; 0 leaves it as it is. @default 30000 */
  readonly shrinkMs?: number | undefined
  /** Whether to go on after a failure. @default 'first' */
  readonly stopAt?: 'first' | 'all' | undefined
  /**
   * Whether the first seed is run once more when all have passed, to see that it has the same history: something that
   * outlives a run, such as a variable of a module, would make failures that no replay shows. @default true where there
   * are several seeds
   */
  readonly checkIsolation?: boolean | undefined
  /**
   * Whether it is looked at in the first seed which hosts change variables of modules that others of them change too,
   * which each would have for itself outside of a simulation. That seed takes several times as long. @default false
   */
  readonly checkSharedState?: boolean | undefined
  /** A file of seeds that once failed, which are tried first; see `docs/testing.md`. */
  readonly corpus?: string | URL | undefined
  /** Settings of the simulator, in place of what `SIMULATOR_*` say. */
  readonly config?: Partial<SimulatorConfig> | undefined
}

/** A scenario; as the default export of a module it can be swept by `p2p-sim`. */
export interface Scenario {
  readonly name: string
  readonly options: ScenarioOptions
  readonly body: ScenarioBody
}

/** {@link ScenarioOptions}, checked and filled in. */
export interface ResolvedOptions {
  readonly seeds: readonly bigint[]
  readonly faults: FaultProfileName | FaultProfile | readonly Fault[] | 'none'
  readonly faultsForMs: number
  readonly buggify: boolean
  readonly schedule: 'seeded' | 'fifo' | 'pct' | PctOptions
  readonly timeoutMs: number
  readonly runLimitMs: number
  /** Whether that is the default, and so may be longer where the machine is busy. */
  readonly isPatient: boolean
  readonly shrinkMs: number
  readonly stopAt: 'first' | 'all'
  readonly checkIsolation: boolean
  readonly checkSharedState: boolean
  readonly corpus: string | URL | undefined
  readonly config: SimulatorConfig
  /** Whether all seeds that the test asks for are run, so that what none of them reached is a failure. */
  readonly isWhole: boolean
}

const OPTIONS: readonly string[] = [
  'seeds',
  'seed',
  'faults',
  'faultsForMs',
  'buggify',
  'schedule',
  'durationMs',
  'timeoutMs',
  'runLimitMs',
  'shrinkMs',
  'stopAt',
  'checkIsolation',
  'checkSharedState',
  'corpus',
  'config',
]
/** One seed of a test that has little time is not broken off at once; and none hangs for longer than this. */
const MIN_RUN_MS = 10_000
const MAX_RUN_MS = 120_000
const MAX_SEEDS = 100_000_000
const MAX_SEED = (1n << 64n) - 1n

/**
 * A scenario for a module of its own, which a sweep runs on all cores.
 *
 * @example
 * ```ts
 * import { scenario } from '@moosicbox/p2p/simtest'
 *
 * const sleepers = scenario('two sleepers wake', { seeds: 10 }, async (sim) => {
 *   for (const name of ['a', 'b']) sim.host(name, ({ runtime }) => runtime.sleep(runtime.random() * 1000))
 *   await sim.run()
 * })
 * console.log(sleepers.name) // two sleepers wake
 * ```
 * @throws P2PError `invalid-configuration`
 */
export function scenario(name: string, options: ScenarioOptions, body: ScenarioBody): Scenario {
  if (typeof name !== 'string' || name === '') throw invalidConfiguration('name', name, 'a scenario has a name')
  if (typeof body !== 'function') throw invalidConfiguration('body', typeof body, 'a scenario is a function')
  checkOptions('a scenario', options, OPTIONS)
  return Object.freeze({ name, options, body })
}

function checkSeed(seed: number | bigint): bigint {
  const value = typeof seed === 'bigint' || Number.isSafeInteger(seed) ? BigInt(seed) : -1n
  if (value >= 0n && value <= MAX_SEED) return value
  throw invalidConfiguration('seed', seed, 'must be a whole number from 0 to 2^64 - 1')
}

function milliseconds(name: string, value: number, min: number): number {
  if (typeof value === 'number' && value >= min) return value
  throw invalidConfiguration(name, value, `must be milliseconds of at least ${min}`)
}

/** `count` seeds from `first` on; after the last comes 0. */
function seedsFrom(first: bigint, count: number): bigint[] {
  return Array.from({ length: count }, (_, i) => (first + BigInt(i)) & MAX_SEED)
}

/**
 * Checks the options and fills in the defaults and what the environment says.
 *
 * @throws P2PError `invalid-configuration`
 */
export function resolveOptions(
  options: ScenarioOptions,
  environment: Readonly<Record<string, string | undefined>>,
): ResolvedOptions {
  const fromEnvironment = parseSimulatorConfig(environment)
  const merged: SimulatorConfig = { ...fromEnvironment, ...options.config }
  const { faults = 'none', seeds = 20 } = options
  if (Array.isArray(faults)) for (const [i, fault] of faults.entries()) checkFault(fault, `faults[${i}]`)
  else if (faults !== 'none') faultProfile(faults as FaultProfile)
  if (typeof seeds === 'number' && !(Number.isSafeInteger(seeds) && seeds >= 1 && seeds <= MAX_SEEDS)) {
    throw invalidConfiguration('seeds', seeds, `must be a whole number from 1 to ${MAX_SEEDS}, or a list of seeds`)
  }
  if (typeof seeds !== 'number' && !Array.isArray(seeds)) {
    throw invalidConfiguration('seeds', seeds, 'must be how many, or a list of seeds')
  }
  const asked = environment['SIMULATOR_RUNS']
  const hasRuns = asked !== undefined && asked !== ''
  const listed = typeof seeds === 'number' ? undefined : seeds.map((seed) => checkSeed(seed))
  if (listed?.length === 0) throw invalidConfiguration('seeds', '[]', 'must name at least one seed')
  const seed = merged.seed
  const first = checkSeed(seed ?? options.seed ?? 1)
  const count = hasRuns ? merged.runs : seed !== undefined ? 1 : typeof seeds === 'number' ? seeds : 1
  const isListed = listed && seed === undefined && !hasRuns
  const durationMs = milliseconds('durationMs', merged.durationMs ?? options.durationMs ?? 600_000, 1)
  const timeoutMs = milliseconds('timeoutMs', options.timeoutMs ?? 300_000, 1)
  const runSeeds = isListed ? listed : seedsFrom(first, count)
  return {
    seeds: runSeeds,
    faults,
    faultsForMs: milliseconds('faultsForMs', options.faultsForMs ?? 60_000, 1),
    buggify: options.buggify ?? faults !== 'none',
    schedule: options.schedule ?? 'seeded',
    timeoutMs,
    runLimitMs: milliseconds(
      'runLimitMs',
      options.runLimitMs ?? Math.min(Math.max(timeoutMs, MIN_RUN_MS), MAX_RUN_MS),
      1,
    ),
    isPatient: options.runLimitMs === undefined,
    shrinkMs: milliseconds('shrinkMs', options.shrinkMs ?? 30_000, 0),
    stopAt: options.stopAt ?? 'first',
    checkIsolation: options.checkIsolation ?? runSeeds.length > 1,
    checkSharedState: options.checkSharedState ?? false,
    corpus: options.corpus,
    config: { ...merged, seed: undefined, durationMs },
    isWhole: seed === undefined && !hasRuns,
  }
}
