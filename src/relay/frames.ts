/**
 * The frames of iroh's relay protocol, versions 1 and 2 (`iroh-relay` 1.4.1, `protos/relay.rs` and
 * `protos/handshake.rs`): one binary WebSocket message each, its first byte the type.
 *
 * @module
 */
import { P2PError } from '../core/errors.ts'

/** The types of frames, as iroh numbers them. */
export const FRAME = {
  challenge: 0,
  auth: 1,
  accepted: 2,
  denied: 3,
  sendDatagram: 4,
  sendBatch: 5,
  receiveDatagram: 6,
  receiveBatch: 7,
  endpointGone: 8,
  ping: 9,
  pong: 10,
  health: 11,
  restarting: 12,
  status: 13,
} as const

/** What a status frame says (version 2). */
export const STATUS = { healthy: 0, sameIdElsewhere: 1, rateLimited: 2 } as const

/** The versions of the protocol, by the names of their WebSocket subprotocols; the best first. */
export const SUBPROTOCOLS: ReadonlyMap<string, RelayVersion> = new Map([
  ['iroh-relay-v2', 2],
  ['iroh-relay-v1', 1],
])

/** A version of the protocol. */
export type RelayVersion = 1 | 2

/** The longest content of a frame, its type not counted, in bytes. */
export const MAX_CONTENT_BYTES = 65_536
/** The length of a node id. */
export const ID_BYTES = 32
const SIGNATURE_BYTES = 64
const PING_BYTES = 8
/** Type, id, ECN: what comes before a datagram. */
const DATAGRAM_HEAD = 1 + ID_BYTES + 1
/** The same and the size of a segment: what comes before a batch. */
const BATCH_HEAD = DATAGRAM_HEAD + 2
/** The two bits of the ECN field (RFC 3168); iroh ignores the others. */
const ECN_BITS = 3

const broken = (what: string): P2PError =>
  P2PError.of('protocol', `the client sent a frame that the relay protocol does not allow: ${what}`, {})

/** A frame of `type` around `content`. */
export function encodeFrame(type: number, content: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(1 + content.length)
  frame[0] = type
  frame.set(content, 1)
  return frame
}

/** The frame that turns a client away. A reason longer than 127 bytes is cut, so that its length is one byte. */
export function encodeDenied(reason: string): Buffer {
  let text = Buffer.from(reason)
  if (text.length > 127) {
    let end = 127
    // Not in the middle of a character: the client decodes UTF-8 strictly.
    while (((text[end] ?? 0) & 0xc0) === 0x80) end--
    text = text.subarray(0, end)
  }
  return Buffer.concat([Uint8Array.of(FRAME.denied, text.length), text])
}

/** The frame that announces a restart; both durations in milliseconds. */
export function encodeRestarting(reconnectInMs: number, tryForMs: number): Buffer {
  const frame = Buffer.allocUnsafe(9)
  frame[0] = FRAME.restarting
  frame.writeUInt32BE(reconnectInMs, 1)
  frame.writeUInt32BE(tryForMs, 5)
  return frame
}

/** How a status is told to a client: version 1 knows texts instead, and none for being rate limited. */
export function encodeStatus(status: number, version: RelayVersion): Buffer | undefined {
  if (version === 2) return Buffer.of(FRAME.status, status)
  if (status === STATUS.rateLimited) return undefined
  const text =
    status === STATUS.healthy
      ? 'The connection is healthy and has recovered from previous problems'
      : 'Another endpoint connected with the same endpoint id. No more messages will be received.'
  return encodeFrame(FRAME.health, Buffer.from(text))
}

/**
 * The public key and the signature in a client's answer to the challenge.
 *
 * @throws P2PError `protocol`
 */
export function decodeAuth(frame: Uint8Array): { readonly publicKey: Uint8Array; readonly signature: Uint8Array } {
  if (frame[0] !== FRAME.auth) throw broken(`type ${frame[0]} where the answer to the challenge is due`)
  const at = 1 + ID_BYTES
  if (frame.length !== at + 1 + SIGNATURE_BYTES || frame[at] !== SIGNATURE_BYTES) {
    throw broken(`an answer to the challenge of ${frame.length} bytes`)
  }
  return { publicKey: frame.slice(1, at), signature: frame.slice(at + 1) }
}

/** What a client asks for in a frame. */
export type ClientRequest = 'send' | 'ping' | 'pong'

/**
 * What `frame` asks for; it is long enough for that.
 *
 * @throws P2PError `protocol`
 */
export function examine(frame: Uint8Array): ClientRequest {
  const { length } = frame
  if (length > 1 + MAX_CONTENT_BYTES) throw broken(`${length - 1} bytes, more than ${MAX_CONTENT_BYTES}`)
  switch (frame[0]) {
    case FRAME.sendDatagram:
      if (length < DATAGRAM_HEAD) break
      return 'send'
    case FRAME.sendBatch:
      if (length < BATCH_HEAD) break
      return 'send'
    case FRAME.ping:
    case FRAME.pong:
      if (length !== 1 + PING_BYTES) break
      return frame[0] === FRAME.ping ? 'ping' : 'pong'
    default:
      throw broken(length === 0 ? 'an empty one' : `type ${frame[0]}`)
  }
  throw broken(`type ${frame[0]} of ${length} bytes`)
}

/**
 * Makes of a frame that {@link examine} calls `send` the one that its destination gets from `source`, in place where it
 * can; undefined when there is no datagram in it.
 */
export function forwarded(frame: Buffer, source: Uint8Array): Buffer | undefined {
  const ecnAt = 1 + ID_BYTES
  let result = frame
  if (frame[0] === FRAME.sendBatch) {
    if (frame.length === BATCH_HEAD) return undefined
    if (frame.readUInt16BE(DATAGRAM_HEAD) === 0) {
      // No size of a segment: it is one datagram, and iroh sends it on as such.
      result = frame.subarray(2)
      result[ecnAt] = frame[ecnAt] ?? 0
      result[0] = FRAME.receiveDatagram
    } else {
      result[0] = FRAME.receiveBatch
    }
  } else {
    if (frame.length === DATAGRAM_HEAD) return undefined
    result[0] = FRAME.receiveDatagram
  }
  result[ecnAt] = (result[ecnAt] ?? 0) & ECN_BITS
  result.set(source, 1)
  return result
}
