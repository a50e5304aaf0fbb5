/**
 * From a trace to another format.
 *
 * @module
 */
import { concatBytes } from '../core/encoding.ts'
import { P2PError } from '../core/errors.ts'
import type { TraceHeader } from '../core/trace.ts'
import type { TraceExporter, WriteOutput } from './exporter.ts'
import { MermaidExporter } from './mermaid.ts'
import type { MermaidOptions } from './mermaid.ts'
import { PcapngExporter } from './pcapng.ts'
import { PerfettoExporter } from './perfetto.ts'
import { readTrace } from './reader.ts'
import type { TraceSource } from './reader.ts'
import { TextExporter } from './text.ts'

/** The formats that a trace can be exported to. */
export const TRACE_FORMATS: readonly ['text', 'perfetto', 'pcapng', 'mermaid'] = Object.freeze([
  'text',
  'perfetto',
  'pcapng',
  'mermaid',
] as const)

/** One of {@link TRACE_FORMATS}. */
export type TraceFormat = (typeof TRACE_FORMATS)[number]

/** Options of {@link exportTrace}, for the format that has them. */
export interface ExportOptions extends MermaidOptions {}

function exporter(
  format: TraceFormat,
  header: TraceHeader,
  write: WriteOutput,
  options: ExportOptions,
): TraceExporter | undefined {
  switch (format) {
    case 'text':
      return new TextExporter(header, write)
    case 'perfetto':
      return new PerfettoExporter(header, write)
    case 'pcapng':
      return new PcapngExporter(header, write)
    case 'mermaid':
      return new MermaidExporter(header, write, options)
    default:
      return undefined
  }
}

/**
 * Exports a trace as it is read.
 *
 * - `text`: a line for each record
 * - `perfetto`: JSON for https://ui.perfetto.dev and Chrome's trace viewer
 * - `pcapng`: for Wireshark
 * - `mermaid`: a sequence diagram
 *
 * @example
 * ```ts
 * import { Simulation } from '@moosicbox/p2p/simulator'
 * import { exportTrace } from '@moosicbox/p2p/trace'
 *
 * const chunks: Uint8Array[] = []
 * const sim = new Simulation({ seed: 7, trace: { write: (bytes) => void chunks.push(bytes) } })
 * sim.host('alice', (host) => host.log('good morning'))
 * await sim.run()
 * await sim.close()
 * let text = ''
 * for await (const bytes of exportTrace(Buffer.concat(chunks), 'mermaid')) text += new TextDecoder().decode(bytes)
 * console.log(text.split('\n')[0]) // sequenceDiagram
 * ```
 * @throws P2PError `serialization` for what is no trace, `invalid-configuration` for an unknown format
 */
export async function* exportTrace(
  source: TraceSource,
  format: TraceFormat,
  options: ExportOptions = {},
): AsyncGenerator<Uint8Array> {
  const { header, records } = await readTrace(source)
  const encoder = new TextEncoder()
  let output: Uint8Array[] = []
  const write = (piece: string | Uint8Array): void => {
    output.push(typeof piece === 'string' ? encoder.encode(piece) : piece)
  }
  const made = exporter(format, header, write, options)
  if (!made) {
    const why = `there is no format ${format as string}: there are ${TRACE_FORMATS.join(', ')}`
    throw P2PError.of('invalid-configuration', why, { setting: 'format', value: format })
  }
  function* ready(): Generator<Uint8Array> {
    const pieces = output
    output = []
    if (pieces.length > 0) yield concatBytes(pieces)
  }
  for await (const some of records) {
    for (const record of some) made.add(record)
    yield* ready()
  }
  made.end()
  yield* ready()
}
