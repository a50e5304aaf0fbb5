/**
 * What the cases expect, in words that fail with a reason.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { P2PError } from '../../core/errors.ts'
import type { P2PErrorCode, P2PErrorOf } from '../../core/errors.ts'
import type { Connection } from './pair.ts'

/** The closed union of codes; the compiler keeps it complete. */
const CODES: Readonly<Record<P2PErrorCode, true>> = {
  network: true,
  'connection-failed': true,
  'node-not-found': true,
  io: true,
  'invalid-node-id': true,
  timeout: true,
  'connection-closed': true,
  'no-route': true,
  'discovery-failed': true,
  protocol: true,
  'message-too-large': true,
  unauthorized: true,
  'invalid-configuration': true,
  serialization: true,
  refused: true,
  'self-connect': true,
  'already-listening': true,
  'limit-exceeded': true,
  'delivery-unconfirmed': true,
  'stream-reset': true,
  'stream-stopped': true,
  aborted: true,
  'program-failed': true,
  unsupported: true,
}

/** Expects `promise` to fail with one of `codes`, and with `fields`. */
export async function fails<Code extends P2PErrorCode>(
  promise: Promise<unknown>,
  codes: Code | readonly Code[],
  fields: Readonly<Record<string, unknown>> = {},
): Promise<P2PErrorOf<Code>> {
  const expected: readonly P2PErrorCode[] = typeof codes === 'string' ? [codes] : codes
  let error: unknown
  try {
    await promise
  } catch (reason) {
    error = reason
  }
  return isFailure(error, expected, fields) as P2PErrorOf<Code>
}

/** Expects `call` to throw, as {@link fails}. */
export function throws(call: () => unknown, code: P2PErrorCode): void {
  let error: unknown
  try {
    call()
  } catch (reason) {
    error = reason
  }
  isFailure(error, [code], {})
}

function isFailure(error: unknown, codes: readonly P2PErrorCode[], fields: Readonly<Record<string, unknown>>): unknown {
  const wanted = codes.join(' or ')
  assert(error !== undefined, `expected a failure with ${wanted}, and it succeeded`)
  assert(
    P2PError.is(error),
    `expected a P2PError with ${wanted}, not ${error instanceof Error ? error.stack : JSON.stringify(error)}`,
  )
  assert(error instanceof Error && error.message.length > 0, 'an error says what happened')
  assert(Object.hasOwn(CODES, error.code), `${error.code} is not in the closed union of codes`)
  assert(codes.includes(error.code), `expected ${wanted}, not ${error.code}: ${error.message}`)
  assert.equal(error.name, error.code === 'aborted' ? 'AbortError' : 'P2PError')
  for (const [name, value] of Object.entries(fields)) {
    assert.deepEqual((error as unknown as Record<string, unknown>)[name], value, `${error.code}.${name}`)
  }
  return error
}

/**
 * Expects that `wait`, given a signal, waits, and fails as it has to when the signal fires; and at once when it had
 * fired before. `meanwhile` runs between the call and the abort.
 */
export async function aborts(
  wait: (signal: AbortSignal) => Promise<unknown>,
  meanwhile: () => Promise<unknown> = () => Promise.resolve(),
): Promise<void> {
  const controller = new AbortController()
  const reason = { why: 'the case gave up' }
  const waiting = wait(controller.signal)
  let early: unknown
  const watched = waiting.then(
    () => (early = 'succeeded'),
    (error: unknown) => (early = error),
  )
  await meanwhile()
  assert.equal(early, undefined, 'it should have waited')
  controller.abort(reason)
  await watched
  assert.equal((await fails(waiting, 'aborted')).cause, reason)
}

/** As {@link aborts}, with a signal that has fired before the call. */
export async function abortsAtOnce(wait: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
  const reason = new Error('had given up before')
  assert.equal((await fails(wait(AbortSignal.abort(reason)), 'aborted')).cause, reason)
}

/** Bytes without a pattern that a mix-up of pieces could reproduce; the same for the same arguments. */
export function scrambled(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length)
  let state = Math.imul(seed + 1, 0x9e37_79b1)
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
    bytes[i] = state >>> 24
  }
  return bytes
}

/** Expects the same bytes; says where they differ. */
export function sameBytes(actual: Uint8Array | undefined, expected: Uint8Array, what: string): void {
  assert(actual instanceof Uint8Array, `${what}: no bytes`)
  assert.equal(actual.length, expected.length, `${what}: length`)
  for (let i = 0; i < expected.length; i++) {
    if (actual[i] !== expected[i]) assert.fail(`${what}: byte ${i} of ${expected.length} differs`)
  }
}

export function text(value: string): Uint8Array {
  return new TextEncoder().encode(value)
}

export function string(bytes: Uint8Array | undefined): string | undefined {
  return bytes && new TextDecoder().decode(bytes)
}

/** A message there and one back: whatever either side had done before has been done. */
export async function roundTrip(from: Connection, to: Connection): Promise<void> {
  const [asked] = await Promise.all([to.recv(), from.send(text('there?'))])
  assert.equal(string(asked), 'there?')
  const [answered] = await Promise.all([from.recv(), to.send(text('here'))])
  assert.equal(string(answered), 'here')
}

/** Everything that comes until the connection ends. */
export async function collect(connection: Connection): Promise<Uint8Array[]> {
  const received: Uint8Array[] = []
  for await (const message of connection) received.push(message)
  return received
}
