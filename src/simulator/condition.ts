/**
 * Conditions that a scenario gives: asked between events, so their answer must be there at once.
 *
 * @module
 */
import { P2PError } from '../core/errors.ts'

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}

/**
 * What a condition says.
 *
 * @param whose of what, as the error names it
 * @throws P2PError `invalid-configuration` when it answers with a promise, which would hold whatever becomes of it; and
 * whatever it throws
 */
export function answerOf<T>(whose: string, condition: () => T): T {
  const answer = condition()
  if (!isThenable(answer)) return answer
  // What becomes of it is nobody's concern any more, and must not end the process.
  answer.then(undefined, () => {})
  const message =
    `the condition of ${whose} returned a promise; conditions are synchronous: have the program of a host, or sim.at, ` +
    'await it and keep what came of it in a variable, and let the condition look at that'
  throw P2PError.of('invalid-configuration', message, { setting: whose, value: 'a promise' })
}
