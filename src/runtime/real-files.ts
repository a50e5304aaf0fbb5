/**
 * The machine's files, for reading.
 *
 * @module
 */
import { open, readdir, stat } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import type { Dirent, Stats } from 'node:fs'
import { join } from 'node:path'
import { P2PError } from '../core/errors.ts'
import type { RuntimeFile, RuntimeFileEntry, RuntimeFileSystem } from '../core/runtime.ts'
import { ioError } from './io-error.ts'

class RealFile implements RuntimeFile {
  readonly sizeBytes: number
  readonly modifiedMs: number
  readonly #path: string
  readonly #handle: FileHandle
  #closing: Promise<void> | undefined

  constructor(path: string, handle: FileHandle, stats: Stats) {
    this.#path = path
    this.#handle = handle
    this.sizeBytes = stats.size
    this.modifiedMs = Math.floor(stats.mtimeMs)
  }

  async read(position: number, maxBytes: number): Promise<Uint8Array> {
    // The system would take a position that makes no sense for "wherever the last read ended".
    if (!Number.isSafeInteger(position) || position < 0) {
      throw P2PError.of('io', `cannot read ${this.#path}: ${position} is no position in a file`, { path: this.#path })
    }
    try {
      const buffer = Buffer.allocUnsafeSlow(maxBytes)
      let length = 0
      do {
        const { bytesRead } = await this.#handle.read(buffer, length, maxBytes - length, position + length)
        if (bytesRead === 0) break
        length += bytesRead
        // Whoever gets fewer bytes than asked for may take that as the end, so an interrupted read goes on.
      } while (length < maxBytes && position + length < this.sizeBytes)
      const bytes = new Uint8Array(buffer.buffer, 0, length)
      return length < maxBytes / 2 ? bytes.slice() : bytes
    } catch (error) {
      throw ioError(error, `read ${this.#path}`, this.#path)
    }
  }

  async close(): Promise<void> {
    this.#closing ??= this.#handle.close().catch((error: unknown) => {
      throw ioError(error, `close ${this.#path}`, this.#path)
    })
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

/** Links to directories count as `other`, so that whoever walks a tree never goes in circles. */
async function kindOf(directory: string, entry: Dirent): Promise<RuntimeFileEntry['kind']> {
  if (entry.isFile()) return 'file'
  if (entry.isDirectory()) return 'directory'
  if (!entry.isSymbolicLink()) return 'other'
  const target = await stat(join(directory, entry.name)).catch(() => undefined)
  return target?.isFile() === true ? 'file' : 'other'
}

/** The machine's file system, as far as the library needs it. */
export class RealFileSystem implements RuntimeFileSystem {
  async open(path: string): Promise<RuntimeFile> {
    let handle: FileHandle | undefined
    try {
      // Asked for before opening, as opening a named pipe would wait for its other end.
      const found = await stat(path)
      if (!found.isFile()) throw P2PError.of('io', `cannot open ${path}: it is not a regular file`, { path })
      handle = await open(path, 'r')
      return new RealFile(path, handle, await handle.stat())
    } catch (error) {
      await handle?.close()
      throw ioError(error, `open ${path}`, path)
    }
  }

  async list(path: string): Promise<readonly RuntimeFileEntry[]> {
    try {
      const entries = await readdir(path, { withFileTypes: true })
      const listed = await Promise.all(
        entries.map(async (entry) => ({ name: entry.name, kind: await kindOf(path, entry) })),
      )
      return listed.sort((a, b) => (a.name < b.name ? -1 : 1))
    } catch (error) {
      throw ioError(error, `list ${path}`, path)
    }
  }
}
