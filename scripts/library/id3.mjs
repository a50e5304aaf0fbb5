// ID3v2.3 tags with a front cover, for MP3 files and for the `id3 ` chunk of WAV files.
import { ascii, join, uint32be } from './bytes.mjs'

/** A tag with text frames ([[ID, text]]) and a PNG `picture`. */
export function id3Tag(frames, picture) {
  const body = join(
    ...frames.map(([id, text]) => frame(id, encodedText(text))),
    frame('APIC', join('\0', 'image/png\0', '\x03', '\0', picture.data)),
  )
  // The size has seven bits a byte, so that it never looks like the start of a sound frame.
  const size = [21, 14, 7, 0].map((shift) => (body.length >>> shift) & 0x7f)
  return join('ID3', Buffer.from([3, 0, 0, ...size]), body)
}

const frame = (id, body) => join(id, uint32be(body.length), Buffer.from([0, 0]), body)

function encodedText(text) {
  const latin = ascii(text)
  if (latin.toString('latin1') === text) return join('\0', latin)
  return join('\x01\xff\xfe', Buffer.from(text, 'utf16le'))
}
