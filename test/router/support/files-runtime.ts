/**
 * A manual clock with files in memory that count what is done to them.
 *
 * @module
 */
import { P2PError } from '../../../src/core/errors.ts'
import type { RuntimeFile, RuntimeFileSystem } from '../../../src/core/runtime.ts'
import { ManualRuntime } from '../../support/manual-runtime.ts'

/** What a file holds: its bytes, or an error with which it is opened or read. */
export interface MemoryFile {
  bytes: Uint8Array
  modifiedMs: number
  /** The `code` of the operating system's error when it is opened. */
  openError?: string
  /** Bytes that reads give up at, as if the file had been cut after it was opened. */
  cutAt?: number
}

/** A runtime with files; see the module's comment. */
export class FilesRuntime extends ManualRuntime {
  readonly contents = new Map<string, MemoryFile>()
  /** Files that were opened and not closed. */
  openFiles = 0
  opens = 0
  reads = 0
  /** The most that was asked of one read. */
  largestRead = 0

  add(path: string, bytes: Uint8Array, modifiedMs = 1_600_000_000_000): MemoryFile {
    const file = { bytes, modifiedMs }
    this.contents.set(path, file)
    return file
  }

  override get files(): RuntimeFileSystem {
    return {
      open: (path) => this.#open(path),
      list: () => Promise.reject(new Error('not needed here')),
    }
  }

  #open(path: string): Promise<RuntimeFile> {
    const file = this.contents.get(path)
    const code = file ? file.openError : 'ENOENT'
    if (!file || code !== undefined) {
      const cause = Object.assign(new Error(String(code)), { code })
      return Promise.reject(P2PError.of('io', `cannot open ${path}: ${code}`, { path }, { cause }))
    }
    this.opens++
    this.openFiles++
    let open = true
    const close = (): Promise<void> => {
      if (open) this.openFiles--
      open = false
      return Promise.resolve()
    }
    return Promise.resolve({
      sizeBytes: file.bytes.length,
      modifiedMs: file.modifiedMs,
      read: (position: number, maxBytes: number): Promise<Uint8Array> => {
        if (!open) return Promise.reject(P2PError.of('io', `${path} is closed`, { path }))
        this.reads++
        this.largestRead = Math.max(this.largestRead, maxBytes)
        const end = Math.min(file.cutAt ?? Number.POSITIVE_INFINITY, position + maxBytes)
        return Promise.resolve(file.bytes.slice(position, end))
      },
      close,
      [Symbol.asyncDispose]: close,
    })
  }
}
