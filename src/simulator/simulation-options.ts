/**
 * What a simulation is asked for, and what it answers.
 *
 * @module
 */
import { invalidConfiguration } from '../core/config.ts'
import type { SimulatorConfig } from '../core/config.ts'
import type { P2PError } from '../core/errors.ts'
import type { RuntimeFileSystem } from '../core/runtime.ts'
import type { LeakPolicy } from './ambient-host.ts'
import type { AuditObserver } from './audit.ts'
import { checkFields, fieldsOf } from './check-fields.ts'
import type { Schedule } from './schedule.ts'
import type { TraceOptions, TraceSink } from './trace/trace.ts'

/** Options of a `Simulation`. */
export interface SimulationOptions {
  /** Decides everything random: 0 to 2^64 - 1. @default `config.seed`, and a random one when that is unset too */
  readonly seed?: bigint | number | undefined
  /** Settings. @default for each, what its `SIMULATOR_*` variable of the environment says */
  readonly config?: Partial<SimulatorConfig> | undefined
  /** The files that hosts can read. @default this machine's */
  readonly files?: RuntimeFileSystem | undefined
  /** Real milliseconds that code may run without a break before it counts as hanging. @default 20000 */
  readonly hangLimitMs?: number | undefined
  /** Real milliseconds that one piece of real work may take. @default 60000 */
  readonly bridgeLimitMs?: number | undefined
  /**
   * Real milliseconds that a run may take; over it, it fails and tells what each host waits for, which a test runner's
   * own time limit cannot. @default Infinity
   */
  readonly runLimitMs?: number | undefined
  /** `immediates` uses only documented functions of Node to run microtasks, at half the speed. @default 'tick' */
  readonly settle?: 'tick' | 'immediates' | undefined
  /**
   * Whether the points marked with `buggify` in code do what is unlikely: all of them that the seed chooses, or those
   * that are not in `without`. @default false
   */
  readonly buggify?: boolean | { readonly without: readonly string[] } | undefined
  /** Which of the events that fall on the same instant comes first. @default 'seeded' */
  readonly schedule?: Schedule | undefined
  /**
   * Whether `Date`, timers, `Math.random`, `crypto` and their like belong to the host whose code uses them, so that
   * third-party code runs unmodified and deterministically. Needs `@moosicbox/p2p/ambient` to be loaded before the
   * application. @default whether it was
   */
  readonly ambient?: boolean | undefined
  /**
   * What happens when code of a host uses something real, which the seed does not decide: a timer, a socket, a file, a
   * process, a thread. `error` fails the run and names the host, the thing and the line; `warn` prints that once a line.
   * @default 'error'
   */
  readonly leaks?: LeakPolicy | undefined
  /**
   * Whether to find leaks by functions too that code took hold of before the simulation, with `node:async_hooks`. Costs
   * about half of the speed. @default false
   */
  readonly traceLeaks?: boolean | undefined
  /**
   * Where goes what hosts print with `console`, if their globals are virtual (`ambient`): to where this process prints,
   * into the trace as lines of the host, or both. @default 'print'
   */
  readonly console?: 'print' | 'trace' | 'both' | undefined
  /** @internal Told when code of the scenario was broken off because it hung. */
  readonly onScenarioHang?: ((error: P2PError) => void) | undefined
  /** Sees every record of the history. */
  readonly observer?: AuditObserver | undefined
  /**
   * Records the run for people and viewers: into a file, something that takes the bytes, or as the options say. It is
   * whole once the simulation was closed. @default none
   */
  readonly trace?: string | TraceSink | TraceOptions | undefined
}

/** What a run came to. */
export interface SimulationResult {
  /**
   * All programs ended; the time was over; nothing was left that could wake a program, and those left wait for ever; or
   * the condition of `until` was met.
   */
  readonly ended: 'programs' | 'time' | 'idle' | 'until'
  /** Virtual time at the end. */
  readonly virtualMs: number
  /** Events run since the simulation began. */
  readonly events: number
  /** The history's hash: 16 hex digits. The same for the same seed and code. */
  readonly hash: string
  readonly seed: bigint
  /** Hosts whose programs have not ended. */
  readonly waiting: readonly string[]
  /**
   * What each host does, and which call it waits in since when, a line a host; empty when all programs have ended.
   */
  readonly report: string
  /** `Simulation.netstat` in words; '' when all programs have ended. */
  readonly netstat: string
}

/** Something that is to happen. Disposing of it, or `cancel`, keeps it from happening. */
export interface PendingOperation extends Disposable {
  cancel(): void
}

/** Options of `Simulation.run`. */
export interface RunOptions {
  /** How long, in virtual milliseconds. @default up to `config.durationMs`, or without limit */
  readonly forMs?: number | undefined
  /** Ends the run, asked whenever code of the application has run. With it the end of all programs does not. */
  readonly until?: (() => boolean) | undefined
}

const FIELDS = fieldsOf<SimulationOptions>({
  seed: true,
  config: true,
  files: true,
  hangLimitMs: true,
  bridgeLimitMs: true,
  runLimitMs: true,
  settle: true,
  buggify: true,
  schedule: true,
  ambient: true,
  leaks: true,
  traceLeaks: true,
  console: true,
  onScenarioHang: true,
  observer: true,
  trace: true,
})
const RUN_FIELDS = fieldsOf<RunOptions>({ forMs: true, until: true })

/**
 * Checks what is looked at nowhere else.
 *
 * @throws P2PError `invalid-configuration`
 */
export function checkSimulationOptions(options: SimulationOptions): void {
  checkFields('a simulation', options, FIELDS)
  const { hangLimitMs, bridgeLimitMs, runLimitMs, settle, observer } = options
  for (const [name, value] of Object.entries({ hangLimitMs, bridgeLimitMs, runLimitMs })) {
    if (value === undefined || (typeof value === 'number' && value > 0)) continue
    throw invalidConfiguration(name, value, 'must be milliseconds above 0')
  }
  if (settle !== undefined && settle !== 'tick' && settle !== 'immediates') {
    throw invalidConfiguration('settle', settle, 'must be tick or immediates')
  }
  if (observer !== undefined && typeof observer !== 'function') {
    throw invalidConfiguration('observer', observer, 'must be a function')
  }
}

/** @throws P2PError `invalid-configuration` */
export function checkRunOptions(options: RunOptions): void {
  checkFields('run()', options, RUN_FIELDS)
  const { forMs, until } = options
  if (forMs !== undefined && (typeof forMs !== 'number' || !(forMs >= 0))) {
    throw invalidConfiguration('forMs', forMs, 'must be milliseconds, 0 or more')
  }
  if (until !== undefined && typeof until !== 'function') {
    throw invalidConfiguration('until', until, 'must be a function')
  }
}

/** A virtual time: milliseconds since the start, or a duration such as `30s`. */
export type VirtualTime = number | string

/** @throws P2PError `invalid-configuration` when it is no seed */
export function checkSeed(seed: bigint | number): bigint {
  const value = typeof seed === 'bigint' || Number.isSafeInteger(seed) ? BigInt(seed) : -1n
  if (value < 0n || value >= 1n << 64n) {
    throw invalidConfiguration('seed', seed, 'must be a whole number from 0 to 2^64 - 1')
  }
  return value
}
