// PNG pictures.
import { crc32, deflate } from './deflate.mjs'
import { ascii, join, uint32be } from './bytes.mjs'

/** Encodes `pixel(x, y)` = [red, green, blue], each 0 to 255. */
export function encodePng({ width, height, pixel }) {
  const rows = []
  for (let y = 0; y < height; y++) {
    const row = Buffer.alloc(1 + width * 3)
    row[0] = 1 // each byte is the difference to the pixel on its left
    let left = [0, 0, 0]
    for (let x = 0; x < width; x++) {
      const colour = pixel(x, y)
      for (let part = 0; part < 3; part++) row[1 + x * 3 + part] = colour[part] - left[part]
      left = colour
    }
    rows.push(row)
  }
  const header = join(uint32be(width), uint32be(height), Buffer.from([8, 2, 0, 0, 0]))
  const data = join(
    Buffer.from([0x89]),
    'PNG\r\n\x1a\n',
    chunk('IHDR', header),
    chunk('IDAT', deflate(join(...rows))),
    chunk('IEND', Buffer.alloc(0)),
  )
  return { data, width, height }
}

function chunk(type, body) {
  const checked = join(ascii(type), body)
  return join(uint32be(body.length), checked, uint32be(crc32(checked)))
}
