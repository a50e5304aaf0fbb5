/**
 * What a connection has to tell its user, kept until its answers are on the wire: a node acknowledges a packet before its
 * application sees what was in it, so that the application's own answer goes in a datagram of its own (noq 1.4,
 * connection.rs: `drive_transmit` comes before `forward_app_events`).
 *
 * @module
 */
import type { TransportClose, TransportSink } from './transport/sink.ts'

/** The calls of a sink. */
export const Told = {
  connected: 0,
  impostor: 1,
  closed: 2,
  datagram: 3,
  opened: 4,
  readable: 5,
  writable: 6,
  delivered: 7,
  reset: 8,
  stopped: 9,
  available: 10,
  refused: 11,
  /** What was taken back. */
  nothing: 12,
} as const

type ToldKind = (typeof Told)[keyof typeof Told]

/** News in the order in which they came: kind, stream and code of each in a row. */
export class News {
  #entries: number[] = []
  #length = 0
  /** Takes the place of `#entries` while those are told. */
  #spare: number[] = []
  /** What closes and datagrams carry, in their order. */
  #values: (TransportClose | Uint8Array)[] = []

  get isEmpty(): boolean {
    return this.#length === 0
  }

  /** Keeps one for later. */
  add(kind: ToldKind, streamId = 0, code = 0, value?: TransportClose | Uint8Array): void {
    this.#entries[this.#length++] = kind
    this.#entries[this.#length++] = streamId
    this.#entries[this.#length++] = code
    if (value) this.#values.push(value)
  }

  /**
   * A stream that has been reset has nothing to read any more: whoever was told that there is would find the end of a
   * stream that seems to be whole.
   */
  addReset(streamId: number, code: number): void {
    for (let i = 0; i < this.#length; i += 3) {
      if (this.#entries[i] === Told.readable && this.#entries[i + 1] === streamId) this.#entries[i] = Told.nothing
    }
    this.add(Told.reset, streamId, code)
  }

  /** Tells all of them. What this leads to comes after. */
  tell(sink: TransportSink): void {
    const entries = this.#entries
    const values = this.#values
    const length = this.#length
    this.#entries = this.#spare
    this.#spare = entries
    this.#length = 0
    if (values.length > 0) this.#values = []
    let next = 0
    for (let i = 0; i < length; i += 3) {
      const streamId = entries[i + 1] as number
      const code = entries[i + 2] as number
      switch (entries[i] as ToldKind) {
        case Told.connected:
          sink.onConnected()
          break
        case Told.impostor:
          sink.onImpostor()
          break
        case Told.refused:
          sink.onRefused()
          break
        case Told.closed:
          sink.onClosed(values[next++] as TransportClose)
          break
        case Told.datagram:
          sink.onDatagram(values[next++] as Uint8Array)
          break
        case Told.opened:
          sink.onStreamOpened(streamId)
          break
        case Told.readable:
          sink.onStreamReadable(streamId)
          break
        case Told.writable:
          sink.onStreamWritable(streamId)
          break
        case Told.delivered:
          sink.onStreamDelivered(streamId)
          break
        case Told.reset:
          sink.onStreamReset(streamId, code)
          break
        case Told.stopped:
          sink.onStreamStopped(streamId, code)
          break
        case Told.available:
          sink.onStreamsAvailable(true)
          break
        case Told.nothing:
          break
      }
    }
  }
}
