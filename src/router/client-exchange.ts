/**
 * One request on the asking side, from its place in the queue to the last byte of the answer.
 *
 * @module
 */
import type { P2PConnection, PromptConnection } from '../core/connection.ts'
import type { Deadline } from '../core/deadlines.ts'
import { P2PError } from '../core/errors.ts'
import type { Linked } from '../core/linked-list.ts'
import type { RuntimeTimer } from '../core/runtime.ts'
import type { P2PStream, PromptStream, StreamReader } from '../core/stream.ts'
import { P2PBody } from './body.ts'
import type { PreparedRequest } from './client-options.ts'
import { IDEMPOTENT } from './client-options.ts'
import { P2PClientResponse } from './client-response.ts'
import type { Decoded, ResponseHead } from './codec.ts'
import { decodeResponseHead, encodeRequest } from './codec.ts'
import { explainStreamError, REQUEST_CODE } from './codes.ts'
import { behindHead, HeadReader, READ_BYTES } from './head-reader.ts'
import { IncomingBody } from './incoming-body.ts'
import type { BodyOwner } from './incoming-body.ts'
import type { PooledPeer } from './pool.ts'
import type { BodyProducer } from './producer.ts'
import { produce } from './producer.ts'

/** Bodies up to this size are copied behind their head, to leave in one write. */
const INLINE_BYTES = 65_536
const EMPTY = new Uint8Array(0)

/** Shared by all requests. */
const OPTIONS = { kind: 'request', early: false } as const
const EARLY_OPTIONS = { kind: 'request', early: true } as const

/** A request under way. */
export class ClientExchange implements BodyOwner, StreamReader, Linked<ClientExchange> {
  older: ClientExchange | undefined
  newer: ClientExchange | undefined
  readonly #peer: PooledPeer
  readonly #request: PreparedRequest
  #stage: 'queued' | 'entered' | 'over' = 'queued'
  #connecting = false
  #connection: (P2PConnection & PromptConnection) | undefined
  /** Whether a connection that turns out to be lost is no reason to fail. */
  #mayRetry = false
  /** What the peer had answered when this was sent. */
  #answersBefore = 0
  #stream: (P2PStream & PromptStream) | undefined
  #reader: HeadReader | undefined
  #incoming: IncomingBody | undefined
  #producer: BodyProducer | undefined
  /** For the whole answer. */
  #timer: RuntimeTimer | undefined
  /** For the head of the answer. */
  #deadline: Deadline<ClientExchange> | undefined
  #onAbort: (() => void) | undefined
  #resolve!: (response: P2PClientResponse) => void
  #reject!: (error: P2PError) => void
  #sent = false
  /** The head, and behind it the body when it is small. */
  readonly #bytes: Uint8Array
  /** The body that is to be written on its own. */
  readonly #rest: PreparedRequest['body'] | undefined

  /** @throws P2PError `limit-exceeded` when the head is too long */
  constructor(peer: PooledPeer, request: PreparedRequest) {
    const { body } = request
    const inline = body instanceof Uint8Array && body.length <= INLINE_BYTES
    this.#peer = peer
    this.#request = request
    this.#bytes = encodeRequest(request, peer.limits.maxHeaderBytes, inline ? body : EMPTY)
    this.#rest = inline ? undefined : body
  }

  /** Resolves with the answer's head. */
  run(): Promise<P2PClientResponse> {
    const { signal, deadlineMs } = this.#request
    if (signal?.aborted) {
      this.#cancelUnsentBody()
      return Promise.reject(P2PError.aborted(signal, this.#name))
    }
    return new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
      const entered = this.#peer.enter(this) === 'entered'
      if (signal) {
        this.#onAbort = (): void => this.#fail(P2PError.aborted(signal, this.#name))
        this.#peer.aborts.add(signal, this.#onAbort)
      }
      if (deadlineMs !== undefined && deadlineMs !== Number.POSITIVE_INFINITY) {
        this.#timer = this.#peer.system.runtime.setTimer(deadlineMs, () => {
          const within = `within ${deadlineMs} ms (deadlineMs)`
          this.#late(`${this.#name}: no complete answer from ${this.#peer.name} ${within}`, deadlineMs)
        })
      }
      if (entered) this.begin()
    })
  }

  /** For messages. */
  get #name(): string {
    return `${this.#request.method} ${this.#request.target.slice(0, 200)}`
  }

  get #over(): boolean {
    return this.#stage === 'over'
  }

  /** It has a place among the requests in flight. */
  begin(): void {
    this.#stage = 'entered'
    const reused = this.#peer.ready
    if (reused) this.#attempt(reused, true)
    else this.#connect()
  }

  #connect(): void {
    this.#connecting = true
    this.#peer.connect(this.#request.earlyData).then(
      (connection) => {
        this.#connecting = false
        if (!this.#over) this.#attempt(connection, false)
      },
      (error: unknown) => {
        this.#connecting = false
        this.#failExplained(error)
      },
    )
  }

  #attempt(connection: P2PConnection & PromptConnection, mayRetry: boolean): void {
    this.#connection = connection
    this.#mayRetry = mayRetry
    this.#answersBefore = this.#peer.answers
    const options = this.#request.earlyData ? EARLY_OPTIONS : OPTIONS
    let stream
    try {
      stream = connection.openStreamNow?.(options)
    } catch (error) {
      // Not at once: each of many that wait their turn would fail inside of the one before.
      void Promise.resolve().then(() => this.onUnreadable(error))
      return
    }
    if (stream) {
      this.#opened(stream)
      return
    }
    connection.openStream(options).then(
      (later) => this.#opened(later),
      (error: unknown) => this.onUnreadable(error),
    )
  }

  #opened(stream: P2PStream & PromptStream): void {
    if (this.#over) {
      giveUp(stream)
      return
    }
    this.#stream = stream
    this.#reader = new HeadReader(this.#peer.limits.maxHeaderBytes)
    const rest = this.#rest
    if (rest === undefined || rest instanceof Uint8Array) this.#sendWhole(stream, rest)
    else void this.#upload(stream, rest)
    this.onReadable()
  }

  /** Reads the head as far as it is there. */
  onReadable(): void {
    const stream = this.#stream as P2PStream & PromptStream
    for (;;) {
      if (this.#over || this.#incoming) return
      const chunk = stream.readNow?.(READ_BYTES)
      if (chunk === undefined) break
      this.#headChunk(chunk ?? undefined)
    }
    if (stream.whenReadable) {
      stream.whenReadable(this)
      return
    }
    stream.read(READ_BYTES).then(
      (chunk) => {
        this.#headChunk(chunk)
        this.onReadable()
      },
      (error: unknown) => this.onUnreadable(error),
    )
  }

  /** The stream, or the connection, is lost before the head has come. */
  onUnreadable(error: unknown): void {
    const connection = this.#connection as P2PConnection
    if (this.#over) return
    if (!this.#mayRetry || !this.#neverReached(error, connection)) {
      this.#failExplained(error)
      return
    }
    this.#deadline?.done()
    // Another request may have connected anew meanwhile.
    const other = this.#peer.ready
    if (other && other !== connection) this.#attempt(other, false)
    else this.#connect()
  }

  /** Undefined for the end of the stream. */
  #headChunk(chunk: Uint8Array | undefined): void {
    if (this.#over) return
    this.#peer.answered()
    let raw
    let head
    try {
      raw = this.#reader?.push(chunk)
      head = raw && decodeResponseHead(raw.bytes, raw.start, raw.end)
    } catch (error) {
      const tooLarge = P2PError.is(error, 'limit-exceeded')
      giveUp(this.#stream as P2PStream, tooLarge ? REQUEST_CODE.tooLarge : REQUEST_CODE.malformed)
      this.#fail(error as P2PError)
      return
    }
    if (raw && head) this.#answered(head, behindHead(raw))
  }

  /** Whether the request went to a connection just lost, or a server just closed, and nobody looked at it. */
  #neverReached(error: unknown, connection: P2PConnection): boolean {
    if (this.#rest !== undefined && !(this.#rest instanceof Uint8Array)) return false
    if (P2PError.is(error, 'stream-reset') && error.streamCode === REQUEST_CODE.closing) {
      this.#peer.retire(connection)
      return true
    }
    return P2PError.is(error, 'connection-closed') && !this.#sent && IDEMPOTENT.has(this.#request.method)
  }

  /** Failures to send are not told from here: whether the peer answered nonetheless is what counts. */
  #sendWhole(stream: P2PStream & PromptStream, rest: Uint8Array | undefined): void {
    const pending = stream.writeNow ? stream.writeNow(this.#bytes) : stream.write(this.#bytes)
    if (!pending) this.#sent = true
    pending?.then(
      () => {
        this.#sent = true
      },
      () => {},
    )
    if (rest) stream.write(rest).catch(() => {})
    const finishing = stream.finishNow ? stream.finishNow() : stream.finish()
    finishing?.catch(() => {})
    this.#awaitHead()
  }

  async #upload(stream: P2PStream, body: Exclude<PreparedRequest['body'], Uint8Array>): Promise<void> {
    try {
      const producer = produce(body)
      this.#producer = producer
      await stream.write(this.#bytes)
      this.#sent = true
      for (let chunk = await producer.next(); chunk; chunk = await producer.next()) {
        if (this.#over) return
        if (chunk.length > 0) await stream.write(chunk)
      }
      this.#producer = undefined
      await stream.finish()
      if (!this.#incoming) this.#awaitHead()
    } catch (error) {
      this.#producer?.cancel(error)
      this.#producer = undefined
      // The peer has all it wants, or the connection is over: reading the answer tells.
      if (P2PError.is(error, 'stream-stopped') || P2PError.is(error, 'connection-closed')) return
      const message = `${this.#name}: the source of its body failed`
      this.#fail(P2PError.is(error) ? error : P2PError.of('serialization', message, {}, { cause: error }))
    }
  }

  #awaitHead(): void {
    if (this.#over) return
    this.#deadline = this.#peer.heads.add(this)
  }

  headLate(): void {
    const ms = this.#peer.limits.headTimeoutMs
    this.#late(`${this.#name}: no answer from ${this.#peer.name} within ${ms} ms (headTimeoutMs)`, ms)
  }

  /** @param rest what of the body came with the head */
  #answered({ status, headers, contentLength }: ResponseHead & Decoded, rest: Uint8Array | undefined): void {
    this.#deadline?.done()
    const bodyless = this.#request.method === 'HEAD' || status === 204 || status === 205 || status === 304
    const expectedBytes = bodyless ? 0 : contentLength
    const incoming = new IncomingBody(this.#stream as P2PStream, expectedBytes, this.#peer.bodies, this)
    this.#incoming = incoming
    const body = new P2PBody(incoming, this)
    incoming.begin(rest)
    this.#resolve(new P2PClientResponse({ status, headers, body, remoteNodeId: this.#peer.id }))
  }

  get maxBufferedBytes(): number {
    return this.#peer.limits.maxBufferedBytes
  }

  /** The name of the answer, for messages. */
  get what(): string {
    return `the answer to ${this.#name}`
  }

  explainBody(error: unknown): P2PError {
    return explainStreamError(error, this.what, this.#peer.id)
  }

  /** Whoever wants no more of the answer ends the request. */
  bodyUnwanted(): void {
    if (!this.#incoming || this.#incoming.complete) return
    this.#incoming.giveUp(undefined, REQUEST_CODE.cancelled)
    this.#finish()
  }

  bodyEnded(): void {
    this.#finish()
  }

  bodyFailed(): void {
    this.#finish()
  }

  #late(message: string, afterMs: number): void {
    if (this.#over) return
    if (this.#connection) this.#peer.doubt(this.#connection, this.#answersBefore)
    this.#fail(P2PError.of('timeout', message, { afterMs }))
  }

  #failExplained(error: unknown): void {
    this.#fail(explainStreamError(error, this.#name, this.#peer.id))
  }

  /** Ends the request before its answer is complete. */
  #fail(error: P2PError): void {
    if (this.#over) return
    if (this.#incoming) this.#incoming.giveUp(error, REQUEST_CODE.cancelled)
    else this.#stream?.stop(REQUEST_CODE.cancelled)
    this.#stream?.reset(REQUEST_CODE.cancelled)
    this.#finish()
    this.#reject(error)
  }

  #finish(): void {
    if (this.#over) return
    const { signal } = this.#request
    const entered = this.#stage === 'entered'
    this.#stage = 'over'
    this.#deadline?.done()
    this.#timer?.cancel()
    if (signal && this.#onAbort) this.#peer.aborts.delete(signal, this.#onAbort)
    if (this.#connecting) this.#peer.giveUpConnecting()
    if (this.#producer) {
      // The answer is complete, or given up, and the body it was for is still being sent.
      this.#producer.cancel(undefined)
      this.#producer = undefined
      this.#stream?.reset(REQUEST_CODE.none)
    } else if (!this.#stream) {
      this.#cancelUnsentBody()
    }
    if (entered) this.#peer.leave()
    else this.#peer.leaveQueue(this)
  }

  #cancelUnsentBody(): void {
    const { body } = this.#request
    if (body instanceof Uint8Array) return
    try {
      produce(body).cancel(undefined)
    } catch {
      // It is locked, or no body at all: nothing to let go of.
    }
  }
}

function giveUp(stream: P2PStream, code: number = REQUEST_CODE.cancelled): void {
  stream.reset(code)
  stream.stop(code)
}
