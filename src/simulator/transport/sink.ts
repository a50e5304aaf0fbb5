/**
 * What a connection tells its user, and the words it uses.
 *
 * @module
 */
import type { PacketKind } from './packet.ts'
import type { WindowChange } from './recovery.ts'

/** How a connection ended. */
export interface TransportClose {
  readonly by: 'local' | 'remote' | 'transport'
  /** Whether the code is the application's. */
  readonly application: boolean
  readonly code: number
  readonly reason: string
  /** How long the peer had been silent, where that is why. */
  readonly afterUs?: number
}

/** What the connection's user is told of its streams. It must not call back from inside. */
export interface StreamSink {
  /** The peer has opened a stream: its first bytes, its end or its reset are there. */
  onStreamOpened(streamId: number): void
  /** There is more to read, or the end. */
  onStreamReadable(streamId: number): void
  /** A write that was cut short can go on. */
  onStreamWritable(streamId: number): void
  /** The peer has everything that was written, and its end. */
  onStreamDelivered(streamId: number): void
  /** The peer has abandoned what it was sending. */
  onStreamReset(streamId: number, code: number): void
  /** The peer wants no more of what this side sends, which is reset thereby. */
  onStreamStopped(streamId: number, code: number): void
  /** The peer allows more streams of a kind. */
  onStreamsAvailable(bidi: boolean): void
}

/** What a connection's user is told. It must not call back from inside. */
export interface TransportSink extends StreamSink {
  /** The handshake is done, as far as this side can tell: the peer is who it should be. */
  onConnected(): void
  /** Somebody has answered who is not the peer that was asked for; the handshake goes on. */
  onImpostor(): void
  /** Somebody who may not be the peer has refused; the handshake goes on with the other places. */
  onRefused(): void
  /** A path was opened, closed or selected. */
  onPathsChanged(): void
  /** A datagram has arrived; the bytes are the sink's to keep. */
  onDatagram(bytes: Uint8Array): void
  /** The connection is over, with its streams. Told once. */
  onClosed(close: TransportClose): void
  /** For traces: a packet was taken for lost. */
  onPacketLost?(pathId: number, kind: PacketKind, number: number, sizeBytes: number): void
  /** For traces: no answer came in time, and a probe is sent, the `count`th in a row. */
  onProbe?(pathId: number, count: number): void
  /** For traces: a path's congestion window was cut after losses, or restored because there were none. */
  onWindowChange?(pathId: number, windowBytes: number, slowStartThresholdBytes: number, why: WindowChange): void
  /** For traces: a path carries larger datagrams than was known, or only small ones. */
  onMtuChange?(pathId: number, mtuBytes: number): void
}

/** What happened to datagrams that brought nothing. */
export class DropStats {
  /** Not a packet, or not sealed with this connection's keys. */
  unauthenticated = 0
  /** For another connection, or from a server other than the one that was answered. */
  foreign = 0
  /** Came twice, or so late that it cannot be told. */
  duplicate = 0
  /** For a number space that is over or not there yet. */
  untimely = 0
}

/** `handshaking` -> `established` -> `closing` (this side ended it) or `draining` (the peer did) -> `drained`. */
export type ConnectionState = 'handshaking' | 'established' | 'closing' | 'draining' | 'drained'
