/**
 * One-way streams as applications have them when somebody asks for lost handles: the halves themselves are held by
 * their connection as long as they are open, so they would never be missed.
 *
 * @module
 */
import type { LeakWatch } from '../leaks.ts'
import type { P2PNodeId } from '../node-id.ts'
import type { P2PReceiveStream, P2PSendStream, WaitOptions } from '../stream.ts'
import type { ReceiveHalf } from './receive-half.ts'
import type { SendHalf } from './send-half.ts'

/** A sending half, in other hands. */
class WatchedSendStream implements P2PSendStream {
  readonly #half: SendHalf

  constructor(half: SendHalf) {
    this.#half = half
  }

  write(bytes: Uint8Array, options?: WaitOptions): Promise<void> {
    return this.#half.write(bytes, options)
  }

  finish(): Promise<void> {
    return this.#half.finish()
  }

  reset(code?: number): void {
    this.#half.reset(code)
  }

  onStopped(listener: (code: number) => void): Disposable {
    return this.#half.onStopped(listener)
  }

  get writable(): WritableStream<Uint8Array> {
    return this.#half.writable
  }
}

/** A receiving half, in other hands. */
class WatchedReceiveStream implements P2PReceiveStream {
  readonly #half: ReceiveHalf

  constructor(half: ReceiveHalf) {
    this.#half = half
  }

  read(maxBytes?: number, options?: WaitOptions): Promise<Uint8Array | undefined> {
    return this.#half.read(maxBytes, options)
  }

  readExactly(length: number, options?: WaitOptions): Promise<Uint8Array> {
    return this.#half.readExactly(length, options)
  }

  readToEnd(limitBytes: number, options?: WaitOptions): Promise<Uint8Array> {
    return this.#half.readToEnd(limitBytes, options)
  }

  stop(code?: number): void {
    this.#half.stop(code)
  }

  get readable(): ReadableStream<Uint8Array> {
    return this.#half.readable
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array> {
    return this.#half[Symbol.asyncIterator]()
  }
}

/** What to hand out for a half: itself where nobody watches, at no cost. */
export function watchSendHalf(half: SendHalf, leaks: LeakWatch | undefined, peer: P2PNodeId): P2PSendStream {
  if (!leaks) return half
  const stream = new WatchedSendStream(half)
  leaks.watch(stream, `a one-way stream to ${peer.fmtShort()}`, () => !half.done)
  return stream
}

/** As {@link watchSendHalf}. */
export function watchReceiveHalf(half: ReceiveHalf, leaks: LeakWatch | undefined, peer: P2PNodeId): P2PReceiveStream {
  if (!leaks) return half
  const stream = new WatchedReceiveStream(half)
  leaks.watch(stream, `a one-way stream from ${peer.fmtShort()}`, () => !half.done)
  return stream
}
