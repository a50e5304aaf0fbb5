/**
 * The streams of a simulated connection: those that are open, those that the peer has opened and nobody has taken yet, and
 * those that wait until the peer allows more.
 *
 * @module
 */
import type { P2PError } from '../core/errors.ts'
import { NumberMap } from '../core/number-map.ts'
import { Arrivals } from './sim-arrivals.ts'
import { deferred, SimStream } from './sim-stream.ts'
import type { Deferred, StreamHost } from './sim-stream.ts'
import { isBidi } from './transport/stream-counts.ts'

/** What streams need of their connection. */
export interface StreamsHost extends StreamHost {
  /** For traces: a stream was opened, by which side. */
  traceStream(streamId: number, by: 'local' | 'remote'): void
}

interface PendingOpen {
  readonly bidi: boolean
  readonly opened: Deferred<SimStream>
}

/** The streams of one connection. */
export class SimStreams {
  readonly #connection: StreamsHost
  readonly #open = new NumberMap<SimStream>()
  readonly #waiting: PendingOpen[] = []
  /** Two-way streams of the peer's. */
  readonly bi: Arrivals = new Arrivals()
  /** One-way streams of the peer's. */
  readonly uni: Arrivals = new Arrivals()

  constructor(connection: StreamsHost) {
    this.#connection = connection
  }

  /** The open stream with this id. */
  get(streamId: number): SimStream | undefined {
    return this.#open.get(streamId)
  }

  /** Neither half of a stream will change any more. */
  forget(stream: SimStream): void {
    this.#open.delete(stream.id)
  }

  /** Opens a stream, as soon as the peer allows. */
  open(bidi: boolean): Promise<SimStream> {
    const stream = this.openNow(bidi)
    if (stream) return Promise.resolve(stream)
    const opened = deferred<SimStream>()
    this.#waiting.push({ bidi, opened })
    return opened.promise
  }

  /** Opens a stream, if the peer allows. */
  openNow(bidi: boolean): SimStream | undefined {
    const streamId = this.#connection.transport.openStream(bidi)
    if (streamId === undefined) return undefined
    this.#connection.traceStream(streamId, 'local')
    return this.#add(streamId, true, bidi)
  }

  /** The peer allows more: those that wait are opened, as far as it goes. */
  openWaiting(): void {
    const { host, kernel } = this.#connection
    for (let i = 0; i < this.#waiting.length;) {
      const { bidi, opened } = this.#waiting[i] as PendingOpen
      const streamId = this.#connection.transport.openStream(bidi)
      if (streamId === undefined) {
        i++
        continue
      }
      this.#waiting.splice(i, 1)
      kernel.woke(host)
      this.#connection.traceStream(streamId, 'local')
      opened.resolve(this.#add(streamId, true, bidi))
    }
  }

  /** The peer has opened a stream. */
  arrived(streamId: number): void {
    this.#connection.traceStream(streamId, 'remote')
    const bidi = isBidi(streamId)
    const stream = this.#add(streamId, bidi, true)
    if ((bidi ? this.bi : this.uni).add(stream)) this.#connection.kernel.woke(this.#connection.host)
  }

  /** The connection is over. */
  end(error: P2PError): void {
    for (const stream of this.#open.values()) stream.onClosed(error)
    for (const { opened } of this.#waiting.splice(0)) opened.reject(error)
    this.bi.end(error)
    this.uni.end(error)
  }

  #add(streamId: number, sends: boolean, receives: boolean): SimStream {
    const stream = new SimStream(streamId, this.#connection, sends, receives)
    this.#open.set(streamId, stream)
    return stream
  }
}
