/**
 * Time, timers, tasks, randomness and files: everything that differs between a real machine and a simulated host.
 * Library code gets them from `p2p.runtime` and nowhere else, which is what makes a simulated run repeatable.
 *
 * @module
 */

import type { LeakWatch } from './leaks.ts'
import type { WaitLog } from './wait-log.ts'

/** A timer that was set with {@link Runtime.setTimer}. Disposing of it cancels it. */
export interface RuntimeTimer extends Disposable {
  /** Cancels the timer; does nothing when it has fired. */
  cancel(): void
}

/** Options of {@link Runtime.setTimer}. */
export interface TimerOptions {
  /** Whether a real machine's process may end before the timer fires. @default false */
  readonly background?: boolean | undefined
}

/** An open file. All positions are explicit, so that one handle serves concurrent reads. */
export interface RuntimeFile extends AsyncDisposable {
  /** The size when the file was opened, in bytes. */
  readonly sizeBytes: number
  /** The last modification, in Unix milliseconds. */
  readonly modifiedMs: number
  /**
   * Reads up to `maxBytes` at `position`; fewer at the end of the file, none past it.
   *
   * @throws P2PError `io`
   */
  read(position: number, maxBytes: number): Promise<Uint8Array>
  /** Closes the handle; a second call does nothing. */
  close(): Promise<void>
}

/** What a directory holds under one name. */
export interface RuntimeFileEntry {
  readonly name: string
  readonly kind: 'file' | 'directory' | 'other'
}

/** The part of a file system that the library needs. Every failure is a `P2PError` of code `io` naming the path. */
export interface RuntimeFileSystem {
  /** Opens a file for reading. */
  open(path: string): Promise<RuntimeFile>
  /** The entries of a directory, sorted by name. */
  list(path: string): Promise<readonly RuntimeFileEntry[]>
}

/** The clock, timers, tasks, randomness and files of one node. */
export interface Runtime {
  /** `real` on this machine's clock, `simulated` on a virtual one. */
  readonly kind: 'real' | 'simulated'
  /** Monotonic milliseconds since an arbitrary start, with microsecond resolution. */
  now(): number
  /** Unix milliseconds, a whole number. */
  wallClockMs(): number
  /** Calls `callback` once, `delayMs` from now (0 or less: as soon as possible). */
  setTimer(delayMs: number, callback: () => void, options?: TimerOptions): RuntimeTimer
  /**
   * Resolves after `delayMs`.
   *
   * @throws P2PError `aborted` when `signal` fires first
   */
  sleep(delayMs: number, options?: { readonly signal?: AbortSignal | undefined }): Promise<void>
  /** Fills a new array with random bytes: cryptographic on a real machine, drawn from the seed in a simulation. */
  randomBytes(length: number): Uint8Array
  /** A random number in [0, 1). */
  random(): number
  /**
   * Runs real work (files, compression, `crypto.subtle`) that the simulation cannot do itself. In a simulation virtual
   * time stands still until it is done and results are delivered in the order of the calls, so that the history does
   * not depend on how long the work took; on a real machine it just runs.
   */
  bridge<T>(what: string, work: () => Promise<T>): Promise<T>
  /** The files this node can read. */
  readonly files: RuntimeFileSystem
  /** Where the library notes what its callers wait for; undefined where nobody asks, as on a real machine. */
  readonly waits?: WaitLog | undefined
  /** Who is told of handles that are lost; undefined unless it was asked for, and in simulations. */
  readonly leaks?: LeakWatch | undefined
}
