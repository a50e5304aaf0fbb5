/**
 * Streams that the peer opens: their first bytes say what they are, and each kind goes to whoever takes it.
 *
 * @module
 */
import type { CarrierConnection, CarrierReceiveStream, CarrierSendStream, CarrierStream } from '../carrier.ts'
import type { P2PLimits } from '../config.ts'
import type { StreamKind } from '../connection.ts'
import { Deadlines } from '../deadlines.ts'
import type { P2PError } from '../errors.ts'
import type { Runtime } from '../runtime.ts'
import type { WaitScope } from '../wait-log.ts'
import { FIRST_READ_BYTES, parseStreamHeader, readStreamHeader } from './header.ts'
import type { StreamHeader } from './header.ts'
import type { DuplexStream } from './duplex-stream.ts'
import type { ReceiveHalf } from './receive-half.ts'
import type { StreamTable } from './streams.ts'
import { AsyncQueue } from './waiting.ts'
import { LIBRARY_CODE, STREAM_KIND } from './wire.ts'

/** What sorting needs of its connection. */
export interface InboundOptions {
  readonly carrier: CarrierConnection
  readonly runtime: Runtime
  /** Where to note who waits. */
  readonly waits: WaitScope | undefined
  readonly limits: P2PLimits
  /** Whether the protocol is ours; on others every stream is the application's. */
  readonly ours: boolean
  readonly streams: StreamTable
  /** The control stream, with the bytes that came with its header. */
  readonly control: (receive: CarrierReceiveStream, rest: Uint8Array) => Promise<void>
  /** The messages stream. */
  readonly messages: (receive: CarrierReceiveStream, rest: Uint8Array) => Promise<void>
  /** Messages came, and nobody takes any. */
  readonly messagesRefused: () => void
  /** The peer broke the protocol in a way that ends the connection. */
  readonly broken: (why: string) => void
}

/** A stream whose header is being read. */
interface Unsorted {
  readonly receive: CarrierReceiveStream
  readonly send: CarrierSendStream | undefined
  /** Whether that took too long. */
  late: boolean
}

/** Sorts the streams of one connection. */
export class Inbound {
  readonly #options: InboundOptions
  readonly #kinds = new Set<StreamKind>()
  readonly #twoWay: Readonly<Record<StreamKind, AsyncQueue<DuplexStream>>>
  readonly #oneWay: AsyncQueue<ReceiveHalf>
  readonly #headers: Deadlines<Unsorted>
  /** Streams whose header is being read. */
  #classifying: Set<Promise<void>> | undefined
  #hasMessages = false
  #hasControl = false

  constructor(options: InboundOptions) {
    this.#options = options
    const { waits } = options
    // The library takes requests by itself: that is nothing to report.
    this.#twoWay = { stream: new AsyncQueue(waits), request: new AsyncQueue() }
    this.#oneWay = new AsyncQueue(waits)
    this.#headers = new Deadlines(options.runtime, options.limits.streamHeaderTimeoutMs, refuseLate)
  }

  /** Whether the messages stream has come. */
  get hasMessages(): boolean {
    return this.#hasMessages
  }

  /** Takes streams of these kinds from now on. */
  claim(kinds: readonly StreamKind[]): void {
    for (const kind of kinds) this.#kinds.add(kind)
  }

  acceptTwoWay(kind: StreamKind, signal: AbortSignal | undefined): Promise<DuplexStream> {
    this.#kinds.add(kind)
    return this.#twoWay[kind].next(signal, 'acceptStream')
  }

  /** One that waits to be accepted. */
  shiftTwoWay(kind: StreamKind): DuplexStream | undefined {
    return this.#twoWay[kind].shift()
  }

  acceptOneWay(signal: AbortSignal | undefined): Promise<ReceiveHalf> {
    return this.#oneWay.next(signal, 'acceptReceiveStream')
  }

  /** Two-way streams that nobody has accepted yet. */
  *waiting(): Generator<DuplexStream> {
    yield* this.#twoWay.stream
    yield* this.#twoWay.request
  }

  /** Starts to accept streams; before, they wait in the transport. Resolves when there will be no more. */
  async run(): Promise<void> {
    const { carrier } = this.#options
    await Promise.all([
      carrier.whenBi
        ? this.#takeTwoWay(carrier)
        : this.#loop(
            () => carrier.acceptBiNow?.() ?? carrier.acceptBi(),
            (stream) => this.#sortTwoWay(stream),
          ),
      this.#loop(
        () => carrier.acceptUni(),
        (stream) => this.#sortOneWay(stream),
      ),
    ])
    if (this.#classifying) await Promise.all(this.#classifying)
  }

  /** No stream follows those that wait. */
  close(error: P2PError): void {
    this.#headers.clear()
    for (const queue of [this.#twoWay.stream, this.#twoWay.request, this.#oneWay]) queue.close(error)
  }

  /** As `#loop`, for a carrier that says when there is something. */
  #takeTwoWay(carrier: CarrierConnection): Promise<void> {
    return new Promise((resolve) => {
      const take = (): void => {
        for (let stream = carrier.acceptBiNow?.(); stream; stream = carrier.acceptBiNow?.()) {
          this.#classify(this.#sortTwoWay(stream))
        }
        if (carrier.whenBi?.(take) !== true) resolve()
      }
      take()
    })
  }

  async #loop<T>(accept: () => T | Promise<T>, sort: (stream: T) => Promise<void> | undefined): Promise<void> {
    try {
      for (;;) {
        const accepted = accept()
        this.#classify(sort(accepted instanceof Promise ? await accepted : accepted))
      }
    } catch {
      // The connection is over; `closed` says how.
    }
  }

  #classify(sorting: Promise<void> | undefined): void {
    if (!sorting) return
    const classifying = (this.#classifying ??= new Set())
    classifying.add(sorting)
    void sorting.then(() => classifying.delete(sorting))
  }

  /** Reads a stream's header; undefined when there will be none, or it took too long. */
  async #readHeader(
    receive: CarrierReceiveStream,
    first?: Uint8Array,
    send?: CarrierSendStream,
  ): Promise<StreamHeader | undefined> {
    const stream: Unsorted = { receive, send, late: false }
    const deadline = this.#headers.add(stream)
    try {
      const header = await readStreamHeader(receive, first)
      // A carrier that cannot stop a stream while it is read from brings the bytes nevertheless.
      return stream.late ? undefined : header
    } catch {
      return undefined
    } finally {
      deadline?.done()
    }
  }

  /** Sorts it at once where its first bytes are there already. */
  #sortTwoWay(stream: CarrierStream): Promise<void> | undefined {
    const { ours, streams } = this.#options
    if (!ours)
      return this.#whenComplete(() => this.#keepTwoWay('stream', streams.acceptBi(stream, undefined, undefined)))
    const first = stream.receive.readNow?.(FIRST_READ_BYTES) ?? undefined
    const header = first && parseStreamHeader(first)
    if (!header) return this.#sortLater(stream, first)
    return this.#keepSorted(stream, header)
  }

  /** Of what comes before the handshake is complete only requests are handed on: their server decides which. */
  #whenComplete(keep: () => void): Promise<void> | undefined {
    const { handshake } = this.#options.carrier
    if (handshake) return handshake.then(keep)
    keep()
    return undefined
  }

  async #sortLater(stream: CarrierStream, first: Uint8Array | undefined): Promise<void> {
    await this.#keepSorted(stream, await this.#readHeader(stream.receive, first, stream.send))
  }

  #keepSorted(stream: CarrierStream, header: StreamHeader | undefined): Promise<void> | undefined {
    const { streams } = this.#options
    const kind = header && kindOf(header)
    if (header && kind && this.#kinds.has(kind) && !Number.isNaN(header.number)) {
      const keep = (): void => this.#keepTwoWay(kind, streams.acceptBi(stream, header.number, header.rest))
      if (kind === 'stream') return this.#whenComplete(keep)
      keep()
      return undefined
    }
    const broken = header && (!kind || Number.isNaN(header.number))
    refuse(broken ? LIBRARY_CODE.protocol : LIBRARY_CODE.unclaimed, stream.receive, stream.send)
    streams.skipped()
    return undefined
  }

  #keepTwoWay(kind: StreamKind, stream: DuplexStream): void {
    const queue = this.#twoWay[kind]
    if (queue.length >= this.#options.limits.maxWaitingStreams) stream.refuse(this.#code(LIBRARY_CODE.limit))
    else queue.push(stream)
  }

  async #sortOneWay(receive: CarrierReceiveStream): Promise<void> {
    const { ours, carrier, streams, control, messages, messagesRefused, broken } = this.#options
    if (carrier.handshake) await carrier.handshake
    if (!ours) {
      this.#keepOneWay(receive, undefined, undefined)
      return
    }
    const header = await this.#readHeader(receive)
    if (header?.kind === STREAM_KIND.control && !this.#hasControl) {
      this.#hasControl = true
      void control(receive, header.rest)
    } else if (header?.kind === STREAM_KIND.messages && !this.#hasMessages) {
      this.#hasMessages = true
      if (this.#kinds.has('stream')) {
        void messages(receive, header.rest)
      } else {
        refuse(LIBRARY_CODE.unclaimed, receive)
        messagesRefused()
      }
    } else if (!header || header.kind === STREAM_KIND.oneWay) {
      if (header && this.#kinds.has('stream') && !Number.isNaN(header.number)) {
        this.#keepOneWay(receive, header.number, header.rest)
        return
      }
      refuse(LIBRARY_CODE.unclaimed, receive)
      streams.skipped()
    } else {
      refuse(LIBRARY_CODE.protocol, receive)
      broken(`a stream of the unknown or repeated kind ${header.kind}`)
    }
  }

  #keepOneWay(receive: CarrierReceiveStream, number: number | undefined, rest: Uint8Array | undefined): void {
    const stream = this.#options.streams.acceptUni(receive, number, rest)
    if (this.#oneWay.length >= this.#options.limits.maxWaitingStreams) {
      stream.stopWith(this.#code(LIBRARY_CODE.limit))
    } else {
      this.#oneWay.push(stream)
    }
  }

  /** Other protocols know none of the library's codes. */
  #code(code: number): number {
    return this.#options.ours ? code : 0
  }
}

function kindOf({ kind }: StreamHeader): StreamKind | undefined {
  if (kind === STREAM_KIND.stream) return 'stream'
  return kind === STREAM_KIND.request ? 'request' : undefined
}

function refuse(code: number, receive: CarrierReceiveStream, send?: CarrierSendStream): void {
  receive.stop(code)
  send?.reset(code)
}

function refuseLate(stream: Unsorted): void {
  stream.late = true
  refuse(LIBRARY_CODE.headerTimeout, stream.receive, stream.send)
}
