/**
 * One request on the asking side, from its place in the queue to the last byte of the answer.
 *
 * @module
 */
import type { P2PConnection } from '../core/connection.ts'
import type { Deadline } from '../core/deadlines.ts'
import { P2PError } from '../core/errors.ts'
import type { RuntimeTimer } from '../core/runtime.ts'
import type { P2PStream, PromptStream } from '../core/stream.ts'
import { P2PBody } from './body.ts'
import type { ByteSource } from './body.ts'
import type { PreparedRequest } from './client-options.ts'
import { IDEMPOTENT } from './client-options.ts'
import { P2PClientResponse } from './client-response.ts'
import type { ResponseHead } from './codec.ts'
import { contentLength, decodeResponseHead, encodeRequest } from './codec.ts'
import { explainStreamError, REQUEST_CODE } from './codes.ts'
import { HeadReader, READ_BYTES } from './head-reader.ts'
import { IncomingBody } from './incoming-body.ts'
import type { BodyOwner } from './incoming-body.ts'
import type { PooledPeer } from './pool.ts'
import type { BodyProducer } from './producer.ts'
import { produce } from './producer.ts'

/** Bodies up to this size are copied behind their head, to leave in one write. */
const INLINE_BYTES = 65_536
const EMPTY = new Uint8Array(0)

/** The body of an answer; whoever wants no more of it ends the request. */
class AnswerSource implements ByteSource {
  readonly #incoming: IncomingBody
  readonly #owner: BodyOwner

  constructor(incoming: IncomingBody, owner: BodyOwner) {
    this.#incoming = incoming
    this.#owner = owner
  }

  read(): Promise<Uint8Array | undefined> {
    return this.#incoming.read()
  }

  whole(limitBytes: number): Uint8Array | undefined {
    return this.#incoming.whole(limitBytes)
  }

  cancel(): void {
    if (this.#incoming.complete) return
    this.#incoming.cancel(undefined, REQUEST_CODE.cancelled)
    this.#owner.bodyEnded()
  }
}

/** A request under way. */
export class ClientExchange implements BodyOwner {
  readonly #peer: PooledPeer
  readonly #request: PreparedRequest
  readonly #what: string
  #stage: 'queued' | 'entered' | 'over' = 'queued'
  #connecting = false
  #connection: P2PConnection | undefined
  /** What the peer had answered when this was sent. */
  #answersBefore = 0
  #stream: P2PStream | undefined
  #incoming: IncomingBody | undefined
  #producer: BodyProducer | undefined
  /** For the whole answer. */
  #timer: RuntimeTimer | undefined
  /** For the head of the answer. */
  #deadline: Deadline<ClientExchange> | undefined
  readonly #onAbort = (): void => this.#fail(P2PError.aborted(this.#request.signal as AbortSignal, this.#what))
  readonly #onTurn = (): void => {
    this.#stage = 'entered'
    this.#begin()
  }
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
    this.#what = `${request.method} ${request.target.slice(0, 200)}`
    this.#bytes = encodeRequest(request, peer.limits.maxHeaderBytes, inline ? body : EMPTY)
    this.#rest = inline ? undefined : body
  }

  /** Resolves with the answer's head. */
  run(): Promise<P2PClientResponse> {
    const { signal, deadlineMs } = this.#request
    if (signal?.aborted) {
      this.#cancelUnsentBody()
      return Promise.reject(P2PError.aborted(signal, this.#what))
    }
    return new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
      const entered = this.#peer.enter(this.#onTurn) === 'entered'
      if (signal) this.#peer.aborts.add(signal, this.#onAbort)
      if (deadlineMs !== undefined && deadlineMs !== Number.POSITIVE_INFINITY) {
        const message = `${this.#what}: no complete answer from ${this.#peer.name} within ${deadlineMs} ms (deadlineMs)`
        const late = (): void => this.#late(message, deadlineMs)
        this.#timer = this.#peer.system.runtime.setTimer(deadlineMs, late)
      }
      if (entered) this.#onTurn()
    })
  }

  get #over(): boolean {
    return this.#stage === 'over'
  }

  #begin(): void {
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

  #attempt(connection: P2PConnection, mayRetry: boolean): void {
    const failed = (error: unknown): void => {
      if (this.#over) return
      if (mayRetry && this.#neverReached(error, connection)) {
        this.#deadline?.done()
        // Another request may have connected anew meanwhile.
        const other = this.#peer.ready
        if (other && other !== connection) this.#attempt(other, false)
        else this.#connect()
      } else {
        this.#failExplained(error)
      }
    }
    this.#connection = connection
    this.#answersBefore = this.#peer.answers
    connection.openStream({ kind: 'request', early: this.#request.earlyData }).then((stream) => {
      if (this.#over) {
        giveUp(stream)
        return
      }
      this.#stream = stream
      const rest = this.#rest
      if (rest === undefined || rest instanceof Uint8Array) this.#sendWhole(stream, rest)
      else void this.#upload(stream, rest)
      this.#readHead(stream, new HeadReader(this.#peer.limits.maxHeaderBytes), failed)
    }, failed)
  }

  #readHead(stream: P2PStream, reader: HeadReader, failed: (error: unknown) => void): void {
    stream.read(READ_BYTES).then((chunk) => {
      if (this.#over) return
      this.#peer.answered()
      let raw
      let head
      try {
        raw = reader.push(chunk)
        head = raw && decodeResponseHead(raw.head)
      } catch (error) {
        const tooLarge = P2PError.is(error, 'limit-exceeded')
        giveUp(stream, tooLarge ? REQUEST_CODE.tooLarge : REQUEST_CODE.malformed)
        this.#fail(error as P2PError)
        return
      }
      if (raw && head) this.#answered(stream, head, raw.rest)
      else this.#readHead(stream, reader, failed)
    }, failed)
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
    const sent = (): void => {
      this.#sent = true
    }
    if (pending) pending.then(sent, () => {})
    else sent()
    if (rest) stream.write(rest).catch(() => {})
    stream.finish().catch(() => {})
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
      const message = `${this.#what}: the source of its body failed`
      this.#fail(P2PError.is(error) ? error : P2PError.of('serialization', message, {}, { cause: error }))
    }
  }

  #awaitHead(): void {
    if (this.#over) return
    this.#deadline = this.#peer.heads.add(this)
  }

  headLate(): void {
    const ms = this.#peer.limits.headTimeoutMs
    this.#late(`${this.#what}: no answer from ${this.#peer.name} within ${ms} ms (headTimeoutMs)`, ms)
  }

  #answered(stream: P2PStream, { status, headers }: ResponseHead, rest: Uint8Array): void {
    this.#deadline?.done()
    const bodyless = this.#request.method === 'HEAD' || status === 204 || status === 205 || status === 304
    const incoming = new IncomingBody({
      stream,
      rest,
      expectedBytes: bodyless ? 0 : contentLength(headers),
      maxBytes: Number.POSITIVE_INFINITY,
      limitName: 'maxBodyBytes',
      runtime: this.#peer.system.runtime,
      idleTimeoutMs: Number.POSITIVE_INFINITY,
      owner: this,
    })
    this.#incoming = incoming
    const { maxBufferedBytes } = this.#peer.limits
    const body = new P2PBody(new AnswerSource(incoming, this), { maxBufferedBytes, what: this.bodyName })
    incoming.begin()
    this.#resolve(new P2PClientResponse({ status, headers, body, remoteNodeId: this.#peer.id }))
  }

  get bodyName(): string {
    return `the answer to ${this.#what}`
  }

  explainBody(error: unknown): P2PError {
    return explainStreamError(error, this.bodyName, this.#peer.id)
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
    this.#fail(explainStreamError(error, this.#what, this.#peer.id))
  }

  /** Ends the request before its answer is complete. */
  #fail(error: P2PError): void {
    if (this.#over) return
    if (this.#incoming) this.#incoming.cancel(error, REQUEST_CODE.cancelled)
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
    if (signal) this.#peer.aborts.delete(signal, this.#onAbort)
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
    else this.#peer.leaveQueue(this.#onTurn)
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
