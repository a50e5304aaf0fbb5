/**
 * A set of whole numbers kept as ranges: packet numbers that arrived, bytes that were acknowledged or lost.
 *
 * @module
 */

/** Of sets that never held anything. */
const NOTHING: number[] = []
Object.freeze(NOTHING)

/** Half-open ranges in rising order that neither touch nor overlap. */
export class RangeSet {
  /** start, end, start, end, … */
  #bounds: number[] = NOTHING

  /** How many ranges there are. */
  get count(): number {
    return this.#bounds.length / 2
  }

  /** The first number of range `index`. */
  start(index: number): number {
    return this.#bounds[2 * index] as number
  }

  /** The number behind range `index`. */
  end(index: number): number {
    return this.#bounds[2 * index + 1] as number
  }

  /** The number behind the highest range, 0 when there is none. */
  get limit(): number {
    const bounds = this.#bounds
    return bounds.length === 0 ? 0 : (bounds[bounds.length - 1] as number)
  }

  /** Whether `value` is in the set. */
  has(value: number): boolean {
    const index = this.#firstEndingAfter(value)
    return index < this.count && this.start(index) <= value
  }

  /** Whether every number from `start` up to `end` is in the set. */
  covers(start: number, end: number): boolean {
    if (start >= end) return true
    const index = this.#firstEndingAfter(start)
    return index < this.count && this.start(index) <= start && this.end(index) >= end
  }

  /** Adds the numbers from `start` up to `end`. */
  insert(start: number, end: number): void {
    if (start >= end) return
    const bounds = this.#bounds
    const last = bounds.length - 1
    if (last < 0 || start > (bounds[last] as number)) {
      // Mostly it stays the only one: pushing to an empty array makes room for many.
      if (bounds === NOTHING) this.#bounds = [start, end]
      else bounds.push(start, end)
      return
    }
    if (start >= (bounds[last - 1] as number)) {
      if (end > (bounds[last] as number)) bounds[last] = end
      return
    }
    // The ranges from `from` up to `to` touch or overlap the new one and become one with it.
    const from = this.#firstEndingAfter(start - 1)
    let to = from
    while (to < this.count && this.start(to) <= end) to++
    if (from === to) {
      bounds.splice(2 * from, 0, start, end)
      return
    }
    const low = Math.min(start, this.start(from))
    const high = Math.max(end, this.end(to - 1))
    bounds.splice(2 * from, 2 * (to - from), low, high)
  }

  /** Adds one number; false when it was there. */
  add(value: number): boolean {
    const bounds = this.#bounds
    const last = bounds.length - 1
    if (last >= 0 && value === bounds[last]) {
      bounds[last] = value + 1
      return true
    }
    if (this.has(value)) return false
    this.insert(value, value + 1)
    return true
  }

  /** Takes out every number below `limit`. */
  removeBelow(limit: number): void {
    const bounds = this.#bounds
    if (bounds.length === 0 || (bounds[0] as number) >= limit) return
    if ((bounds[bounds.length - 1] as number) <= limit) {
      this.#bounds = NOTHING
      return
    }
    const index = this.#firstEndingAfter(limit - 1)
    // The range that ends exactly at the limit is below it.
    const gone = index < this.count && this.end(index) === limit ? index + 1 : index
    if (gone > 0) bounds.splice(0, 2 * gone)
    if (bounds.length > 0 && (bounds[0] as number) < limit) bounds[0] = limit
  }

  /** Takes out the lowest range. */
  removeLowest(): void {
    if (this.#bounds.length > 0) this.#bounds.splice(0, 2)
  }

  /** Takes everything out. */
  clear(): void {
    this.#bounds = NOTHING
  }

  /** A copy of the bounds: start, end, start, end, … */
  toBounds(): number[] {
    const bounds = this.#bounds
    return bounds.length === 2 ? [bounds[0] as number, bounds[1] as number] : bounds.slice()
  }

  /** The index of the first range whose end is above `value`. */
  #firstEndingAfter(value: number): number {
    const bounds = this.#bounds
    let low = 0
    let high = bounds.length / 2
    // Almost always it is the last one, or behind it.
    if (high > 0 && (bounds[2 * high - 1] as number) <= value) return high
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((bounds[2 * middle + 1] as number) > value) high = middle
      else low = middle + 1
    }
    return low
  }
}
