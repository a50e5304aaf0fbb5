/**
 * Sleeping, over any runtime's timers: what the real and the simulated runtime have in common.
 *
 * @module
 */
import { P2PError } from './errors.ts'
import type { Runtime } from './runtime.ts'

/** Resolves `delayMs` from now; rejects with `aborted` when `signal` fires first. */
export async function sleepOn(
  runtime: Pick<Runtime, 'setTimer'>,
  delayMs: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (signal?.aborted === true) throw P2PError.aborted(signal, 'sleep')
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      timer.cancel()
      if (signal) reject(P2PError.aborted(signal, 'sleep'))
    }
    const timer = runtime.setTimer(delayMs, () => {
      signal?.removeEventListener('abort', abort)
      resolve()
    })
    signal?.addEventListener('abort', abort, { once: true })
  })
}
