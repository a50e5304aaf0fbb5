/**
 * One request on the serving side, from the stream's first byte to the last of the answer.
 *
 * @module
 */
import { P2PError } from '../core/errors.ts'
import type { P2PConnection } from '../core/connection.ts'
import type { P2PNodeId } from '../core/node-id.ts'
import type { Runtime, RuntimeTimer } from '../core/runtime.ts'
import type { P2PStream, PromptStream } from '../core/stream.ts'
import { AnswerWriter, discard } from './answer-writer.ts'
import type { AnswerOwner } from './answer-writer.ts'
import { P2PBody } from './body.ts'
import { BODYLESS, contentLength, decodeRequestHead } from './codec.ts'
import type { RequestHead } from './codec.ts'
import { explainStreamError, REQUEST_CODE } from './codes.ts'
import type { Deadline, Deadlines } from '../core/deadlines.ts'
import type { Linked } from '../core/linked-list.ts'
import { HeadReader, READ_BYTES } from './head-reader.ts'
import { IncomingBody } from './incoming-body.ts'
import type { BodyOwner } from './incoming-body.ts'
import { P2PRequest } from './request.ts'
import { P2PResponse } from './response.ts'
import type { P2PHandler } from './router.ts'
import type { ServeOptions, ServerLimits } from './server-options.ts'

/** What an exchange needs of its server. */
export interface ExchangeHost {
  readonly runtime: Runtime
  readonly limits: ServerLimits
  readonly handler: P2PHandler
  /** Methods that need not wait for the handshake. */
  readonly early: ReadonlySet<string>
  readonly onError: NonNullable<ServeOptions['onError']>
  /** Heads that are not complete. */
  readonly heads: Deadlines<Exchange>
  /** Handlers that have not answered. */
  readonly handlers: Deadlines<Exchange>
  /** Writes that the peer has not taken. */
  readonly writes: Deadlines<AnswerOwner>
  /** Requests that were answered, and have not come to their end. */
  readonly lingering: Deadlines<IncomingBody>
}

/** How an exchange ended: answered, given up by the peer or the server, or not understood. */
export type ExchangeOutcome = 'answered' | 'cancelled' | 'malformed'

/** A request being answered. */
export class Exchange implements BodyOwner, AnswerOwner, Linked<Exchange> {
  older: Exchange | undefined
  newer: Exchange | undefined
  bodyName = ''
  readonly #host: ExchangeHost
  readonly #stream: P2PStream & PromptStream
  readonly #connection: P2PConnection
  readonly #remote: P2PNodeId
  readonly #done: (exchange: Exchange, outcome: ExchangeOutcome) => void
  readonly #head: HeadReader
  #stopListening: Disposable | undefined
  /** For its head, then for its handler. */
  #deadline: Deadline<Exchange> | undefined
  #isHeadRead = false
  #request: P2PRequest | undefined
  #incoming: IncomingBody | undefined
  #abort: AbortController | undefined
  #aborted: P2PError | undefined
  readonly #cleanups: (() => void)[] = []
  readonly #writer: AnswerWriter
  /** For a handler that was granted more time. */
  #timer: RuntimeTimer | undefined
  /** Whether an answer has been chosen: the handler's, or one in its stead. */
  #answered = false
  #over = false

  /** `done` is called once, when the exchange is over. */
  constructor(
    host: ExchangeHost,
    stream: P2PStream & PromptStream,
    connection: P2PConnection,
    done: (exchange: Exchange, outcome: ExchangeOutcome) => void,
  ) {
    this.#host = host
    this.#stream = stream
    this.#connection = connection
    this.#remote = connection.remoteNodeId()
    this.#done = done
    this.#head = new HeadReader(host.limits.maxHeaderBytes)
    this.#writer = new AnswerWriter(stream, host.limits, host.writes, this)
  }

  /** Reads the head, and then calls the handler. */
  begin(): void {
    // Mostly it has come with the stream.
    const now = this.#stream.readNow?.(READ_BYTES)
    if (now) this.#headChunk(now)
    if (this.#request || this.#over || this.#isHeadRead) return
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
      raw = this.#head.push(chunk)
      head = raw && decodeRequestHead(raw.head)
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
    this.#isHeadRead = true
    this.#deadline?.done()
    const { rest } = raw
    if (!this.#connection.isEarly || this.#host.early.has(head.method)) {
      this.#accept(head, rest)
      return
    }
    void this.#connection.handshake().then(() => {
      // Without a handshake the connection is over, and so is this.
      if (!this.#over && !this.#connection.isEarly) this.#accept(head, rest)
    })
  }

  #accept(head: RequestHead, rest: Uint8Array): void {
    const { runtime, limits } = this.#host
    this.bodyName = `the body of ${head.method} ${head.target.slice(0, 200)}`
    const incoming = new IncomingBody({
      stream: this.#stream,
      rest,
      expectedBytes: contentLength(head.headers),
      maxBytes: limits.maxBodyBytes,
      limitName: 'maxBodyBytes',
      runtime,
      idleTimeoutMs: limits.bodyIdleTimeoutMs,
      owner: this,
    })
    this.#incoming = incoming
    this.#request = new P2PRequest({
      method: head.method,
      path: head.target,
      headers: head.headers,
      body: new P2PBody(incoming, { maxBufferedBytes: limits.maxBufferedBytes, what: this.bodyName }),
      remoteNodeId: this.#remote,
      isEarly: this.#connection.isEarly,
      runtime,
      signal: () => this.#signal(),
      onEnd: (cleanup) => {
        if (this.#over) cleanup()
        else this.#cleanups.push(cleanup)
      },
    })
    this.#stopListening = this.#stream.onStopped(() => this.cancel('the peer no longer wants the answer'))
    incoming.begin()
    // Whoever resets its body or stops the answer at once wants no handler to run.
    if (!this.#over) this.#callHandler(this.#request)
  }

  explainBody(error: unknown): P2PError {
    return explainStreamError(error, this.bodyName, this.#remote)
  }

  bodyEnded(): void {}

  /** A peer that resets the body, or is gone, wants no answer either; over a limit it is owed one. */
  bodyFailed(error: P2PError): void {
    const gone = error.code === 'stream-reset' || error.code === 'connection-closed'
    if (gone) this.cancel(error.message)
  }

  #callHandler(request: P2PRequest): void {
    const { handler, handlers, limits } = this.#host
    if ((contentLength(request.headers) ?? 0) > limits.maxBodyBytes) {
      this.#answer(P2PResponse.error(413))
      return
    }
    this.#deadline = handlers.add(this)
    try {
      const response = handler(request)
      if (response instanceof P2PResponse) {
        this.#answer(response)
        return
      }
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
    const sinceMs = incoming.waiting ? runtime.now() : incoming.progressMs
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
    // A peer that stops now has all it wants.
    this.#stream.finish().catch(() => {})
    this.#end('answered')
  }

  /** Whether the answer is one without its body. */
  get #isHead(): boolean {
    return this.#request?.method === 'HEAD'
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
    const { method, target } = this.#request as P2PRequest
    try {
      this.#host.onError(error, { method, target, remoteNodeId: this.#remote })
    } catch {
      // A failing reporter must not take the exchange with it.
    }
  }

  #signal(): AbortSignal {
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
    if (this.#incoming) this.#incoming.cancel(error, code)
    else this.#stream.stop(code)
    this.#writer.abandon(error)
    this.#finish(outcome)
    this.#fire(error)
  }

  #end(outcome: ExchangeOutcome): void {
    this.#over = true
    this.#incoming?.release(this.#host.lingering, BODYLESS.has(this.#request?.method ?? ''))
    this.#finish(outcome)
  }

  #finish(outcome: ExchangeOutcome): void {
    this.#deadline?.done()
    this.#writer.done()
    this.#timer?.cancel()
    this.#stopListening?.[Symbol.dispose]()
    for (const cleanup of this.#cleanups.splice(0)) {
      try {
        cleanup()
      } catch (error) {
        this.#report(error)
      }
    }
    this.#done(this, outcome)
  }
}
