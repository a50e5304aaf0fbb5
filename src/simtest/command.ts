/**
 * What the command `p2p-sim` is made of.
 *
 * @module
 */
import { seconds } from '../simulator/faults/fault.ts'
import { findScenario, loadScenarios } from './module.ts'
import type { ReplayFile } from './replay-file.ts'
import { replay } from './replay.ts'
import { resolveOptions } from './scenario.ts'
import { storyLines } from './story.ts'

export { finishBanner, startBanner } from './banner.ts'
export { unknownVariables } from './environment.ts'
export { Progress } from './progress.ts'
export { readReplay } from './replay-file.ts'
export { mergeSweeps, problemsOf, readSweeps, writeSweeps } from './sweep-file.ts'
export { checkWritable } from './whole-file.ts'
export type { SweepFile } from './sweep-file.ts'
export { sweepModule } from './sweep-module.ts'

/** What a replay of a module's scenario came to. */
export interface ModuleReplayed {
  readonly text: string
  /** Whether the history was the same, to the last event. */
  readonly isSame: boolean
  /** Whether it fails, and of what it failed of then. */
  readonly fails: 'the same' | 'otherwise' | 'not'
}

/**
 * Replays a file's run of a scenario in a module, and tells it.
 *
 * @throws P2PError `invalid-configuration` when the module cannot be loaded or has no such scenario
 */
export async function replayModule(file: ReplayFile, url: string): Promise<ModuleReplayed> {
  const what = findScenario(await loadScenarios(url), file.test, url)
  const { outcome, isSame, difference } = await replay(what, resolveOptions(what.options, {}), file)
  const { failure } = outcome
  const place = failure?.place === undefined ? '' : `  at ${failure.place}\n`
  const lines = [
    `${JSON.stringify(file.test)}, seed ${file.seed}`,
    '',
    failure ? `  ${failure.message}\n${place}  at ${seconds(failure.virtualMs)} of virtual time` : '  it does not fail',
    '',
    ...storyLines(outcome),
    '',
    isSame ? `the same history as before: hash ${outcome.hash}, ${outcome.events} events` : difference,
  ]
  const fails = !failure ? 'not' : failure.key === file.failure.key ? 'the same' : 'otherwise'
  return { text: lines.join('\n'), isSame, fails }
}
