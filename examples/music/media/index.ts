/**
 * The music itself: a folder of audio files, read into artists, albums, tracks and covers.
 *
 * @module
 */
export { contentTypeOf } from './formats.ts'
export { MusicLibrary } from './library.ts'
export type { ScanProgress } from './library.ts'
export type { Album, Artist, Cover, Track } from './model.ts'
