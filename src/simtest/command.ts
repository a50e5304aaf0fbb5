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
export { Progress } from './progress.ts'
export { readReplay } from './replay-file.ts'
export { mergeSweeps, problemsOf, readSweeps, writeSweeps } from './sweep-file.ts'
export type { SweepFile } from './sweep-file.ts'
export { sweepModule } from './sweep-module.ts'

/**
 * Replays a file's run of a scenario in a module, and tells it.
 *
 * @throws P2PError `invalid-configuration` when the module cannot be loaded or has no such scenario
 */
export async function replayModule(file: ReplayFile, url: string): Promise<{ text: string; isSame: boolean }> {
  const what = findScenario(await loadScenarios(url), file.test, url)
  const { outcome, isSame, difference } = await replay(what, resolveOptions(what.options, {}), file)
  const { failure } = outcome
  const lines = [
    `${JSON.stringify(file.test)}, seed ${file.seed}`,
    '',
    failure ? `  ${failure.message}\n  at ${seconds(failure.virtualMs)} of virtual time` : '  it does not fail',
    '',
    ...storyLines(outcome),
    '',
    isSame ? `the same history as before: hash ${outcome.hash}, ${outcome.events} events` : difference,
  ]
  return { text: lines.join('\n'), isSame }
}
