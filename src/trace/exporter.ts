/**
 * What exporters have in common.
 *
 * @module
 */
import type { TraceRecord } from '../core/trace.ts'

/** Takes output as it is made. */
export type WriteOutput = (output: string | Uint8Array) => void

/** Turns a trace into something else, record by record. */
export interface TraceExporter {
  /** The next record. */
  add(record: TraceRecord): void
  /** There are no more. */
  end(): void
}
