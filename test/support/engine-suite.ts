/**
 * Runs tests of the engine over every kind of carrier, and checks after each what must always hold: the carrier's
 * contract was kept, and closing the nodes leaves no connection and no timer behind.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { afterEach, describe, expect } from 'vitest'
import { settle } from './manual-runtime.ts'
import { connectedPair } from './memory-node.ts'
import type { Pair, PairOptions } from './memory-node.ts'

/** What has become of a promise: its value, its error, or nothing yet. */
export type Outcome<T> = { readonly value: T } | { readonly error: unknown } | 'pending'

/** Follows a promise; `now` is what has become of it so far. A rejection counts as handled. */
export function track<T>(promise: Promise<T>): { readonly now: Outcome<T> } {
  const tracked: { now: Outcome<T> } = { now: 'pending' }
  promise.then(
    (value) => (tracked.now = { value }),
    (error: unknown) => (tracked.now = { error }),
  )
  return tracked
}

/** What has become of a promise once everything has settled that can without time passing. */
export async function outcome<T>(promise: Promise<T>): Promise<Outcome<T>> {
  const tracked = track(promise)
  await settle()
  return tracked.now
}

/** Matches an {@link outcome} that failed with a `P2PError` of `code`. */
export const failed = (code: string, fields: object = {}): unknown => ({
  error: expect.objectContaining({ code, ...fields }) as unknown,
})

/** `length` bytes that are different in different places. */
export function pattern(length: number, seed = 0): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >> 8) * 7 + seed) & 0xff
  return bytes
}

/** Bytes as a short text; comparing it is many times faster than `toEqual`, and its message shorter. */
export function digest(bytes: Uint8Array | undefined): string {
  return bytes ? `${bytes.length} bytes, sha256 ${createHash('sha256').update(bytes).digest('hex')}` : 'undefined'
}

export const text = (value: string): Uint8Array => new TextEncoder().encode(value)
export const string = (bytes: Uint8Array | undefined): string | undefined => bytes && new TextDecoder().decode(bytes)

/** Ends a pair and checks that nothing is left of it. */
export async function disposePair({ network, runtime, a, b }: Pair): Promise<void> {
  const closed = Promise.all([a.close(), b.close()])
  await runtime.advance(60_000)
  expect(await outcome(closed)).toHaveProperty('value')
  expect(network.violations).toEqual([])
  expect(a.endpoint.connections.size + b.endpoint.connections.size).toBe(0)
  expect(runtime.pendingTimers).toBe(0)
}

/** Describes `body` over each kind of carrier; `make` gives connected pairs that are checked and ended afterwards. */
export function onEveryCarrier(
  name: string,
  body: (make: (options?: PairOptions) => Promise<Pair>, abortsBlockedStreams: boolean) => void,
): void {
  describe.each([
    { carrier: 'that aborts blocked streams', abortsBlockedStreams: true },
    { carrier: 'that cannot abort blocked streams', abortsBlockedStreams: false },
  ])(`${name}, on a carrier $carrier`, ({ abortsBlockedStreams }) => {
    const pairs: Pair[] = []
    afterEach(async () => {
      for (const pair of pairs.splice(0)) await disposePair(pair)
    })
    body(async (options = {}) => {
      const pair = await connectedPair({ abortsBlockedStreams, ...options })
      pairs.push(pair)
      return pair
    }, abortsBlockedStreams)
  })
}
