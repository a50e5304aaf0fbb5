/**
 * A trace as text: a line for each record.
 *
 * @module
 */
import { describeItems } from '../core/trace.ts'
import type { TraceHeader, TraceRecord } from '../core/trace.ts'
import type { TraceExporter, WriteOutput } from './exporter.ts'
import { TraceNames } from './names.ts'

/** Whom a record is about, and what it says. */
export type TraceLine = readonly [who: string, text: string]

/** See the module's comment. */
export class TextExporter implements TraceExporter {
  readonly #names = new TraceNames()
  readonly #header: TraceHeader
  readonly #write: WriteOutput

  constructor(header: TraceHeader, write: WriteOutput) {
    this.#header = header
    this.#write = write
    write(`trace of seed ${header.seed} on Node ${header.node}\n`)
  }

  add(record: TraceRecord): void {
    this.#names.see(record)
    const line = describeRecord(record, this.#names, this.#header)
    if (!line) return
    const [who, text] = line
    this.#write(`${formatMs(record.timeUs).padStart(14)}  ${who.padEnd(14)}  ${text}\n`)
  }

  end(): void {}
}

/** `1234.567`: milliseconds, to the microsecond. */
export function formatMs(timeUs: number): string {
  return (timeUs / 1000).toFixed(3)
}

/** What a record says, in words; undefined for those that only introduce a number. */
export function describeRecord(record: TraceRecord, names: TraceNames, header: TraceHeader): TraceLine | undefined {
  switch (record.kind) {
    case 'address':
      return undefined
    case 'ran':
      return ['', `the run ended (${record.outcome}) after ${record.events} events, hash ${record.hash}`]
    case 'cut':
      return ['', `the trace was cut at ${record.maxBytes} bytes: nothing more was recorded`]
    case 'failed':
      return ['', `failed: ${record.text}`]
    case 'node':
      return [record.name, `${record.type}${record.lan === 0 ? '' : ` in ${names.node(record.lan - 1)}`}`]
    case 'nodeRemoved':
      return [names.node(record.node), 'removed']
    case 'link': {
      const { from, to, active, latencyUs, loss, bitsPerSecond } = record
      const rate = bitsPerSecond === 0 ? '' : `, ${bitsPerSecond} bit/s`
      const state = active === 1 ? `${formatMs(latencyUs)} ms, loss ${loss}${rate}` : 'down'
      return [names.node(from), `link to ${names.node(to)}: ${state}`]
    }
    case 'unlink':
      return [names.node(record.from), `no link to ${names.node(record.to)} any more`]
    case 'attach':
      return [names.node(record.node), `has the address ${record.ip}`]
    case 'detach':
      return [names.node(record.node), `gave up the address ${record.ip}`]
    case 'partition':
      return ['', `partition ${record.partition}: ${nodes(record.groupA, names)} | ${nodes(record.groupB, names)}`]
    case 'sent': {
      const { packet, host, protocol, from, to, bytes, items } = record
      const what = describeItems(items, header)
      return [
        names.host(host),
        `sent #${packet}: ${protocol} ${names.address(from)} > ${names.address(to)}, ${bytes} B: ${what}`,
      ]
    }
    case 'hop': {
      const { packet, from, to, inUs, takesUs } = record
      const start = inUs === 0 ? '' : `in ${formatMs(inUs)} ms, `
      return [names.node(from), `#${packet} to ${names.node(to)}: ${start}${formatMs(takesUs)} ms`]
    }
    case 'translated': {
      const { packet, node, from, to } = record
      return [names.node(node), `#${packet} is now ${names.address(from)} > ${names.address(to)}`]
    }
    case 'delivered':
      return [names.host(record.host), `received #${record.packet}${record.corrupted === 1 ? ', corrupted' : ''}`]
    case 'dropped':
      return [names.node(record.node), `dropped #${record.packet}: ${record.reason}`]
    case 'natMapping':
      return ['', `NAT: ${names.address(record.inside)} is ${names.address(record.outside)} outside`]
    case 'connected': {
      const connection = names.connection(record.connection)
      return [hostOf(record, names), `connected to ${names.id(record.peer)} (${connection?.role}), ${record.alpn}`]
    }
    case 'closed':
      return [hostOf(record, names), `connection ${record.connection} closed by ${record.by}: ${record.reason}`]
    case 'log':
      return [names.host(record.host), `"${record.text}"`]
    case 'program':
      return [names.host(record.host), `program ${record.state}`]
    case 'name':
      return [record.host < 0 ? '' : names.host(record.host), `name ${record.name} ${record.what}`]
    case 'relay':
      return [names.host(record.host), `relay: ${names.id(record.id)} ${record.what}`]
    case 'fault':
      return ['', `fault ${record.fault} ${record.began === 1 ? 'began' : 'ended'}: ${record.details}`]
    case 'wake':
      return [names.host(record.host), 'woken']
    default:
      return generic(record, names)
  }
}

function nodes(group: readonly number[], names: TraceNames): string {
  return group.length === 0 ? 'everybody else' : group.map((node) => names.node(node)).join(', ')
}

function hostOf({ connection }: { readonly connection: number }, names: TraceNames): string {
  const known = names.connection(connection)
  return known ? names.host(known.host) : ''
}

/** Kinds with nothing to explain, and those of newer versions. */
function generic({ kind, timeUs: _timeUs, ...fields }: TraceRecord, names: TraceNames): TraceLine {
  const { host, connection } = fields as { readonly host?: number; readonly connection?: number }
  const who = host === undefined ? (connection === undefined ? '' : hostOf({ connection }, names)) : names.host(host)
  const told = Object.entries(fields)
    .filter(([name]) => name !== 'host')
    .map(([name, value]) => `${name}=${String(value)}`)
  return [who, [kind, ...told].join(' ')]
}
