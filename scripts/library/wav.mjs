// WAV files: PCM with a RIFF INFO list and an ID3 chunk, which is where players look for the cover.
import { ascii, join, uint16le, uint32le } from './bytes.mjs'
import { interleave } from './flac.mjs'
import { id3Tag } from './id3.mjs'

/** Encodes whole-number samples (one Int32Array a channel); `info` ([[ID, text]]) must fit in ASCII. */
export function encodeWav({ sampleRate, bitDepth, channels, info, frames, picture }) {
  const blockAlign = (channels.length * bitDepth) / 8
  const format = join(
    uint16le(1),
    uint16le(channels.length),
    uint32le(sampleRate),
    uint32le(sampleRate * blockAlign),
    uint16le(blockAlign),
    uint16le(bitDepth),
  )
  const list = join('INFO', ...info.map(([id, text]) => chunk(id, ascii(`${text}\0`))))
  const body = join(
    'WAVE',
    chunk('fmt ', format),
    chunk('LIST', list),
    chunk('data', interleave(channels, bitDepth)),
    chunk('id3 ', id3Tag(frames, picture)),
  )
  return chunk('RIFF', body)
}

const chunk = (id, body) => join(id, uint32le(body.length), body, body.length % 2 === 1 ? '\0' : '')
