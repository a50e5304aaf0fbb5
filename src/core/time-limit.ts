/**
 * Time limits for what takes an `AbortSignal`, on the clock of any runtime.
 *
 * @module
 */
import type { Runtime } from './runtime.ts'

/** A signal that fires after `limitMs`. It keeps no process alive. */
export function timeLimit(runtime: Pick<Runtime, 'setTimer'>, limitMs: number): AbortSignal {
  const controller = new AbortController()
  runtime.setTimer(limitMs, () => controller.abort(), { background: true })
  return controller.signal
}
