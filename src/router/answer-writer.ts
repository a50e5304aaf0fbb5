/**
 * Writes the answer to one request: its head, its body as the peer takes it, and no other length than it announces.
 *
 * @module
 */
import { P2PError } from '../core/errors.ts'
import type { P2PStream, PromptStream } from '../core/stream.ts'
import { encodeResponse } from './codec.ts'
import type { Deadline, Deadlines } from '../core/deadlines.ts'
import { produce } from './producer.ts'
import type { BodyProducer } from './producer.ts'
import type { P2PResponse } from './response.ts'
import type { ServerLimits } from './server-options.ts'

/** Bodies up to this size are copied behind their head, to leave in one write. */
const INLINE_BYTES = 65_536
const EMPTY = new Uint8Array(0)

/** Whose answer it is. */
export interface AnswerOwner {
  /** Whether nobody wants it any more. */
  readonly isOver: boolean
  /** The peer has taken nothing for too long. */
  writeLate(): void
}

/** Writes the answer of one exchange. */
export class AnswerWriter {
  readonly #stream: P2PStream & PromptStream
  readonly #limits: ServerLimits
  readonly #writes: Deadlines<AnswerOwner>
  /** Of the write under way. */
  #deadline: Deadline<AnswerOwner> | undefined
  readonly #owner: AnswerOwner
  #producer: BodyProducer | undefined
  /** Whether a head has been written, so that no other answer can take this one's place. */
  started = false

  /** `writes` holds the time that the peer may take for a write. */
  constructor(
    stream: P2PStream & PromptStream,
    limits: ServerLimits,
    writes: Deadlines<AnswerOwner>,
    owner: AnswerOwner,
  ) {
    this.#stream = stream
    this.#limits = limits
    this.#writes = writes
    this.#owner = owner
  }

  /** Undefined when all of it was taken at once. */
  send(response: P2PResponse, isHead: boolean): Promise<void> | undefined {
    const { status, headers, body } = response
    const { maxHeaderBytes } = this.#limits
    const noContent = status === 204 || status === 205 || status === 304
    const bodyless = noContent || isHead
    if (body !== undefined && !(body instanceof Uint8Array)) {
      if (!bodyless) return this.#pump(response, produce(body))
      discard(response)
      return this.#write(encodeResponse(response, maxHeaderBytes))
    }
    const bytes = body ?? EMPTY
    const announced = headers.get('content-length')
    if (announced !== undefined) checkLength(announced, bytes.length, bodyless)
    else if (!noContent && !(bodyless && body === undefined)) headers.setKnown('content-length', String(bytes.length))
    if (bodyless) return this.#write(encodeResponse(response, maxHeaderBytes))
    if (bytes.length <= INLINE_BYTES) return this.#write(encodeResponse(response, maxHeaderBytes, bytes))
    const headSent = this.#write(encodeResponse(response, maxHeaderBytes))
    return headSent ? headSent.then(() => this.#write(bytes)) : this.#write(bytes)
  }

  async #pump(response: P2PResponse, producer: BodyProducer): Promise<void> {
    this.#producer = producer
    const { maxHeaderBytes } = this.#limits
    const announced = response.headers.get('content-length')
    let sent = 0
    let chunk = producer.prompt ? await producer.next() : EMPTY
    sent += chunk?.length ?? 0
    if (this.#owner.isOver) return
    await this.#write(encodeResponse(response, maxHeaderBytes, chunk))
    while (chunk) {
      // What the source takes its time for is not the peer's fault.
      this.#deadline?.done()
      chunk = await producer.next()
      if (this.#owner.isOver) return
      if (!chunk || chunk.length === 0) continue
      sent += chunk.length
      checkLength(announced, sent, false, true)
      await this.#write(chunk)
    }
    if (announced !== undefined) checkLength(announced, sent, false)
    this.#producer = undefined
  }

  /** Until the next write, or `done`, the peer's time runs. */
  #write(bytes: Uint8Array): Promise<void> | undefined {
    this.started = true
    const stream = this.#stream
    const pending = stream.writeNow ? stream.writeNow(bytes) : stream.write(bytes)
    if (!pending) return undefined
    this.#deadline?.done()
    this.#deadline = this.#writes.add(this.#owner)
    return pending
  }

  /** Lets go of the body that is being sent. */
  abandon(why: unknown): void {
    this.#producer?.cancel(why)
    this.#producer = undefined
  }

  /** The peer's time runs no longer. */
  done(): void {
    this.#deadline?.done()
  }
}

/** Lets go of a body that will not be sent. */
export function discard(response: P2PResponse): void {
  const { body } = response
  if (body === undefined || body instanceof Uint8Array) return
  try {
    produce(body).cancel(undefined)
  } catch {
    // It is locked, or no body at all: nothing to let go of.
  }
}

/** Holds an answer to the length that it announces: the peer would take anything else for a broken transfer. */
function checkLength(announced: string | number | undefined, bytes: number, bodyless: boolean, soFar = false): void {
  if (announced === undefined || bodyless) return
  const length = Number(announced)
  if (soFar ? bytes <= length : bytes === length) return
  const message = `the answer announces content-length ${announced} and its body has ${soFar ? 'over ' : ''}${length} bytes`
  throw P2PError.of('serialization', message, {})
}
