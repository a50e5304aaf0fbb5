/**
 * A trace as a sequence diagram of Mermaid: who connects to whom, streams, names, faults, logs; and packets when asked for.
 *
 * @module
 */
import { describeItems } from '../core/trace.ts'
import type { TraceHeader, TraceRecord } from '../core/trace.ts'
import type { TraceExporter, WriteOutput } from './exporter.ts'
import { TraceNames } from './names.ts'
import { formatMs } from './text.ts'

/** Options of {@link MermaidExporter}. */
export interface MermaidOptions {
  /** Whether there is an arrow for each packet. @default false */
  readonly packets?: boolean | undefined
  /** Arrows and notes beyond this many are only counted, as nobody could look at them. @default 400 */
  readonly maxLines?: number | undefined
}

const DEFAULT_MAX_LINES = 400
const MAX_LABEL = 120

/** See the module's comment. */
export class MermaidExporter implements TraceExporter {
  readonly #names = new TraceNames()
  readonly #header: TraceHeader
  readonly #write: WriteOutput
  readonly #options: MermaidOptions
  /** In the order of their first lines. */
  readonly #hosts = new Set<number>()
  readonly #lines: string[] = []
  #left = 0

  constructor(header: TraceHeader, write: WriteOutput, options: MermaidOptions = {}) {
    this.#header = header
    this.#write = write
    this.#options = options
  }

  add(record: TraceRecord): void {
    const names = this.#names
    names.see(record)
    switch (record.kind) {
      case 'connected': {
        const connection = names.connection(record.connection)
        if (connection?.role === 'client') this.#arrow(record, '->>', `connected, ${record.alpn}`)
        break
      }
      case 'closed':
        if (record.by === 'local') this.#arrow(record, '-)', `closed: ${record.reason}`)
        else this.#note(record, this.#host(record), `closed by ${record.by}: ${record.reason}`)
        break
      case 'stream':
        if (record.by === 'local') this.#arrow(record, '->>', `stream ${record.stream}`)
        break
      case 'path':
        if (record.selected === 1) this.#note(record, this.#host(record), `path: ${record.route} ${record.remote}`)
        break
      case 'delivered':
        this.#packet(record, record.host)
        break
      case 'dropped':
        this.#packet(record, undefined)
        break
      default:
        this.#noteOf(record)
    }
  }

  end(): void {
    const participants = [...this.#hosts].map((host) => `  participant h${host} as ${label(this.#names.host(host))}\n`)
    this.#write(`sequenceDiagram\n${participants.join('')}`)
    for (const line of this.#lines) this.#write(line)
    if (this.#left > 0) this.#write(`  %% ${this.#left} more are left out\n`)
  }

  #noteOf(record: TraceRecord): void {
    const names = this.#names
    switch (record.kind) {
      case 'log':
        this.#note(record, record.host, `"${record.text}"`)
        break
      case 'program':
        this.#note(record, record.host, `program ${record.state}`)
        break
      case 'name':
        if (record.host >= 0) this.#note(record, record.host, `name ${record.name} ${record.what}`)
        break
      case 'relay':
        this.#note(record, record.host, `${names.id(record.id)} ${record.what}`)
        break
      case 'fault':
        this.#note(record, -1, `${record.fault} ${record.began === 1 ? 'began' : 'ended'}`)
        break
      case 'partition': {
        const [a, b] = [record.groupA, record.groupB].map((group) => group.map((node) => names.node(node)).join(', '))
        this.#note(record, -1, `partition: ${a} | ${b === '' ? 'everybody else' : b}`)
        break
      }
      case 'heal':
        this.#note(record, -1, 'the partition is healed')
        break
      case 'failed':
        this.#note(record, -1, `failed: ${record.text}`)
        break
      default:
        break
    }
  }

  #host({ connection }: { readonly connection: number }): number {
    return this.#names.connection(connection)?.host ?? -1
  }

  #arrow(record: { readonly timeUs: number; readonly connection: number }, arrow: string, text: string): void {
    const connection = this.#names.connection(record.connection)
    const peer = connection && this.#names.hostOfId(connection.peer)
    if (!connection || peer === undefined) return
    this.#line(record, `${this.#actor(connection.host)}${arrow}${this.#actor(peer)}: `, text)
  }

  #packet(record: { readonly timeUs: number; readonly packet: number; readonly reason?: string }, to?: number): void {
    if (this.#options.packets !== true) return
    const packet = this.#names.packet(record.packet)
    if (!packet) return
    const from = this.#actor(packet.sent.host)
    const what = `${packet.sent.bytes} B ${describeItems(packet.sent.items, this.#header)}`
    if (to === undefined) this.#line(record, `${from}--x${from}: `, `${record.reason}: ${what}`)
    else this.#line(record, `${from}->>${this.#actor(to)}: `, what)
  }

  /** Beside a host, or for -1 across all there are so far. */
  #note(record: { readonly timeUs: number }, host: number, text: string): void {
    if (host >= 0) {
      this.#line(record, `Note over ${this.#actor(host)}: `, text)
      return
    }
    const [first = 0] = this.#hosts
    const last = [...this.#hosts].at(-1) ?? first
    this.#hosts.add(first)
    this.#line(record, `Note over h${first}${last === first ? '' : `,h${last}`}: `, text)
  }

  #actor(host: number): string {
    this.#hosts.add(host)
    return `h${host}`
  }

  #line({ timeUs }: { readonly timeUs: number }, head: string, text: string): void {
    if (this.#lines.length >= (this.#options.maxLines ?? DEFAULT_MAX_LINES)) this.#left++
    else this.#lines.push(`  ${head}${label(`${formatMs(timeUs)} ms ${text}`)}\n`)
  }
}

/** On one line, and without what Mermaid would take for its own. */
function label(text: string): string {
  const cut = text.length > MAX_LABEL ? `${text.slice(0, MAX_LABEL - 1)}…` : text
  return cut.replaceAll(/\s+/g, ' ').replaceAll(/[#;<>{}%]/g, (character) => `#${character.charCodeAt(0)};`)
}
