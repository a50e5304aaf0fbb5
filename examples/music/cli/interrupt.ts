/**
 * Ctrl-C: the first asks the program to end, the second ends it.
 *
 * @module
 */

/** The exit code of a program that was interrupted, as shells know it: 128 and the number of the signal. */
export const INTERRUPTED = 130

/**
 * One Ctrl-C in a terminal reaches a program more than once when npm and others above it pass it on as well. No
 * finger is this fast.
 */
const SAME_PRESS_MS = 150

/** A signal that fires at the first SIGINT, SIGTERM or SIGHUP; a second one ends the process at once. */
export function interruptSignal(onFirst: () => void): AbortSignal {
  const controller = new AbortController()
  let firstMs: number | undefined
  const interrupted = (): void => {
    if (firstMs !== undefined) {
      if (performance.now() - firstMs > SAME_PRESS_MS) process.exit(INTERRUPTED)
      return
    }
    firstMs = performance.now()
    onFirst()
    controller.abort()
  }
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, interrupted)
  return controller.signal
}
