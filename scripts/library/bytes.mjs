// Small writers of bytes and bits, shared by the encoders.

/** Joins byte arrays and ASCII strings. */
export const join = (...parts) => Buffer.concat(parts.map((part) => (typeof part === 'string' ? ascii(part) : part)))

export const ascii = (text) => Buffer.from(text, 'latin1')

export const uint16le = (value) => Buffer.from([value & 0xff, (value >>> 8) & 0xff])
export const uint32le = (value) =>
  Buffer.from([value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24])
export const uint32be = (value) =>
  Buffer.from([value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff])

/** A growing string of bits, most significant first. */
export class BitWriter {
  #bytes = new Uint8Array(65_536)
  #length = 0
  #pending = 0
  #pendingBits = 0

  /** Writes the lowest `bits` bits (0 to 32) of `value`; a negative value as two's complement. */
  write(value, bits) {
    let left = bits
    while (left > 0) {
      const take = Math.min(8 - this.#pendingBits, left)
      left -= take
      this.#pending = (this.#pending << take) | ((value >> left) & ((1 << take) - 1))
      this.#pendingBits += take
      if (this.#pendingBits === 8) this.#push()
    }
  }

  /** Writes `zeros` zero bits and then a one. */
  unary(zeros) {
    let left = zeros
    for (; left >= 16; left -= 16) this.write(0, 16)
    this.write(1, left + 1)
  }

  /** Fills the last byte with zeros. */
  align() {
    if (this.#pendingBits > 0) this.write(0, 8 - this.#pendingBits)
  }

  /** What was written so far; call `align` first. */
  bytes() {
    return this.#bytes.subarray(0, this.#length)
  }

  #push() {
    if (this.#length === this.#bytes.length) {
      const grown = new Uint8Array(this.#bytes.length * 2)
      grown.set(this.#bytes)
      this.#bytes = grown
    }
    this.#bytes[this.#length++] = this.#pending
    this.#pending = 0
    this.#pendingBits = 0
  }
}
