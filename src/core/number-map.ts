/**
 * A map from numbers for what comes and goes all the time. A `Map` builds its table anew every few dozen times that
 * something is deleted, and each old table refers to the next and to whatever was in it then: once one of them is in V8's
 * old generation, all of that stays until the old generation is collected. Here what is taken out is referred to by
 * nothing, and refers to nothing.
 *
 * @module
 */

/** Buckets to begin with; always a power of two. */
const BUCKETS = 4
/** More than these are given back when it is empty. */
const KEPT_BUCKETS = 64

interface Place<V> {
  readonly key: number
  value: V
  /** The next in the same bucket. */
  following: Place<V> | undefined
  older: Place<V> | undefined
  newer: Place<V> | undefined
}

/** A map from whole numbers; in the order in which they were put in. */
export class NumberMap<V> {
  /** Made for the first entry. */
  #buckets: (Place<V> | undefined)[] | undefined
  #oldest: Place<V> | undefined
  #newest: Place<V> | undefined
  #size = 0

  get size(): number {
    return this.#size
  }

  get(key: number): V | undefined {
    return this.#find(key)?.value
  }

  has(key: number): boolean {
    return this.#find(key) !== undefined
  }

  set(key: number, value: V): void {
    const found = this.#find(key)
    if (found) {
      found.value = value
      return
    }
    const buckets = this.#withRoom()
    const bucket = bucketOf(key, buckets.length)
    const older = this.#newest
    const place: Place<V> = { key, value, following: buckets[bucket], older, newer: undefined }
    buckets[bucket] = place
    if (older) older.newer = place
    else this.#oldest = place
    this.#newest = place
    this.#size++
  }

  delete(key: number): void {
    const buckets = this.#buckets
    if (!buckets) return
    const bucket = bucketOf(key, buckets.length)
    let before: Place<V> | undefined
    let place = buckets[bucket]
    while (place && place.key !== key) {
      before = place
      place = place.following
    }
    if (!place) return
    if (before) before.following = place.following
    else buckets[bucket] = place.following
    const { older, newer } = place
    if (older) older.newer = newer
    else this.#oldest = newer
    if (newer) newer.older = older
    else this.#newest = older
    place.following = place.older = place.newer = undefined
    this.#size--
    if (this.#size === 0 && buckets.length > KEPT_BUCKETS) this.#buckets = undefined
  }

  /** The values, oldest first, as a list of its own. */
  values(): V[] {
    const values: V[] = []
    for (let place = this.#oldest; place; place = place.newer) values.push(place.value)
    return values
  }

  /** The keys, oldest first, as a list of its own. */
  keys(): number[] {
    const keys: number[] = []
    for (let place = this.#oldest; place; place = place.newer) keys.push(place.key)
    return keys
  }

  #find(key: number): Place<V> | undefined {
    const buckets = this.#buckets
    if (!buckets) return undefined
    let place = buckets[bucketOf(key, buckets.length)]
    while (place && place.key !== key) place = place.following
    return place
  }

  /** The buckets, with room for one more. */
  #withRoom(): (Place<V> | undefined)[] {
    const before = this.#buckets
    if (before && this.#size < before.length) return before
    const buckets = emptyBuckets<V>(before ? 2 * before.length : BUCKETS)
    this.#buckets = buckets
    for (let place = this.#oldest; place; place = place.newer) {
      const bucket = bucketOf(place.key, buckets.length)
      place.following = buckets[bucket]
      buckets[bucket] = place
    }
    before?.fill(undefined)
    return buckets
  }
}

function emptyBuckets<V>(count: number): (Place<V> | undefined)[] {
  const buckets: (Place<V> | undefined)[] = []
  for (let i = 0; i < count; i++) buckets.push(undefined)
  return buckets
}

/** Multiplying spreads keys of which only every fourth is used, as ids of QUIC streams are. */
function bucketOf(key: number, buckets: number): number {
  return (Math.imul(key, 0x9e37_79b1) >>> 16) & (buckets - 1)
}
