/**
 * Asking an application whether a peer may connect: within a time limit, and only while the peer is still there.
 *
 * @module
 */
import type { CarrierConnection } from '../carrier.ts'
import { invalidConfiguration } from '../config.ts'
import type { Runtime } from '../runtime.ts'
import type { Authorize } from '../system.ts'
import { Waiter } from './waiting.ts'

/** What `authorize` of an option comes to; undefined for everyone. */
export function toAuthorize(authorize: unknown): Authorize | undefined {
  if (authorize === undefined || authorize === 'everyone') return undefined
  if (typeof authorize === 'function') return authorize as Authorize
  throw invalidConfiguration('authorize', authorize, "must be a function, or 'everyone'")
}

/** Undefined when `authorize` lets the peer in, else what the peer is told. */
export async function refusalOf(
  authorize: Authorize,
  carrier: CarrierConnection,
  runtime: Runtime,
  timeoutMs: number,
): Promise<string | undefined> {
  const given = new Waiter<string | undefined>()
  const giveUp = new AbortController()
  const timer = runtime.setTimer(timeoutMs, () => given.resolve('not authorized in time'))
  void carrier.closed.then(() => given.resolve('it has left'))
  const decide = async (): Promise<void> => {
    try {
      // Anything but true refuses, whatever an untyped caller returns.
      const answer: unknown = await authorize(carrier.remoteId, carrier.alpn, { signal: giveUp.signal })
      given.resolve(answer === true ? undefined : 'not authorized')
    } catch {
      // The peer learns no internals; an `authorize` that throws lets nobody in.
      given.resolve('not authorized')
    }
  }
  void decide()
  try {
    return await given.promise
  } finally {
    timer.cancel()
    // Whoever still thinks about it can stop.
    giveUp.abort()
  }
}
