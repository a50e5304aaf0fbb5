/**
 * Finds the audio files of a folder, links included, without going in circles.
 *
 * @module
 */
import { realpath, stat } from 'node:fs/promises'
import { join, sep } from 'node:path'
import { P2PError } from '@moosicbox/p2p'
import type { Runtime } from '@moosicbox/p2p'
import { mapBounded } from './bounded.ts'
import { audioFormatOf, isFolderPicture } from './formats.ts'
import type { AudioFormat } from './formats.ts'
import type { SkippedFile } from './model.ts'

/** An audio file, by its name. */
export interface AudioFile {
  /** Relative to the library's folder, with `/` between names. */
  readonly path: string
  readonly absolutePath: string
  readonly format: AudioFormat
}

/** What a folder holds. */
export interface Findings {
  /** Sorted by path. */
  readonly files: readonly AudioFile[]
  /** Pictures that lie next to tracks, by folder (relative, '' for the library's own). */
  readonly pictures: ReadonlyMap<string, string>
  readonly skipped: readonly SkippedFile[]
}

/** How to look. */
export interface WalkOptions {
  readonly runtime: Runtime
  /** How many folders are read at a time. */
  readonly concurrency: number
  /** More audio files than this are an error. */
  readonly maxFiles: number
  readonly signal?: AbortSignal | undefined
  readonly onFolder?: ((path: string, files: number) => void) | undefined
}

interface Folder {
  readonly path: string
  readonly absolutePath: string
}

interface Place extends Folder {
  readonly realPath: string
}

/** What a name stands for once links are followed. */
interface Inspection {
  readonly kind: 'file' | 'directory' | 'other'
  readonly realPath: string
}

/** Order by character codes: the same on every machine, whatever its language. */
export function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/**
 * Lists `root`, which is a path without links, and everything below it. Names that start with a dot are left out.
 *
 * @throws P2PError `io` when `root` cannot be read, `limit-exceeded` when there is too much, `aborted`
 */
export async function findAudioFiles(root: string, options: WalkOptions): Promise<Findings> {
  const walk = new Walk(root, options)
  await walk.run()
  return {
    files: walk.files.sort((a, b) => byText(a.path, b.path)),
    pictures: walk.pictures,
    skipped: walk.skipped,
  }
}

class Walk {
  readonly files: AudioFile[] = []
  readonly pictures = new Map<string, string>()
  readonly skipped: SkippedFile[] = []
  readonly #root: string
  readonly #options: WalkOptions
  readonly #visited = new Set<string>()
  #links: Place[] = []

  constructor(root: string, options: WalkOptions) {
    this.#root = root
    this.#options = options
  }

  async run(): Promise<void> {
    this.#visited.add(this.#root)
    await this.#descend([{ path: '', absolutePath: this.#root }])
    // Links come last, so that a folder that is also linked to is known by its own name.
    while (this.#links.length > 0) {
      const links = this.#links.sort((a, b) => byText(a.path, b.path))
      this.#links = []
      await this.#descend(links.filter((link) => this.#enter(link)))
    }
  }

  async #descend(folders: readonly Folder[]): Promise<void> {
    let level = folders
    while (level.length > 0) {
      const below = await mapBounded(level, this.#options.concurrency, async (folder) => this.#read(folder))
      level = below.flat()
    }
  }

  /** Files what is in a folder and returns the folders in it. */
  async #read(folder: Folder): Promise<Folder[]> {
    const { runtime, signal, onFolder, maxFiles } = this.#options
    if (signal?.aborted === true) throw P2PError.aborted(signal, 'the scan of the music folder')
    const entries = await runtime.files.list(folder.absolutePath).catch((error: unknown) => {
      if (folder.path === '') throw error
      this.skipped.push({ path: folder.path, reason: reasonOf(error) })
      return []
    })
    const below: Folder[] = []
    for (const { name, kind } of entries) {
      if (name.startsWith('.')) continue
      const entry: Folder = {
        path: folder.path === '' ? name : `${folder.path}/${name}`,
        absolutePath: join(folder.absolutePath, name),
      }
      if (kind === 'file') this.#addFile(folder, entry, name)
      else if (await this.#isFolderToRead(folder, entry, name)) below.push(entry)
    }
    if (this.files.length > maxFiles) {
      throw P2PError.of(
        'limit-exceeded',
        `there are more than ${maxFiles} audio files in ${this.#root}; name a smaller folder or raise maxFiles`,
        { limit: 'maxFiles', max: maxFiles },
      )
    }
    onFolder?.(folder.path, this.files.length)
    return below
  }

  /** Whether `entry`, which is no plain file, is a folder of its own. A link to one is kept for later. */
  async #isFolderToRead(folder: Folder, entry: Folder, name: string): Promise<boolean> {
    try {
      const { kind, realPath } = await this.#inspect(entry.absolutePath)
      if (kind === 'file') this.#addFile(folder, entry, name)
      if (kind === 'other' && audioFormatOf(name)) {
        this.skipped.push({ path: entry.path, reason: 'it is not a regular file' })
      }
      if (kind !== 'directory') return false
      if (realPath !== entry.absolutePath) {
        this.#links.push({ ...entry, realPath })
        return false
      }
      this.#visited.add(realPath)
      return true
    } catch (error) {
      if (P2PError.is(error)) throw error
      if (audioFormatOf(name)) this.skipped.push({ path: entry.path, reason: reasonOf(error) })
      return false
    }
  }

  async #inspect(path: string): Promise<Inspection> {
    return this.#options.runtime.bridge(`look at ${path}`, async () => {
      const stats = await stat(path)
      const kind = stats.isFile() ? 'file' : stats.isDirectory() ? 'directory' : 'other'
      return { kind, realPath: await realpath(path) }
    })
  }

  /** Whether a linked folder is new. */
  #enter({ path, realPath }: Place): boolean {
    if (this.#visited.has(realPath)) return false
    if (this.#root.startsWith(realPath.endsWith(sep) ? realPath : realPath + sep)) {
      this.skipped.push({ path, reason: 'it links to a folder that contains the whole library' })
      return false
    }
    this.#visited.add(realPath)
    return true
  }

  #addFile(folder: Folder, entry: Folder, name: string): void {
    const format = audioFormatOf(name)
    if (format) this.files.push({ ...entry, format })
    else if (isFolderPicture(name) && !this.pictures.has(folder.path)) {
      this.pictures.set(folder.path, entry.absolutePath)
    }
  }
}

const REASONS: ReadonlyMap<unknown, string> = new Map([
  ['EACCES', 'permission denied'],
  ['EPERM', 'the operation is not permitted'],
  ['ENOENT', 'there is no such file or folder'],
  ['ENOTDIR', 'it is not a folder'],
  ['EISDIR', 'it is a folder'],
  ['ELOOP', 'its links go in circles'],
  ['EIO', 'the disk reports an input/output error'],
])

/** Why something could not be read, in words and without its path. */
export function reasonOf(error: unknown): string {
  const cause = P2PError.is(error) ? error.cause : error
  const known = REASONS.get((cause as { code?: unknown } | undefined)?.code)
  if (known !== undefined) return known
  return error instanceof Error && error.message ? error.message : 'it cannot be read'
}
