/**
 * Streams: ordered, reliable bytes inside a connection, independent of each other.
 *
 * @module
 */

/** Options of everything that waits. */
export interface WaitOptions {
  /** Ends the wait with a `P2PError` of code `aborted`. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Who waits for a stream to bring something.
 *
 * @internal
 */
export interface StreamReader {
  /** `readNow` has more to say. */
  onReadable(): void
  /** Nothing comes any more: what `read` would throw. */
  onUnreadable(error: unknown): void
}

/**
 * What the engine's own streams can do besides, for the library's other parts: a promise less where nothing has to be
 * waited for.
 *
 * @internal
 */
export interface PromptStream {
  /** What is there already: bytes, null at the end; undefined when `read` has to be asked. */
  readNow?(maxBytes: number): Uint8Array | null | undefined
  /**
   * Calls `reader` once, when `readNow` has more to say or `read` would throw, and not from inside of this call. It is
   * called while the stream takes in what has come: before everything else, so it is not to call application code.
   */
  whenReadable?(reader: StreamReader): void
  /** As `write`; undefined when all of it was taken at once. */
  writeNow?(bytes: Uint8Array): Promise<void> | undefined
  /** As `finish`; undefined when that was done at once. */
  finishNow?(): Promise<void> | undefined
}

/** The receiving half of a stream. */
export interface P2PReceiveStream {
  /**
   * The next bytes, at least one and at most `maxBytes` (64 KiB by default); undefined after the peer's `finish`.
   * One reader at a time: a second call while one waits is an error.
   *
   * @throws P2PError `stream-reset`, `connection-closed`, `aborted`, `limit-exceeded` (a second reader)
   */
  read(maxBytes?: number, options?: WaitOptions): Promise<Uint8Array | undefined>
  /**
   * Exactly `length` bytes.
   *
   * @throws P2PError `protocol` when the stream ends before, and what `read` throws
   */
  readExactly(length: number, options?: WaitOptions): Promise<Uint8Array>
  /**
   * Everything up to the end.
   *
   * @throws P2PError `limit-exceeded` beyond `limitBytes`, and what `read` throws
   */
  readToEnd(limitBytes: number, options?: WaitOptions): Promise<Uint8Array>
  /** Tells the peer that no more bytes are wanted; its writes fail with `stream-stopped`. `code` is 0..2^32-1. */
  stop(code?: number): void
  /** This half as a WHATWG byte stream, with back-pressure; cancelling it is `stop(0)`. */
  readonly readable: ReadableStream<Uint8Array>
  /** Chunks until the end; leaving the loop early is `stop(0)`. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array>
}

/** The sending half of a stream. */
export interface P2PSendStream {
  /**
   * Resolves when the bytes have been accepted, which waits for the peer when it reads slowly. They are copied: the
   * array may be used again afterwards. Concurrent writes are sent in the order of the calls.
   *
   * @throws P2PError `stream-stopped`, `connection-closed`, `aborted` (the stream is then reset)
   */
  write(bytes: Uint8Array, options?: WaitOptions): Promise<void>
  /** Says that no more bytes follow; resolves when that has been accepted. A second call does nothing. */
  finish(): Promise<void>
  /** Abandons the stream: bytes under way may be lost, and the peer's reads fail with `stream-reset`. */
  reset(code?: number): void
  /**
   * Calls `listener` with the peer's code when it wants no more bytes, even while nothing is being written; at once
   * when it has said so before. Not called when the half ends in another way.
   */
  onStopped(listener: (code: number) => void): Disposable
  /** This half as a WHATWG stream, with back-pressure; closing it is `finish`, aborting it `reset(0)`. */
  readonly writable: WritableStream<Uint8Array>
}

/** A two-way stream. Disposing of it resets what is unfinished and stops what is unread. */
export interface P2PStream extends P2PReceiveStream, P2PSendStream, Disposable {}
