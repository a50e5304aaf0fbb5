/**
 * The bytes of our own protocol outside of application data: what the first bytes of a stream mean, the frames of the
 * control stream, and the codes above 2^32 that only the library uses. `docs/wire.md` is the specification.
 *
 * @module
 */
import { readVarint, varintLength, writeVarint } from '../encoding.ts'

/** The first byte of a stream. Kinds below 0x10 are two-way, the others one-way. */
export const STREAM_KIND = {
  /** The application's two-way stream; a stream number follows. */
  stream: 0x01,
  /** A request of the router; a stream number follows. */
  request: 0x02,
  /** The application's one-way stream; a stream number follows. */
  oneWay: 0x11,
  /** The messages of one direction; at most one. */
  messages: 0x12,
  /** Control frames of one direction; at most one. */
  control: 0x13,
} as const

/** The first byte of a control frame. */
const CONTROL_FRAME = {
  /** I gave up sending on a stream: opener, number, code. */
  reset: 0x01,
  /** I want no more bytes of a stream: opener, number, code. */
  stop: 0x02,
  /** I have finished everything: how many numbered streams I opened, and whether I sent messages. */
  end: 0x03,
  /** Everything that your END announced has arrived. */
  drained: 0x04,
} as const

/** Close and stream codes of the library. Applications have 0..2^32-1, so the two never collide. */
export const LIBRARY_CODE = {
  /** The listener's `authorize` said no, or it is full; the reason says which. */
  refused: 0x1_0000_0001,
  /** `end()` is complete on the side that closes; it had seen no END of the other side. */
  ended: 0x1_0000_0002,
  /** As `ended`, and everything that the other side's END announced has arrived. */
  drained: 0x1_0000_0003,
  /** The peer broke the protocol. */
  protocol: 0x1_0000_0004,
  /** Nobody on this side takes streams of this kind. */
  unclaimed: 0x1_0000_0005,
  /** A limit was crossed: a message too large, too many waiting streams. */
  limit: 0x1_0000_0006,
  /** The stream's first bytes did not come in time. */
  headerTimeout: 0x1_0000_0007,
} as const

const CODE_WORDS: Readonly<Record<number, string>> = {
  [LIBRARY_CODE.ended]: 'the peer was ending the connection',
  [LIBRARY_CODE.protocol]: 'its first bytes broke the protocol',
  [LIBRARY_CODE.unclaimed]: 'nobody there takes streams of this kind',
  [LIBRARY_CODE.limit]: 'a limit of the peer was crossed',
  [LIBRARY_CODE.headerTimeout]: 'its first bytes did not come in time',
}

/** A code for a message: the application's as a number, the library's in words. */
export function describeCode(code: number): string {
  return CODE_WORDS[code] ?? `code ${code}`
}

/** The largest code that an application may give. */
export const MAX_APPLICATION_CODE: number = 0xffff_ffff

/** The first bytes of a numbered stream. */
export function encodeStreamHeader(kind: number, number: number): Uint8Array {
  const bytes = new Uint8Array(1 + varintLength(number))
  bytes[0] = kind
  writeVarint(bytes, 1, number)
  return bytes
}

/** A control frame, decoded. `openedBySender` says which side opened the stream that `number` counts. */
export type ControlFrame =
  | {
      readonly type: 'reset' | 'stop'
      readonly openedBySender: boolean
      readonly number: number
      readonly code: number
    }
  | { readonly type: 'end'; readonly streams: number; readonly messages: boolean }
  | { readonly type: 'drained' }

/** The bytes of a control frame. */
export function encodeControlFrame(frame: ControlFrame): Uint8Array {
  const bytes = new Uint8Array(18)
  bytes[0] = CONTROL_FRAME[frame.type]
  let end = 1
  if (frame.type === 'reset' || frame.type === 'stop') {
    bytes[1] = frame.openedBySender ? 1 : 0
    end = writeVarint(bytes, writeVarint(bytes, 2, frame.number), frame.code)
  } else if (frame.type === 'end') {
    bytes[1] = frame.messages ? 1 : 0
    end = writeVarint(bytes, 2, frame.streams)
  }
  return bytes.subarray(0, end)
}

/** The frame at `offset`, undefined when `source` ends before it does, `malformed` when it can be none. */
export function decodeControlFrame(
  source: Uint8Array,
  offset: number,
): { readonly frame: ControlFrame; readonly next: number } | 'malformed' | undefined {
  const kind = source[offset]
  if (kind === undefined) return undefined
  if (kind === CONTROL_FRAME.drained) return { frame: { type: 'drained' }, next: offset + 1 }
  const flag = source[offset + 1]
  if (kind < CONTROL_FRAME.reset || kind > CONTROL_FRAME.end || (flag ?? 0) > 1) return 'malformed'
  const first = flag === undefined ? undefined : readVarint(source, offset + 2)
  if (!first) return undefined
  if (Number.isNaN(first.value)) return 'malformed'
  if (kind === CONTROL_FRAME.end) {
    return { frame: { type: 'end', streams: first.value, messages: flag === 1 }, next: first.next }
  }
  const second = readVarint(source, first.next)
  if (!second) return undefined
  if (Number.isNaN(second.value)) return 'malformed'
  const type = kind === CONTROL_FRAME.reset ? 'reset' : 'stop'
  return { frame: { type, openedBySender: flag === 1, number: first.value, code: second.value }, next: second.next }
}
