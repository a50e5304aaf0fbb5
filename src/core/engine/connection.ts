/**
 * Handles to a connection: what applications hold. Backends subclass it to add what only they have.
 *
 * @module
 */
import { invalidConfiguration } from '../config.ts'
import type {
  CloseInfo,
  ConnectionStats,
  P2PConnection,
  P2PPath,
  P2PPathChange,
  PromptConnection,
  StreamKind,
  StreamOptions,
} from '../connection.ts'
import { P2PError } from '../errors.ts'
import type { NodeId } from '../node-id.ts'
import type { P2PReceiveStream, P2PSendStream, P2PStream, WaitOptions } from '../stream.ts'
import type { DuplexStream } from './duplex-stream.ts'
import { PathChanges } from './path-changes.ts'
import { checkStreamCode } from './receive-half.ts'
import type { Session } from './session.ts'
import { throwIfAborted } from './waiting.ts'
import { watchReceiveHalf, watchSendHalf } from './watched-halves.ts'
import { LIBRARY_CODE } from './wire.ts'

/** The largest reason that fits beside a close code in one packet of the smallest size. */
const MAX_REASON_BYTES = 1024

/** What `next` brings, until the connection is over. */
async function* untilClosed(next: () => Promise<Uint8Array>): AsyncIterableIterator<Uint8Array> {
  for (;;) {
    let bytes
    try {
      bytes = await next()
    } catch (error) {
      if (P2PError.is(error, 'connection-closed')) return
      throw error
    }
    yield bytes
  }
}

/** One handle to a connection. */
export class EngineConnection implements P2PConnection<NodeId>, Required<PromptConnection> {
  /** What all handles share. For backends, not for applications. */
  protected readonly session: Session
  #released = false
  #last = false

  /** Connections come from `connect` and `accept`. */
  constructor(session: Session, kinds: readonly StreamKind[]) {
    this.session = session
    session.attach(kinds)
    session.leaks?.watch(this, `a connection to ${session.carrier.remoteId.fmtShort()}`, () => session.connected)
  }

  remoteNodeId(): NodeId {
    return this.session.carrier.remoteId
  }

  isConnected(): boolean {
    return !this.#released && this.session.connected
  }

  get alpn(): string {
    return this.session.carrier.alpn
  }

  get isEarly(): boolean {
    return this.session.carrier.handshake !== undefined
  }

  async handshake(): Promise<void> {
    await this.session.carrier.handshake
  }

  get closed(): Promise<CloseInfo> {
    return this.session.closed
  }

  async send(bytes: Uint8Array, options?: WaitOptions): Promise<void> {
    this.#checkHandle()
    if (!(bytes instanceof Uint8Array)) throw invalidConfiguration('bytes', typeof bytes, 'a message is a Uint8Array')
    await this.session.send(bytes, options?.signal)
  }

  async recv(options?: WaitOptions): Promise<Uint8Array> {
    this.#checkReadable()
    return await this.session.recv(options?.signal)
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array> {
    return untilClosed(() => this.recv())
  }

  openStream(options?: StreamOptions): Promise<P2PStream> {
    try {
      this.#checkHandle()
      throwIfAborted(options?.signal, 'openStream')
      const opened = this.session.openBi(this.#kind(options), options?.signal, options?.early)
      return this.session.leaks ? this.#watched(opened) : Promise.resolve(opened)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** @internal See `PromptConnection`. Lost handles are looked for in `openStream` and `acceptStream` alone. */
  openStreamNow(options: StreamOptions): P2PStream | undefined {
    this.#checkHandle()
    if (this.session.leaks) return undefined
    return this.session.openBiNow(this.#kind(options), options.early === true)
  }

  /** @internal */
  acceptStreamNow(options: StreamOptions): P2PStream | undefined {
    this.#checkReadable()
    return this.session.leaks ? undefined : this.session.acceptBiNow(this.#kind(options))
  }

  acceptStream(options?: StreamOptions): Promise<P2PStream> {
    try {
      this.#checkReadable()
      const accepted = this.session.acceptBi(this.#kind(options), options?.signal)
      return this.session.leaks ? this.#watched(accepted) : accepted
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async openSendStream(options?: WaitOptions): Promise<P2PSendStream> {
    this.#checkHandle()
    throwIfAborted(options?.signal, 'openSendStream')
    const half = await this.session.openUni(options?.signal)
    return watchSendHalf(half, this.session.leaks, this.remoteNodeId())
  }

  async acceptReceiveStream(options?: WaitOptions): Promise<P2PReceiveStream> {
    this.#checkReadable()
    const half = await this.session.acceptUni(options?.signal)
    return watchReceiveHalf(half, this.session.leaks, this.remoteNodeId())
  }

  sendDatagram(bytes: Uint8Array): void {
    this.#checkHandle()
    if (!(bytes instanceof Uint8Array)) throw invalidConfiguration('bytes', typeof bytes, 'a datagram is a Uint8Array')
    this.session.sendDatagram(bytes)
  }

  async recvDatagram(options?: WaitOptions): Promise<Uint8Array> {
    this.#checkReadable()
    return await this.session.recvDatagram(options?.signal)
  }

  get datagrams(): AsyncIterable<Uint8Array> {
    return untilClosed(() => this.recvDatagram())
  }

  get maxDatagramSize(): number {
    return this.#released ? 0 : this.session.maxDatagramBytes
  }

  stats(): ConnectionStats {
    return this.session.stats()
  }

  paths(): readonly P2PPath[] {
    return this.session.carrier.paths()
  }

  onPathChange(listener: (paths: readonly P2PPath[], change: P2PPathChange) => void): Disposable {
    const changes = new PathChanges(this.paths())
    return this.session.carrier.onPathChange(() => {
      const paths = this.paths()
      const change = changes.next(paths, this.session.stats().durationMs)
      if (change) listener(paths, change)
    })
  }

  clone(): this {
    this.#checkHandle()
    const constructor = this.constructor as new (session: Session, kinds: readonly StreamKind[]) => this
    return new constructor(this.session, [])
  }

  close(code = 0, reason = ''): void {
    checkStreamCode(code)
    if (new TextEncoder().encode(reason).length > MAX_REASON_BYTES) {
      throw invalidConfiguration(
        'reason',
        reason.slice(0, 40),
        `a reason has at most ${MAX_REASON_BYTES} bytes of UTF-8`,
      )
    }
    this.#release()
    this.session.close(code, reason)
  }

  async end(options?: WaitOptions): Promise<void> {
    if (this.#released) return
    this.#release()
    this.#last = this.session.release()
    if (this.#last) await this.session.end(options?.signal)
  }

  /** Turns the peer away when this is the only handle, and gives the handle up. For listeners. */
  refuse(why: string): void {
    this.#release()
    if (this.session.release()) this.session.close(LIBRARY_CODE.refused, why)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.end()
  }

  #release(): void {
    this.#released = true
    this.session.leaks?.forget(this)
  }

  /** After its own `end()` the last handle may still read what the peer had sent before it knew. */
  #checkReadable(): void {
    if (!(this.#last && this.session.ended)) this.#checkHandle()
  }

  async #watched(opened: DuplexStream | Promise<DuplexStream>): Promise<DuplexStream> {
    const { leaks, carrier } = this.session
    const stream = await opened
    leaks?.watch(stream, `a stream with ${carrier.remoteId.fmtShort()}`, stream.openness)
    return stream
  }

  #kind(options: StreamOptions | undefined): StreamKind {
    const kind = options?.kind ?? 'stream'
    if (kind === 'stream') return kind
    if (kind !== 'request') throw invalidConfiguration('kind', kind, "a stream is of kind 'stream' or 'request'")
    this.session.requireOurs('streams of other kinds than `stream`')
    return kind
  }

  #checkHandle(): void {
    if (!this.#released) return
    throw P2PError.of('connection-closed', 'this handle was closed, or has ended; use another clone or connect again', {
      closeCode: 0,
      reason: 'handle released',
      by: 'local',
    })
  }
}

Object.defineProperty(EngineConnection.prototype, Symbol.for('nodejs.util.inspect.custom'), {
  value(this: EngineConnection): string {
    const state = this.isConnected() ? 'open' : 'closed'
    return `${this.constructor.name}(to ${this.remoteNodeId().fmtShort()}, ${this.alpn}, ${state})`
  },
})
