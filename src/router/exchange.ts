/**
 * One request on the serving side, from the stream's first byte to the last of the answer.
 *
 * @module
 */
import { P2PError } from '../core/errors.ts'
import type { P2PNodeId } from '../core/node-id.ts'
import type { Runtime, RuntimeTimer } from '../core/runtime.ts'
import type { P2PStream, PromptStream } from '../core/stream.ts'
import { AnswerWriter, discard } from './answer-writer.ts'
import type { AnswerOwner } from './answer-writer.ts'
import { P2PBody } from './body.ts'
import { BODYLESS, decodeRequestHead } from './codec.ts'
import type { Decoded, RequestHead } from './codec.ts'
import { explainStreamError, REQUEST_CODE } from './codes.ts'
import type { ExchangeHost, ExchangeOutcome, ExchangeOwner } from './exchange-host.ts'
import type { Deadline } from '../core/deadlines.ts'
import type { Linked } from '../core/linked-list.ts'
import { behindHead, HeadReader, READ_BYTES } from './head-reader.ts'
import { IncomingBody } from './incoming-body.ts'
import type { BodyOwner } from './incoming-body.ts'
import { P2PHeaders } from './headers.ts'
import { P2PRequest } from './request.ts'
import type { P2PRequestInit } from './request.ts'
import { P2PResponse } from './response.ts'

/** Before its head has come. */
const NO_HEAD: RequestHead & Decoded = { method: '', target: '', headers: new P2PHeaders(), contentLength: undefined }

/** A request being answered: what its handler gets is made of this. */
export class Exchange implements P2PRequestInit, BodyOwner, AnswerOwner, Linked<Exchange> {
  older: Exchange | undefined
  newer: Exchange | undefined
  readonly #host: ExchangeHost
  readonly #stream: P2PStream & PromptStream
  readonly #owner: ExchangeOwner
  readonly #reader: HeadReader
  #head: RequestHead & Decoded = NO_HEAD
  #stopListening: Disposable | undefined
  /** For its head, then for its handler. */
  #deadline: Deadline<Exchange> | undefined
  #request: P2PRequest | undefined
  #incoming: IncomingBody | undefined
  #abort: AbortController | undefined
  #aborted: P2PError | undefined
  #cleanups: (() => void)[] | undefined
  readonly #writer: AnswerWriter
  /** For a handler that was granted more time. */
  #timer: RuntimeTimer | undefined
  /** Whether an answer has been chosen: the handler's, or one in its stead. */
  #answered = false
  #over = false

  constructor(host: ExchangeHost, stream: P2PStream & PromptStream, owner: ExchangeOwner) {
    this.#host = host
    this.#stream = stream
    this.#owner = owner
    this.#reader = new HeadReader(host.limits.maxHeaderBytes)
    this.#writer = new AnswerWriter(stream, host.limits, host.writes, this)
  }

  get method(): string {
    return this.#head.method
  }

  get path(): string {
    return this.#head.target
  }

  get headers(): P2PHeaders {
    return this.#head.headers
  }

  get body(): P2PBody {
    return new P2PBody(this.#incoming as IncomingBody, this)
  }

  get maxBufferedBytes(): number {
    return this.#host.limits.maxBufferedBytes
  }

  get remoteNodeId(): P2PNodeId {
    return this.#owner.connection.remoteNodeId()
  }

  get isEarly(): boolean {
    return this.#owner.connection.isEarly
  }

  get runtime(): Runtime {
    return this.#host.runtime
  }

  /** Reads the head, and then calls the handler. */
  begin(): void {
    // Mostly it has come with the stream.
    const now = this.#stream.readNow?.(READ_BYTES)
    if (now) this.#headChunk(now)
    if (this.#head !== NO_HEAD || this.#over) return
    this.#deadline = this.#host.heads.add(this)
    if (!now) this.#readHead()
  }

  headLate(): void {
    this.#give(REQUEST_CODE.timeout, 'malformed', 'its head did not come in time')
  }

  /** Gives the exchange up because the server closes or the connection is over. */
  cancel(why: string): void {
    this.#give(REQUEST_CODE.cancelled, 'cancelled', why)
  }

  #readHead(): void {
    this.#stream.read(READ_BYTES).then(
      (chunk) => this.#headChunk(chunk),
      () => this.#give(REQUEST_CODE.cancelled, 'cancelled', 'it was given up before it was complete'),
    )
  }

  #headChunk(chunk: Uint8Array | undefined): void {
    if (this.#over) return
    let raw
    let head
    try {
      raw = this.#reader.push(chunk)
      head = raw && decodeRequestHead(raw.bytes, raw.start, raw.end)
    } catch (error) {
      const { code, message } = error as P2PError
      const tooLarge = code === 'limit-exceeded'
      this.#give(tooLarge ? REQUEST_CODE.tooLarge : REQUEST_CODE.malformed, 'malformed', message)
      return
    }
    if (!raw || !head) {
      this.#readHead()
      return
    }
    this.#head = head
    this.#deadline?.done()
    const rest = behindHead(raw)
    if (!this.isEarly || this.#host.early.has(head.method)) {
      this.#accept(rest)
      return
    }
    void this.#owner.connection.handshake().then(() => {
      // Without a handshake the connection is over, and so is this.
      if (!this.#over && !this.isEarly) this.#accept(rest)
    })
  }

  /** @param rest what of the body came with the head */
  #accept(rest: Uint8Array | undefined): void {
    const incoming = new IncomingBody(this.#stream, this.#head.contentLength, this.#host.bodies, this)
    this.#incoming = incoming
    const request = new P2PRequest(this)
    this.#request = request
    this.#stopListening = this.#stream.onStopped(() => this.cancel('the peer no longer wants the answer'))
    incoming.begin(rest)
    // Whoever resets its body or stops the answer at once wants no handler to run.
    if (!this.#over) this.#callHandler(request)
  }

  /** The name of the body, for messages. */
  get what(): string {
    return `the body of ${this.method} ${this.path.slice(0, 200)}`
  }

  explainBody(error: unknown): P2PError {
    return explainStreamError(error, this.what, this.remoteNodeId)
  }

  bodyEnded(): void {}

  bodyUnwanted(): void {
    this.#incoming?.giveUp()
  }

  /** A peer that resets the body, or is gone, wants no answer either; over a limit it is owed one. */
  bodyFailed(error: P2PError): void {
    const gone = error.code === 'stream-reset' || error.code === 'connection-closed'
    if (gone) this.cancel(error.message)
  }

  #callHandler(request: P2PRequest): void {
    const { handler, handlers, limits } = this.#host
    if ((this.#head.contentLength ?? 0) > limits.maxBodyBytes) {
      this.#answer(P2PResponse.error(413))
      return
    }
    try {
      const response = handler(request)
      if (response instanceof P2PResponse) {
        this.#answer(response)
        return
      }
      this.#deadline = handlers.add(this)
      Promise.resolve(response).then(
        (late) => this.#answer(late instanceof P2PResponse ? late : this.#failed(this.#noResponse(late))),
        (error: unknown) => this.#answer(this.#failed(error)),
      )
    } catch (error) {
      this.#answer(this.#failed(error))
    }
  }

  #noResponse(value: unknown): P2PError {
    const { method, path } = this.#request as P2PRequest
    const message = `the handler of ${method} ${path} returned no P2PResponse but ${typeof value}`
    return P2PError.of('serialization', message, {})
  }

  /** The answer to a handler's error. What the peer's own body caused is the peer's fault. */
  #failed(error: unknown): P2PResponse {
    const request = this.#request as P2PRequest
    if (error !== undefined && error === request.body.failure) {
      if (P2PError.is(error, 'limit-exceeded')) return P2PResponse.error(413)
      if (P2PError.is(error, 'timeout')) return P2PResponse.error(408)
      return P2PResponse.error(400, P2PError.is(error, 'serialization') ? 'The body is not JSON' : undefined)
    }
    // After an abort the handler fails because it was told to stop.
    if (!this.#aborted) this.#report(error)
    return P2PResponse.error(500)
  }

  /** While it waits for the peer's body the handler is not late; that wait has a limit of its own. */
  handlerLate(): void {
    const { runtime, limits } = this.#host
    const incoming = this.#incoming as IncomingBody
    const sinceMs = incoming.waiting ? runtime.now() : (incoming.progressMs ?? this.#deadline?.sinceMs ?? 0)
    const leftMs = sinceMs + limits.handlerTimeoutMs - runtime.now()
    if (leftMs > 0) {
      this.#timer = runtime.setTimer(leftMs, () => this.handlerLate())
      return
    }
    const { method, path } = this.#request as P2PRequest
    const ms = limits.handlerTimeoutMs
    const error = P2PError.of('timeout', `the handler of ${method} ${path} did not answer within ${ms} ms`, {
      afterMs: ms,
    })
    this.#report(error)
    this.#answer(P2PResponse.error(504))
    this.#fire(error)
  }

  #answer(response: P2PResponse): void {
    if (this.#answered || this.#over) {
      discard(response)
      return
    }
    this.#answered = true
    this.#deadline?.done()
    this.#timer?.cancel()
    let sending
    try {
      sending = this.#writer.send(response, this.#isHead)
    } catch (error) {
      this.#sendFailed(error)
      return
    }
    if (!sending) {
      this.#sent()
      return
    }
    sending.then(
      () => this.#sent(),
      (error: unknown) => this.#sendFailed(error),
    )
  }

  #sent(): void {
    if (this.#over) return
    const stream = this.#stream
    const finishing = stream.finishNow ? stream.finishNow() : stream.finish()
    // A peer that stops now has all it wants.
    finishing?.catch(() => {})
    this.#end('answered')
  }

  /** Whether the answer is one without its body. */
  get #isHead(): boolean {
    return this.method === 'HEAD'
  }

  /** Whether nobody wants the answer any more. */
  get isOver(): boolean {
    return this.#over
  }

  /** The peer has taken nothing of the answer for too long. */
  writeLate(): void {
    const ms = this.#host.limits.bodyIdleTimeoutMs
    this.#give(REQUEST_CODE.timeout, 'cancelled', `the peer took nothing for ${ms} ms`)
  }

  #sendFailed(error: unknown): void {
    if (this.#over) return
    if (P2PError.is(error, 'stream-stopped') || P2PError.is(error, 'connection-closed')) {
      this.cancel('the peer no longer wants the answer')
      return
    }
    this.#report(error)
    if (this.#writer.started) this.#give(REQUEST_CODE.internal, 'cancelled', 'the answer failed half-way')
    else this.#sendInstead(P2PResponse.error(500), error)
  }

  /** Nothing of the answer has left: another can take its place. */
  #sendInstead(response: P2PResponse, error: unknown): void {
    this.#writer.abandon(error)
    this.#writer.started = true
    const failed = (): void => this.#give(REQUEST_CODE.internal, 'cancelled', 'the answer could not be sent')
    try {
      const sending = this.#writer.send(response, this.#isHead)
      if (sending) sending.then(() => this.#sent(), failed)
      else this.#sent()
    } catch {
      failed()
    }
  }

  #report(error: unknown): void {
    const { method, path: target, remoteNodeId } = this
    try {
      this.#host.onError(error, { method, target, remoteNodeId })
    } catch {
      // A failing reporter must not take the exchange with it.
    }
  }

  /** Runs `cleanup` when it is over. */
  onEnd(cleanup: () => void): void {
    if (this.#over) cleanup()
    else (this.#cleanups ??= []).push(cleanup)
  }

  /** Made when the handler first asks for it. */
  signal(): AbortSignal {
    this.#abort ??= new AbortController()
    if (this.#aborted) this.#abort.abort(this.#aborted)
    return this.#abort.signal
  }

  #fire(error: P2PError): void {
    this.#aborted ??= error
    this.#abort?.abort(this.#aborted)
  }

  /** Gives up both halves with `code`, and tells the handler. */
  #give(code: number, outcome: ExchangeOutcome, why: string): void {
    if (this.#over) return
    this.#over = true
    const error = P2PError.of('stream-reset', `the request was given up: ${why}`, { streamCode: code })
    this.#stream.reset(code)
    if (this.#incoming) this.#incoming.giveUp(error, code)
    else this.#stream.stop(code)
    this.#writer.abandon(error)
    this.#finish(outcome)
    this.#fire(error)
  }

  #end(outcome: ExchangeOutcome): void {
    this.#over = true
    this.#incoming?.release(this.#host.lingering, BODYLESS.has(this.method))
    this.#finish(outcome)
  }

  #finish(outcome: ExchangeOutcome): void {
    this.#deadline?.done()
    this.#writer.done()
    this.#timer?.cancel()
    this.#stopListening?.[Symbol.dispose]()
    for (const cleanup of this.#cleanups ?? []) {
      try {
        cleanup()
      } catch (error) {
        this.#report(error)
      }
    }
    this.#owner.exchangeEnded(this, outcome)
  }
}
