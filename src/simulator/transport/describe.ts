/**
 * What a packet holds, as numbers for a trace (`TRACE_ITEMS` in `core/trace.ts`).
 *
 * @module
 */
import { TraceItem } from '../../core/trace.ts'
import { controlBytes } from './frames.ts'
import type { ControlFrame } from './frames.ts'
import type { PacketBody } from './packet.ts'

const ACK = TraceItem['ACK'] as number
const STREAM = TraceItem['STREAM'] as number
const DATAGRAM = TraceItem['DATAGRAM'] as number

/** Appends the frames of a packet to `items`. */
export function describeBody(body: PacketBody, items: number[]): void {
  for (let ack = body.acks; ack; ack = ack.next) {
    // Without a path's number (-1) it is about the first.
    items.push(ACK, 4, ack.largest, ack.ranges.length >> 1, ack.delayUs, Math.max(ack.pathId, 0))
  }
  if (body.controls) for (const frame of body.controls) describeControl(frame, items)
  for (let frame = body.datagrams; frame; frame = frame.next) items.push(DATAGRAM, 1, frame.bytes.length)
  for (let frame = body.streams; frame; frame = frame.next) {
    items.push(STREAM, 4, frame.streamId, frame.offset, frame.length, frame.fin ? 1 : 0)
  }
}

function describeControl(frame: ControlFrame, items: number[]): void {
  const values = valuesOf(frame)
  if (values) items.push(TraceItem[nameOf(frame)] ?? 0, values.length, ...values)
  else items.push(0, 1, controlBytes(frame))
}

function nameOf({ type }: ControlFrame): string {
  return type === 'close' ? 'CONNECTION_CLOSE' : type.toUpperCase().replaceAll('-', '_')
}

/** In the order of `TRACE_ITEMS`; undefined for a frame that has no item of its own. */
function valuesOf(frame: ControlFrame): readonly number[] | undefined {
  switch (frame.type) {
    case 'ping':
    case 'immediate-ack':
    case 'handshake-done':
    case 'path-challenge':
    case 'path-response':
      return []
    case 'crypto':
      return [frame.message.sizeBytes]
    case 'reset-stream':
      return [frame.streamId, frame.code, frame.finalSize]
    case 'stop-sending':
      return [frame.streamId, frame.code]
    case 'max-data':
      return [frame.max]
    case 'max-stream-data':
      return [frame.streamId, frame.max]
    case 'max-streams':
      return [frame.bidi ? 1 : 0, frame.max]
    case 'path-abandon':
      return [frame.pathId]
    case 'add-address':
      return [frame.sequence]
    case 'reach-out':
      return [frame.round]
    case 'close':
      return [frame.application ? 1 : 0, frame.code]
    default:
      return undefined
  }
}
