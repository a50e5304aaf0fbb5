/**
 * A trace in the JSON format of Chrome's trace viewer, which https://ui.perfetto.dev opens: a process for each host, with
 * its program, its transport and its network, windows as counters, packets as arrows; and one for the links.
 *
 * @module
 */
import { describeItems } from '../core/trace.ts'
import type { TraceHeader, TraceRecord } from '../core/trace.ts'
import type { TraceExporter, WriteOutput } from './exporter.ts'
import { TraceNames } from './names.ts'
import { describeRecord } from './text.ts'

/** Threads of each host. */
const PROGRAM = 1
const TRANSPORT = 2
const NETWORK = 3
const THREADS: readonly (readonly [number, string])[] = [
  [PROGRAM, 'program'],
  [TRANSPORT, 'transport'],
  [NETWORK, 'network'],
]

/** Processes; that of a host is its number and {@link FIRST_HOST}. */
const SCENARIO = 1
const LINKS = 2
const FIRST_HOST = 10

/** An event of the format. Times are microseconds. */
interface ChromeEvent {
  /** M metadata, X slice, i instant, b and e ends of a span, s and f ends of an arrow, C counter. */
  readonly ph: 'M' | 'X' | 'i' | 'b' | 'e' | 's' | 'f' | 'C'
  readonly name: string
  readonly pid: number
  readonly tid?: number
  readonly ts?: number
  readonly dur?: number
  readonly cat?: string
  readonly id?: string
  /** Of an instant: thread, process or global. */
  readonly s?: 't' | 'p' | 'g'
  readonly bp?: 'e'
  readonly args?: Readonly<Record<string, unknown>>
}

/** See the module's comment. */
export class PerfettoExporter implements TraceExporter {
  readonly #names = new TraceNames()
  readonly #header: TraceHeader
  readonly #write: WriteOutput
  readonly #open = new Set<string>()
  #events = 0
  #lastUs = 0

  constructor(header: TraceHeader, write: WriteOutput) {
    this.#header = header
    this.#write = write
    const about = { seed: header.seed.toString(), node: header.node, epochMs: header.epochMs }
    write(`{"displayTimeUnit":"ms","otherData":${JSON.stringify(about)},"traceEvents":[`)
    this.#process(SCENARIO, 'scenario')
    this.#process(LINKS, 'links')
  }

  add(record: TraceRecord): void {
    const names = this.#names
    names.see(record)
    this.#lastUs = record.timeUs
    const ts = record.timeUs
    switch (record.kind) {
      case 'host':
        this.#process(FIRST_HOST + record.host, record.name)
        for (const [tid, name] of THREADS) {
          this.#emit({ ph: 'M', name: 'thread_name', pid: FIRST_HOST + record.host, tid, args: { name } })
        }
        break
      case 'sent':
      case 'delivered':
        this.#end(record)
        break
      case 'hop': {
        const { packet, from, to, inUs, takesUs } = record
        const span = { cat: 'hop', id: `${packet}/${from}/${to}/${ts}`, pid: LINKS, name: `#${packet}` }
        const link = `${names.node(from)} > ${names.node(to)}`
        this.#emit({ ph: 'b', ...span, ts: ts + inUs, args: { link } })
        this.#emit({ ph: 'e', ...span, ts: ts + inUs + takesUs })
        break
      }
      case 'program':
        this.#span(`program of ${record.host}`, FIRST_HOST + record.host, 'program', ts, record.state === 'started')
        this.#tell(record, PROGRAM)
        break
      case 'connection': {
        const { connection, host, role } = record
        this.#span(`connection ${connection}`, FIRST_HOST + host, `connection ${connection} (${role})`, ts, true)
        break
      }
      case 'closed': {
        const connection = names.connection(record.connection)
        if (!connection) break
        const name = `connection ${record.connection} (${connection.role})`
        this.#span(`connection ${record.connection}`, FIRST_HOST + connection.host, name, ts, false)
        this.#tell(record, TRANSPORT)
        break
      }
      case 'window': {
        const { connection, path, windowBytes, inFlightBytes } = record
        const pid = FIRST_HOST + (names.connection(connection)?.host ?? 0)
        const args = { window: windowBytes, inFlight: inFlightBytes }
        this.#emit({ ph: 'C', name: `window of ${connection}/${path}`, pid, ts, args })
        break
      }
      case 'partition':
      case 'heal': {
        const id = `partition ${record.partition}`
        this.#span(id, SCENARIO, id, ts, record.kind === 'partition')
        break
      }
      default:
        this.#other(record)
    }
  }

  /** Closes what is open, so that the viewer shows it. */
  end(): void {
    for (const key of this.#open) {
      const { id, pid, name } = JSON.parse(key) as { readonly id: string; readonly pid: number; readonly name: string }
      this.#emit({ ph: 'e', cat: 'span', id, pid, name, ts: this.#lastUs })
    }
    this.#write('\n]}\n')
  }

  /** One end of a packet's way: a slice, and an arrow between them. */
  #end(record: Extract<TraceRecord, { readonly kind: 'sent' | 'delivered' }>): void {
    const { packet, host, timeUs: ts } = record
    const known = this.#names.packet(packet)
    if (!known) return
    const { sent } = known
    const what = describeItems(sent.items, this.#header)
    const place = { pid: FIRST_HOST + host, tid: NETWORK, ts }
    const ends = `${this.#names.address(record.from)} > ${this.#names.address(record.to)}`
    const args = { packet, bytes: sent.bytes, ends, what }
    const arrow = { cat: 'packet', name: 'packet', id: String(packet) }
    this.#emit({ ph: 'X', name: `${record.kind} ${what}`, ...place, dur: 1, args })
    if (record.kind === 'sent') this.#emit({ ph: 's', ...arrow, ...place })
    else this.#emit({ ph: 'f', bp: 'e', ...arrow, ...place })
  }

  #other(record: TraceRecord): void {
    switch (record.kind) {
      case 'log':
      case 'wake':
      case 'name':
        this.#tell(record, PROGRAM)
        break
      case 'lost':
      case 'probe':
      case 'windowSet':
      case 'mtu':
      case 'path':
      case 'pathClosed':
      case 'connected':
      case 'stream':
      case 'streamEnded':
      case 'relay':
        this.#tell(record, TRANSPORT)
        break
      case 'dropped': {
        const host = this.#names.packet(record.packet)?.sent.host
        const pid = host === undefined ? LINKS : FIRST_HOST + host
        this.#instant(pid, NETWORK, record, `dropped #${record.packet}: ${record.reason}`)
        break
      }
      case 'fault':
      case 'operation':
      case 'link':
      case 'unlink':
      case 'failed':
      case 'ran':
      case 'cut':
        this.#tell(record, PROGRAM)
        break
      default:
        break
    }
  }

  /** What a record says, as an instant of its host, or of everybody. */
  #tell(record: TraceRecord, tid: number): void {
    const [, text] = describeRecord(record, this.#names, this.#header) ?? ['', record.kind]
    const { host, connection } = record as { readonly host?: number; readonly connection?: number }
    const of = host ?? (connection === undefined ? undefined : this.#names.connection(connection)?.host)
    if (of === undefined || of < 0) this.#instant(SCENARIO, tid, record, text, 'g')
    else this.#instant(FIRST_HOST + of, tid, record, text)
  }

  #instant(pid: number, tid: number, { timeUs }: TraceRecord, name: string, s: 't' | 'g' = 't'): void {
    this.#emit({ ph: 'i', name, pid, tid, ts: timeUs, s })
  }

  #span(id: string, pid: number, name: string, ts: number, begins: boolean): void {
    const key = JSON.stringify({ id, pid, name })
    // Something that began before the trace, or has ended already.
    if (!begins && !this.#open.delete(key)) return
    if (begins) this.#open.add(key)
    this.#emit({ ph: begins ? 'b' : 'e', cat: 'span', id, pid, name, ts })
  }

  #process(pid: number, name: string): void {
    this.#emit({ ph: 'M', name: 'process_name', pid, args: { name } })
    this.#emit({ ph: 'M', name: 'process_sort_index', pid, args: { sort_index: pid } })
  }

  #emit(event: ChromeEvent): void {
    this.#write(`${this.#events++ === 0 ? '' : ','}\n${JSON.stringify(event)}`)
  }
}
