/**
 * Replay files: everything that is needed to see a failure again, and to tell when it is not the same any more.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { invalidConfiguration, parseSeed } from '../core/config.ts'
import { checkPlan } from './plan.ts'
import type { Plan } from './plan.ts'
import type { TrailData } from './trail.ts'
import { writeWhole } from './whole-file.ts'

/** What a replay file holds. */
export interface ReplayFile {
  readonly format: 'moosicbox-p2p-replay'
  /** Of this format, and of what hashes are made of: files of another version are refused. */
  readonly version: 1
  /** The Node.js that wrote it: hashes are promised for one major version. */
  readonly node: string
  /** The name of the test. */
  readonly test: string
  /** Decimal. */
  readonly seed: string
  readonly plan: Plan
  readonly failure: { readonly key: string; readonly message: string; readonly virtualMs: number }
  readonly hash: string
  readonly events: number
  readonly trail: TrailData
}

const VERSION = 1

/**
 * Writes a replay file.
 *
 * @throws whatever the file system says
 */
export function writeReplay(path: string, replay: ReplayFile): void {
  writeWhole(path, `${JSON.stringify(replay, undefined, 2)}\n`)
}

/**
 * Reads a replay file.
 *
 * @param setting where its path comes from, as errors name it
 * @throws P2PError `invalid-configuration` when it cannot be read, is none, or is of another version
 */
export function readReplay(path: string, setting: string = 'replay file'): ReplayFile {
  let value: unknown
  try {
    value = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw invalidConfiguration(setting, path, `cannot be read as a replay file: ${why}`)
  }
  const file = value as Partial<Record<keyof ReplayFile, unknown>>
  if (typeof value !== 'object' || value === null || file.format !== 'moosicbox-p2p-replay') {
    throw invalidConfiguration(setting, path, 'is no replay file')
  }
  if (file.version !== VERSION) {
    const why = `is of version ${String(file.version)} and this library reads version ${VERSION}: run its seed ${String(file.seed)} instead`
    throw invalidConfiguration(setting, path, why)
  }
  const { test, seed, failure, trail, hash, events, node } = file
  const isWhole =
    typeof test === 'string' &&
    typeof seed === 'string' &&
    typeof hash === 'string' &&
    typeof events === 'number' &&
    typeof node === 'string' &&
    typeof failure === 'object' &&
    typeof trail === 'object'
  if (!isWhole) throw invalidConfiguration(setting, path, 'lacks some of what a replay file holds')
  parseSeed(seed, `seed of ${path}`)
  checkPlan(file.plan, `plan of ${path}`)
  return value as ReplayFile
}
