/**
 * Limits in real time are there to end what hangs. On a machine that others keep busy whatever does not hang takes longer
 * too, and a seed must not fail for that.
 *
 * @module
 */
import { availableParallelism, loadavg } from 'node:os'

/** However busy the machine, limits get no longer than this many times. */
export const MAX_PATIENCE = 10

/** How many times longer than alone things may take here and now: as many as there are programs for each core. */
export function patience(): number {
  const [load = 0] = loadavg()
  return Math.min(MAX_PATIENCE, Math.max(1, load / availableParallelism()))
}
