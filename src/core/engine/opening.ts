/**
 * Opening streams, which may wait for the transport while the caller gives up or the connection ends.
 *
 * @module
 */
import type { CarrierConnection, CarrierSendStream, CarrierStream } from '../carrier.ts'
import type { StreamKind } from '../connection.ts'
import type { ControlChannel } from './control.ts'
import type { DuplexStream } from './duplex-stream.ts'
import type { SendHalf } from './send-half.ts'
import type { StreamTable } from './streams.ts'
import { abortable } from './waiting.ts'
import { STREAM_KIND } from './wire.ts'

/** What an opener needs of its connection. */
export interface StreamOpenerOptions {
  readonly carrier: CarrierConnection
  /** Whether the protocol is ours, where a stream begins with its kind. */
  readonly ours: boolean
  readonly control: ControlChannel
  readonly streams: StreamTable
  /** Throws when nothing new can be started. */
  readonly checkOpen: () => void
  /** Whether this side has said END. */
  readonly ended: () => boolean
  /** The error to throw for one of the carrier's. */
  readonly failure: (error: unknown) => Promise<unknown>
}

/** Opens the streams of one connection. */
export class StreamOpener {
  readonly #options: StreamOpenerOptions

  constructor(options: StreamOpenerOptions) {
    this.#options = options
  }

  /** Undefined where that has to wait. */
  openBiNow(kind: StreamKind, early: boolean): DuplexStream | undefined {
    const { carrier, checkOpen, ours, streams } = this.#options
    if (!carrier.openBiNow) return undefined
    checkOpen()
    const stream = carrier.openBiNow(early)
    return stream && streams.openBi(stream, ours ? STREAM_KIND[kind] : undefined)
  }

  /** At once, where the carrier can. */
  openBi(kind: StreamKind, signal: AbortSignal | undefined, early: boolean): DuplexStream | Promise<DuplexStream> {
    const now = this.openBiNow(kind, early)
    if (now) return now
    const { carrier, ours, streams } = this.#options
    const header = ours ? STREAM_KIND[kind] : undefined
    const open = (stream: CarrierStream): DuplexStream => streams.openBi(stream, header)
    return this.#open(
      () => carrier.openBi(early),
      open,
      (late) => late.refuse(0),
      signal,
      'openStream',
    )
  }

  async openUni(signal: AbortSignal | undefined): Promise<SendHalf> {
    const { carrier, control, ours, streams } = this.#options
    // Streams may use up all that the transport allows, and then there would be no way to abort one of them.
    if (ours) control.open()
    const open = (stream: CarrierSendStream): SendHalf => streams.openUni(stream, ours ? STREAM_KIND.oneWay : undefined)
    return await this.#open(
      () => carrier.openUni(),
      open,
      (late) => late.reset(0),
      signal,
      'openSendStream',
    )
  }

  /** Opens a stream; one that the transport brings when nobody wants it any more goes to `discard`. */
  async #open<Carried, Opened>(
    ask: () => Promise<Carried>,
    open: (stream: Carried) => Opened,
    discard: (stream: Opened) => void,
    signal: AbortSignal | undefined,
    what: string,
  ): Promise<Opened> {
    const { checkOpen, ended, failure } = this.#options
    checkOpen()
    const late = (stream: Carried): void => {
      // Numbered even so, for the peer may see it. Not so after END: a stream that says nothing is never seen.
      if (!ended()) discard(open(stream))
    }
    let stream
    try {
      stream = await (signal ? abortable(ask(), signal, what, late) : ask())
    } catch (error) {
      throw await failure(error)
    }
    try {
      checkOpen()
    } catch (error) {
      late(stream)
      throw error
    }
    return open(stream)
  }
}
