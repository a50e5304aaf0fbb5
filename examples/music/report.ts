/**
 * What a player tells while it works: plain values, so that they pass between processes as well.
 *
 * @module
 */
import type { Percentiles } from './latency.ts'
import type { Album, Track } from './media/index.ts'

/** One piece of news. */
export type Report =
  /** The name was found. */
  | { readonly type: 'FOUND'; readonly name: string; readonly shortId: string; readonly afterMs: number }
  /** The connection stands. */
  | { readonly type: 'CONNECTED'; readonly shortId: string; readonly afterMs: number }
  /** The packets take this way from now on. */
  | {
      readonly type: 'PATH'
      readonly kind: 'direct' | 'relay'
      readonly remote: string
      readonly rttMs: number | undefined
    }
  /** What the server has. */
  | {
      readonly type: 'CATALOGUE'
      readonly artists: number
      readonly albums: readonly Album[]
      readonly albumCount: number
      readonly trackCount: number
    }
  | {
      readonly type: 'COVER'
      readonly album: string
      readonly contentType: string
      readonly bytes: number
      readonly afterMs: number
    }
  /** A track begins; `buffered` audio is there after `afterMs`. */
  | { readonly type: 'TRACK'; readonly track: Track }
  | { readonly type: 'SOUND'; readonly positionMs: number; readonly afterMs: number }
  | {
      readonly type: 'PROGRESS'
      readonly doneBytes: number
      readonly totalBytes: number
      readonly bytesPerSecond: number
      readonly positionMs: number | undefined
    }
  /** The listener jumps. */
  | { readonly type: 'SEEK'; readonly fromMs: number; readonly toMs: number }
  /** The music stops as the bytes do not come fast enough. */
  | { readonly type: 'PAUSE'; readonly positionMs: number }
  /** The music is over; what was jumped over is fetched as well, so that every byte is checked. */
  | {
      readonly type: 'LISTENED'
      readonly positionMs: number
      readonly pauses: number
      readonly missingBytes: number
    }
  | { readonly type: 'VERIFIED'; readonly bytes: number; readonly blocks: number; readonly sha256?: string }
  /** The player has left the server: what was measured, and what the last way was like. */
  | {
      readonly type: 'ENDED'
      readonly control: Percentiles | undefined
      readonly requests: Percentiles | undefined
      readonly path: 'direct' | 'relay' | 'none'
      readonly rttMs: number | undefined
    }

/** Takes the news. Called in the midst of things: it must not throw, nor take long. */
export type Reporter = (report: Report) => void
