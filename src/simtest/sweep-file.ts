/**
 * Results of sweeps as JSON, so that the parts of a sweep that ran on several machines can be put together.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { invalidConfiguration } from '../core/config.ts'
import { writeWhole } from './whole-file.ts'

/** The result of one sweep, or of one shard of it. */
export interface SweepFile {
  readonly format: 'moosicbox-p2p-sweep'
  readonly version: 1
  readonly name: string
  /** The first seed of the whole sweep, decimal. */
  readonly firstSeed: string
  /** Which parts of how many are in here, counted from 1. */
  readonly shards: readonly number[]
  readonly of: number
  readonly runs: number
  readonly failed: readonly { readonly seed: string; readonly key: string; readonly message: string }[]
  /** In how many runs each condition of `sometimes` was reached. */
  readonly reached: Readonly<Record<string, number>>
  readonly events: number
  readonly virtualMs: number
  /** Summed over machines. */
  readonly elapsedMs: number
}

export function writeSweeps(path: string, sweeps: readonly SweepFile[]): void {
  writeWhole(path, `${JSON.stringify(sweeps, undefined, 2)}\n`)
}

/** @throws P2PError `invalid-configuration` when it cannot be read or is none */
export function readSweeps(path: string): SweepFile[] {
  let value: unknown
  try {
    value = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    throw invalidConfiguration(
      'sweep',
      path,
      `cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    )
  }
  const isSweep = (it: Partial<SweepFile>): boolean =>
    typeof it === 'object' && it?.format === 'moosicbox-p2p-sweep' && it.version === 1 && Array.isArray(it.failed)
  if (!Array.isArray(value) || !value.every(isSweep))
    throw invalidConfiguration('sweep', path, 'is no result of a sweep')
  return value as SweepFile[]
}

/**
 * Puts parts of sweeps together, by the names of their scenarios.
 *
 * @throws P2PError `invalid-configuration` for parts of different sweeps, or the same part twice
 */
export function mergeSweeps(parts: readonly SweepFile[]): SweepFile[] {
  const merged = new Map<string, SweepFile>()
  for (const part of parts) {
    const before = merged.get(part.name)
    if (!before) {
      merged.set(part.name, part)
      continue
    }
    if (before.firstSeed !== part.firstSeed || before.of !== part.of) {
      throw invalidConfiguration(
        'sweep',
        part.name,
        'these are parts of different sweeps: other first seeds, or shards',
      )
    }
    const twice = part.shards.find((shard) => before.shards.includes(shard))
    if (twice !== undefined) throw invalidConfiguration('shard', twice, `of ${part.name} is there twice`)
    const reached: Record<string, number> = { ...before.reached }
    for (const [name, count] of Object.entries(part.reached)) reached[name] = (reached[name] ?? 0) + count
    merged.set(part.name, {
      ...before,
      shards: [...before.shards, ...part.shards].sort((a, b) => a - b),
      runs: before.runs + part.runs,
      failed: [...before.failed, ...part.failed].sort((a, b) => (BigInt(a.seed) < BigInt(b.seed) ? -1 : 1)),
      reached,
      events: before.events + part.events,
      virtualMs: (Math.round(before.virtualMs * 1000) + Math.round(part.virtualMs * 1000)) / 1000,
      elapsedMs: before.elapsedMs + part.elapsedMs,
    })
  }
  return [...merged.values()]
}

/** What is wrong with a sweep that is complete: seeds that failed, shards that are missing, what was never reached. */
export function problemsOf(sweep: SweepFile): string[] {
  const problems: string[] = []
  if (sweep.failed.length > 0) {
    const seeds = sweep.failed.map(({ seed }) => seed)
    const shown = seeds.slice(0, 8).join(', ')
    problems.push(`${seeds.length} of ${sweep.runs} seeds failed: ${shown}${seeds.length > 8 ? ', …' : ''}`)
  }
  const missing = Array.from({ length: sweep.of }, (_, i) => i + 1).filter((shard) => !sweep.shards.includes(shard))
  if (missing.length > 0) problems.push(`shard ${missing.join(', ')} of ${sweep.of} is missing`)
  const never = Object.entries(sweep.reached).filter(([, count]) => count === 0)
  // One seed is run to see it, not to see whether everything is reached.
  if (never.length > 0 && missing.length === 0 && sweep.failed.length === 0 && sweep.runs > 1) {
    problems.push(`never reached: ${never.map(([name]) => JSON.stringify(name)).join(', ')}`)
  }
  return problems
}
