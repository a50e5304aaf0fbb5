/**
 * A folder of audio files as artists, albums and tracks.
 *
 * @module
 */
import { realpath } from 'node:fs/promises'
import { P2PError } from '@moosicbox/p2p'
import type { Runtime } from '@moosicbox/p2p'
import { mapBounded } from './bounded.ts'
import { buildCatalog } from './catalog.ts'
import type { Catalog, TaggedFile } from './catalog.ts'
import { AUDIO_EXTENSIONS, PICTURE_MAGIC_BYTES, pictureTypeOf } from './formats.ts'
import type { Album, Artist, Cover, SkippedFile, Track } from './model.ts'
import { readCover, readTags } from './tags.ts'
import { byText, findAudioFiles, reasonOf } from './walk.ts'
import type { AudioFile, Findings } from './walk.ts'

/** Pictures that lie next to the tracks and are larger than this are left alone. */
const MAX_PICTURE_BYTES = 16 * 1024 * 1024

/** How far a scan has got. */
export interface ScanProgress {
  /** Looking through folders, reading the files found there, looking for the albums' covers. */
  readonly phase: 'finding' | 'reading' | 'covers'
  /** Files found, files read, albums looked at. */
  readonly done: number
  /** Of how many; while finding nobody knows, so it equals `done`. */
  readonly total: number
  /** The folder, file or album just done with. */
  readonly path: string
}

/** How to scan. */
export interface ScanOptions {
  /** Whose files these are; in a simulation the scan takes no virtual time. */
  readonly runtime: Runtime
  /** How many files are open at a time. @default 8 */
  readonly concurrency?: number | undefined
  /** More audio files than this are an error. @default 250,000 */
  readonly maxFiles?: number | undefined
  readonly onProgress?: ((progress: ScanProgress) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/** Where an album's cover is. */
type CoverSource = { readonly picture: string } | { readonly track: AudioFile }

/**
 * The music in a folder. Of each file only what the lists need stays in memory, about 1 KB; covers are read again when
 * they are asked for, and audio is for others to stream.
 */
export class MusicLibrary {
  /** The folder, as it was named. */
  readonly folder: string
  /** Sorted by name. */
  readonly artists: readonly Artist[]
  /** Sorted by artist, date and title. */
  readonly albums: readonly Album[]
  /** Sorted by album, disc and number. */
  readonly tracks: readonly Track[]
  /** What could not be read, sorted by path. */
  readonly skipped: readonly SkippedFile[]
  readonly #runtime: Runtime
  readonly #files: ReadonlyMap<number, AudioFile>
  readonly #covers: ReadonlyMap<number, CoverSource>

  private constructor(
    folder: string,
    catalog: Catalog,
    covers: ReadonlyMap<number, CoverSource>,
    skipped: readonly SkippedFile[],
    runtime: Runtime,
  ) {
    this.folder = folder
    this.artists = catalog.artists
    this.albums = catalog.albums.map((album) => ({ ...album, hasCover: covers.has(album.id) }))
    this.tracks = catalog.tracks
    this.skipped = skipped
    this.#runtime = runtime
    this.#files = catalog.files
    this.#covers = covers
  }

  /**
   * Reads the tags of every audio file in `folder` and below. Ids are small whole numbers in sorted order: the same
   * files have the same ids on every scan and every machine. Files without tags go by the names of their folders
   * (artist, album) and their own (number, title).
   *
   * @throws P2PError `io` when the folder is missing, unreadable or without music, `limit-exceeded`, `aborted`
   */
  static async scan(folder: string, options: ScanOptions): Promise<MusicLibrary> {
    const { runtime, concurrency = 8, maxFiles = 250_000, onProgress, signal } = options
    const onFolder = (path: string, found: number): void =>
      onProgress?.({ phase: 'finding', done: found, total: found, path })
    const root = await rootOf(folder, runtime)
    const findings = await findAudioFiles(root, { runtime, concurrency, maxFiles, signal, onFolder }).catch(
      (error: unknown) => {
        throw P2PError.is(error, 'io') ? unreadable(folder, error) : error
      },
    )
    const skipped = [...findings.skipped]
    const tagged = await readAll(findings.files, skipped, options, concurrency)
    skipped.sort((a, b) => byText(a.path, b.path))
    if (tagged.length === 0) throw withoutMusic(folder, skipped)
    const catalog = buildCatalog(tagged)
    const covers = await findCovers(catalog, findings, options, concurrency)
    return new MusicLibrary(folder, catalog, covers, skipped, runtime)
  }

  artist(id: number): Artist | undefined {
    return this.artists[id - 1]
  }

  album(id: number): Album | undefined {
    return this.albums[id - 1]
  }

  track(id: number): Track | undefined {
    return this.tracks[id - 1]
  }

  /** Where the file of a track lies on this machine. */
  path(trackId: number): string | undefined {
    return this.#files.get(trackId)?.absolutePath
  }

  /**
   * The cover of an album, read from its file; undefined for an album that has none.
   *
   * @throws P2PError `io` when the file has gone since the scan
   */
  async cover(albumId: number): Promise<Cover | undefined> {
    const source = this.#covers.get(albumId)
    if (!source) return undefined
    const path = 'picture' in source ? source.picture : source.track.absolutePath
    try {
      const cover = await readCoverAt(source, this.#runtime)
      if (cover) return cover
    } catch (error) {
      throw noCover(path, reasonOf(error), error)
    }
    throw noCover(path, 'there is none in it any more')
  }
}

function noCover(path: string, why: string, cause?: unknown): P2PError {
  return P2PError.of('io', `cannot read the cover in ${path}: ${why}; scan the library again`, { path }, { cause })
}

function unreadable(folder: string, cause: unknown): P2PError {
  const message = `cannot read the music folder ${folder}: ${reasonOf(cause)}; name a folder with audio files in it (${AUDIO_EXTENSIONS})`
  return P2PError.of('io', message, { path: folder }, { cause })
}

function withoutMusic(folder: string, skipped: readonly SkippedFile[]): P2PError {
  const [first] = skipped
  const message = first
    ? `none of the music in ${folder} can be read (${first.path}: ${first.reason}${skipped.length > 1 ? `, and ${skipped.length - 1} more` : ''}); put other files there or name another folder`
    : `there are no audio files in ${folder}; put some there (${AUDIO_EXTENSIONS}) or name another folder`
  return P2PError.of('io', message, { path: folder })
}

async function rootOf(folder: string, runtime: Runtime): Promise<string> {
  try {
    return await runtime.bridge(`find ${folder}`, async () => realpath(folder))
  } catch (error) {
    throw unreadable(folder, error)
  }
}

function stopIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw P2PError.aborted(signal, 'the scan of the music folder')
}

async function readAll(
  files: readonly AudioFile[],
  skipped: SkippedFile[],
  { runtime, onProgress, signal }: ScanOptions,
  concurrency: number,
): Promise<TaggedFile[]> {
  let done = 0
  const read = await mapBounded(files, concurrency, async (file) => {
    stopIfAborted(signal)
    try {
      const tags = await runtime.bridge(`read tags of ${file.path}`, async () =>
        readTags(file.absolutePath, file.format),
      )
      return { file, tags }
    } catch (error) {
      skipped.push({ path: file.path, reason: reasonOf(error) })
      return undefined
    } finally {
      done++
      onProgress?.({ phase: 'reading', done, total: files.length, path: file.path })
    }
  })
  return withoutLinks(read.filter((one) => one !== undefined))
}

/** A file that is also linked to counts once, under its own name if that is in the library. */
function withoutLinks(tagged: readonly TaggedFile[]): TaggedFile[] {
  const known = new Map<string, TaggedFile>()
  for (const one of tagged) {
    const { realPath } = one.tags
    if (!known.has(realPath) || one.file.absolutePath === realPath) known.set(realPath, one)
  }
  return tagged.filter((one) => known.get(one.tags.realPath) === one)
}

async function findCovers(
  catalog: Catalog,
  { pictures }: Findings,
  { runtime, onProgress, signal }: ScanOptions,
  concurrency: number,
): Promise<Map<number, CoverSource>> {
  const covers = new Map<number, CoverSource>()
  const shared = foldersOfSeveral(catalog)
  let done = 0
  await mapBounded(catalog.albums, concurrency, async (album) => {
    const files = album.trackIds.flatMap((id) => catalog.files.get(id) ?? [])
    // A picture next to the tracks is what their owner chose; without one the tracks' own pictures count.
    const folders = new Set(files.map((file) => folderOf(file)))
    const beside = [...folders].flatMap((folder) => (shared.has(folder) ? [] : (pictures.get(folder) ?? [])))
    const sources: CoverSource[] = [...beside.map((picture) => ({ picture })), ...files.map((track) => ({ track }))]
    for (const source of sources) {
      stopIfAborted(signal)
      if (!(await hasCover(source, runtime))) continue
      covers.set(album.id, source)
      break
    }
    done++
    onProgress?.({ phase: 'covers', done, total: catalog.albums.length, path: album.title })
  })
  return covers
}

const folderOf = (file: AudioFile): string => file.path.slice(0, Math.max(0, file.path.lastIndexOf('/')))

/** Folders with tracks of more than one album: a picture there belongs to none of them. */
function foldersOfSeveral(catalog: Catalog): Set<string> {
  const owners = new Map<string, number>()
  const several = new Set<string>()
  for (const { id, albumId } of catalog.tracks) {
    const file = catalog.files.get(id)
    if (!file) continue
    const folder = folderOf(file)
    if ((owners.get(folder) ?? albumId) === albumId) owners.set(folder, albumId)
    else several.add(folder)
  }
  return several
}

async function hasCover(source: CoverSource, runtime: Runtime): Promise<boolean> {
  try {
    if ('picture' in source) return (await readPicture(source.picture, runtime, PICTURE_MAGIC_BYTES)) !== undefined
    return await runtime.bridge(`look for a cover in ${source.track.path}`, async () => {
      return (await readCover(source.track.absolutePath, source.track.format)) !== undefined
    })
  } catch {
    // The file was readable a moment ago; without its cover it still plays.
    return false
  }
}

async function readCoverAt(source: CoverSource, runtime: Runtime): Promise<Cover | undefined> {
  if ('picture' in source) return readPicture(source.picture, runtime, MAX_PICTURE_BYTES)
  const { track } = source
  return runtime.bridge(`read the cover in ${track.path}`, async () => readCover(track.absolutePath, track.format))
}

/** Up to `maxBytes` of a picture file; undefined when it is no picture or too large. */
async function readPicture(path: string, runtime: Runtime, maxBytes: number): Promise<Cover | undefined> {
  const file = await runtime.files.open(path)
  try {
    if (file.sizeBytes > MAX_PICTURE_BYTES) return undefined
    const bytes = await file.read(0, Math.min(maxBytes, file.sizeBytes))
    const contentType = pictureTypeOf(bytes)
    return contentType === undefined ? undefined : { contentType, bytes }
  } finally {
    await file.close()
  }
}
