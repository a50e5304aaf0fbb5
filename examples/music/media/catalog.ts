/**
 * Sorts files into artists, albums and tracks and gives them their numbers: a pure function of what the files say.
 *
 * @module
 */
import type { Album, Artist, Track } from './model.ts'
import { cleanText } from './tags.ts'
import type { FileTags } from './tags.ts'
import { byText } from './walk.ts'
import type { AudioFile } from './walk.ts'

/** A file with its tags. */
export interface TaggedFile {
  readonly file: AudioFile
  readonly tags: FileTags
}

/** The library's contents; files by track id, covers still to be looked for. */
export interface Catalog {
  readonly artists: readonly Artist[]
  readonly albums: readonly Omit<Album, 'hasCover'>[]
  readonly tracks: readonly Track[]
  readonly files: ReadonlyMap<number, AudioFile>
}

/** A file with everything filled in: from its tags, else from its name and its folders'. */
interface Entry {
  readonly file: AudioFile
  readonly tags: FileTags
  readonly title: string
  readonly number: number
  readonly disc: number | undefined
  readonly artist: string
  readonly album: string
  readonly albumArtist: string | undefined
  /** The folder of the album, with its discs' folders taken off. */
  readonly folder: string
}

interface Group {
  readonly title: string
  readonly artist: string
  readonly date: string | undefined
  readonly folder: string
  readonly entries: readonly Entry[]
}

const UNKNOWN_ARTIST = 'Unknown Artist'
const UNKNOWN_ALBUM = 'Unknown Album'
const UNKNOWN_TITLE = 'Untitled'
const VARIOUS_ARTISTS = 'Various Artists'
const DISC_FOLDER = /^(?:cd|disc|disk)[ _-]*(\d{1,3})$/i
/** `07 Title`, `07. Title`, `2-07 Title`. */
const NUMBERED = /^(?:(\d{1,2})-)?(\d{1,3})[ ._-]+(?=\S)/

/** Ids count from 1 in sorted order, so that the same files have the same ids on every scan. */
export function buildCatalog(tagged: readonly TaggedFile[]): Catalog {
  const entries = tagged.map((one) => entryOf(one)).sort((a, b) => byText(a.file.path, b.file.path))
  const groups = mergeByArtist(groupByFolder(entries)).sort(
    (a, b) =>
      byTitle(a.artist, b.artist) ||
      byText(a.date ?? '', b.date ?? '') ||
      byTitle(a.title, b.title) ||
      byText(a.folder, b.folder),
  )
  const artists: Artist[] = []
  const albums: Omit<Album, 'hasCover'>[] = []
  const tracks: Track[] = []
  const files = new Map<number, AudioFile>()
  for (const { title, artist, date, entries } of groups) {
    // Groups of one artist are neighbours.
    if (artists.at(-1)?.title !== artist) artists.push({ id: artists.length + 1, title: artist })
    const albumId = albums.length + 1
    const trackIds: number[] = []
    const discs = new Set(entries.map((entry) => entry.disc ?? 1)).size
    for (const entry of [...entries].sort(byPosition)) {
      const id = tracks.length + 1
      trackIds.push(id)
      tracks.push(trackOf(entry, id, albumId, title, discs > 1))
      files.set(id, entry.file)
    }
    albums.push({ id: albumId, title, artistId: artists.length, artist, ...(date !== undefined && { date }), trackIds })
  }
  return { artists, albums, tracks, files }
}

function trackOf(entry: Entry, id: number, albumId: number, album: string, severalDiscs: boolean): Track {
  const { bitDepth, bitrate, bytes, durationSeconds, sampleRate } = entry.tags
  return {
    id,
    title: entry.title,
    number: entry.number,
    ...(severalDiscs && { disc: entry.disc ?? 1 }),
    artist: entry.artist,
    album,
    albumId,
    durationSeconds,
    format: entry.file.format,
    sampleRate,
    ...(bitDepth !== undefined && { bitDepth }),
    ...(bitrate !== undefined && { bitrate }),
    bytes,
  }
}

function entryOf({ file, tags }: TaggedFile): Entry {
  const folders = file.path.split('/')
  const name = (folders.pop() ?? '').replace(/\.[^.]*$/, '')
  const disc = DISC_FOLDER.exec(folders.at(-1) ?? '')
  if (disc) folders.pop()
  const numbered = NUMBERED.exec(name)
  const artist = tags.artist ?? tags.albumArtist ?? cleanText(folders.at(-2)) ?? UNKNOWN_ARTIST
  return {
    file,
    tags,
    title: tags.title ?? cleanText(name.slice(numbered?.[0].length ?? 0)) ?? UNKNOWN_TITLE,
    number: tags.number ?? Number(numbered?.[2] ?? 0),
    disc: tags.disc ?? wholeNumber(numbered?.[1]) ?? wholeNumber(disc?.[1]),
    artist,
    album: tags.album ?? cleanText(folders.at(-1)) ?? UNKNOWN_ALBUM,
    albumArtist: tags.albumArtist,
    folder: folders.join('/'),
  }
}

function wholeNumber(digits: string | undefined): number | undefined {
  return digits === undefined ? undefined : Number(digits)
}

/** Files of one folder and one album title belong together, whoever plays on each. */
function groupByFolder(entries: readonly Entry[]): Group[] {
  const groups = grouped(entries, (entry) => [
    entry.albumArtist ?? '',
    entry.album,
    entry.albumArtist === undefined ? entry.folder : '',
  ])
  return groups.map((group) => {
    const [first] = group
    const artists = new Set(group.map((entry) => entry.artist.toLowerCase()))
    const artist = first.albumArtist ?? (artists.size > 1 ? VARIOUS_ARTISTS : first.artist)
    return { title: first.album, artist, folder: first.folder, date: dateOf(group), entries: group }
  })
}

/** An album whose discs lie in folders of any name is one album, unless "various artists" hides which. */
function mergeByArtist(groups: readonly Group[]): Group[] {
  const key = ({ artist, title, folder }: Group): string[] => [artist, title, artist === VARIOUS_ARTISTS ? folder : '']
  const spelling = new Map<string, string>()
  return grouped(groups, key).map((same) => {
    const [{ title, artist, folder }] = same
    const entries = same.flatMap((group) => group.entries)
    // One artist may be spelt in two ways; the first is as good as the other.
    const known = spelling.get(artist.toLowerCase()) ?? artist
    spelling.set(artist.toLowerCase(), known)
    return { title, artist: known, folder, date: dateOf(entries), entries }
  })
}

/** Groups in the order of their first members; capitals do not count. */
function grouped<Item>(items: readonly Item[], key: (item: Item) => readonly string[]): [Item, ...Item[]][] {
  const groups = new Map<string, [Item, ...Item[]]>()
  for (const item of items) {
    const name = key(item).join('\0').toLowerCase()
    const group = groups.get(name)
    if (group) group.push(item)
    else groups.set(name, [item])
  }
  return [...groups.values()]
}

function dateOf(entries: readonly Entry[]): string | undefined {
  return entries.find((entry) => entry.tags.date !== undefined)?.tags.date
}

function byPosition(a: Entry, b: Entry): number {
  return (a.disc ?? 1) - (b.disc ?? 1) || a.number - b.number || byText(a.file.path, b.file.path)
}

function byTitle(a: string, b: string): number {
  return byText(a.toLowerCase(), b.toLowerCase()) || byText(a, b)
}
