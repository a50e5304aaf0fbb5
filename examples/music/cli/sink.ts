/**
 * Where the audio goes: a file, standard output, or nowhere.
 *
 * @module
 */
import { access, constants, open, rename, rm, stat } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { MusicError } from '../errors.ts'

/** Takes audio. Either `finish` or `abandon` is the end. */
export interface Sink {
  write(bytes: Uint8Array, signal: AbortSignal): Promise<void>
  /** All of it has been written. */
  finish(): Promise<void>
  /** It ends here; nothing half-written stays. Never rejects. */
  abandon(): Promise<void>
}

/** The reader of the pipe has had enough, which is its right. */
export class ReaderGone extends Error {}

/** Throws the audio away: whoever only wants to know whether all of it arrives. */
export const nowhere: Sink = {
  write: () => Promise.resolve(),
  finish: () => Promise.resolve(),
  abandon: () => Promise.resolve(),
}

/** Standard output, at its reader's pace. */
export const standardOutput: Sink = {
  write: (bytes, signal) =>
    new Promise((resolve, reject) => {
      // A player that is paused reads nothing, perhaps for ever.
      const abort = (): void => reject(signal.reason)
      signal.addEventListener('abort', abort, { once: true })
      process.stdout.write(bytes, (error) => {
        signal.removeEventListener('abort', abort)
        if (!error) resolve()
        else
          reject(
            (error as NodeJS.ErrnoException).code === 'EPIPE'
              ? new ReaderGone()
              : cannotWrite('standard output', error),
          )
      })
    }),
  finish: () => Promise.resolve(),
  abandon: () => Promise.resolve(),
}

/** A file, which appears under its name only when it is complete. */
export class FileSink implements Sink {
  readonly #path: string
  /** Where the bytes go until then; undefined for devices and pipes, which take them at once. */
  readonly #temporary: string | undefined
  readonly #handle: FileHandle

  private constructor(path: string, temporary: string | undefined, handle: FileHandle) {
    this.#path = path
    this.#temporary = temporary
    this.#handle = handle
  }

  /** @throws MusicError when the file cannot be written */
  static async open(path: string): Promise<FileSink> {
    try {
      const existing = await stat(path).catch(() => undefined)
      if (existing?.isDirectory() === true) throw isFolder(path)
      const temporary = existing === undefined || existing.isFile() ? `${path}.part` : undefined
      return new FileSink(path, temporary, await open(temporary ?? path, 'w'))
    } catch (error) {
      throw cannotWrite(path, error)
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    try {
      for (let done = 0; done < bytes.length;) {
        const { bytesWritten } = await this.#handle.write(bytes, done)
        done += bytesWritten
      }
    } catch (error) {
      throw cannotWrite(this.#path, error)
    }
  }

  async finish(): Promise<void> {
    try {
      await this.#handle.close()
      if (this.#temporary !== undefined) await rename(this.#temporary, this.#path)
    } catch (error) {
      throw cannotWrite(this.#path, error)
    }
  }

  async abandon(): Promise<void> {
    await this.#handle.close().catch(() => undefined)
    if (this.#temporary !== undefined) await rm(this.#temporary, { force: true }).catch(() => undefined)
  }
}

/**
 * Checks what can be known beforehand about a file, or a folder that need not exist yet.
 *
 * @throws MusicError when it cannot be written
 */
export async function checkOutput(path: string, kind: 'file' | 'folder'): Promise<void> {
  try {
    const existing = await stat(path).catch(() => undefined)
    if (kind === 'file' && existing?.isDirectory() === true) throw isFolder(path)
    if (kind === 'folder' && existing?.isDirectory() === false) {
      throw new MusicError(`cannot write ${path}: it is a file, name a folder for an album`)
    }
    // A file is replaced by one that is written beside it; devices and pipes are written to.
    const inPlace = existing !== undefined && !existing.isFile()
    let place = inPlace ? path : dirname(resolve(path))
    if (kind === 'folder') {
      while (!(await exists(place)) && dirname(place) !== place) place = dirname(place)
    }
    if (!inPlace && !(await stat(place)).isDirectory())
      throw new MusicError(`cannot write ${path}: ${place} is no folder`)
    await access(place, constants.W_OK)
  } catch (error) {
    throw cannotWrite(path, error)
  }
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined
}

function isFolder(path: string): MusicError {
  return new MusicError(`cannot write ${path}: it is a folder, name a file`)
}

/** `ENOSPC: no space left on device, write` without what only programmers want to know. */
export function cannotWrite(path: string, error: unknown): MusicError {
  if (error instanceof MusicError) return error
  const message = error instanceof Error ? error.message : String(error)
  const why = message.replace(/^E[A-Z0-9]+: /, '').replace(/, \w+(?: '.*')?$/, '')
  return new MusicError(`cannot write ${path}: ${why}`, { cause: error })
}
