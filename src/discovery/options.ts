/**
 * What the options of sources have in common.
 *
 * @module
 */
import { invalidConfiguration } from '../core/config.ts'

/** @throws P2PError `invalid-configuration` unless it is a number of milliseconds above 0 */
export function checkMilliseconds(name: string, value: number): number {
  if (Number.isFinite(value) && value > 0) return value
  throw invalidConfiguration(name, value, 'must be a number of milliseconds above 0')
}
