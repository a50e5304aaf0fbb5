/**
 * From what a simulation was asked for to a trace that is being written.
 *
 * @module
 */
import { invalidConfiguration } from '../../core/config.ts'
import { nodeVersion, openTraceFile } from '../../runtime/trace-file.ts'
import type { AuditObserver } from '../audit.ts'
import { DROP_REASONS } from '../network/index.ts'
import type { TraceOptions, TraceSink } from './trace.ts'
import { TraceWriter } from './writer.ts'
import type { TraceWriterOptions } from './writer.ts'

const DEFAULT_MAX_BYTES = 268_435_456
const MIN_MAX_BYTES = 65_536

/**
 * The short forms written out.
 *
 * @throws P2PError `invalid-configuration`
 */
export function resolveTrace(trace: string | TraceSink | TraceOptions | undefined): TraceOptions | undefined {
  if (trace === undefined) return undefined
  if (typeof trace !== 'string' && (typeof trace !== 'object' || trace === null)) {
    throw invalidConfiguration('trace', trace, 'must be the name of a file, have a method `write`, or be options')
  }
  const options = typeof trace === 'string' || 'write' in trace ? { to: trace } : trace
  const { to, maxBytes = DEFAULT_MAX_BYTES } = options
  if (to === '' || (typeof to !== 'string' && typeof to?.write !== 'function')) {
    throw invalidConfiguration('trace.to', to, 'must be the name of a file, or have a method `write`')
  }
  if (!Number.isSafeInteger(maxBytes) || maxBytes < MIN_MAX_BYTES) {
    throw invalidConfiguration('trace.maxBytes', maxBytes, `must be a whole number of at least ${MIN_MAX_BYTES}`)
  }
  return options
}

/**
 * Begins a trace.
 *
 * @throws P2PError `io` when the file cannot be made
 */
export function openTrace(
  options: TraceOptions,
  about: Pick<TraceWriterOptions, 'seed' | 'epochMs' | 'nowUs' | 'onFailure'>,
): TraceWriter {
  const { to, maxBytes = DEFAULT_MAX_BYTES } = options
  const sink = typeof to === 'string' ? openTraceFile(to) : to
  return new TraceWriter({ ...about, sink, maxBytes, node: nodeVersion(), dropReasons: DROP_REASONS })
}

/** Tells every record of the history to the observer and to the trace, where there are any. */
export function observers(
  observer: AuditObserver | undefined,
  trace: TraceWriter | undefined,
): AuditObserver | undefined {
  if (!trace) return observer
  return (timeUs, kind, host, a, b, c, d) => {
    const values = [a, b, c, d].filter((value) => value !== undefined)
    trace.record('event', { event: kind, host, values })
    observer?.(timeUs, kind, host, a, b, c, d)
  }
}
