/**
 * Opening two-way streams one ahead: to open one is a crossing that whoever asks for it would wait for.
 *
 * A stream that is opened and says nothing is not seen by the peer until a later one says something. So one is opened
 * ahead only while no other is being opened, and it is always the next to be used.
 *
 * @module
 */

/** The two-way streams of one connection. */
export class AheadOpener<Stream> {
  readonly #open: () => Promise<Stream>
  /** Calls that are under way. */
  #opening = 0
  #spare: Stream | undefined
  /** Takes the one that is being opened ahead, when somebody has asked for it meanwhile. */
  #taker: { readonly resolve: (stream: Stream) => void; readonly reject: (error: unknown) => void } | undefined
  #isAhead = false
  #isClosed = false

  /** @param open opens a stream of the binding */
  constructor(open: () => Promise<Stream>) {
    this.#open = open
  }

  /** The stream that was opened ahead. */
  takeNow(): Stream | undefined {
    const spare = this.#spare
    if (spare === undefined) return undefined
    this.#spare = undefined
    this.#openAhead()
    return spare
  }

  /** A stream. */
  take(): Promise<Stream> {
    if (this.#isAhead && !this.#taker) {
      return new Promise((resolve, reject) => {
        this.#taker = { resolve, reject }
      })
    }
    this.#opening++
    const opened = this.#open()
    opened.then(this.#opened, this.#failed)
    return opened
  }

  /** Lets go of what is not used: the connection is over. */
  close(): void {
    this.#isClosed = true
    this.#spare = undefined
  }

  readonly #opened = (): void => {
    this.#opening--
    this.#openAhead()
  }

  readonly #failed = (): void => {
    this.#opening--
  }

  #openAhead(): void {
    if (this.#isClosed || this.#isAhead || this.#opening > 0) return
    this.#isAhead = true
    this.#open().then(
      (stream) => {
        this.#isAhead = false
        const taker = this.#taker
        this.#taker = undefined
        if (taker) taker.resolve(stream)
        else if (!this.#isClosed) this.#spare = stream
        if (taker) this.#openAhead()
      },
      (error: unknown) => {
        this.#isAhead = false
        this.#taker?.reject(error)
        this.#taker = undefined
      },
    )
  }
}
