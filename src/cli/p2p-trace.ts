#!/usr/bin/env node
/**
 * The command `p2p-trace`: exports a trace.
 *
 * @module
 */
import { createReadStream, createWriteStream } from 'node:fs'
import process from 'node:process'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { parseArgs } from 'node:util'
import { P2PError } from '../core/errors.ts'
import { exportTrace, TRACE_FORMATS } from '../trace/index.ts'
import type { TraceFormat } from '../trace/index.ts'
import { UsageError } from './arguments.ts'

const USAGE = `usage: p2p-trace FILE [--to FORMAT] [--out FILE] [--packets]

Exports the trace of a simulation.

  --to FORMAT   text: a line for each record (the default)
                perfetto: JSON for https://ui.perfetto.dev
                pcapng: for Wireshark
                mermaid: a sequence diagram
  --out FILE    where to; else to standard output
  --packets     in a sequence diagram, an arrow for each packet
`

function isFormat(text: string): text is TraceFormat {
  return (TRACE_FORMATS as readonly string[]).includes(text)
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      to: { type: 'string', default: 'text' },
      out: { type: 'string' },
      packets: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(USAGE)
    return
  }
  const [file, ...others] = positionals
  const { to, out, packets } = values
  if (file === undefined || others.length > 0) throw new UsageError('name one file')
  if (!isFormat(to)) throw new UsageError(`there is no format ${to}: there are ${TRACE_FORMATS.join(', ')}`)
  if (to === 'pcapng' && out === undefined && process.stdout.isTTY) {
    throw new UsageError('pcapng is not for a terminal: give --out, or a pipe')
  }
  const target = out === undefined ? process.stdout : createWriteStream(out)
  await pipeline(Readable.from(exportTrace(createReadStream(file), to, { packets })), target)
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null ? (error as { readonly code?: unknown }).code : undefined
}

try {
  await main()
} catch (error) {
  // Whoever reads from a pipe may have seen enough.
  if (codeOf(error) !== 'EPIPE') {
    const isUsage = error instanceof UsageError || String(codeOf(error)).startsWith('ERR_PARSE_ARGS')
    process.stderr.write(`p2p-trace: ${error instanceof Error ? error.message : String(error)}\n`)
    if (isUsage) process.stderr.write(USAGE)
    process.exitCode = isUsage ? 2 : 1
    if (!isUsage && !P2PError.is(error) && codeOf(error) === undefined) throw error
  }
}
