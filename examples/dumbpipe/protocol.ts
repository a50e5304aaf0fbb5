/**
 * What `dumbpipe` says: one two-way stream a connection; who opens it says hello first, and then there are only the
 * bytes of the two programs.
 *
 * @module
 */
import type { P2PReceiveStream, P2PSendStream } from '@moosicbox/p2p'

/** The name of the protocol. */
export const ALPN = 'DUMBPIPEV0'
/** A stream exists for the other side only when something was written to it, and there may be nothing to write. */
const HELLO: Uint8Array = new TextEncoder().encode('hello')
/** Longest wait for it. */
const HELLO_TIMEOUT_MS = 10_000

/** Says hello, unless the protocol is another one, about which only the two programs know. */
export async function sayHello(stream: P2PSendStream, alpn: string, signal: AbortSignal): Promise<void> {
  if (alpn === ALPN) await stream.write(HELLO, { signal })
}

/** Hears it; rejects when something else was said, or nothing in time. */
export async function hearHello(stream: P2PReceiveStream, alpn: string, signal: AbortSignal): Promise<void> {
  if (alpn !== ALPN) return
  const limit = AbortSignal.any([signal, AbortSignal.timeout(HELLO_TIMEOUT_MS)])
  const heard = await stream.readExactly(HELLO.length, { signal: limit })
  if (!Buffer.from(HELLO).equals(heard)) throw new Error('the other side does not speak dumbpipe: it did not say hello')
}
