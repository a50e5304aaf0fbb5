/**
 * Opening streams, which may wait for the transport while the caller gives up or the connection ends.
 *
 * @module
 */
import { abortable } from './waiting.ts'

/** What an opener needs of its connection. */
export interface StreamOpenerOptions {
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

  /** Opens a stream; one that the transport brings when nobody wants it any more goes to `discard`. */
  async open<Carried, Opened>(
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
