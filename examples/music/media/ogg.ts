/**
 * How long an Ogg file lasts: its last page says at which sample it ends (RFC 3533), so that nothing between the first
 * and the last page need be read.
 *
 * @module
 */
import type { FileWindow } from './file-window.ts'

/** A page has at most 65,307 bytes, so the last one starts within so many bytes of the end. */
const TAIL_BYTES = 65_536
const OPUS_RATE = 48_000
const OPUS_HEAD = 'OpusHead'

/** Undefined when the last page is not there, as in a file that was cut off. */
export async function oggDurationSeconds(window: FileWindow, sampleRate: number): Promise<number | undefined> {
  const head = Buffer.from(await window.read(0, 256))
  const serial = head.length < 28 ? undefined : head.readUInt32LE(14)
  const tail = Buffer.from(await window.read(Math.max(0, window.size - TAIL_BYTES), window.size))
  for (let at = tail.lastIndexOf('OggS'); at >= 0; at = at > 0 ? tail.lastIndexOf('OggS', at - 1) : -1) {
    if (at + 27 > tail.length || tail.readUInt32LE(at + 14) !== serial) continue
    const samples = Number(tail.readBigInt64LE(at + 6))
    if (samples < 0) continue
    const opus = head.indexOf(OPUS_HEAD)
    // Opus counts at 48 kHz whatever it was made from, and tells how much of the start to drop (RFC 7845, 5.1).
    if (opus < 0) return samples / sampleRate
    return Math.max(0, samples - head.readUInt16LE(opus + 10)) / OPUS_RATE
  }
  return undefined
}
