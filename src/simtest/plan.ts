/**
 * A run is its seed and its plan: the faults, the choices of the scenario, and what was left out. The plan is plain data,
 * so that it can be written to a file, replayed and made smaller.
 *
 * @module
 */
import { invalidConfiguration } from '../core/config.ts'
import { checkFault } from '../simulator/faults/fault.ts'
import type { Fault } from '../simulator/index.ts'

/** What happens in a run besides what its seed draws. */
export interface Plan {
  readonly faults: readonly Fault[]
  /** What `pick` and `integer` chose, in the order of the calls: an index from 0, or a distance from the least. */
  readonly picks: readonly number[]
  /** Hosts whose programs do not start. */
  readonly without: readonly string[]
  /** The loss of the default link. @default what the settings say */
  readonly packetLoss?: number | undefined
  /** Points of `buggify` that do nothing; `all` for every one. */
  readonly calm: 'all' | readonly string[]
}

function names(value: unknown, where: string): string[] {
  if (Array.isArray(value) && value.every((name) => typeof name === 'string')) return value
  throw invalidConfiguration(where, value, 'must be a list of names')
}

/**
 * Checks that `value` is a plan; `where` names it in errors.
 *
 * @throws P2PError `invalid-configuration`
 */
export function checkPlan(value: unknown, where: string = 'plan'): Plan {
  if (typeof value !== 'object' || value === null) throw invalidConfiguration(where, value, 'must be an object')
  const { faults, picks, without, packetLoss, calm } = value as Readonly<Record<string, unknown>>
  if (!Array.isArray(faults)) throw invalidConfiguration(`${where}.faults`, faults, 'must be a list of faults')
  if (!Array.isArray(picks) || !picks.every((pick) => Number.isSafeInteger(pick) && Number(pick) >= 0)) {
    throw invalidConfiguration(`${where}.picks`, picks, 'must be a list of whole numbers from 0')
  }
  if (packetLoss !== undefined && !(typeof packetLoss === 'number' && packetLoss >= 0 && packetLoss <= 1)) {
    throw invalidConfiguration(`${where}.packetLoss`, packetLoss, 'must be a probability from 0 to 1')
  }
  return {
    faults: faults.map((fault, i) => checkFault(fault, `${where}.faults[${i}]`)),
    picks: picks as number[],
    without: names(without, `${where}.without`),
    calm: calm === 'all' ? 'all' : names(calm, `${where}.calm`),
    ...(packetLoss !== undefined && { packetLoss }),
  }
}
