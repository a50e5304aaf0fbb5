/**
 * Several things at once, with one end.
 *
 * @module
 */

/** Something to do until it is done or `signal` fires. */
export type Task<T> = (signal: AbortSignal) => Promise<T>

/**
 * Does `main` with `companions` beside it. They are told to stop when it ends, and all have ended when this resolves. A
 * companion that ends by itself is no event; one that fails makes `main` stop, and its error is the one thrown.
 */
export async function alongside<T>(
  signal: AbortSignal | undefined,
  main: Task<T>,
  companions: readonly Task<void>[],
): Promise<T> {
  const scope = new AbortController()
  const stop = (): void => scope.abort(signal?.reason)
  if (signal?.aborted === true) stop()
  else signal?.addEventListener('abort', stop, { once: true })
  let failure: { readonly error: unknown } | undefined
  const running = companions.map(async (companion) => {
    try {
      await companion(scope.signal)
    } catch (error) {
      // After the end it failed because it was told to stop.
      if (scope.signal.aborted) return
      failure = { error }
      scope.abort(error)
    }
  })
  try {
    return await main(scope.signal)
  } catch (error) {
    throw failure ? failure.error : error
  } finally {
    signal?.removeEventListener('abort', stop)
    scope.abort()
    await Promise.all(running)
  }
}
