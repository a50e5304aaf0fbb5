/**
 * Puts the frames of a stream back in order.
 *
 * @module
 */

/** A run of bytes that arrived. A STREAM frame is one. */
interface Segment {
  readonly offset: number
  readonly length: number
  readonly source: Uint8Array
  readonly start: number
}

/** Of buffers that hold nothing. */
const NOTHING: Segment[] = []
Object.freeze(NOTHING)

/** Holds segments in order, without overlaps, until they are read. Nothing is copied before that. */
export class ReceiveBuffer {
  #segments = NOTHING
  #readTo = 0
  /** The end of what can be read without a gap. */
  #readyTo = 0

  /** The offset of the next byte to read. */
  get readTo(): number {
    return this.#readTo
  }

  /** How many bytes can be read at once. */
  get readableBytes(): number {
    return this.#readyTo - this.#readTo
  }

  /** The offset up to which everything has arrived. */
  get contiguousTo(): number {
    return this.#readyTo
  }

  /** Takes a segment; what was there already is left out. */
  insert(segment: Segment): void {
    const end = segment.offset + segment.length
    if (end <= this.#readyTo || segment.length === 0) return
    const segments = this.#segments
    const last = segments[segments.length - 1]
    const position = Math.max(segment.offset, this.#readyTo)
    if (!last || position >= last.offset + last.length) {
      // Mostly it is the only one: pushing to an empty array makes room for many.
      if (last) segments.push(part(segment, position, end))
      else this.#segments = [part(segment, position, end)]
    } else {
      this.#fillGaps(segment, position, end)
    }
    if (position === this.#readyTo) this.#advance()
  }

  /** At most `maxBytes` in order, as an array of their own; undefined when there are none. */
  read(maxBytes: number): Uint8Array | undefined {
    const length = Math.min(maxBytes, this.readableBytes)
    if (length <= 0) return undefined
    const segments = this.#segments
    const first = segments[0] as Segment
    const from = first.start + this.#readTo - first.offset
    const firstLeft = first.offset + first.length - this.#readTo
    if (length <= firstLeft) {
      this.#readTo += length
      if (length === firstLeft) {
        if (segments.length === 1) this.#segments = NOTHING
        else segments.shift()
      }
      return first.source.slice(from, from + length)
    }
    const bytes = new Uint8Array(length)
    let filled = 0
    let used = 0
    while (filled < length) {
      const segment = segments[used] as Segment
      const skip = this.#readTo - segment.offset
      const take = Math.min(segment.length - skip, length - filled)
      const start = segment.start + skip
      bytes.set(segment.source.subarray(start, start + take), filled)
      filled += take
      this.#readTo += take
      if (skip + take === segment.length) used++
    }
    segments.splice(0, used)
    return bytes
  }

  /** Drops everything. */
  clear(): void {
    this.#segments = NOTHING
    this.#readyTo = this.#readTo
  }

  /** Puts the parts of a segment between those that are there. */
  #fillGaps(segment: Segment, from: number, end: number): void {
    const segments = this.#segments
    let position = from
    let index = this.#firstEndingAfter(position)
    while (position < end) {
      const next = segments[index]
      if (!next || next.offset >= end) {
        segments.splice(index, 0, part(segment, position, end))
        return
      }
      if (position < next.offset) {
        segments.splice(index, 0, part(segment, position, next.offset))
        index++
      }
      position = next.offset + next.length
      index++
    }
  }

  #firstEndingAfter(position: number): number {
    const segments = this.#segments
    let low = 0
    let high = segments.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const segment = segments[middle] as Segment
      if (segment.offset + segment.length > position) high = middle
      else low = middle + 1
    }
    return low
  }

  #advance(): void {
    const segments = this.#segments
    for (let i = this.#firstEndingAfter(this.#readyTo); i < segments.length; i++) {
      const segment = segments[i] as Segment
      if (segment.offset > this.#readyTo) return
      this.#readyTo = segment.offset + segment.length
    }
  }
}

/** The bytes of `segment` from `offset` up to `end`. */
function part(segment: Segment, offset: number, end: number): Segment {
  if (offset === segment.offset && end === offset + segment.length) return segment
  const start = segment.start + offset - segment.offset
  return { offset, length: end - offset, source: segment.source, start }
}
