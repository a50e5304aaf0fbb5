#!/usr/bin/env node
// Usage: make-library.mjs [DIRECTORY]
// Makes the small music library that the example plays: real FLAC, MP3 and WAV files with tags and covers, synthesised
// from the scores in library/scores.mjs. Every run writes the same bytes. Default directory: examples/music/library.
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as covers from './library/covers.mjs'
import { encodeFlac } from './library/flac.mjs'
import { encodeMp3 } from './library/mp3.mjs'
import { PIECES, score } from './library/scores.mjs'
import { mono, quantise, render } from './library/synth.mjs'
import { encodeWav } from './library/wav.mjs'

const holePunching = {
  artist: 'The Loopbacks',
  album: 'Hole Punching',
  date: '2024-03-15',
  genre: 'Electronic',
  cover: covers.holePunching(),
}
const directPath = {
  artist: 'The Loopbacks',
  album: 'Direct Path',
  date: '2025-09-05',
  genre: 'Ambient',
  cover: covers.directPath(),
}
const longWayHome = {
  artist: 'Nora Vega',
  album: 'Long Way Home',
  date: '2023',
  genre: 'Folk',
  cover: covers.longWayHome(),
}

const flac = { extension: 'flac', sampleRate: 44_100, bitDepth: 16 }
const hiRes = { extension: 'flac', sampleRate: 96_000, bitDepth: 24 }
const mp3 = { extension: 'mp3', sampleRate: 44_100, bitDepth: 16 }
const wav = { extension: 'wav', sampleRate: 22_050, bitDepth: 16 }

const TRACKS = [
  { ...holePunching, ...flac, number: 1, of: 3, title: 'First Packet', piece: PIECES.firstPacket },
  { ...holePunching, ...flac, number: 2, of: 3, title: 'Symmetric', piece: PIECES.symmetric },
  { ...holePunching, ...flac, number: 3, of: 3, title: 'Keep-Alive', piece: PIECES.keepAlive },
  { ...directPath, ...hiRes, number: 1, of: 2, title: 'Ten Milliseconds', piece: PIECES.tenMilliseconds },
  { ...directPath, ...flac, number: 2, of: 2, title: 'Around the Relay', piece: PIECES.aroundTheRelay },
  { ...longWayHome, ...mp3, number: 1, of: 3, title: 'Paper Lanterns', piece: PIECES.paperLanterns },
  { ...longWayHome, ...mp3, number: 2, of: 3, title: 'Brücken im Nebel', piece: PIECES.bridgesInTheFog },
  { ...longWayHome, ...wav, number: 3, of: 3, title: 'Kitchen Radio', piece: PIECES.kitchenRadio },
]

const ENCODERS = {
  flac: (track, channels) =>
    encodeFlac({
      ...track,
      channels,
      picture: track.cover,
      tags: [
        ['TITLE', track.title],
        ['ARTIST', track.artist],
        ['ALBUMARTIST', track.artist],
        ['ALBUM', track.album],
        ['TRACKNUMBER', String(track.number)],
        ['TRACKTOTAL', String(track.of)],
        ['DATE', track.date],
        ['GENRE', track.genre],
      ],
    }),
  mp3: (track, channels) =>
    encodeMp3({ ...track, kilobits: 128, channels, frames: id3Frames(track), picture: track.cover }),
  wav: (track, channels) =>
    encodeWav({
      ...track,
      channels,
      frames: id3Frames(track),
      picture: track.cover,
      info: [
        ['INAM', track.title],
        ['IART', track.artist],
        ['IPRD', track.album],
        ['ITRK', String(track.number)],
        ['ICRD', track.date],
        ['IGNR', track.genre],
      ],
    }),
}

const id3Frames = (track) => [
  ['TIT2', track.title],
  ['TPE1', track.artist],
  ['TPE2', track.artist],
  ['TALB', track.album],
  ['TRCK', `${track.number}/${track.of}`],
  ['TYER', track.date.slice(0, 4)],
  ['TCON', track.genre],
]

/** A name that every file system takes. */
const fileName = (text) =>
  text
    .replaceAll('ä', 'ae')
    .replaceAll('ö', 'oe')
    .replaceAll('ü', 'ue')
    .replaceAll('ß', 'ss')
    .replaceAll(/[^\w '-]/g, '_')

const directory = process.argv[2] ?? fileURLToPath(new URL('../examples/music/library', import.meta.url))
for (const track of TRACKS) {
  const stereo = render(score(track.piece), track.sampleRate)
  const sound = track.extension === 'wav' ? mono(stereo) : stereo
  const bytes = ENCODERS[track.extension](track, quantise(sound, track.bitDepth, track.piece.seed))
  const number = String(track.number).padStart(2, '0')
  const path = join(
    directory,
    fileName(track.artist),
    fileName(track.album),
    `${number} ${fileName(track.title)}.${track.extension}`,
  )
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, bytes)
  console.log(`${String(bytes.length).padStart(9)} ${path}`)
}
