/**
 * One run of a scenario: with a seed alone, or with a plan that says what is to happen.
 *
 * @module
 */
import { P2PError } from '../core/errors.ts'
import { Alarm } from '../runtime/alarm.ts'
import { macrotask, realNowMs } from '../runtime/settle.ts'
import { EventKind } from '../simulator/index.ts'
import type { AuditObserver, HostProgram } from '../simulator/index.ts'
import { digestText } from '../simulator/audit.ts'
import { failureOf } from './failure.ts'
import type { Failure } from './failure.ts'
import { patience } from './patience.ts'
import type { Plan } from './plan.ts'
import type { ResolvedOptions, Scenario } from './scenario.ts'
import { SimTest } from './sim-test.ts'
import type { Choice } from './choices.ts'
import type { StoryLine } from './sim-test.ts'

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

/** What is told of hosts, see `shared-state.ts`. */
export interface SharedStateObserver {
  program(program: HostProgram): void
  started(host: string, start: number): void
  ran(host: string): void
  settled(): void
}

/** Options of {@link runScenario}. */
export interface RunScenarioOptions {
  readonly plan?: Plan | undefined
  /** Told the history's hash before each event, as a number. */
  readonly onEvent?: ((hash: number) => void) | undefined
  /** Told of everything else in the history that happens on a host. */
  readonly onHost?: ((virtualMs: number, host: string) => void) | undefined
  /** Whether the story also tells of programs and connections. @default false */
  readonly isDetailed?: boolean | undefined
  /** A file for the trace. */
  readonly trace?: string | undefined
  /** The real time at which it must be over. @default `runLimitMs` from now */
  readonly deadlineMs?: number | undefined
  /** Follows what hosts do to variables of modules. */
  readonly sharedState?: SharedStateObserver | undefined
  /** Whether to find uses of real timers, sockets and their like by functions that were captured before. @default false */
  readonly traceLeaks?: boolean | undefined
}

/** Code that runs for so long without a break hangs. */
const MAX_HANG_MS = 20_000
const MIN_HANG_MS = 1000
/** The largest that an application can close with; those above are the library's own, and tell a reader nothing. */
const MAX_CODE = 4_294_967_295
/** How often it is looked at whether the scenario still gets anywhere. */
const LOOK_MS = 500

/**
 * Settles as `body` does, or fails: when it waits, and no run of its simulation is under way that could wake it; and
 * when the time is over, which a scenario of many short runs would not notice otherwise.
 */
function watch(sim: SimTest, body: Promise<void>, stallMs: number, deadlineMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let sinceMs = realNowMs()
    const fail = (what: string, limit: string, max: number): void => {
      reject(P2PError.of('limit-exceeded', `${what}\n${sim.report()}`, { limit, max }))
    }
    const look = (): void => {
      const nowMs = realNowMs()
      if (sim.isRunning) sinceMs = nowMs
      const elapsed = `${stallMs / 1000} s of real time`
      if (nowMs - sinceMs > stallMs) {
        const how = 'await sim.run, sim.until or sim.act: code of hosts goes on only while the simulation runs'
        fail(`the scenario has waited for ${elapsed}, and its simulation does not run: ${how}`, 'hangLimitMs', stallMs)
      } else if (nowMs > deadlineMs + 2 * LOOK_MS) {
        fail(`the scenario is not over in time, at ${sim.now} ms of virtual time`, 'runLimitMs', deadlineMs)
      } else alarm.set(LOOK_MS)
    }
    const alarm = new Alarm(look)
    alarm.keepAlive = true
    alarm.set(LOOK_MS)
    body.then(resolve, reject).finally(() => alarm.clear())
  })
}

async function bodyOf(scenario: Scenario, sim: SimTest): Promise<void> {
  await scenario.body(sim)
  await sim.finish()
}

/** Runs the scenario's own code, where the simulation can end a loop in it. */
function runBody(scenario: Scenario, sim: SimTest): Promise<void> {
  return new Promise((resolve, reject) => sim.begin(() => void bodyOf(scenario, sim).then(resolve, reject)))
}

/** The real time that code may run without a break: no longer than all of its run, and all of the seeds. */
function hangLimitOf({ timeoutMs, runLimitMs: limitMs, isPatient }: ResolvedOptions): number {
  const askedMs = Math.min(timeoutMs, isPatient ? MAX_HANG_MS : limitMs)
  return askedMs < MAX_HANG_MS ? Math.max(MIN_HANG_MS, askedMs) : Math.round(MAX_HANG_MS * patience())
}

/** The real time that a run may take, here and now. */
function runLimitMs({ runLimitMs: limitMs, isPatient }: ResolvedOptions): number {
  return isPatient ? Math.round(limitMs * patience()) : limitMs
}

/** Runs a scenario once. Never rejects: what goes wrong is in the outcome. */
export async function runScenario(
  scenario: Scenario,
  resolved: ResolvedOptions,
  seed: bigint,
  options: RunScenarioOptions = {},
): Promise<Outcome> {
  const { plan, onEvent, onHost, isDetailed = false, deadlineMs = realNowMs() + runLimitMs(resolved) } = options
  const { sharedState } = options
  let sim: SimTest | undefined
  const observer: AuditObserver | undefined =
    onEvent || isDetailed || sharedState
      ? (timeUs, kind, host, a, b): void => {
          if (!sim) return
          if (kind === EventKind.event) {
            onEvent?.(Number.parseInt(sim.hash.slice(-8), 16))
            return
          }
          // The number of a draw is that of its stream.
          const name = kind === EventKind.draw ? undefined : sim.hosts[host]?.name
          if (name !== undefined) onHost?.(timeUs / 1000, name)
          if (name !== undefined && kind === EventKind.programStarted) sharedState?.started(name, a ?? 1)
          if (name !== undefined && kind === EventKind.wake) sharedState?.ran(name)
          if (isDetailed) tell(sim, kind, host, a, b)
        }
      : undefined
  let failed: { readonly error: unknown } | undefined
  try {
    const hangLimitMs = hangLimitOf(resolved)
    let onScenarioHang: (error: P2PError) => void = () => {}
    const hang = new Promise<never>((_resolve, reject) => {
      onScenarioHang = reject
    })
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
      hangLimitMs,
      onScenarioHang,
      runLimitMs: Math.max(1, Math.round(deadlineMs - realNowMs())),
      traceLeaks: options.traceLeaks,
      onProgram: sharedState && ((program): void => sharedState.program(program)),
    })
    if (sharedState) sim.onSettled(() => sharedState.settled())
    await watch(sim, Promise.race([runBody(scenario, sim), hang]), hangLimitMs, deadlineMs)
  } catch (error) {
    failed = { error }
  }
  // What comes after the scenario is not to be ended with it.
  await new Promise<void>(macrotask)
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
      sim.log(`${host} has lost ${peer()}${b === undefined || b === 0 || b > MAX_CODE ? '' : ` (code ${b})`}`)
      break
    default:
  }
}
