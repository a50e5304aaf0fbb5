// MP3 files of constant bitrate: frames by lamejs, an ID3v2.3 tag in front, and an `Info` frame with the exact number
// of frames and a seek table, so that players need not guess the duration.
import { Mp3Encoder } from '@breezystack/lamejs'
import { join, uint32be } from './bytes.mjs'
import { id3Tag } from './id3.mjs'

const FRAME_SAMPLES = 1152
const HEADER_BYTES = 4
const STEREO_SIDE_BYTES = 32

/** Encodes two channels of 16-bit samples. */
export function encodeMp3({ sampleRate, kilobits, channels, frames, picture }) {
  const [left, right] = channels.map((samples) => Int16Array.from(samples))
  const encoder = new Mp3Encoder(2, sampleRate, kilobits)
  const parts = []
  for (let start = 0; start < left.length; start += FRAME_SAMPLES) {
    const end = start + FRAME_SAMPLES
    parts.push(Buffer.from(encoder.encodeBuffer(left.subarray(start, end), right.subarray(start, end))))
  }
  parts.push(Buffer.from(encoder.flush()))
  const audio = join(...parts)
  return join(id3Tag(frames, picture), infoFrame(audio, sampleRate, kilobits), audio)
}

function infoFrame(audio, sampleRate, kilobits) {
  const size = (padding) => Math.floor((FRAME_SAMPLES / 8) * 1000 * (kilobits / sampleRate)) + padding
  let count = 0
  for (let offset = 0; offset < audio.length; offset += size((audio[offset + 2] >> 1) & 1)) count++
  const out = Buffer.alloc(size(0))
  audio.copy(out, 0, 0, HEADER_BYTES)
  out[1] |= 1 // no checksum follows the header
  out[2] &= ~2 // no padding
  const places = Array.from({ length: 100 }, (_, percent) => Math.floor((percent * 256) / 100))
  const flags = 1 | 2 | 4 // frames, bytes, places
  const info = join('Info', uint32be(flags), uint32be(count), uint32be(audio.length + out.length), Buffer.from(places))
  info.copy(out, HEADER_BYTES + STEREO_SIDE_BYTES)
  return out
}
