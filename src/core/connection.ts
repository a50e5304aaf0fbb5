/**
 * Connections: messages and streams between two nodes.
 *
 * @module
 */
import type { P2PNodeId } from './node-id.ts'
import type { P2PReceiveStream, P2PSendStream, P2PStream, WaitOptions } from './stream.ts'

/** How a connection ended. */
export interface CloseInfo {
  /** The application's code given to `close`, 0 after `end`, idle time-outs and failures of the transport. */
  readonly closeCode: number
  /** The reason given to `close`, or the library's own. */
  readonly reason: string
  /** Which side ended it; `transport` when neither did (idle time-out, lost network). */
  readonly by: 'local' | 'remote' | 'transport'
  /** Whether the peer (or this side's `authorize`) turned the connection away. */
  readonly refused: boolean
}

/** One way that packets can take. */
export interface P2PPath {
  readonly kind: 'direct' | 'relay'
  /** `ip:port` of the peer, or the relay's URL. */
  readonly remote: string
  /** Whether packets take it at present. */
  readonly selected: boolean
  /** Smoothed round-trip time, undefined before the first measurement. */
  readonly rttMs: number | undefined
}

/** What has changed about the paths of a connection. */
export interface P2PPathChange {
  /**
   * What it comes to: packets went over a relay and now go directly (`upgraded`), the other way round (`fell-back`),
   * over another path of the same kind, or over a first one (`switched`); or nothing of that, as paths that are not in
   * use came or went (`candidates`).
   */
  readonly kind: 'upgraded' | 'fell-back' | 'switched' | 'candidates'
  /** When it was noticed, in milliseconds since the connection was made. */
  readonly atMs: number
  /** The path in use before; undefined when there was none. */
  readonly from: P2PPath | undefined
  /** The path in use now; undefined when there is none. */
  readonly to: P2PPath | undefined
  readonly opened: readonly P2PPath[]
  readonly closed: readonly P2PPath[]
}

/** Counters of a connection since it began. */
export interface ConnectionStats {
  readonly messagesSent: number
  readonly messagesReceived: number
  /** Datagrams given to the transport; some may have been lost. */
  readonly datagramsSent: number
  readonly datagramsReceived: number
  /** Payload of messages, streams and datagrams, without the library's own framing. */
  readonly bytesSent: number
  readonly bytesReceived: number
  readonly streamsOpened: number
  readonly streamsAccepted: number
  /**
   * Packets of the transport that were sent, and those of them that were found to be lost; undefined once it is over.
   * Through the official door to iroh UDP datagrams are counted as sent, in which a handshake has several packets each.
   */
  readonly packetsSent: number | undefined
  readonly packetsLost: number | undefined
  /** Smoothed round-trip time of the selected path. */
  readonly rttMs: number | undefined
  readonly durationMs: number
  /** The kind of the selected path; `none` when the connection is over or has no path. */
  readonly path: 'direct' | 'relay' | 'none'
}

/**
 * What a stream of our own protocol carries: `stream` for the application's, `request` for the router's. On other
 * protocols every stream is a `stream` and carries no byte of ours.
 */
export type StreamKind = 'stream' | 'request'

/** Options of `openStream` and `acceptStream`. */
export interface StreamOptions extends WaitOptions {
  /** @default 'stream' */
  readonly kind?: StreamKind | undefined
  /**
   * Whether it may be opened before the handshake is complete, on a connection made with `earlyData`. What is sent then
   * can be recorded and sent to the peer once more by anybody on the way: for what may happen twice. @default false
   */
  readonly early?: boolean | undefined
}

/**
 * What the engine's own connections can do besides, for the library's other parts: a promise less where nothing has to be
 * waited for.
 *
 * @internal
 */
export interface PromptConnection {
  /** As `openStream`; undefined when that has to be asked. */
  openStreamNow?(options: StreamOptions): P2PStream | undefined
  /** A stream that waits to be accepted; undefined when `acceptStream` has to be asked. */
  acceptStreamNow?(options: StreamOptions): P2PStream | undefined
}

/** A connection, or one of several handles to it (see {@link P2PConnection.clone}). */
export interface P2PConnection<NodeId extends P2PNodeId = P2PNodeId> extends AsyncDisposable {
  /** The peer, authenticated by its key. */
  remoteNodeId(): NodeId
  /** False from the first sign of the end, whoever gave it. */
  isConnected(): boolean
  /** The protocol both sides agreed on. */
  readonly alpn: string
  /**
   * Whether the handshake is not complete, which is so with `earlyData` alone: what has come may then have been sent
   * before, and be sent again by whoever has recorded it.
   */
  readonly isEarly: boolean
  /** Resolves when the handshake is complete, or the connection is over; at once where it is. Never rejects. */
  handshake(): Promise<void>

  /**
   * Sends a message: reliable, in order, exactly once. Resolves when it has been accepted into the bounded send queue,
   * which waits when the peer receives slowly. The bytes are copied.
   *
   * @throws P2PError `message-too-large`, `connection-closed`, `aborted`, `unsupported` (on other protocols)
   */
  send(bytes: Uint8Array, options?: WaitOptions): Promise<void>
  /**
   * The next message. Concurrent calls are served in order, and all handles share one queue.
   *
   * @throws P2PError `connection-closed`, `message-too-large`, `aborted`, `unsupported` (on other protocols)
   */
  recv(options?: WaitOptions): Promise<Uint8Array>
  /** Messages until the connection ends. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array>

  /**
   * Opens a two-way stream without a round trip: the peer sees it with the first bytes or `finish`.
   *
   * @throws P2PError `connection-closed`, `aborted`
   */
  openStream(options?: StreamOptions): Promise<P2PStream>
  /**
   * The next two-way stream that the peer has opened.
   *
   * @throws P2PError `connection-closed`, `aborted`
   */
  acceptStream(options?: StreamOptions): Promise<P2PStream>
  /** Opens a one-way stream; throws as `openStream`. */
  openSendStream(options?: WaitOptions): Promise<P2PSendStream>
  /** The next one-way stream that the peer has opened; throws as `acceptStream`. */
  acceptReceiveStream(options?: WaitOptions): Promise<P2PReceiveStream>

  /**
   * Sends a datagram (RFC 9221): it arrives once or never, in no order, and is not resent; for what is stale when it is
   * late, such as positions and meters. Nobody waits: when the queue of the transport is full its oldest are dropped.
   * On every protocol the datagram is exactly these bytes, which are copied.
   *
   * @throws P2PError `message-too-large` over {@link maxDatagramSize}, `connection-closed`, `unsupported` when the peer
   * takes none
   */
  sendDatagram(bytes: Uint8Array): void
  /**
   * The next datagram. Those that nobody takes are kept up to a bound of the transport (about 1 MB), and the oldest are
   * dropped then. Concurrent calls are served in order, and all handles share one queue.
   *
   * @throws P2PError `connection-closed`, `aborted`
   */
  recvDatagram(options?: WaitOptions): Promise<Uint8Array>
  /** Datagrams until the connection ends. */
  readonly datagrams: AsyncIterable<Uint8Array>
  /**
   * The largest datagram that fits now, in bytes: the path decides, so it may change. 0 when the peer takes none, or the
   * connection is over.
   */
  readonly maxDatagramSize: number

  /** Counters, and the state of the selected path. */
  stats(): ConnectionStats
  /** Every open path. */
  paths(): readonly P2PPath[]
  /**
   * Calls `listener` whenever a path opens, closes or is selected, with the paths as they are now and with what has
   * changed; dispose of the result to stop. Changes that come at one moment may come as one. Through the official door
   * to iroh they are noticed up to 500 ms late.
   */
  onPathChange(listener: (paths: readonly P2PPath[], change: P2PPathChange) => void): Disposable

  /** Another handle to this connection, which ends with its last handle. */
  clone(): P2PConnection<NodeId>
  /** Ends the connection at once, for all handles; what is under way may be lost. `code` is 0..2^32-1. */
  close(code?: number, reason?: string): void
  /**
   * Gives up this handle. The last one finishes all streams, waits until the peer has drained them, and closes. What
   * the peer had finished sending arrives too; a stream that the peer is still writing is cut.
   * Does nothing when the connection is over.
   *
   * @throws P2PError `delivery-unconfirmed` when the peer does not say so within `limits.endTimeoutMs`
   */
  end(options?: WaitOptions): Promise<void>
  /** Resolves, never rejects, when the connection is over. */
  readonly closed: Promise<CloseInfo>
}
