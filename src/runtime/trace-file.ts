/**
 * A file that takes a trace. Writing is synchronous: a simulation runs without ever giving way to real input and output.
 *
 * @module
 */
import { closeSync, openSync, writeSync } from 'node:fs'
import { ioError } from './io-error.ts'

/** An open file. */
export interface TraceFile {
  /** @throws P2PError `io` */
  write(bytes: Uint8Array): void
  close(): void
}

/**
 * Makes the file, or empties it.
 *
 * @throws P2PError `io`
 */
export function openTraceFile(path: string): TraceFile {
  const attempt = <Value>(what: string, work: () => Value): Value => {
    try {
      return work()
    } catch (error) {
      throw ioError(error, `${what} the trace ${path}`, path)
    }
  }
  const file = attempt('open', () => openSync(path, 'w'))
  let isOpen = true
  return {
    write(bytes) {
      attempt('write', () => {
        for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at)
      })
    },
    close() {
      if (isOpen) attempt('close', () => closeSync(file))
      isOpen = false
    },
  }
}

/** As `v20.20.2`. */
export function nodeVersion(): string {
  return process.version
}
