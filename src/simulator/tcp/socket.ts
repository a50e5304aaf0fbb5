/**
 * TCP sockets: one that listens, and connections out of one port each.
 *
 * @module
 */
import type { Kernel, RandomStream } from '../kernel.ts'
import { TcpConnection } from './connection.ts'
import type { TcpEnd } from './connection.ts'
import { ACK, NO_SACKS, RST, SYN, TcpSegment } from './segment.ts'

/** An address as packets bring it: equal ones of one network are the same object. */
export interface TcpAddress {
  toString(): string
}

/** A segment that has arrived. */
export interface TcpPacket {
  readonly source: TcpAddress
  readonly payload: unknown
  /** Whether bits were flipped on the way, which the checksum shows: such a segment is lost. */
  readonly isCorrupted?: boolean | undefined
}

/** What sockets are bound on: a network interface. */
export interface TcpInterface {
  bind(port: number, handler: (packet: TcpPacket) => void, options: { readonly protocol: 'tcp' }): TcpPort
}

/** A port bound to. */
export interface TcpPort {
  readonly localAddress: TcpAddress
  /** `sizeBytes` is the payload that the segment stands for. */
  send(destination: TcpAddress | string, payload: unknown, sizeBytes: number): void
  close(): void
}

/** What is told of a connection. */
export interface TcpEvents {
  onOpen(): void
  onMessage(payload: unknown): void
  onWritable(): void
  onClosed(reason: TcpEnd): void
}

/** A connection that has its port to itself. */
export class TcpClientSocket {
  readonly connection: TcpConnection
  readonly #port: TcpPort
  /** Where its segments come from and go to, once one has come. */
  #remote: TcpAddress | undefined
  #isClosed = false

  /**
   * Connects to an `ip:port`.
   *
   * @throws P2PError `limit-exceeded` when there is no free port
   */
  constructor(kernel: Kernel, network: TcpInterface, random: RandomStream, remote: string, events: TcpEvents) {
    this.#port = network.bind(
      0,
      ({ source, payload, isCorrupted }) => {
        if (isCorrupted === true || !(payload instanceof TcpSegment)) return
        if (source !== this.#remote) {
          if (source.toString() !== remote) return
          this.#remote = source
        }
        this.connection.receive(payload)
      },
      { protocol: 'tcp' },
    )
    const port = this.#port
    const host = {
      kernel,
      transmit: (segment: TcpSegment): void => port.send(this.#remote ?? remote, segment, segment.payloadBytes),
      onOpen: (): void => events.onOpen(),
      onMessage: (payload: unknown): void => events.onMessage(payload),
      onWritable: (): void => events.onWritable(),
      onClosed: (reason: TcpEnd): void => {
        this.#release()
        events.onClosed(reason)
      },
    }
    this.connection = new TcpConnection(host, random.nextU32())
    this.connection.connect()
  }

  /** Ends it in order. */
  close(): void {
    this.#finish(() => this.connection.close())
  }

  /** Ends it at once; the peer is told. */
  abort(): void {
    this.#finish(() => this.connection.abort())
  }

  /** Ends it without a word. */
  destroy(): void {
    this.#finish(() => this.connection.destroy())
  }

  #finish(end: () => void): void {
    if (this.#isClosed) return
    end()
    this.#release()
  }

  #release(): void {
    this.#isClosed = true
    this.#port.close()
  }
}

/** Connections to one port; `accept` makes what is told of a new one. */
export class TcpListener {
  readonly #kernel: Kernel
  readonly #random: RandomStream
  readonly #accept: (connection: TcpConnection, remote: TcpAddress) => TcpEvents
  readonly #port: TcpPort
  readonly #connections = new Map<TcpAddress, TcpConnection>()
  readonly #maxConnections: number
  #isRefusing = false

  /** @throws P2PError `network` when the port is in use */
  constructor(
    kernel: Kernel,
    network: TcpInterface,
    random: RandomStream,
    options: {
      readonly port: number
      readonly maxConnections: number
      readonly accept: (connection: TcpConnection, remote: TcpAddress) => TcpEvents
    },
  ) {
    this.#kernel = kernel
    this.#random = random
    this.#accept = options.accept
    this.#maxConnections = options.maxConnections
    this.#port = network.bind(options.port, (packet) => this.#receive(packet), {
      protocol: 'tcp',
    })
  }

  get localAddress(): TcpAddress {
    return this.#port.localAddress
  }

  /** The process behind it has ended: its connections are reset, and others refused, by its operating system. */
  refuse(): void {
    this.#isRefusing = true
    for (const connection of this.#connections.values()) connection.abort()
    this.#connections.clear()
  }

  /** A connection is over. */
  forget(remote: TcpAddress): void {
    this.#connections.delete(remote)
  }

  /** Ends everything without a word. */
  close(): void {
    for (const connection of this.#connections.values()) connection.destroy()
    this.#connections.clear()
    this.#port.close()
  }

  #receive({ source, payload, isCorrupted }: TcpPacket): void {
    if (isCorrupted === true || !(payload instanceof TcpSegment)) return
    const known = this.#connections.get(source)
    if (known) {
      known.receive(payload)
      return
    }
    if (payload.flags === SYN && !this.#isRefusing && this.#connections.size < this.#maxConnections) {
      this.#open(source, payload)
    } else if ((payload.flags & RST) === 0) {
      // RFC 9293, 3.5.2: with the number that the sender expects, so that it believes it.
      const isAck = (payload.flags & ACK) !== 0
      const seq = isAck ? payload.ack : 0
      const reset = new TcpSegment(RST | ACK, seq, seq, payload.end, 0, NO_SACKS, undefined)
      this.#port.send(source, reset, 0)
    }
  }

  #open(source: TcpAddress, syn: TcpSegment): void {
    let events: TcpEvents | undefined
    const connection: TcpConnection = new TcpConnection(
      {
        kernel: this.#kernel,
        transmit: (segment) => this.#port.send(source, segment, segment.payloadBytes),
        onOpen: () => {
          events = this.#accept(connection, source)
          events.onOpen()
        },
        onMessage: (message) => events?.onMessage(message),
        onWritable: () => events?.onWritable(),
        onClosed: (reason) => {
          this.#connections.delete(source)
          events?.onClosed(reason)
        },
      },
      this.#random.nextU32(),
    )
    this.#connections.set(source, connection)
    connection.receive(syn)
  }
}
