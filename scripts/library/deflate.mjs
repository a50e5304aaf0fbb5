// zlib streams (RFC 1950, 1951) of our own: what node:zlib writes depends on its version and on the processor, and the
// library's files must come out the same everywhere. Matches of the last 32 KiB, fixed Huffman codes.
import { join, uint32be } from './bytes.mjs'

const WINDOW_BYTES = 32_768
const LONGEST_MATCH = 258
const SHORTEST_MATCH = 4
const CHAIN = 32

/** Compresses `data` into a zlib stream. */
export function deflate(data) {
  const bits = new LsbWriter()
  bits.write(1, 1) // the last block
  bits.write(1, 2) // fixed codes
  const heads = new Map()
  const previous = new Int32Array(data.length).fill(-1)
  const remember = (at) => {
    if (at + SHORTEST_MATCH > data.length) return
    const key = data.readUInt32LE(at)
    previous[at] = heads.get(key) ?? -1
    heads.set(key, at)
  }
  for (let at = 0; at < data.length;) {
    remember(at)
    const { length, distance } = longestMatch(data, previous, at)
    if (length < SHORTEST_MATCH) {
      writeSymbol(bits, data[at++])
      continue
    }
    const [lengthCode, lengthBase, lengthBits] = rowFor(LENGTHS, length)
    writeSymbol(bits, 257 + lengthCode)
    bits.write(length - lengthBase, lengthBits)
    const [distanceCode, distanceBase, distanceBits] = rowFor(DISTANCES, distance)
    bits.writeCode(distanceCode, 5)
    bits.write(distance - distanceBase, distanceBits)
    for (let step = 1; step < length; step++) remember(at + step)
    at += length
  }
  writeSymbol(bits, 256)
  return join(Buffer.from([0x78, 0x01]), bits.bytes(), uint32be(adler32(data)))
}

function longestMatch(data, previous, at) {
  let length = 0
  let distance = 0
  let candidate = previous[at]
  const most = Math.min(LONGEST_MATCH, data.length - at)
  for (let tries = CHAIN; candidate >= 0 && at - candidate <= WINDOW_BYTES && tries > 0; tries--) {
    let same = 0
    while (same < most && data[candidate + same] === data[at + same]) same++
    if (same > length) [length, distance] = [same, at - candidate]
    candidate = previous[candidate]
  }
  return { length, distance }
}

/** The checksum of PNG chunks. */
export function crc32(data) {
  let sum = 0xffff_ffff
  for (const byte of data) {
    sum ^= byte
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0xedb8_8320 : sum >>> 1
  }
  return ~sum >>> 0
}

function adler32(data) {
  let a = 1
  let b = 0
  for (const byte of data) {
    a = (a + byte) % 65_521
    b = (b + a) % 65_521
  }
  return b * 65_536 + a
}

/** Rows of [code, first value, extra bits], by RFC 1951, 3.2.5. */
function rows(first, counts) {
  const out = []
  let base = first
  for (const [extraBits, count] of counts) {
    for (let index = 0; index < count; index++) {
      out.push([out.length, base, extraBits])
      base += 2 ** extraBits
    }
  }
  return out
}

const LENGTHS = rows(3, [[0, 8], ...[1, 2, 3, 4].map((bits) => [bits, 4]), [5, 3]]).concat([
  // The last code would cover 227 to 258; 258 has a code of its own.
  [27, 227, 5],
  [28, 258, 0],
])
const DISTANCES = rows(1, [[0, 4], ...Array.from({ length: 13 }, (_, index) => [index + 1, 2])])

function rowFor(table, value) {
  let found = table[0]
  for (const row of table) if (row[1] <= value) found = row
  return found
}

function writeSymbol(bits, symbol) {
  if (symbol < 144) bits.writeCode(0x30 + symbol, 8)
  else if (symbol < 256) bits.writeCode(0x190 + symbol - 144, 9)
  else if (symbol < 280) bits.writeCode(symbol - 256, 7)
  else bits.writeCode(0xc0 + symbol - 280, 8)
}

/** Bits from the lowest of each byte up; Huffman codes the other way round. */
class LsbWriter {
  #out = []
  #byte = 0
  #used = 0

  write(value, bits) {
    for (let index = 0; index < bits; index++) this.#bit((value >>> index) & 1)
  }

  writeCode(code, bits) {
    for (let index = bits - 1; index >= 0; index--) this.#bit((code >>> index) & 1)
  }

  bytes() {
    return Buffer.from(this.#used > 0 ? [...this.#out, this.#byte] : this.#out)
  }

  #bit(bit) {
    this.#byte |= bit << this.#used
    if (++this.#used < 8) return
    this.#out.push(this.#byte)
    this.#byte = 0
    this.#used = 0
  }
}
