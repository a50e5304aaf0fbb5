/**
 * Reads a trace, whole or as it comes in pieces, in a browser as well as in Node. It trusts nothing in it.
 *
 * @module
 */
import { P2PError } from '../core/errors.ts'
import {
  MAX_TRACE_HEADER_BYTES,
  MAX_TRACE_LIST,
  MAX_TRACE_TEXT_BYTES,
  TRACE_MAGIC,
  TRACE_VERSION,
} from '../core/trace.ts'
import type { TraceHeader, TraceKindHeader, TraceRecord } from '../core/trace.ts'

/** Bytes in pieces of any size. */
export type TraceSource = Uint8Array | AsyncIterable<Uint8Array>

/** Kinds and enumerations of more are refused. */
const MAX_NAMES = 10_000
const MAX_FIELDS = 64

interface FieldPlan {
  readonly name: string
  readonly read: (reader: Cursor) => unknown
}

interface KindPlan {
  readonly name: string
  readonly fields: readonly FieldPlan[]
}

/** Thrown where the bytes at hand end in the middle of something. */
const MORE: unique symbol = Symbol('more bytes are needed')

function damaged(what: string, at: number): P2PError {
  return P2PError.of('serialization', `this is no trace, or it is damaged: ${what} (byte ${at})`, {})
}

/** Bytes, and what is read from them. */
class Cursor {
  #bytes: Uint8Array = new Uint8Array(0)
  #view: DataView = new DataView(this.#bytes.buffer)
  /** Bytes that were dropped in front of `#bytes`. */
  #base = 0
  at = 0
  /** The number of the packet that was last told of. */
  packet = 0
  readonly #decoder = new TextDecoder()

  /** The place in the whole. */
  get position(): number {
    return this.#base + this.at
  }

  get left(): number {
    return this.#bytes.length - this.at
  }

  add(chunk: Uint8Array): void {
    const rest = this.#bytes.subarray(this.at)
    const bytes = new Uint8Array(rest.length + chunk.length)
    bytes.set(rest)
    bytes.set(chunk, rest.length)
    this.#base += this.at
    this.at = 0
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer)
  }

  u8(): number {
    const byte = this.#bytes[this.at]
    if (byte === undefined) throw MORE
    this.at++
    return byte
  }

  u(): number {
    let value = 0
    let scale = 1
    for (let i = 0; i < 8; i++) {
      const byte = this.u8()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value)) break
        return value
      }
      scale *= 128
    }
    throw damaged('a number is too large', this.position)
  }

  s(): number {
    const value = this.u()
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }

  p(): number {
    this.packet += this.s()
    return this.packet
  }

  f(): number {
    if (this.left < 8) throw MORE
    this.at += 8
    return this.#view.getFloat64(this.at - 8, true)
  }

  bytes(length: number): Uint8Array {
    if (this.left < length) throw MORE
    this.at += length
    return this.#bytes.subarray(this.at - length, this.at)
  }

  text(maxBytes: number): string {
    const length = this.u()
    if (length > maxBytes) throw damaged(`a text of ${length} bytes`, this.position)
    return this.#decoder.decode(this.bytes(length))
  }

  list(read: () => number): number[] {
    const length = this.u()
    if (length > MAX_TRACE_LIST) throw damaged(`a list of ${length} numbers`, this.position)
    return Array.from({ length }, read)
  }
}

/**
 * Reads a trace piece by piece.
 *
 * @example
 * ```ts
 * import { Simulation } from '@moosicbox/p2p/simulator'
 * import { TraceParser } from '@moosicbox/p2p/trace'
 *
 * const parser = new TraceParser()
 * const sim = new Simulation({ seed: 7, trace: { write: (bytes) => parser.push(bytes) } })
 * sim.host('alice', (host) => host.log('good morning'))
 * await sim.run()
 * await sim.close()
 * for (const record of parser.take()) {
 *   if (record.kind === 'log') console.log(record.timeUs, record.text) // 0 good morning
 * }
 * console.log(parser.header?.seed) // 7n
 * ```
 */
export class TraceParser {
  readonly #cursor = new Cursor()
  readonly #records: TraceRecord[] = []
  #plans: ReadonlyMap<number, KindPlan> = new Map()
  #header: TraceHeader | undefined
  #timeUs = 0

  /** The header; undefined until it has arrived. */
  get header(): TraceHeader | undefined {
    return this.#header
  }

  /** Bytes of a record that has not arrived whole: other than 0 at the end, the trace was cut off there. */
  get bytesLeft(): number {
    return this.#cursor.left
  }

  /**
   * The next bytes.
   *
   * @throws P2PError `serialization` when they are not those of a trace, or of a version that is not known
   */
  push(chunk: Uint8Array): void {
    const cursor = this.#cursor
    cursor.add(chunk)
    for (;;) {
      const { at, packet } = cursor
      try {
        if (!this.#header) this.#readHeader()
        else if (cursor.left > 0) this.#records.push(this.#readRecord())
        else return
      } catch (error) {
        if (error !== MORE) throw error
        cursor.at = at
        cursor.packet = packet
        return
      }
    }
  }

  /** The records that have arrived since the last call, in their order. */
  take(): TraceRecord[] {
    return this.#records.splice(0)
  }

  #readHeader(): void {
    const cursor = this.#cursor
    for (const byte of TRACE_MAGIC) if (cursor.u8() !== byte) throw damaged('it does not begin as one', 0)
    const version = cursor.u()
    if (version !== TRACE_VERSION) {
      const why = `this trace is of version ${version}, and only version ${TRACE_VERSION} can be read: use a newer reader`
      throw P2PError.of('serialization', why, {})
    }
    const header = checkHeader(version, cursor.text(MAX_TRACE_HEADER_BYTES))
    this.#plans = plansOf(header)
    this.#header = header
  }

  #readRecord(): TraceRecord {
    const cursor = this.#cursor
    const code = cursor.u()
    const plan = this.#plans.get(code)
    if (!plan) throw damaged(`there is no record of code ${code}`, cursor.position)
    const timeUs = this.#timeUs + cursor.u()
    const record: Record<string, unknown> = { kind: plan.name, timeUs }
    for (const { name, read } of plan.fields) record[name] = read(cursor)
    // Only now that it is whole.
    this.#timeUs = timeUs
    return record as unknown as TraceRecord
  }
}

function checkHeader(version: number, text: string): TraceHeader {
  let fields: Partial<Record<keyof TraceHeader, unknown>>
  try {
    fields = Object(JSON.parse(text)) as typeof fields
  } catch (error) {
    throw P2PError.from(error, 'serialization', 'the header of this trace is damaged: it is no JSON', {})
  }
  const { seed, node, epochMs, kinds, enums, items, relayMessages } = fields
  const isTexts = (value: unknown): value is readonly string[] =>
    Array.isArray(value) && value.length <= MAX_NAMES && value.every((entry) => typeof entry === 'string')
  const isKind = (value: unknown): value is TraceKindHeader =>
    Array.isArray(value) && Number.isSafeInteger(value[0]) && value.length < MAX_FIELDS && isTexts(value.slice(1))
  const isHeader =
    typeof seed === 'string' &&
    /^\d{1,20}$/.test(seed) &&
    typeof node === 'string' &&
    typeof epochMs === 'number' &&
    Array.isArray(kinds) &&
    kinds.every(isKind) &&
    typeof enums === 'object' &&
    enums !== null &&
    Object.values(enums).every(isTexts) &&
    Array.isArray(items) &&
    items.every(isTexts) &&
    isTexts(relayMessages)
  if (!isHeader) throw P2PError.of('serialization', 'the header of this trace is damaged: a field is missing', {})
  return {
    version,
    seed: BigInt(seed),
    node,
    epochMs,
    kinds,
    enums: enums as TraceHeader['enums'],
    items: items as unknown as TraceHeader['items'],
    relayMessages,
  }
}

function plansOf({ kinds, enums }: TraceHeader): ReadonlyMap<number, KindPlan> {
  return new Map(kinds.map(([code, name, ...fields]) => [code, { name, fields: fields.map((it) => plan(it, enums)) }]))
}

function plan(field: string, enums: TraceHeader['enums']): FieldPlan {
  const at = field.indexOf(':')
  const name = field.slice(0, at)
  const type = field.slice(at + 1)
  const readers: Readonly<Record<string, FieldPlan['read']>> = {
    u: (cursor) => cursor.u(),
    s: (cursor) => cursor.s(),
    p: (cursor) => cursor.p(),
    f: (cursor) => cursor.f(),
    x: (cursor) => cursor.text(MAX_TRACE_TEXT_BYTES),
    l: (cursor) => cursor.list(() => cursor.u()),
    n: (cursor) => cursor.list(() => cursor.f()),
  }
  const read = readers[type]
  if (read) return { name, read }
  const names = type.startsWith('e:') ? enums[type.slice(2)] : undefined
  if (!names) throw P2PError.of('serialization', `the header of this trace has a field of unknown type: ${field}`, {})
  return { name, read: (cursor) => names[cursor.u()] ?? '?' }
}

/** A trace that was read to its end. */
export interface WholeTrace {
  readonly header: TraceHeader
  readonly records: readonly TraceRecord[]
  /** Whether it ends in the middle of a record, because its writer was killed. */
  readonly isTruncated: boolean
}

/**
 * Reads a trace into memory.
 *
 * @throws P2PError `serialization`
 */
export function parseTrace(bytes: Uint8Array): WholeTrace {
  const parser = new TraceParser()
  parser.push(bytes)
  return { header: headerOf(parser), records: parser.take(), isTruncated: parser.bytesLeft > 0 }
}

/**
 * Reads a trace as it comes: its header first, then records.
 *
 * @throws P2PError `serialization`
 */
export async function readTrace(
  source: TraceSource,
): Promise<{ readonly header: TraceHeader; readonly records: AsyncIterable<readonly TraceRecord[]> }> {
  const parser = new TraceParser()
  const chunks = chunksOf(source)[Symbol.asyncIterator]()
  while (!parser.header) {
    const next = await chunks.next()
    if (next.done === true) break
    parser.push(next.value)
  }
  async function* records(): AsyncGenerator<readonly TraceRecord[]> {
    try {
      for (;;) {
        const ready = parser.take()
        if (ready.length > 0) yield ready
        const next = await chunks.next()
        if (next.done === true) return
        parser.push(next.value)
      }
    } finally {
      await chunks.return(undefined)
    }
  }
  return { header: headerOf(parser), records: records() }
}

async function* chunksOf(source: TraceSource): AsyncGenerator<Uint8Array> {
  if (source instanceof Uint8Array) yield source
  else yield* source
}

function headerOf({ header }: TraceParser): TraceHeader {
  if (!header) throw P2PError.of('serialization', 'this trace ends within its header: was its writer killed?', {})
  return header
}
