/**
 * What code of a host prints: taken where somebody wants it, so that it stands in the trace at the time and with the host
 * it belongs to.
 *
 * @module
 */
import { format } from 'node:util'
import type { AnyFunction, Patches } from './patches.ts'
import { ambientScope } from './scope.ts'

const METHODS = ['debug', 'error', 'info', 'log', 'trace', 'warn']

/** Replaces the methods of `console` that print a line. */
export function patchConsole(patches: Patches): void {
  const scope = ambientScope()
  for (const method of METHODS) {
    patches.wrap(
      console,
      method,
      (real): AnyFunction =>
        function (this: unknown, ...values: unknown[]): unknown {
          const isTaken = scope.host()?.prints()?.(format(...values)) === true
          return isTaken ? undefined : Reflect.apply(real, this, values)
        },
    )
  }
}
