/**
 * One run of a scenario: with a seed alone, or with a plan that says what is to happen.
 *
 * @module
 */
import { realNowMs } from '../runtime/settle.ts'
import { EventKind } from '../simulator/index.ts'
import type { AuditObserver } from '../simulator/index.ts'
import { digestText } from '../simulator/audit.ts'
import { failureOf } from './failure.ts'
import type { Failure } from './failure.ts'
import type { Plan } from './plan.ts'
import type { ResolvedOptions, Scenario } from './scenario.ts'
import { SimTest } from './sim-test.ts'
import type { Choice, StoryLine } from './sim-test.ts'

/** What a run came to. */
export interface Outcome {
  readonly seed: bigint
  readonly failure: Failure | undefined
  /** The error as it was thrown. */
  readonly error: unknown
  /** What is needed to do it again. */
  readonly plan: Plan
  readonly choices: readonly Choice[]
  /** Hosts with programs, in the order they were added. */
  readonly hosts: readonly string[]
  /** Points of `buggify` that said yes. */
  readonly buggified: readonly string[]
  readonly hash: string
  readonly events: number
  readonly virtualMs: number
  readonly reached: ReadonlyMap<string, boolean>
  readonly story: readonly StoryLine[]
}

/** Options of {@link runScenario}. */
export interface RunScenarioOptions {
  readonly plan?: Plan | undefined
  /** Told the history's hash after each event, as a number. */
  readonly onEvent?: ((hash: number) => void) | undefined
  /** Whether the story also tells of programs and connections. @default false */
  readonly isDetailed?: boolean | undefined
  /** A file for the trace. */
  readonly trace?: string | undefined
  /** The real time at which it must be over. */
  readonly deadlineMs?: number | undefined
}

/** Code that runs for so long without a break hangs. */
const MAX_HANG_MS = 20_000
const MIN_HANG_MS = 1000

/** Runs a scenario once. Never rejects: what goes wrong is in the outcome. */
export async function runScenario(
  scenario: Scenario,
  resolved: ResolvedOptions,
  seed: bigint,
  options: RunScenarioOptions = {},
): Promise<Outcome> {
  const { plan, onEvent, isDetailed = false, deadlineMs } = options
  let sim: SimTest | undefined
  const observer: AuditObserver | undefined =
    onEvent || isDetailed
      ? (_timeUs, kind, host, a, b): void => {
          if (!sim) return
          if (kind === EventKind.event) onEvent?.(Number.parseInt(sim.hash.slice(-8), 16))
          else if (isDetailed) tell(sim, kind, host, a, b)
        }
      : undefined
  let failed: { readonly error: unknown } | undefined
  try {
    sim = new SimTest({
      seed,
      config: resolved.config,
      faults: resolved.faults,
      faultsForMs: resolved.faultsForMs,
      buggify: resolved.buggify,
      schedule: resolved.schedule,
      plan,
      observer,
      trace: options.trace,
      hangLimitMs: Math.max(MIN_HANG_MS, Math.min(MAX_HANG_MS, resolved.timeoutMs)),
      ...(deadlineMs !== undefined && { runLimitMs: Math.max(1, deadlineMs - realNowMs()) }),
    })
    await scenario.body(sim)
    await sim.finish()
  } catch (error) {
    failed = { error }
  }
  const failure = failed && failureOf(failed.error, sim?.now ?? 0)
  const outcome: Outcome = {
    seed,
    failure,
    error: failed?.error,
    plan: sim?.plan ?? plan ?? { faults: [], picks: [], without: [], calm: [] },
    choices: sim?.choices ?? [],
    hosts: sim?.hosts.filter(({ program }) => program !== 'none').map(({ name }) => name) ?? [],
    buggified: sim ? [...sim.buggified.keys()] : [],
    hash: sim?.hash ?? '',
    events: sim?.eventsRun ?? 0,
    virtualMs: sim?.now ?? 0,
    reached: sim?.reached ?? new Map(),
    story: sim?.story ?? [],
  }
  await sim?.close().catch(() => {})
  return outcome
}

/** Puts what a reader wants to know of the history into words. */
function tell(sim: SimTest, kind: number, index: number, a: number | undefined, b: number | undefined): void {
  const host = sim.hosts[index]?.name
  if (host === undefined || host.startsWith('relay:')) return
  const peer = (): string => sim.hosts.find(({ id }) => digestText(id.toString()) === a)?.name ?? 'somebody'
  switch (kind) {
    case EventKind.programStarted:
      sim.log(`${host} starts${(a ?? 1) > 1 ? ` (for the ${a}. time)` : ''}`)
      break
    case EventKind.programEnded:
      sim.log(`${host}'s program ${a === 1 ? 'fails' : 'ends'}`)
      break
    case EventKind.hostCrashed:
      sim.log(`${host} loses its power`)
      break
    case EventKind.connectionOpened:
      sim.log(`${host} is connected with ${peer()}`)
      break
    case EventKind.connectionClosed:
      sim.log(`${host} has lost ${peer()}${b === undefined || b === 0 ? '' : ` (code ${b})`}`)
      break
    default:
  }
}
