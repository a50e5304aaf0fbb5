/**
 * A map from numbers for what mostly holds one or two entries that come and go: a `Map` builds its table anew every few
 * times that something is deleted, which costs more than to look through four places.
 *
 * @module
 */

/** More entries than this move to a `Map`, until none are left. */
const PLACES = 4

/** What `#keys` holds where there is nothing. */
const NOTHING = -1

/** A map from numbers; in the order in which they were put in. */
export class SmallMap<V> {
  /** Both undefined before anything was put in. */
  #keys: number[] | undefined
  #values: (V | undefined)[] | undefined
  #size = 0
  #many: Map<number, V> | undefined

  get size(): number {
    return this.#many ? this.#many.size : this.#size
  }

  /** The key that has been in it for longest. */
  get firstKey(): number | undefined {
    if (this.#many) for (const key of this.#many.keys()) return key
    return this.#size > 0 ? this.#keys?.[0] : undefined
  }

  get(key: number): V | undefined {
    if (this.#many) return this.#many.get(key)
    const place = this.#placeOf(key)
    return place < this.#size ? (this.#values as (V | undefined)[])[place] : undefined
  }

  has(key: number): boolean {
    return this.#many ? this.#many.has(key) : this.#placeOf(key) < this.#size
  }

  set(key: number, value: V): void {
    const place = this.#many ? PLACES : this.#placeOf(key)
    if (place === PLACES) {
      this.#setInMany(key, value)
      return
    }
    this.#keys ??= [NOTHING, NOTHING, NOTHING, NOTHING]
    this.#values ??= [undefined, undefined, undefined, undefined]
    this.#keys[place] = key
    this.#values[place] = value
    if (place === this.#size) this.#size++
  }

  delete(key: number): void {
    if (this.#many) {
      this.#many.delete(key)
      if (this.#many.size === 0) this.#many = undefined
      return
    }
    const place = this.#placeOf(key)
    if (place >= this.#size) return
    const keys = this.#keys as number[]
    const values = this.#values as (V | undefined)[]
    const last = --this.#size
    for (let i = place; i < last; i++) {
      keys[i] = keys[i + 1] as number
      values[i] = values[i + 1]
    }
    values[last] = undefined
  }

  /** The values, oldest first, as a list of its own. */
  values(): V[] {
    return this.#many ? [...this.#many.values()] : ((this.#values?.slice(0, this.#size) ?? []) as V[])
  }

  /** The keys, oldest first, as a list of its own. */
  keys(): number[] {
    return this.#many ? [...this.#many.keys()] : (this.#keys?.slice(0, this.#size) ?? [])
  }

  /** Where the key is, or would be put. */
  #placeOf(key: number): number {
    const keys = this.#keys
    const size = this.#size
    if (keys) for (let i = 0; i < size; i++) if (keys[i] === key) return i
    return size
  }

  #setInMany(key: number, value: V): void {
    if (!this.#many) {
      this.#many = new Map()
      for (let i = 0; i < PLACES; i++)
        this.#many.set((this.#keys as number[])[i] as number, (this.#values as V[])[i] as V)
      this.#size = 0
      this.#values = undefined
    }
    this.#many.set(key, value)
  }
}
