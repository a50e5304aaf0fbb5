/**
 * The banners around a run of seeds, and the line of its progress.
 *
 * @module
 */
import { seconds } from '../simulator/faults/fault.ts'
import type { SweepProgress } from './seed-queue.ts'

const RULE = '='.repeat(26)

/** What is about to happen. */
export interface StartBanner {
  readonly name: string
  readonly firstSeed: bigint | undefined
  readonly runs: number | undefined
  readonly epochOffsetMs: number
  readonly workers: number
  /** Whether they are started in any case, or only when there is enough for them to do. @default true */
  readonly isAsked?: boolean | undefined
}

/** The banner at the start. */
export function startBanner({ name, firstSeed, runs, epochOffsetMs, workers, isAsked = true }: StartBanner): string {
  const most = isAsked ? workers : `up to ${workers}, where they are worth their start`
  return [
    `${RULE} START ${RULE}`,
    `Simulation ${JSON.stringify(name)}`,
    `  seed           ${firstSeed ?? 'none'}`,
    `  runs           ${runs ?? 'as many as there is time for'}`,
    `  epoch offset   ${epochOffsetMs} ms`,
    `  workers        ${workers === 0 ? 'none, on the main thread' : most}`,
  ].join('\n')
}

/** What has happened. */
export interface FinishBanner {
  readonly name: string
  readonly runs: number
  readonly failed: readonly bigint[]
  readonly events: number
  readonly virtualMs: number
  readonly elapsedMs: number
  readonly workers: number
  /** What to type to run it again. */
  readonly command: string
  readonly isSuccessful: boolean
}

/** The banner at the end. */
export function finishBanner(finish: FinishBanner): string {
  const { name, runs, failed, events, virtualMs, elapsedMs, workers, command, isSuccessful } = finish
  const shown = failed.slice(0, 8).join(', ') + (failed.length > 8 ? ` and ${failed.length - 8} more` : '')
  const pace = elapsedMs > 0 ? `, ${Math.round(virtualMs / elapsedMs)} times real time` : ''
  return [
    `${RULE} FINISH ${RULE}`,
    `Simulation ${JSON.stringify(name)}`,
    `  runs           ${runs}`,
    `  steps          ${events}`,
    `  simulated      ${seconds(virtualMs)}${pace}`,
    `  took           ${seconds(elapsedMs)}${workers === 0 ? '' : workers === 1 ? ', on a worker' : `, on ${workers} workers`}`,
    `  result         ${isSuccessful ? 'success' : failed.length > 0 ? `failure of ${failed.length}: seed ${shown}` : 'failure'}`,
    `  run it again   ${command}`,
  ].join('\n')
}

/** One line: a bar where the end is known, done, failed, seeds a second, the time left. */
export function progressLine({ done, failed, of, elapsedMs }: SweepProgress): string {
  const rate = elapsedMs > 0 ? (done * 1000) / elapsedMs : 0
  const width = 24
  const filled = of === undefined ? 0 : Math.round((width * done) / Math.max(of, 1))
  const bar = of === undefined ? '' : `[${'#'.repeat(filled)}${'.'.repeat(width - filled)}] `
  const left = of === undefined || rate === 0 ? '' : `, ${seconds(Math.round((of - done) / rate) * 1000)} left`
  return `${bar}${done}${of === undefined ? '' : `/${of}`} done, ${failed} failed, ${rate.toFixed(1)} seeds/s${left}`
}
