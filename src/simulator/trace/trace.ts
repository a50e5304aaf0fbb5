/**
 * What the simulator's parts tell a trace. Those that happen for every packet have a method each, which allocates
 * nothing; everything else is a record by name.
 *
 * @module
 */
import type { TraceFields, TraceKind } from '../../core/trace.ts'

/** An address as the trace needs it: a number, and its text when it is met for the first time. */
export interface TracedAddress {
  readonly index: number
  toString(): string
}

/** What may be in a packet and can tell a trace what it is: by appending items of `TRACE_ITEMS`. */
export interface Describable {
  describe(items: number[]): void
}

/** A trace that is being written. Nothing it does changes the history. */
export interface Trace {
  /** Records anything that is rare. */
  record<Kind extends TraceKind>(kind: Kind, fields: TraceFields<Kind>): void
  /** Makes sure that the trace knows an address before a record refers to it; returns its number. */
  address(address: TracedAddress): number
  /** A number for one side of a connection. */
  newConnection(): number
  sent(
    packet: number,
    host: number,
    node: number,
    protocol: 'udp' | 'tcp',
    from: TracedAddress,
    to: TracedAddress,
    bytes: number,
    payload: unknown,
  ): void
  hop(packet: number, from: number, to: number, inUs: number, takesUs: number): void
  translated(packet: number, node: number, from: TracedAddress, to: TracedAddress): void
  delivered(packet: number, host: number, from: TracedAddress, to: TracedAddress, corrupted: boolean): void
  /** `reason` is an index of the drop reasons. */
  dropped(packet: number, reason: number, node: number): void
  /** Code of a host was woken. */
  wake(host: number): void
}

/** Where a trace goes. */
export interface TraceSink {
  /** Takes the next bytes, which are its to keep. What it throws ends the simulation's run. */
  write(bytes: Uint8Array): void
  /** There will be no more. */
  close?(): void
}

/** What to trace, and where to. */
export interface TraceOptions {
  /** A file, which is made or replaced; or something that takes the bytes. */
  readonly to: string | TraceSink
  /** After so many bytes nothing more is recorded, and the trace says so. @default 268435456 (256 MiB) */
  readonly maxBytes?: number | undefined
  /** Whether every record of the history goes in as it enters the hash, random draws included. @default false */
  readonly events?: boolean | undefined
}
