/**
 * The audio and picture formats that the library knows.
 *
 * @module
 */

/** The name of an audio format, from the file's extension. */
export type AudioFormat = 'FLAC' | 'MP3' | 'WAV' | 'OGG' | 'OPUS' | 'M4A' | 'AAC' | 'AIFF'

const CONTENT_TYPES: Readonly<Record<AudioFormat, string>> = {
  FLAC: 'audio/flac',
  MP3: 'audio/mpeg',
  WAV: 'audio/wav',
  OGG: 'audio/ogg',
  OPUS: 'audio/ogg',
  M4A: 'audio/mp4',
  AAC: 'audio/aac',
  AIFF: 'audio/aiff',
}

const EXTENSIONS: ReadonlyMap<string, AudioFormat> = new Map([
  ['flac', 'FLAC'],
  ['mp3', 'MP3'],
  ['wav', 'WAV'],
  ['ogg', 'OGG'],
  ['opus', 'OPUS'],
  ['m4a', 'M4A'],
  ['aac', 'AAC'],
  ['aiff', 'AIFF'],
  ['aif', 'AIFF'],
])

/** The extensions that count as audio, for messages. */
export const AUDIO_EXTENSIONS: string = [...EXTENSIONS.keys()].map((extension) => `.${extension}`).join(' ')

/** The format of a file by its name; undefined for anything that is no audio. */
export function audioFormatOf(name: string): AudioFormat | undefined {
  const dot = name.lastIndexOf('.')
  return dot > 0 ? EXTENSIONS.get(name.slice(dot + 1).toLowerCase()) : undefined
}

/** What HTTP calls a format: `audio/flac`. */
export function contentTypeOf(format: AudioFormat): string {
  return CONTENT_TYPES[format]
}

/** Whether a file of this name next to the tracks is their album's cover. */
export function isFolderPicture(name: string): boolean {
  return /^(?:cover|folder|front)\.(?:jpe?g|png|webp)$/i.test(name)
}

/** How many bytes {@link pictureTypeOf} wants to see. */
export const PICTURE_MAGIC_BYTES = 12

/** The content type of a picture by its first bytes: what tags claim about it is often wrong. */
export function pictureTypeOf(bytes: Uint8Array): string | undefined {
  const text = (start: number, end: number): string => String.fromCharCode(...bytes.subarray(start, end))
  if (text(0, 8) === '\x89PNG\r\n\x1A\n') return 'image/png'
  if (text(0, 3) === '\xFF\xD8\xFF') return 'image/jpeg'
  if (text(0, 4) === 'RIFF' && text(8, 12) === 'WEBP') return 'image/webp'
  if (text(0, 4) === 'GIF8') return 'image/gif'
  return undefined
}
