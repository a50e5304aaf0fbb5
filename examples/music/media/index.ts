/**
 * The music itself: a folder of audio files, read into artists, albums, tracks and covers.
 *
 * @module
 */
export { contentTypeOf } from './formats.ts'
export type { AudioFormat } from './formats.ts'
export { MusicLibrary } from './library.ts'
export type { ScanOptions, ScanProgress } from './library.ts'
export type { Album, Artist, Cover, SkippedFile, Track } from './model.ts'
