/**
 * A two-way stream: a half to send on, a half to receive from.
 *
 * @module
 */
import type { P2PStream, PromptStream, StreamReader, WaitOptions } from '../stream.ts'
import type { ReceiveHalf } from './receive-half.ts'
import type { SendHalf } from './send-half.ts'

/** Both halves, as the application has them. */
export class DuplexStream implements P2PStream, Required<PromptStream> {
  readonly #send: SendHalf
  readonly #receive: ReceiveHalf

  constructor(send: SendHalf, receive: ReceiveHalf) {
    this.#send = send
    this.#receive = receive
  }

  read(maxBytes?: number, options?: WaitOptions): Promise<Uint8Array | undefined> {
    return this.#receive.read(maxBytes, options)
  }

  /** @internal */
  readNow(maxBytes: number): Uint8Array | null | undefined {
    return this.#receive.readNow(maxBytes)
  }

  /** @internal */
  whenReadable(reader: StreamReader): void {
    this.#receive.whenReadable(reader)
  }

  readExactly(length: number, options?: WaitOptions): Promise<Uint8Array> {
    return this.#receive.readExactly(length, options)
  }

  readToEnd(limitBytes: number, options?: WaitOptions): Promise<Uint8Array> {
    return this.#receive.readToEnd(limitBytes, options)
  }

  stop(code?: number): void {
    this.#receive.stop(code)
  }

  get readable(): ReadableStream<Uint8Array> {
    return this.#receive.readable
  }

  write(bytes: Uint8Array, options?: WaitOptions): Promise<void> {
    return this.#send.write(bytes, options)
  }

  /** @internal */
  writeNow(bytes: Uint8Array): Promise<void> | undefined {
    return this.#send.writeNow(bytes)
  }

  finish(): Promise<void> {
    return this.#send.finish()
  }

  /** @internal */
  finishNow(): Promise<void> | undefined {
    return this.#send.finishNow()
  }

  reset(code?: number): void {
    this.#send.reset(code)
  }

  get writable(): WritableStream<Uint8Array> {
    return this.#send.writable
  }

  onStopped(listener: (code: number) => void): Disposable {
    return this.#send.onStopped(listener)
  }

  /** Gives up both halves with one of the library's codes. */
  refuse(code: number): void {
    this.#receive.stopWith(code)
    this.#send.resetWith(code)
  }

  /** Gives up the sending half alone. */
  refuseAnswer(code: number): void {
    this.#send.resetWith(code)
  }

  /** Whether something of it is still to be done; the answer does not keep the stream itself alive. */
  get openness(): () => boolean {
    const [send, receive] = [this.#send, this.#receive]
    return () => !(send.done && receive.done)
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array> {
    return this.#receive[Symbol.asyncIterator]()
  }

  [Symbol.dispose](): void {
    if (!this.#send.done) this.#send.reset()
    if (!this.#receive.done) this.#receive.stop()
  }
}
