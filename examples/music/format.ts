/**
 * Numbers and texts as people read them.
 *
 * @module
 */
import type { P2PNodeId } from '@moosicbox/p2p'

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const

/** `1.6 MB`: three digits at most, powers of 1000. */
export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000
    unit++
  }
  return `${unit > 0 && value < 99.5 ? value.toFixed(1) : Math.round(value)} ${UNITS[unit]}`
}

/** `3:07`, or `1:03:07`. */
export function formatDuration(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  const two = (value: number): string => String(value).padStart(2, '0')
  const minutes = Math.floor(seconds / 60)
  return minutes < 60
    ? `${minutes}:${two(seconds % 60)}`
    : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds % 60)}`
}

/** `0.35 ms`, `4.8 ms`, `127 ms`, `2.4 s`; a clock that counts whole milliseconds may say 0. */
export function formatMs(ms: number): string {
  if (ms === 0) return 'under 1 ms'
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`
  return `${ms < 1 ? ms.toFixed(2) : ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`
}

/** The beginning of a node id as it is displayed, so that people can match the two. */
export function shortId(id: P2PNodeId): string {
  return id.toString().slice(0, 10)
}

/** `1 track`, `2 tracks`. */
export function count(value: number, noun: string): string {
  return `${value.toLocaleString('en')} ${noun}${value === 1 ? '' : 's'}`
}

/**
 * Text from others, fit for a terminal: a title from a stranger's server must not move the cursor or change the
 * window's name.
 */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- they are what is taken out
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069]/g, '\ufffd')
}

/** `text` as a file name on any system: no separators, no leading dot, not empty, not too long. */
export function fileName(text: string): string {
  const safe = printable(text).replaceAll(/[\\/:*?"<>|\ufffd]/g, '_')
  return (
    safe
      .replace(/^[.\s]+/, '_')
      .trim()
      .slice(0, 100) || '_'
  )
}
