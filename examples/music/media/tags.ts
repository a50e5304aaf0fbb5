/**
 * What one audio file says about itself. These functions touch the disk: they run inside `runtime.bridge`.
 *
 * @module
 */
import { parseBlob } from 'music-metadata'
import type { IAudioMetadata } from 'music-metadata'
import { FileWindow } from './file-window.ts'
import { contentTypeOf, pictureTypeOf } from './formats.ts'
import type { AudioFormat } from './formats.ts'
import { FrameStream } from './frames.ts'
import type { Cover } from './model.ts'
import { oggDurationSeconds } from './ogg.ts'

/** What the tags and the stream of a file tell; what is missing is undefined. */
export interface FileTags {
  /** The file's own path, without links. */
  readonly realPath: string
  readonly bytes: number
  readonly title: string | undefined
  readonly artist: string | undefined
  readonly albumArtist: string | undefined
  readonly album: string | undefined
  readonly date: string | undefined
  readonly number: number | undefined
  readonly disc: number | undefined
  readonly durationSeconds: number
  readonly sampleRate: number
  readonly bitDepth: number | undefined
  readonly bitrate: number | undefined
}

/** Longer texts are cut: a title is no place for a book. */
const MAX_TEXT_LENGTH = 500
/** Even digital silence needs more than this in a FLAC stream, so with less there is only a header. */
const MIN_FLAC_BITRATE = 500

/** Reads tags, duration and format, but no picture; throws what is wrong with the file. */
export async function readTags(path: string, format: AudioFormat): Promise<FileTags> {
  return FileWindow.using(path, contentTypeOf(format), async (window) => {
    const frames = await framesOf(window, format)
    const metadata = await parse(window, format, true)
    const { common } = metadata
    // Opus files need not say what they were made from; they play at 48 kHz.
    const sampleRate = metadata.format.sampleRate || (metadata.format.codec === 'Opus' ? 48_000 : undefined)
    if (!sampleRate) throw new Error('there is no audio in it')
    const durationSeconds = await durationOf(window, format, metadata, sampleRate, frames)
    const bitrate = metadata.format.bitrate ?? (durationSeconds > 0 ? (window.size * 8) / durationSeconds : undefined)
    const lossless = metadata.format.lossless === true
    return {
      realPath: window.realPath,
      bytes: window.size,
      title: cleanText(common.title),
      artist: cleanText(common.artist),
      albumArtist: cleanText(common.albumartist) ?? (common.compilation === true ? 'Various Artists' : undefined),
      album: cleanText(common.album),
      date: cleanText(common.date) ?? (common.year ? String(common.year) : undefined),
      number: count(common.track.no),
      disc: count(common.disk.no),
      durationSeconds: Math.round(durationSeconds * 1000) / 1000,
      sampleRate,
      bitDepth: lossless ? metadata.format.bitsPerSample : undefined,
      bitrate: bitrate === undefined ? undefined : Math.round(bitrate),
    }
  })
}

/** The front cover in the file's tags, else the first picture there; undefined without any. */
export async function readCover(path: string, format: AudioFormat): Promise<Cover | undefined> {
  return FileWindow.using(path, contentTypeOf(format), async (window) => {
    const { common } = await parse(window, format, false)
    const pictures = (common.picture ?? []).flatMap(({ type, data }) => {
      const contentType = pictureTypeOf(data)
      return contentType ? [{ front: type === 'Cover (front)', contentType, data }] : []
    })
    const best = pictures.find(({ front }) => front) ?? pictures[0]
    // A copy: the picture is a view of the whole tag.
    return best && { contentType: best.contentType, bytes: Uint8Array.from(best.data) }
  })
}

async function parse(window: FileWindow, format: AudioFormat, skipCovers: boolean): Promise<IAudioMetadata> {
  try {
    return await parseBlob(window as unknown as Blob, { skipCovers })
  } catch (error) {
    const why = cleanText(error instanceof Error ? error.message : undefined) ?? 'its tags make no sense'
    throw new Error(`it is damaged, or no ${format} file (${why})`, { cause: error })
  }
}

/** MP3 and ADTS files need a look of our own: tag readers find "frames" in any noise. */
async function framesOf(window: FileWindow, format: AudioFormat): Promise<FrameStream | undefined> {
  if (format !== 'MP3' && format !== 'AAC') return undefined
  const frames = await FrameStream.find(window)
  if (!frames) throw new Error('there is no audio in it')
  return frames
}

async function durationOf(
  window: FileWindow,
  format: AudioFormat,
  metadata: IAudioMetadata,
  sampleRate: number,
  frames: FrameStream | undefined,
): Promise<number> {
  const { duration, bitrate } = metadata.format
  switch (format) {
    case 'MP3':
    case 'AAC':
      return duration ?? (await frames?.durationSeconds()) ?? 0
    case 'OGG':
    case 'OPUS':
      return (await oggDurationSeconds(window, sampleRate)) ?? duration ?? 0
    case 'FLAC':
      if (duration && bitrate !== undefined && bitrate < MIN_FLAC_BITRATE)
        throw new Error('there is a header in it, but no audio')
      return duration ?? 0
    default:
      if (!duration) throw new Error('there is a header in it, but no audio')
      return duration
  }
}

/** One line of printable text, at most 500 characters; undefined for none. Tags come from anywhere. */
export function cleanText(value: string | undefined): string | undefined {
  const clean = value?.replaceAll(/\p{Cc}+/gu, ' ').trim()
  if (!clean) return undefined
  // A short piece of a long text would keep all of it in memory, so the piece is made anew.
  return clean.length <= MAX_TEXT_LENGTH ? clean : Buffer.from(clean.slice(0, MAX_TEXT_LENGTH)).toString()
}

function count(value: number | null | undefined): number | undefined {
  return value !== null && value !== undefined && value > 0 && Number.isSafeInteger(value) ? value : undefined
}
