/**
 * A file, seen through a small window. Tag readers ask for a few bytes at a time, here and there; this answers from one
 * page in memory, reads the next page when it must, and puts an end to readers that a broken file sends astray.
 *
 * @module
 */
import { constants } from 'node:fs'
import { open, realpath } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'

const PAGE_BYTES = 16_384
/** No tag with all its pictures is larger than this. */
const MAX_READ_BYTES = 32 * 1024 * 1024
/** All that a reader may ask for of one file; far more than any sound file needs. */
const MAX_TOTAL_BYTES = 128 * 1024 * 1024

/** The file as `music-metadata` wants it: the part of `Blob` that it uses. */
export class FileWindow {
  readonly size: number
  /** The content type. */
  readonly type: string
  /** The file's own path, without links. */
  readonly realPath: string
  readonly #handle: FileHandle
  #page: Buffer = Buffer.alloc(0)
  #pageStart = 0
  #asked = 0

  private constructor(handle: FileHandle, size: number, type: string, realPath: string) {
    this.#handle = handle
    this.size = size
    this.type = type
    this.realPath = realPath
  }

  /** Opens `path` for as long as `use` takes. */
  static async using<Result>(
    path: string,
    type: string,
    use: (window: FileWindow) => Promise<Result>,
  ): Promise<Result> {
    // Without O_NONBLOCK, opening a named pipe would wait for its other end. Windows has neither.
    const handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
    try {
      const stats = await handle.stat()
      if (!stats.isFile()) throw new Error('it is not a regular file')
      if (stats.size === 0) throw new Error('it is empty')
      return await use(new FileWindow(handle, stats.size, type, await realpath(path)))
    } finally {
      await handle.close()
    }
  }

  slice(start: number, end: number): { arrayBuffer(): Promise<ArrayBuffer> } {
    return {
      arrayBuffer: async () => {
        this.#asked += end - start
        if (end - start > MAX_READ_BYTES || this.#asked > MAX_TOTAL_BYTES) {
          throw new Error('its tags are larger than any should be, or there is no audio in it')
        }
        const out = new ArrayBuffer(end - start)
        new Uint8Array(out).set(await this.read(start, end))
        return out
      },
    }
  }

  /** The bytes from `start` to `end` (fewer at the end of the file). */
  async read(start: number, end: number): Promise<Uint8Array> {
    const last = Math.min(end, this.size)
    if (start >= last) return new Uint8Array(0)
    if (last - start > PAGE_BYTES) return this.#fill(Buffer.allocUnsafeSlow(last - start), start)
    if (start < this.#pageStart || last > this.#pageStart + this.#page.length) {
      // A new buffer for each page, as views of the old one may still be in use.
      this.#page = await this.#fill(Buffer.allocUnsafeSlow(Math.min(PAGE_BYTES, this.size - start)), start)
      this.#pageStart = start
    }
    return this.#page.subarray(start - this.#pageStart, last - this.#pageStart)
  }

  async #fill(buffer: Buffer, position: number): Promise<Buffer> {
    let length = 0
    while (length < buffer.length) {
      const { bytesRead } = await this.#handle.read(buffer, length, buffer.length - length, position + length)
      if (bytesRead === 0) throw new Error('it became shorter while it was read')
      length += bytesRead
    }
    return buffer
  }
}
