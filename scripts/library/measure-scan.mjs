#!/usr/bin/env node
// Usage: measure-scan.mjs [FILES]
// Makes a library of so many FLAC files in a temporary directory (20,000 unless told otherwise; each says to be 30 MB,
// one in a hundred 250 MB, but is mostly a hole on the disk) and measures how long MusicLibrary takes to scan it, and
// how much memory. Run `npm run build` first.
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { longWayHome } from './covers.mjs'
import { encodeFlac } from './flac.mjs'
import { noise } from './synth.mjs'

const TRACKS_PER_ALBUM = 12
const ALBUMS_PER_ARTIST = 3
const MEGABYTE = 1_000_000

function makeFiles(directory, count) {
  const hiss = noise(1)
  const samples = Int32Array.from({ length: 441 }, () => Math.floor(hiss() * 10_000))
  const picture = longWayHome()
  for (let index = 0; index < count; index++) {
    const album = Math.floor(index / TRACKS_PER_ALBUM)
    const number = (index % TRACKS_PER_ALBUM) + 1
    const names = [`Artist ${Math.floor(album / ALBUMS_PER_ARTIST)}`, `Album ${album}`, `Track ${index}`]
    const [ARTIST, ALBUM, TITLE] = names
    const tags = Object.entries({ ARTIST, ALBUM, TITLE, TRACKNUMBER: String(number), DATE: '2024', GENRE: 'Noise' })
    const path = join(directory, ARTIST, ALBUM, `${number} ${TITLE}.flac`)
    if (number === 1) mkdirSync(join(directory, ARTIST, ALBUM), { recursive: true })
    writeFileSync(path, encodeFlac({ sampleRate: 44_100, bitDepth: 16, channels: [samples], tags, picture }))
    truncateSync(path, (index % 100 === 0 ? 250 : 30) * MEGABYTE)
  }
}

async function scan(directory) {
  const { MusicLibrary } = await import('../../build/examples/music/media/index.js')
  const { RealRuntime } = await import('../../dist/runtime/index.js')
  const before = process.resourceUsage().maxRSS
  const start = performance.now()
  const library = await MusicLibrary.scan(directory, { runtime: new RealRuntime() })
  const seconds = (performance.now() - start) / 1000
  const { artists, albums, tracks, skipped } = library
  const covers = albums.filter((album) => album.hasCover).length
  const gigabytes = tracks.reduce((sum, track) => sum + track.bytes, 0) / MEGABYTE / 1000
  console.log(
    `${tracks.length} tracks (${gigabytes.toFixed(0)} GB), ${albums.length} albums, ${artists.length} artists`,
  )
  console.log(`${covers} covers, ${skipped.length} files skipped`)
  console.log(`${seconds.toFixed(1)} s, ${(tracks.length / seconds).toFixed(0)} files/s`)
  const peak = process.resourceUsage().maxRSS
  console.log(
    `memory at its peak ${(peak / 1024).toFixed(0)} MiB, of which ${(before / 1024).toFixed(0)} before the scan`,
  )
}

if (process.argv[2] === '--scan') {
  await scan(process.argv[3])
} else {
  const directory = mkdtempSync(join(tmpdir(), 'scan-'))
  try {
    makeFiles(directory, Number(process.argv[2] ?? 20_000))
    // In a process of its own, so that making the files does not count.
    execFileSync(process.execPath, [fileURLToPath(import.meta.url), '--scan', directory], { stdio: 'inherit' })
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
