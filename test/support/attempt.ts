/**
 * Calls that may throw, as values: so that what follows is asserted in every case.
 *
 * @module
 */

/** What `call` returned or threw. */
export function attempt<T>(call: () => T): { readonly value: T } | { readonly error: unknown } {
  try {
    return { value: call() }
  } catch (error) {
    return { error }
  }
}
