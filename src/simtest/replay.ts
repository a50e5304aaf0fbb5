/**
 * Replays a failure from its file, and says so when the history is another than it was.
 *
 * @module
 */
import { P2PError } from '../core/errors.ts'
import { seconds } from '../simulator/faults/fault.ts'
import type { ReplayFile } from './replay-file.ts'
import { runScenario } from './run.ts'
import type { Outcome } from './run.ts'
import type { ResolvedOptions, Scenario } from './scenario.ts'
import { TrailFollower } from './trail.ts'

/** What a replay came to. */
export interface Replayed {
  readonly outcome: Outcome
  /** Whether the history was the same, to the last event. */
  readonly isSame: boolean
  /** Where it was not, in words. */
  readonly difference: string | undefined
}

/** Replays a file's run of `scenario`. */
export async function replay(scenario: Scenario, resolved: ResolvedOptions, file: ReplayFile): Promise<Replayed> {
  const follower = new TrailFollower(file.trail)
  let events = 0
  const outcome = await runScenario(scenario, resolved, BigInt(file.seed), {
    plan: file.plan,
    isDetailed: true,
    onEvent: (hash) => {
      events++
      follower.add(hash)
    },
  })
  const now = outcome.failure ? `It fails now of: ${outcome.failure.message}` : 'It does not fail any more.'
  const then = `${now} It failed of: ${file.failure.message}`
  if (outcome.hash === file.hash) {
    if (outcome.failure?.key === file.failure.key) return { outcome, isSame: true, difference: undefined }
    const difference = `the history is the same, to the last of ${file.events} events, and what is asked of it has changed. ${then}`
    return { outcome, isSame: false, difference }
  }
  const { stride, partedAt } = follower
  const event = partedAt ?? Math.min(events, file.events)
  const where = stride > 1 ? `between event ${Math.max(0, event - stride + 1)} and event ${event}` : `at event ${event}`
  const [major] = process.version.split('.')
  const isOtherNode = !file.node.startsWith(`${major}.`)
  const node = isOtherNode ? `; it was written by Node ${file.node}, and this is ${process.version}` : ''
  const difference =
    `the program has changed since the replay file was written: the histories part ${where} of ${file.events}${node}. ` +
    then
  return { outcome, isSame: false, difference }
}

/** The error to end a replay with: what failed, or why it is not what failed. */
export function replayError(file: ReplayFile, { outcome, difference }: Replayed): P2PError {
  const what =
    difference ?? `${outcome.failure?.message ?? ''}, at ${seconds(outcome.failure?.virtualMs ?? 0)} of virtual time`
  return P2PError.of(
    'program-failed',
    `replay of ${JSON.stringify(file.test)}, seed ${file.seed}: ${what}`,
    { host: outcome.failure?.host, seed: outcome.seed, virtualMs: outcome.virtualMs },
    { cause: outcome.error },
  )
}
