/**
 * What a music library consists of, as it travels: plain values that `JSON.stringify` takes.
 *
 * @module
 */
import type { AudioFormat } from './formats.ts'

/** Who made an album. */
export interface Artist {
  readonly id: number
  readonly title: string
}

/** A record: tracks in order, and perhaps a cover. */
export interface Album {
  readonly id: number
  readonly title: string
  readonly artistId: number
  readonly artist: string
  /** `2024`, `2024-03` or `2024-03-15`, whatever the files say. */
  readonly date?: string
  readonly hasCover: boolean
  /** By disc and number. */
  readonly trackIds: readonly number[]
}

/** One audio file. Where it lies is nobody's business but the library's: {@link MusicLibrary.path}. */
export interface Track {
  readonly id: number
  readonly title: string
  /** The number on its disc; 0 when neither tags nor file name tell. */
  readonly number: number
  /** Only on albums of several discs. */
  readonly disc?: number
  readonly artist: string
  readonly album: string
  readonly albumId: number
  /** To the millisecond; 0 when the file does not tell. */
  readonly durationSeconds: number
  readonly format: AudioFormat
  /** Hertz. */
  readonly sampleRate: number
  /** Bits a sample; only of lossless formats. */
  readonly bitDepth?: number
  /** Bits per second, on average. */
  readonly bitrate?: number
  /** The size of the file. */
  readonly bytes: number
}

/** A picture as it lies in the file. */
export interface Cover {
  /** `image/png`, `image/jpeg`, ... */
  readonly contentType: string
  readonly bytes: Uint8Array
}

/** A file or folder that is not in the library, and why. */
export interface SkippedFile {
  /** Relative to the library's folder, with `/` between names. */
  readonly path: string
  readonly reason: string
}
