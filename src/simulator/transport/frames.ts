/**
 * What packets hold (RFC 9000, 19, and the multipath draft's PATH_ACK), and how many bytes each frame takes on the
 * wire. Frames are objects; nothing is encoded, only measured.
 *
 * @module
 */
import { varintLength } from '../../core/encoding.ts'
import type { HandshakeMessage } from './handshake.ts'
import type { ResetToken } from './reset.ts'

/** Bytes of a stream. They are a part of the sender's own copy, which is never written to again. */
export class StreamFrame {
  readonly streamId: number
  readonly offset: number
  readonly length: number
  /** Whether the stream ends behind these bytes. */
  readonly fin: boolean
  /** Where the bytes are, from `start` on. */
  readonly source: Uint8Array
  readonly start: number
  readonly sizeBytes: number
  /** The next frame of the packet. */
  next: StreamFrame | undefined = undefined

  constructor(
    streamId: number,
    offset: number,
    length: number,
    fin: boolean,
    source: Uint8Array,
    start: number,
    sizeBytes: number,
  ) {
    this.streamId = streamId
    this.offset = offset
    this.length = length
    this.fin = fin
    this.source = source
    this.start = start
    this.sizeBytes = sizeBytes
  }
}

/** Type, stream and, unless it is 0, offset: what a STREAM frame costs before length and data. */
export function streamHeaderBytes(streamId: number, offset: number): number {
  return 1 + varintLength(streamId) + (offset === 0 ? 0 : varintLength(offset))
}

/** Acknowledges packets of one path's number space. */
export class AckFrame {
  readonly pathId: number
  /** Start, end, start, end, … of half-open ranges, rising. */
  readonly ranges: readonly number[]
  readonly delayUs: number
  readonly sizeBytes: number
  /** The next one of the packet, for another path. */
  next: AckFrame | undefined = undefined

  /**
   * @param path the path's number where it is named, as the data space does; -1 where not
   * @param ecnCount packets that arrived, reported as ECT(0)
   */
  constructor(pathId: number, named: boolean, ranges: readonly number[], delayUs: number, ecnCount: number) {
    this.pathId = pathId
    this.ranges = ranges
    this.delayUs = delayUs
    this.sizeBytes = ackBytes(named ? varintLength(pathId) : 0, ranges, delayUs, ecnCount)
  }

  /** The largest acknowledged packet number. */
  get largest(): number {
    return (this.ranges[this.ranges.length - 1] as number) - 1
  }
}

function ackBytes(pathBytes: number, ranges: readonly number[], delayUs: number, ecnCount: number): number {
  const last = ranges.length - 1
  const largest = (ranges[last] as number) - 1
  let smallest = ranges[last - 1] as number
  // Type, largest, delay in units of 8 us, number of further ranges, first range, three ECN counters.
  let bytes = 1 + pathBytes + varintLength(largest) + varintLength(Math.floor(delayUs / 8))
  bytes += varintLength((ranges.length >> 1) - 1) + varintLength(largest - smallest) + varintLength(ecnCount) + 2
  for (let i = last - 2; i > 0; i -= 2) {
    const end = ranges[i] as number
    const start = ranges[i - 1] as number
    bytes += varintLength(smallest - end - 1) + varintLength(end - start - 1)
    smallest = start
  }
  return bytes
}

/** How a connection ends: CONNECTION_CLOSE. */
export interface CloseFrame {
  readonly type: 'close'
  /** Whether the code is the application's rather than the transport's (RFC 9000, 20). */
  readonly application: boolean
  readonly code: number
  readonly reason: string
}

/** Every frame but STREAM and ACK. */
export type ControlFrame =
  | { readonly type: 'ping' }
  | { readonly type: 'immediate-ack' }
  | { readonly type: 'handshake-done' }
  | { readonly type: 'crypto'; readonly message: HandshakeMessage }
  | { readonly type: 'reset-stream'; readonly streamId: number; readonly code: number; readonly finalSize: number }
  | { readonly type: 'stop-sending'; readonly streamId: number; readonly code: number }
  | { readonly type: 'max-data'; readonly max: number }
  | { readonly type: 'max-stream-data'; readonly streamId: number; readonly max: number }
  | { readonly type: 'max-streams'; readonly bidi: boolean; readonly max: number }
  | { readonly type: 'path-challenge'; readonly token: number }
  | { readonly type: 'path-response'; readonly token: number }
  | { readonly type: 'path-abandon'; readonly pathId: number }
  | { readonly type: 'add-address'; readonly sequence: number; readonly address: string }
  | { readonly type: 'remove-address'; readonly sequence: number }
  /** Connection ids for the peer to use, several frames in one, with the token of the one that it uses from now on. */
  | {
      readonly type: 'new-ids'
      readonly count: number
      readonly bytesEach: number
      readonly resetToken?: ResetToken | undefined
    }
  /** Address tokens for later connections, which nobody uses here: they cost bytes. */
  | { readonly type: 'new-tokens'; readonly count: number }
  /** The address that the peer's packets come from. */
  | { readonly type: 'observed-address' }
  | { readonly type: 'reach-out'; readonly round: number; readonly address: string }
  | CloseFrame

/** The frames of extensions have long types. */
const EXTENSION_TYPE_BYTES = 4

/** NEW_CONNECTION_ID with an id of 8 bytes and a reset token of 16, and with the number of its path. */
export const NEW_ID_BYTES = 28
/** As {@link NEW_ID_BYTES}. */
export const NEW_PATH_ID_BYTES = 32
/** NEW_TOKEN, as large as the measured packets leave room for. */
const NEW_TOKEN_BYTES = 83

/** The bytes of an `ip:port`. */
function addressBytes(address: string): number {
  return (address.startsWith('[') ? 16 : 4) + 2
}

/** The bytes of a frame on the wire. */
export function controlBytes(frame: ControlFrame): number {
  switch (frame.type) {
    case 'ping':
    case 'immediate-ack':
    case 'handshake-done':
      return 1
    case 'crypto':
      return 1 + 1 + varintLength(frame.message.sizeBytes) + frame.message.sizeBytes
    case 'reset-stream':
      return 1 + varintLength(frame.streamId) + varintLength(frame.code) + varintLength(frame.finalSize)
    case 'stop-sending':
      return 1 + varintLength(frame.streamId) + varintLength(frame.code)
    case 'max-data':
      return 1 + varintLength(frame.max)
    case 'max-stream-data':
      return 1 + varintLength(frame.streamId) + varintLength(frame.max)
    case 'max-streams':
      return 1 + varintLength(frame.max)
    case 'path-challenge':
    case 'path-response':
      return 1 + 8
    case 'path-abandon':
      return EXTENSION_TYPE_BYTES + varintLength(frame.pathId) + 1
    case 'add-address':
      return EXTENSION_TYPE_BYTES + varintLength(frame.sequence) + addressBytes(frame.address)
    case 'remove-address':
      return EXTENSION_TYPE_BYTES + varintLength(frame.sequence)
    case 'reach-out':
      return EXTENSION_TYPE_BYTES + varintLength(frame.round) + addressBytes(frame.address)
    case 'new-ids':
      return frame.count * frame.bytesEach
    case 'new-tokens':
      return frame.count * NEW_TOKEN_BYTES
    case 'observed-address':
      return EXTENSION_TYPE_BYTES + 1 + 6
    case 'close': {
      const reasonBytes = utf8Length(frame.reason)
      return 1 + varintLength(frame.code) + (frame.application ? 0 : 1) + varintLength(reasonBytes) + reasonBytes
    }
  }
}

/** Transport error codes that this transport uses (RFC 9000, 20.1). */
export const TransportErrorCode = {
  noError: 0x0,
  flowControl: 0x3,
  streamLimit: 0x4,
  streamState: 0x5,
  finalSize: 0x6,
  transportParameter: 0x8,
  protocolViolation: 0xa,
  applicationError: 0xc,
  /** TLS alert `no_application_protocol`: the server serves none of the client's protocols. */
  noApplicationProtocol: 0x178,
} as const

/** The longest reason sent; a longer one is cut. */
const MAX_REASON_BYTES = 512

/** The bytes of a text in UTF-8. */
export function utf8Length(text: string): number {
  let bytes = 0
  for (const character of text) {
    const point = character.codePointAt(0) as number
    bytes += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x1_0000 ? 3 : 4
  }
  return bytes
}

/** `reason`, cut to at most {@link MAX_REASON_BYTES} without splitting a character. */
export function cutReason(reason: string): string {
  if (reason.length * 3 <= MAX_REASON_BYTES) return reason
  let bytes = 0
  let cut = ''
  for (const character of reason) {
    bytes += utf8Length(character)
    if (bytes > MAX_REASON_BYTES) break
    cut += character
  }
  return cut
}
