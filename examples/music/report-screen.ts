/**
 * What a player reports, as text on a screen.
 *
 * @module
 */
import { count, formatBytes, formatDuration, formatMs } from './format.ts'
import type { Percentiles } from './latency.ts'
import type { Album, Track } from './media/index.ts'
import type { Report } from './report.ts'
import type { Screen } from './screen.ts'

/** Albums that are listed; of more, the number. */
const MAX_ALBUMS = 8

/** `Keep-Alive by The Loopbacks, FLAC 44.1 kHz 16 bit, 0:20, 1.6 MB`. */
export function describeTrack(track: Track): string {
  const depth = track.bitDepth === undefined ? '' : ` ${track.bitDepth} bit`
  const format = `${track.format} ${track.sampleRate / 1000} kHz${depth}`
  return `${track.title} by ${track.artist}, ${format}, ${formatDuration(track.durationSeconds * 1000)}, ${formatBytes(track.bytes)}`
}

/** `The Loopbacks: Hole Punching (2024), 3 tracks`. */
export function describeAlbum(album: Album): string {
  const year = album.date === undefined ? '' : ` (${album.date.slice(0, 4)})`
  return `${album.artist}: ${album.title}${year}, ${count(album.trackIds.length, 'track')}`
}

function describeLatencies(latencies: Percentiles): string {
  const { p50Ms, p90Ms, p99Ms } = latencies
  return `p50 ${formatMs(p50Ms)}, p90 ${formatMs(p90Ms)}, p99 ${formatMs(p99Ms)} (${latencies.count} measured)`
}

/** Shows one report. */
export function show(screen: Screen, report: Report): void {
  switch (report.type) {
    case 'FOUND':
      screen.fact('Found', `"${report.name}" is node ${report.shortId}, looked up in ${formatMs(report.afterMs)}`)
      break
    case 'CONNECTED':
      screen.fact('Connected', `to ${report.shortId} in ${formatMs(report.afterMs)}`)
      break
    case 'PATH': {
      const rtt = report.rttMs === undefined ? '' : `, round trip ${formatMs(report.rttMs)}`
      screen.fact('Path', `${report.kind === 'direct' ? 'direct, to' : 'through the relay'} ${report.remote}${rtt}`)
      break
    }
    case 'CATALOGUE': {
      const { artists, albums, albumCount, trackCount } = report
      const whole = `${count(artists, 'artist')}, ${count(albumCount, 'album')}`
      screen.fact(
        'Library',
        `${whole}; ${count(trackCount, 'track')} on ${albums.length === albumCount ? 'them' : 'the first of them'}`,
      )
      for (const album of albums.slice(0, MAX_ALBUMS)) screen.fact('', describeAlbum(album))
      if (albumCount > MAX_ALBUMS) screen.fact('', `and ${count(albumCount - MAX_ALBUMS, 'more album')}`)
      break
    }
    case 'COVER':
      screen.fact(
        'Cover',
        `of ${report.album}: ${report.contentType}, ${formatBytes(report.bytes)} in ${formatMs(report.afterMs)}`,
      )
      break
    case 'TRACK':
      screen.fact('Playing', describeTrack(report.track))
      break
    case 'SOUND':
      screen.fact(
        '',
        `music from ${formatDuration(report.positionMs)}, ${formatMs(report.afterMs)} after it was asked for`,
      )
      break
    case 'PROGRESS': {
      const note = report.positionMs === undefined ? undefined : `at ${formatDuration(report.positionMs)}`
      screen.progress({ ...report, note })
      break
    }
    case 'SEEK':
      screen.fact('Seek', `from ${formatDuration(report.fromMs)} to ${formatDuration(report.toMs)}`)
      break
    case 'PAUSE':
      screen.fact('Silence', `at ${formatDuration(report.positionMs)}: the bytes come too slowly`)
      break
    case 'LISTENED': {
      const { positionMs, pauses, missingBytes } = report
      const pause = pauses === 0 ? 'without a pause' : `with ${count(pauses, 'pause')}`
      const rest = missingBytes === 0 ? '' : `; now the ${formatBytes(missingBytes)} that were skipped`
      screen.fact('Heard', `up to ${formatDuration(positionMs)}, ${pause}${rest}`)
      break
    }
    case 'VERIFIED': {
      screen.endProgress()
      const { bytes, blocks, sha256 } = report
      screen.fact('Verified', `${bytes.toLocaleString('en')} bytes in ${count(blocks, 'block')}, each by its SHA-256`)
      if (sha256 !== undefined) screen.fact('SHA-256', sha256)
      break
    }
    case 'ENDED': {
      screen.endProgress()
      const { control, requests, path, rttMs } = report
      if (control) screen.fact('Control', `round trip ${describeLatencies(control)}`)
      if (requests) screen.fact('Requests', `first byte ${describeLatencies(requests)}`)
      screen.fact('Path', `${path} at the end${rttMs === undefined ? '' : `, round trip ${formatMs(rttMs)}`}`)
      break
    }
  }
}
