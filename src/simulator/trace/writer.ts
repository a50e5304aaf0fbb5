/**
 * Writes a trace: records into a buffer, the buffer into a sink whenever it is full.
 *
 * @module
 */
import {
  MAX_TRACE_LIST,
  MAX_TRACE_TEXT_BYTES,
  TRACE_ENUMS,
  TRACE_ITEMS,
  TRACE_KINDS,
  TRACE_MAGIC,
  TRACE_RELAY_MESSAGES,
  TRACE_VERSION,
  traceKindHeaders,
} from '../../core/trace.ts'
import type { TraceFields, TraceKind } from '../../core/trace.ts'
import type { Describable, Trace, TracedAddress, TraceSink } from './trace.ts'

/** Bytes that are handed to the sink at a time. */
const CHUNK_BYTES = 65_536
/** More than any record takes: texts and lists are bounded. */
const LARGEST_RECORD_BYTES = 65_536
/** Kept free for what is recorded after the limit: that it was reached, and how runs ended. */
const RESERVED_BYTES = 4_096

/** What a writer needs to know. */
export interface TraceWriterOptions {
  readonly sink: TraceSink
  readonly seed: bigint
  /** `process.version` */
  readonly node: string
  readonly epochMs: number
  readonly maxBytes: number
  /** Names of the numbers that `dropped` is given. */
  readonly dropReasons: readonly string[]
  readonly nowUs: () => number
  /** The sink has failed; nothing more is written. */
  readonly onFailure: (error: unknown) => void
}

interface FieldPlan {
  readonly name: string
  readonly type: string
  /** The numbers of an enumeration's names. */
  readonly codes: ReadonlyMap<string, number> | undefined
}

interface KindPlan {
  readonly code: number
  readonly fields: readonly FieldPlan[]
}

const SENT = TRACE_KINDS.sent.code
const HOP = TRACE_KINDS.hop.code
const TRANSLATED = TRACE_KINDS.translated.code
const DELIVERED = TRACE_KINDS.delivered.code
const DROPPED = TRACE_KINDS.dropped.code
const ADDRESS = TRACE_KINDS.address.code
const UDP = TRACE_ENUMS.protocol.indexOf('udp')
const TCP = TRACE_ENUMS.protocol.indexOf('tcp')
const WAKE = TRACE_KINDS.wake.code

/** The writer; see the module's comment. */
export class TraceWriter implements Trace {
  readonly #options: TraceWriterOptions
  readonly #plans: ReadonlyMap<string, KindPlan>
  readonly #encoder = new TextEncoder()
  readonly #bytes = new Uint8Array(CHUNK_BYTES + LARGEST_RECORD_BYTES)
  readonly #float = new DataView(this.#bytes.buffer)
  #at = 0
  /** Where the buffer is to be looked at: when it is full, or with it the trace. */
  #lookAt = 0
  #written = 0
  #timeUs = 0
  #packet = 0
  #connections = 0
  #known: Uint8Array = new Uint8Array(1_024)
  #state: 'open' | 'cut' | 'closed' = 'open'

  constructor(options: TraceWriterOptions) {
    this.#options = options
    const enums: Record<string, readonly string[]> = { ...TRACE_ENUMS, dropReason: options.dropReasons }
    this.#plans = plansOf(enums)
    const header = {
      seed: options.seed.toString(),
      node: options.node,
      epochMs: options.epochMs,
      kinds: traceKindHeaders(),
      enums,
      items: TRACE_ITEMS,
      relayMessages: TRACE_RELAY_MESSAGES,
    }
    this.#bytes.set(TRACE_MAGIC)
    this.#at = TRACE_MAGIC.length
    this.#u(TRACE_VERSION)
    const text = this.#encoder.encode(JSON.stringify(header))
    this.#u(text.length)
    this.#bytes.set(text, this.#at)
    this.#at += text.length
    this.#plan()
  }

  record<Kind extends TraceKind>(kind: Kind, fields: TraceFields<Kind>): void {
    if (!this.#open()) return
    this.#record(kind, fields)
  }

  address(address: TracedAddress): number {
    const { index } = address
    if (index < this.#known.length && this.#known[index] === 1) return index
    if (index >= this.#known.length) {
      const larger = new Uint8Array(Math.max(index + 1, 2 * this.#known.length))
      larger.set(this.#known)
      this.#known = larger
    }
    if (!this.#open()) return index
    this.#known[index] = 1
    this.#at = put(this.#bytes, this.#begin(ADDRESS), index)
    this.#text(address.toString())
    return index
  }

  newConnection(): number {
    return this.#connections++
  }

  sent(
    packet: number,
    host: number,
    node: number,
    protocol: 'udp' | 'tcp',
    from: TracedAddress,
    to: TracedAddress,
    bytes: number,
    payload: unknown,
  ): void {
    const source = this.address(from)
    const destination = this.address(to)
    if (!this.#open()) return
    const bytesOf = this.#bytes
    let at = this.#begin(SENT)
    at = put(bytesOf, at, this.#packetDelta(packet))
    at = put(bytesOf, at, host)
    at = put(bytesOf, at, node)
    at = put(bytesOf, at, protocol === 'udp' ? UDP : TCP)
    at = put(bytesOf, at, source)
    at = put(bytesOf, at, destination)
    at = put(bytesOf, at, bytes)
    if (isDescribable(payload)) {
      const items: number[] = []
      payload.describe(items)
      this.#at = putList(bytesOf, at, items)
      return
    }
    // One item, of bytes that nobody describes.
    at = put(bytesOf, at, 3)
    at = put(bytesOf, at, 0)
    at = put(bytesOf, at, 1)
    this.#at = put(bytesOf, at, bytes)
  }

  hop(packet: number, from: number, to: number, inUs: number, takesUs: number): void {
    if (!this.#open()) return
    const bytes = this.#bytes
    let at = this.#begin(HOP)
    at = put(bytes, at, this.#packetDelta(packet))
    at = put(bytes, at, from)
    at = put(bytes, at, to)
    at = put(bytes, at, inUs)
    this.#at = put(bytes, at, takesUs)
  }

  translated(packet: number, node: number, from: TracedAddress, to: TracedAddress): void {
    const source = this.address(from)
    const destination = this.address(to)
    if (!this.#open()) return
    const bytes = this.#bytes
    let at = this.#begin(TRANSLATED)
    at = put(bytes, at, this.#packetDelta(packet))
    at = put(bytes, at, node)
    at = put(bytes, at, source)
    this.#at = put(bytes, at, destination)
  }

  delivered(packet: number, host: number, from: TracedAddress, to: TracedAddress, corrupted: boolean): void {
    const source = this.address(from)
    const destination = this.address(to)
    if (!this.#open()) return
    const bytes = this.#bytes
    let at = this.#begin(DELIVERED)
    at = put(bytes, at, this.#packetDelta(packet))
    at = put(bytes, at, host)
    at = put(bytes, at, source)
    at = put(bytes, at, destination)
    this.#at = put(bytes, at, corrupted ? 1 : 0)
  }

  dropped(packet: number, reason: number, node: number): void {
    if (!this.#open()) return
    const bytes = this.#bytes
    let at = this.#begin(DROPPED)
    at = put(bytes, at, this.#packetDelta(packet))
    at = put(bytes, at, reason)
    this.#at = put(bytes, at, node)
  }

  wake(host: number): void {
    if (!this.#open()) return
    this.#at = put(this.#bytes, this.#begin(WAKE), zigzag(host))
  }

  /** The end of a run: recorded even past the limit, and handed to the sink with everything before. */
  ran(fields: TraceFields<'ran'>, failure?: string): void {
    if (this.#state === 'closed') return
    if (failure !== undefined) this.#record('failed', { text: failure.slice(0, RESERVED_BYTES / 8) })
    this.#record('ran', fields)
    this.#flush()
  }

  /** Hands everything to the sink and closes it. */
  close(): void {
    if (this.#state === 'closed') return
    this.#flush()
    // A sink that has failed was closed then.
    if ((this.#state as string) === 'closed') return
    this.#state = 'closed'
    this.#try(() => this.#options.sink.close?.())
  }

  /** Whether a record may be made; makes room for it. */
  #open(): boolean {
    if (this.#at < this.#lookAt) return true
    if (this.#state !== 'open') return false
    const { maxBytes } = this.#options
    if (this.#written + this.#at >= maxBytes - RESERVED_BYTES) {
      this.#record('cut', { maxBytes })
      this.#flush()
      if ((this.#state as string) !== 'closed') this.#state = 'cut'
      this.#lookAt = 0
      return false
    }
    this.#flush()
    return this.#at < this.#lookAt
  }

  #flush(): void {
    if (this.#at === 0) return
    const chunk = this.#bytes.slice(0, this.#at)
    this.#written += this.#at
    this.#at = 0
    if (this.#state !== 'closed') this.#try(() => this.#options.sink.write(chunk))
    this.#plan()
  }

  #plan(): void {
    const left = this.#options.maxBytes - RESERVED_BYTES - this.#written
    this.#lookAt = this.#state === 'open' ? Math.max(0, Math.min(CHUNK_BYTES, left)) : 0
  }

  #try(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#state = 'closed'
      this.#lookAt = 0
      this.#options.onFailure(error)
    }
  }

  #record(kind: TraceKind, fields: object): void {
    const plan = this.#plans.get(kind) as KindPlan
    this.#at = this.#begin(plan.code)
    for (const { name, type, codes } of plan.fields) {
      const value = (fields as Readonly<Record<string, unknown>>)[name]
      if (codes) this.#u(codes.get(value as string) ?? 0)
      else if (type === 'u') this.#u(value as number)
      else if (type === 's') this.#s(value as number)
      else if (type === 'x') this.#text(value as string)
      else if (type === 'p') this.#u(this.#packetDelta(value as number))
      else if (type === 'f') this.#f(value as number)
      else if (type === 'l') this.#list(value as readonly number[])
      else this.#floats(value as readonly number[])
    }
  }

  /** Begins a record; returns where its fields begin. */
  #begin(code: number): number {
    const nowUs = this.#options.nowUs()
    const bytes = this.#bytes
    bytes[this.#at] = code
    const at = put(bytes, this.#at + 1, nowUs - this.#timeUs)
    this.#timeUs = nowUs
    return at
  }

  #u(value: number): void {
    this.#at = put(this.#bytes, this.#at, value)
  }

  #s(value: number): void {
    this.#u(zigzag(value))
  }

  /** Packets are mostly told of soon after those with a number nearby. */
  #packetDelta(packet: number): number {
    const delta = packet - this.#packet
    this.#packet = packet
    return zigzag(delta)
  }

  #f(value: number): void {
    this.#float.setFloat64(this.#at, value, true)
    this.#at += 8
  }

  #list(values: readonly number[]): void {
    this.#at = putList(this.#bytes, this.#at, values)
  }

  #floats(values: readonly number[]): void {
    const length = Math.min(values.length, MAX_TRACE_LIST)
    this.#u(length)
    for (let i = 0; i < length; i++) this.#f(values[i] as number)
  }

  #text(text: string): void {
    // Behind room for its length: 3 bytes at most.
    const start = this.#at + 3
    const room = this.#bytes.subarray(start, start + MAX_TRACE_TEXT_BYTES)
    const { written } = this.#encoder.encodeInto(text, room)
    this.#u(written)
    this.#bytes.copyWithin(this.#at, start, start + written)
    this.#at += written
  }
}

/** Seven bits a byte, the lowest first (LEB128); returns where the next begins. */
function put(bytes: Uint8Array, at: number, value: number): number {
  if (value <= 0x7f) {
    bytes[at] = value
    return at + 1
  }
  return putLong(bytes, at, value)
}

function putLong(bytes: Uint8Array, from: number, value: number): number {
  let at = from
  let rest = value
  while (rest >= 0x8000_0000) {
    bytes[at++] = (rest % 128) | 0x80
    rest = Math.floor(rest / 128)
  }
  while (rest > 0x7f) {
    bytes[at++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  bytes[at] = rest
  return at + 1
}

function putList(bytes: Uint8Array, from: number, values: readonly number[]): number {
  const length = Math.min(values.length, MAX_TRACE_LIST)
  let at = put(bytes, from, length)
  for (let i = 0; i < length; i++) at = put(bytes, at, values[i] as number)
  return at
}

function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value
}

function isDescribable(payload: unknown): payload is Describable {
  return typeof payload === 'object' && payload !== null && 'describe' in payload
}

function plansOf(enums: Readonly<Record<string, readonly string[]>>): ReadonlyMap<string, KindPlan> {
  const plan = (name: string, type: string): FieldPlan => {
    const names = type.startsWith('e:') ? enums[type.slice(2)] : undefined
    return { name, type, codes: names && new Map(names.map((text, code) => [text, code])) }
  }
  return new Map(
    Object.entries(TRACE_KINDS).map(([kind, { code, fields }]) => [
      kind,
      { code, fields: Object.entries(fields).map(([name, type]) => plan(name, type)) },
    ]),
  )
}
