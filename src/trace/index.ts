/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Traces of simulations, read: for exporters, viewers and tests. See `docs/trace.md`.
 *
 * @module
 */
export { describeItems, TRACE_ITEMS, TRACE_KINDS, TRACE_VERSION } from '../core/trace.ts'
export type { TraceFields, TraceHeader, TraceKind, TraceRecord, TraceRecordOf } from '../core/trace.ts'
export { exportTrace, TRACE_FORMATS } from './export.ts'
export type { ExportOptions, TraceFormat } from './export.ts'
export { TraceNames } from './names.ts'
export type { TracedConnection, TracedPacket } from './names.ts'
export { parseTrace, readTrace, TraceParser } from './reader.ts'
export type { TraceSource, WholeTrace } from './reader.ts'
