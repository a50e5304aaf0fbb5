/**
 * The seam below the connection engine: what a backend must bring. A carrier moves bytes over QUIC-like connections and
 * knows nothing of messages, stream kinds or graceful ends; those are the same on every backend and live in
 * `core/engine`. Everything a carrier throws is a `P2PError`.
 *
 * @module
 */
import type { P2PAddress } from './address.ts'
import type { P2PPath } from './connection.ts'
import type { NodeId } from './node-id.ts'

/** What one carrier can do and another cannot. */
export interface CarrierCapabilities {
  /**
   * Whether `reset` works while a `write` waits, and `stop` while a `read` waits. Where it does not, the engine sends
   * the abort as a control frame (on our protocol) or closes the connection (on others).
   */
  readonly abortsBlockedStreams: boolean
  /** Whether `acknowledged` of a send stream tells that the peer's transport has everything. */
  readonly confirmsDelivery: boolean
  /** Whether connections may carry streams before their handshake is complete (0-RTT). @default false */
  readonly earlyData?: boolean
}

/** The end of a carrier's connection. `closeCode` may be one of the engine's own, above 2^32. */
export interface CarrierClose {
  readonly closeCode: number
  readonly reason: string
  readonly by: 'local' | 'remote' | 'transport'
}

/** The sending half of a carrier's stream. The engine never has two writes under way. */
export interface CarrierSendStream {
  /**
   * Resolves when all bytes are in the send buffer; the carrier has then copied them.
   *
   * @throws P2PError `stream-stopped`, `connection-closed`
   */
  write(bytes: Uint8Array): Promise<void>
  /** As `write`; undefined when all of it was taken at once. Carriers without it only wait a little longer. */
  writeNow?(bytes: Uint8Array): Promise<void> | undefined
  /** As `writeNow`, with `head` before `bytes`. */
  writeBehindNow?(head: Uint8Array, bytes: Uint8Array): Promise<void> | undefined
  /** Queues the end of the stream. @throws P2PError as `write` */
  finish(): Promise<void>
  /** As `finish`; undefined when that was done at once. */
  finishNow?(): Promise<void> | undefined
  /**
   * Whether something that was taken at once is still under way, so that a carrier that does not `abortsBlockedStreams`
   * cannot reset the stream at present.
   */
  readonly busy?: boolean
  /** Abandons the stream; never throws. A write under way rejects when the carrier `abortsBlockedStreams`. */
  reset(code: number): void
  /** Resolves when the peer's transport has everything up to `finish`. Only with `confirmsDelivery`. */
  acknowledged?(): Promise<void>
}

/** Who waits for a stream to bring something. */
export interface CarrierReader {
  onReadable(): void
}

/** The receiving half of a carrier's stream. The engine never has two reads under way. */
export interface CarrierReceiveStream {
  /**
   * At least one byte and at most `maxBytes`; undefined at the end. The array is the caller's to keep. When the peer or
   * the transport has closed the connection, what had arrived before can still be read.
   *
   * @throws P2PError `stream-reset`, `connection-closed`
   */
  read(maxBytes: number): Promise<Uint8Array | undefined>
  /** What is there already: bytes as of `read`, null at the end; undefined when `read` has to be asked. */
  readNow?(maxBytes: number): Uint8Array | null | undefined
  /**
   * Calls `reader.onReadable` once, as soon as `readNow` has more to say, and not from inside of this call; false when
   * only `read` can tell what there is. Not while a `read` or another of these is under way. Only with `readNow`.
   */
  whenReadable?(reader: CarrierReader): boolean
  /** Says that no more is wanted; never throws. A read under way rejects when the carrier `abortsBlockedStreams`. */
  stop(code: number): void
}

/** Both halves. */
export interface CarrierStream {
  readonly send: CarrierSendStream
  readonly receive: CarrierReceiveStream
}

/** Packets of a connection. */
export interface CarrierPackets {
  readonly sent: number
  readonly lost: number
}

/** One connection of a carrier. */
export interface CarrierConnection {
  readonly remoteId: NodeId
  readonly alpn: string
  /**
   * Set while the handshake is not complete, which is so with early data alone: then what has come may have been sent
   * before, and is sent again by whoever has recorded it. Resolves, never rejects, when the handshake is complete or the
   * connection is over.
   */
  readonly handshake?: Promise<void> | undefined
  /**
   * @param early whether it may be opened before the handshake is complete
   * @throws P2PError `connection-closed`
   */
  openBi(early?: boolean): Promise<CarrierStream>
  /** A stream that can be opened at once; undefined when `openBi` has to be asked. */
  openBiNow?(early?: boolean): CarrierStream | undefined
  /** @throws P2PError `connection-closed` */
  openUni(): Promise<CarrierSendStream>
  /**
   * Streams in the order of their opening, each once its first byte or its end, or that of a later one, is there. When
   * the peer or the transport has closed the connection, those that had come before can still be accepted.
   *
   * @throws P2PError `connection-closed`
   */
  acceptBi(): Promise<CarrierStream>
  /** A stream that waits to be accepted; undefined when `acceptBi` has to be asked. */
  acceptBiNow?(): CarrierStream | undefined
  /**
   * Calls `wake` once, as soon as `acceptBiNow` has a stream or there will be none any more, and not from inside of this
   * call; false when there will be none. Only with `acceptBiNow`, and never while an `acceptBi` is under way.
   */
  whenBi?(wake: () => void): boolean
  /** As `acceptBi`. */
  acceptUni(): Promise<CarrierReceiveStream>
  /**
   * Sends a datagram (RFC 9221): at most once, in no order, and it may be lost. The bytes are copied. When the outgoing
   * queue is full the oldest in it are dropped.
   *
   * @throws P2PError `message-too-large` when the path carries less than `maxDatagramBytes` said, `connection-closed`
   */
  sendDatagram(bytes: Uint8Array): void
  /**
   * The next datagram. Those that wait here are bounded, the oldest go first. The engine never has two reads under way.
   * When the peer or the transport has closed the connection, what had arrived before can still be read.
   *
   * @throws P2PError `connection-closed`
   */
  readDatagram(): Promise<Uint8Array>
  /** The largest datagram that the path carries now; 0 when this connection has none. */
  maxDatagramBytes(): number
  /** Closes at once and settles everything that waits; never throws; only the first call counts. */
  close(code: number, reason: string): void
  /** Resolves, never rejects. */
  readonly closed: Promise<CarrierClose>
  paths(): readonly P2PPath[]
  onPathChange(listener: () => void): Disposable
  /** Packets so far; undefined when the connection is over. Left out by carriers that do not count. */
  packets?(): CarrierPackets | undefined
}

/** What an endpoint may connect to. */
export interface CarrierTarget {
  readonly address: P2PAddress
  readonly alpn: string
  /** Whether the connection may be handed out before its handshake is complete, where the carrier can. */
  readonly earlyData?: boolean | undefined
  /** Fires when the caller gives up; the attempt must then be dropped, whatever it answers. */
  readonly signal: AbortSignal
}

/** The most that listeners take, all together. */
export interface InboundBounds {
  readonly connections: number
  readonly connectionsPerPeer: number
}

/** One node's transport. */
export interface CarrierEndpoint {
  readonly capabilities: CarrierCapabilities
  /**
   * @throws P2PError `refused` (no such protocol there), `no-route`, `timeout`, `connection-failed`
   */
  connect(target: CarrierTarget): Promise<CarrierConnection>
  /**
   * The protocols to accept from now on; with none, every attempt is refused. A carrier may turn away what is over
   * `bounds` by itself, before anybody else hears of it.
   *
   * @param early those whose connections may be handed on before their handshake is complete, where the carrier can
   */
  setAlpns(alpns: readonly string[], bounds?: InboundBounds, early?: readonly string[]): void
  /** Called for every inbound connection once its handshake is done, or before; see `early` of `setAlpns`. Set once, before the first `setAlpns`. */
  onIncoming: (connection: CarrierConnection) => void
  /** Where this node can be reached now. */
  address(): P2PAddress
  /** Calls `listener` when `address()` may have changed, until the result is disposed of. */
  watchAddress(listener: () => void): Disposable
  /** The local addresses that are bound. */
  boundAddresses(): readonly string[]
  /** Frees everything; bounded in time. Connections still open are closed abruptly. */
  close(): Promise<void>
}
