/**
 * The end of a turn: when the code that runs now is done, and all promises that it has settled.
 *
 * @module
 */
import process from 'node:process'

/**
 * Calls `callback` once the code that runs now, and every reaction to the promises it settles, is done, and before
 * anything else of the event loop. For what is collected during a turn and handed over once.
 */
export function atEndOfTurn(callback: () => void): void {
  process.nextTick(callback)
}
