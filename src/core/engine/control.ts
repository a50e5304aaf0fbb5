/**
 * The control stream of one direction: opened with its first frame, or before the first one-way stream of the
 * application, and read until it ends.
 *
 * @module
 */
import type { CarrierReceiveStream, CarrierSendStream } from '../carrier.ts'
import { P2PError } from '../errors.ts'
import type { ControlFrame } from './wire.ts'
import { decodeControlFrame, encodeControlFrame, STREAM_KIND } from './wire.ts'

const READ_BYTES = 4096

/** Sends and receives control frames. */
export class ControlChannel {
  readonly #open: () => Promise<CarrierSendStream>
  /** Each write waits for the one before; failures do not pile up, as every sender sees its own. */
  #tail: Promise<CarrierSendStream> | undefined

  constructor(open: () => Promise<CarrierSendStream>) {
    this.#open = open
  }

  /** Makes sure of the stream now, before the first frame needs it. */
  open(): void {
    if (this.#tail) return
    this.#tail = this.#begin()
    // A failure means that the connection is over.
    this.#tail.catch(() => {})
  }

  async send(frame: ControlFrame): Promise<void> {
    const bytes = encodeControlFrame(frame)
    this.#tail = (this.#tail ?? this.#begin()).then(async (stream) => {
      await stream.write(bytes)
      return stream
    })
    await this.#tail
  }

  /** The frames that `stream` brings; `rest` are bytes already read from it. @throws P2PError `protocol` */
  async *receive(stream: CarrierReceiveStream, rest: Uint8Array): AsyncGenerator<ControlFrame> {
    let bytes = rest
    for (;;) {
      let offset = 0
      for (;;) {
        const decoded = decodeControlFrame(bytes, offset)
        if (decoded === 'malformed') throw P2PError.of('protocol', 'the peer sent a malformed control frame', {})
        if (!decoded) break
        offset = decoded.next
        yield decoded.frame
      }
      const more = await stream.read(READ_BYTES)
      if (!more) return
      const left = bytes.subarray(offset)
      bytes = new Uint8Array(left.length + more.length)
      bytes.set(left)
      bytes.set(more, left.length)
    }
  }

  async #begin(): Promise<CarrierSendStream> {
    const stream = await this.#open()
    await stream.write(Uint8Array.of(STREAM_KIND.control))
    return stream
  }
}
