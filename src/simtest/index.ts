/// <reference lib="esnext.disposable" preserve="true" />
/**
 * `@moosicbox/p2p/simtest`: tests over thousands of simulated histories, and what is done about one that fails.
 *
 * - `simtest.ts` is where to begin; `scenario.ts` its options, `sim-test.ts` and `conditions.ts` what a scenario is given
 * - `plan.ts`, `run.ts`, `failure.ts`: one run, as data; `sweep.ts`: many
 * - `examine.ts`, `shrink.ts`, `story.ts`: what is done about a failure; `replay.ts`, `trail.ts`, `corpus.ts`: seeing it
 *   again
 *
 * @module
 */
export type { Choice } from './choices.ts'
export { buggify } from '../core/buggify.ts'
export { testNodeId } from '../core/keys.ts'
export { checkScenario } from './check.ts'
export type { CheckOptions, CheckResult } from './check.ts'
export { addToCorpus, corpusSeeds } from './corpus.ts'
export type { TestFunction } from './environment.ts'
export type { Examined } from './examine.ts'
export type { Failure } from './failure.ts'
export type { Plan } from './plan.ts'
export {
  addPartition,
  advanceTime,
  healPartition,
  injectLatency,
  injectPacketLoss,
  PeerNetwork,
  setupConnectedPeers,
  setupPartitionedNetwork,
} from './helpers.ts'
export type { PartitionedNetwork, PeerNetworkOptions, PeerReference } from './helpers.ts'
export { readReplay } from './replay-file.ts'
export type { ReplayFile } from './replay-file.ts'
export { replay } from './replay.ts'
export type { Replayed } from './replay.ts'
export { runScenario } from './run.ts'
export type { Outcome } from './run.ts'
export { resolveOptions, scenario } from './scenario.ts'
export type { ResolvedOptions, Scenario, ScenarioBody, ScenarioOptions } from './scenario.ts'
export type { FailedSeed, SweepProgress, SweepResult } from './seed-queue.ts'
export { shrink } from './shrink.ts'
export type { ShrinkOptions, ShrinkResult } from './shrink.ts'
export type { SimTest, StoryLine } from './sim-test.ts'
export { simTest } from './simtest.ts'
export type { SimTestOptions } from './simtest.ts'
export { tellFailure } from './story.ts'
